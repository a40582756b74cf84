//! A phone's end of its codec, for the tests' phones.

use crate::audio::frame::Band;
use crate::audio::g711::Law;
use crate::audio::g722::{G722Decoder, G722Encoder};
use crate::audio::opus::{Decoder, Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use crate::meeting::leg::PhoneCodec;

/// Encodes what a phone says and decodes what it hears.
pub(super) enum Coder {
    G711(Law),
    G722(Box<(G722Encoder, G722Decoder)>),
    Opus(Box<Encoder>, Box<Decoder>),
}

impl Coder {
    pub(super) fn new(codec: PhoneCodec) -> Self {
        match codec {
            PhoneCodec::Pcmu => Self::G711(Law::Ulaw),
            PhoneCodec::Pcma => Self::G711(Law::Alaw),
            PhoneCodec::G722 => Self::G722(Box::default()),
            PhoneCodec::Opus => {
                let settings = EncoderSettings {
                    complexity: 0,
                    ..EncoderSettings::narrowband_voice().for_band(Band::Full)
                };
                let encoder = Encoder::new(settings).unwrap();
                Self::Opus(Box::new(encoder), Box::new(Decoder::new(48_000).unwrap()))
            }
        }
    }

    pub(super) fn payload_type(&self) -> u8 {
        match self {
            Self::G711(Law::Ulaw) => 0,
            Self::G711(Law::Alaw) => 8,
            Self::G722(..) => 9,
            Self::Opus(..) => 106,
        }
    }

    pub(super) fn rate_hz(&self) -> u32 {
        match self {
            Self::G711(_) => 8_000,
            Self::G722(..) => 16_000,
            Self::Opus(..) => 48_000,
        }
    }

    /// RTP clock units of a tick.
    pub(super) fn units(&self) -> u32 {
        match self {
            Self::G711(_) | Self::G722(..) => 160,
            Self::Opus(..) => 960,
        }
    }

    pub(super) fn encode(&mut self, frame: &[i16]) -> Vec<u8> {
        let mut payload = vec![0; PACKET_BYTES_MAX];
        let length = match self {
            Self::G711(law) => law.encode(frame, &mut payload),
            Self::G722(both) => both.0.encode(frame, &mut payload),
            Self::Opus(encoder, _) => match encoder.encode(frame, &mut payload) {
                Encoded::Packet(length) => length,
                Encoded::Silence => 0,
            },
        };
        payload.truncate(length);
        payload
    }

    pub(super) fn decode(&mut self, payload: &[u8]) -> Vec<i16> {
        let mut pcm = vec![0; 48 * 120];
        let samples = match self {
            Self::G711(law) => law.decode(payload, &mut pcm),
            Self::G722(both) => both.1.decode(payload, &mut pcm),
            Self::Opus(_, decoder) => decoder.decode(payload, &mut pcm).expect("Opus"),
        };
        pcm.truncate(samples);
        pcm
    }
}
