//! A phone's voice as an Opus stream towards browsers: encoded once, however many hear it.

use std::time::Instant;

use bytes::Bytes;

use crate::audio::frame::Band;
use crate::audio::opus::{Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use crate::audio::protection::Protection;

/// A silent Opus stream still sends one packet this often (RFC 7587 §3.1.3: 400 ms), so that
/// browsers know it for silence and not for loss.
const IDLE_PACKET_TICKS: u32 = 20;

/// Ticks without an encoding after which the encoder's memory (43 KiB) is given back: half a
/// minute. It is most of what a phone costs that only listens.
const ENCODER_KEPT_TICKS: u32 = 1_500;

/// Opus timestamp units of a tick.
const TICK_UNITS: u32 = 960;

/// One Opus packet of the phone's voice.
#[derive(Debug, Clone)]
pub struct VoicePacket {
    /// RTP sequence number of the phone's track.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// First after silence.
    pub marker: bool,
    /// Opus.
    pub payload: Bytes,
}

/// See the module.
pub(super) struct VoiceTrack {
    /// Made when there is something to hear and somebody to hear it.
    encoder: Option<Encoder>,
    settings: EncoderSettings,
    protection: Protection,
    unused_ticks: u32,
    encoded_ticks: u64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Table of contents of the last packet (RFC 6716 §3.1).
    toc: u8,
    talking: bool,
    idle_ticks: u32,
}

impl VoiceTrack {
    /// A stream that begins at these random numbers.
    pub(super) fn new(settings: EncoderSettings, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            encoder: None,
            settings: EncoderSettings {
                fec: false,
                expected_loss_percent: 0,
                ..settings
            },
            protection: Protection::new(),
            unused_ticks: 0,
            encoded_ticks: 0,
            ssrc,
            sequence,
            timestamp,
            toc: 0,
            talking: false,
            idle_ticks: 0,
        }
    }

    /// The voice comes at the rate of another band from now on.
    pub(super) fn set_band(&mut self, band: Band) {
        let settings = self.settings.for_band(band);
        if settings.sample_rate_hz != self.settings.sample_rate_hz {
            self.encoder = None;
        }
        self.settings = settings;
    }

    /// Under which it goes to browsers, before rewriting.
    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes the worst loss that listeners report now, 0.0–1.0.
    pub(super) fn handle_loss(&mut self, now: Instant, loss: Option<f32>) {
        self.protection.handle_loss(now, loss);
        let percent = self.protection.expected_loss_percent();
        self.settings.expected_loss_percent = percent;
        self.settings.fec = percent > 0;
        if let Some(encoder) = &mut self.encoder {
            encoder.set_expected_loss(percent);
        }
    }

    /// Steps the encoder's complexity, 0–10.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        self.settings.complexity = complexity;
        if let Some(encoder) = &mut self.encoder {
            encoder.set_complexity(complexity);
        }
    }

    /// The packet of this tick, if there is one; `voice` is `None` in silence, `listened` is false
    /// when no browser would get it. Time passes either way.
    pub(super) fn next_packet(
        &mut self,
        voice: Option<&[i16]>,
        listened: bool,
    ) -> Option<VoicePacket> {
        let timestamp = self.timestamp;
        self.skip_ticks(1);
        self.unused_ticks = self.unused_ticks.saturating_add(1);
        if self.unused_ticks == ENCODER_KEPT_TICKS {
            self.encoder = None;
        }
        if !listened {
            self.talking = false;
            self.idle_ticks = 0;
            return None;
        }
        if let Some(payload) = voice.and_then(|voice| self.encode(voice)) {
            let marker = !self.talking;
            self.talking = true;
            self.idle_ticks = 0;
            return Some(self.packet(timestamp, marker, payload));
        }
        self.idle_packet(timestamp)
    }

    /// Ticks whose voice was encoded.
    pub(super) fn encoded_ticks(&self) -> u64 {
        self.encoded_ticks
    }

    /// `ticks` passed without a packet.
    pub(super) fn skip_ticks(&mut self, ticks: u32) {
        let units = TICK_UNITS.wrapping_mul(ticks);
        self.timestamp = self.timestamp.wrapping_add(units);
    }

    fn encode(&mut self, voice: &[i16]) -> Option<Bytes> {
        self.unused_ticks = 0;
        self.encoded_ticks += 1;
        if self.encoder.is_none() {
            self.encoder = Encoder::new(self.settings).ok();
        }
        let mut packet = [0u8; PACKET_BYTES_MAX];
        match self.encoder.as_mut()?.encode(voice, &mut packet) {
            Encoded::Packet(length) => {
                self.toc = packet[0];
                Some(Bytes::copy_from_slice(&packet[..length]))
            }
            Encoded::Silence => None,
        }
    }

    /// A packet of one octet, the table of contents with no frame behind it, is how Opus says
    /// "silence goes on" (RFC 6716 §3.2.1): once when the voice ends, then every 400 ms.
    fn idle_packet(&mut self, timestamp: u32) -> Option<VoicePacket> {
        let first = self.talking;
        self.talking = false;
        if first {
            self.idle_ticks = 0;
        } else {
            self.idle_ticks += 1;
        }
        let due = first || self.idle_ticks >= IDLE_PACKET_TICKS;
        if !due || self.toc == 0 {
            return None;
        }
        self.idle_ticks = 0;
        let toc = self.toc & !0b11;
        Some(self.packet(timestamp, false, Bytes::copy_from_slice(&[toc])))
    }

    fn packet(&mut self, timestamp: u32, marker: bool, payload: Bytes) -> VoicePacket {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        VoicePacket {
            sequence,
            timestamp,
            marker,
            payload,
        }
    }
}
