//! One Opus encoding towards phones: ticks gathered to packets, silence for next to nothing.

use crate::audio::frame::{Band, TICK};
use crate::audio::opus::{Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use crate::meeting::leg::LegMedia;

/// Ticks of silence that are encoded, so that the voice fades as it should; after them a packet is
/// one octet, the table of contents with no frame behind it: "nothing goes on" (RFC 6716 §3.2.1).
/// A phone hangs up when no packets come; these cost nothing.
const SILENCE_ENCODED_TICKS: u32 = 25;

/// What tells one encoding from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpusEarFormat {
    pub(super) band: Band,
    ticks_per_packet: u32,
    bitrate_max: Option<u32>,
    fec: bool,
}

impl OpusEarFormat {
    pub(super) fn of(media: &LegMedia) -> Self {
        let ticks = media.ptime.as_millis() / TICK.as_millis();
        Self {
            band: media.band(),
            ticks_per_packet: (ticks as u32).clamp(1, 3),
            bitrate_max: media.opus.bitrate_max,
            fec: media.opus.fec,
        }
    }

    fn samples(self) -> usize {
        self.band.samples() * self.ticks_per_packet as usize
    }

    fn settings(self, base: EncoderSettings) -> EncoderSettings {
        let wanted = base.for_band(self.band);
        let bitrate_max = self.bitrate_max.unwrap_or(wanted.bitrate).max(6_000);
        EncoderSettings {
            bitrate: wanted.bitrate.min(bitrate_max),
            fec: self.fec,
            dtx: false,
            ..wanted
        }
    }
}

/// See the module.
pub(super) struct OpusEar {
    format: OpusEarFormat,
    /// `None` only if libopus had no memory.
    encoder: Option<Encoder>,
    gathered: Vec<i16>,
    packet: Box<[u8; PACKET_BYTES_MAX]>,
    /// Of the packet made last, and at which tick; 0 if that tick completed none.
    length: usize,
    made_at: u64,
    silent_ticks: u32,
    /// Table of contents of the last packet with sound in it.
    toc: Option<u8>,
}

impl OpusEar {
    pub(super) fn new(format: OpusEarFormat, base: EncoderSettings) -> Self {
        Self {
            format,
            encoder: Encoder::new(format.settings(base)).ok(),
            gathered: Vec::with_capacity(format.samples()),
            packet: Box::new([0; PACKET_BYTES_MAX]),
            length: 0,
            made_at: 0,
            silent_ticks: 0,
            toc: None,
        }
    }

    pub(super) fn format(&self) -> OpusEarFormat {
        self.format
    }

    pub(super) fn set_expected_loss(&mut self, percent: u8) {
        if let Some(encoder) = &mut self.encoder {
            encoder.set_expected_loss(percent);
        }
    }

    pub(super) fn set_complexity(&mut self, complexity: u8) {
        if let Some(encoder) = &mut self.encoder {
            encoder.set_complexity(complexity);
        }
    }

    /// The tick encoded last.
    pub(super) fn made_at(&self) -> u64 {
        self.made_at
    }

    /// The packet that the last tick completed.
    pub(super) fn packet(&self) -> Option<&[u8]> {
        (self.length > 0).then(|| &self.packet[..self.length])
    }

    /// Takes one tick and returns the packet it completes. `sounds` is false when nobody is heard.
    ///
    /// Packets end at ticks that their length divides, in all encodings: a phone that changes from
    /// one to another misses nothing and hears nothing twice.
    pub(super) fn encode(&mut self, tick: u64, heard: &[i16], sounds: bool) -> Option<&[u8]> {
        self.made_at = tick;
        self.length = 0;
        self.silent_ticks = match sounds {
            true => 0,
            false => self.silent_ticks.saturating_add(1),
        };
        let whole = self.format.samples();
        if self.gathered.len() + heard.len() <= whole {
            self.gathered.extend_from_slice(heard);
        }
        if !tick.is_multiple_of(u64::from(self.format.ticks_per_packet)) {
            return None;
        }
        // Begun in the middle of a packet: silence came before.
        let missing = whole - self.gathered.len();
        self.gathered.resize(whole, 0);
        self.gathered.rotate_right(missing);
        self.length = self.encode_gathered();
        self.gathered.clear();
        self.packet()
    }

    fn encode_gathered(&mut self) -> usize {
        let lasting = self.silent_ticks >= SILENCE_ENCODED_TICKS;
        let empty = self.format.ticks_per_packet == 1 && lasting;
        if let (true, Some(toc)) = (empty, self.toc) {
            self.packet[0] = toc & !0b11;
            return 1;
        }
        let Some(encoder) = &mut self.encoder else {
            return 0;
        };
        match encoder.encode(&self.gathered, &mut self.packet[..]) {
            Encoded::Packet(length) => {
                self.toc = Some(self.packet[0]);
                length
            }
            Encoded::Silence => 0,
        }
    }
}
