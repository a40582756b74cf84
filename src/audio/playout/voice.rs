//! From payload to PCM, and what to play when there is none: the part that differs by codec.

use super::PlayoutCodec;
use crate::audio::conceal::Concealer;
use crate::audio::g711::Law;
use crate::audio::g722::G722Decoder;
use crate::audio::noise::ComfortNoise;
use crate::audio::opus::{self, Decoder, OpusError};
use crate::limits;
use crate::rtp::discard::Discard;

/// Longest packet of G.711 or G.722, both 64 kbit/s: 120 ms.
const WAVEFORM_BYTES_MAX: usize = 960;

/// Longest stretch restored from a packet's copy of the one before; further back it holds nothing.
const RESTORE_MS_MAX: usize = 60;

/// A source's decoder.
#[derive(Debug)]
pub(super) enum Voice {
    /// Codecs that turn octets to samples one by one and know nothing of loss.
    Waveform {
        codec: Waveform,
        concealer: Concealer,
    },
    Opus {
        decoder: Decoder,
        rate: usize,
    },
}

/// See [`Voice::Waveform`].
#[derive(Debug)]
pub(super) enum Waveform {
    G711(Law),
    G722(Box<G722Decoder>),
}

impl Waveform {
    fn samples_per_octet(&self) -> usize {
        match self {
            Self::G711(_) => 1,
            Self::G722(_) => 2,
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> usize {
        match self {
            Self::G711(law) => law.decode(payload, pcm),
            Self::G722(decoder) => decoder.decode(payload, pcm),
        }
    }
}

impl Voice {
    pub(super) fn new(codec: PlayoutCodec, sample_rate_hz: u32) -> Result<Self, OpusError> {
        Ok(match codec {
            PlayoutCodec::G711(law) => Self::Waveform {
                codec: Waveform::G711(law),
                concealer: Concealer::new(sample_rate_hz),
            },
            PlayoutCodec::G722 => Self::Waveform {
                codec: Waveform::G722(Box::default()),
                concealer: Concealer::new(sample_rate_hz),
            },
            PlayoutCodec::Opus => Self::Opus {
                decoder: Decoder::new(sample_rate_hz)?,
                rate: sample_rate_hz as usize,
            },
        })
    }

    /// Samples a payload holds, from its length or its header.
    pub(super) fn packet_samples(&self, payload: &[u8]) -> Result<usize, Discard> {
        if payload.is_empty() {
            return Err(Discard::Empty);
        }
        let samples = match self {
            Self::Waveform { codec, .. } => (payload.len() <= WAVEFORM_BYTES_MAX)
                .then_some(payload.len() * codec.samples_per_octet()),
            Self::Opus { decoder, .. } => (payload.len() <= limits::PLAYOUT_PAYLOAD_BYTES_MAX)
                .then(|| decoder.packet_samples(payload))
                .flatten(),
        };
        samples.ok_or(Discard::BadPayload)
    }

    /// Decodes to the start of `pcm`; `None` if the payload is broken inside.
    pub(super) fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Option<usize> {
        match self {
            Self::Waveform { codec, .. } => Some(codec.decode(payload, pcm)),
            Self::Opus { decoder, .. } => decoder.decode(payload, pcm),
        }
    }

    /// Whole units in which audio can be invented, in samples.
    pub(super) fn concealed_unit(&self) -> usize {
        match self {
            Self::Waveform { .. } => 1,
            Self::Opus { rate, .. } => rate / 400,
        }
    }

    /// Invents what comes after `past`.
    pub(super) fn conceal(&mut self, past: &[i16], noise: &mut ComfortNoise, out: &mut [i16]) {
        match self {
            Self::Waveform { concealer, .. } => concealer.conceal(past, noise, out),
            Self::Opus { decoder, .. } => {
                if decoder.conceal(out).is_none() {
                    out.fill(0);
                }
            }
        }
    }

    /// Can the lost `samples` before the packet with this payload be restored from it?
    pub(super) fn can_restore(&self, next: &[u8], samples: usize) -> bool {
        match self {
            Self::Waveform { .. } => false,
            Self::Opus { rate, .. } => {
                samples <= rate * RESTORE_MS_MAX / 1_000
                    && samples.is_multiple_of(self.concealed_unit())
                    && opus::has_fec(next)
            }
        }
    }

    /// Restores the samples lost before the packet with this payload.
    pub(super) fn restore(&mut self, next: &[u8], out: &mut [i16]) -> bool {
        match self {
            Self::Waveform { .. } => false,
            Self::Opus { decoder, .. } => decoder.decode_fec(next, out).is_some(),
        }
    }

    /// Smooths the first real samples after invented ones.
    pub(super) fn handle_return(&mut self, noise: &mut ComfortNoise, real: &mut [i16]) {
        if let Self::Waveform { concealer, .. } = self {
            concealer.handle_return(noise, real);
        }
    }

    /// Audio will be skipped after `past`: makes the next real samples a smooth return.
    pub(super) fn handle_skip(&mut self, past: &[i16], noise: &mut ComfortNoise) {
        if let Self::Waveform { concealer, .. } = self {
            concealer.conceal(past, noise, &mut [0]);
        }
    }

    /// Playing begins after silence: there is nothing to return from.
    pub(super) fn handle_begin(&mut self) {
        if let Self::Waveform { concealer, .. } = self {
            concealer.reset();
        }
    }
}
