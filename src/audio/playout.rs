//! One remote source: packets in as they arrive, 20 ms of PCM out at each tick.

use std::time::Instant;

use super::g711::Law;
use super::opus::{Decoder, OpusError, PACKET_MS_MAX};
use crate::rtp::discard::Discard;
use crate::rtp::packet::Packet;
use crate::rtp::seq::ExtendedSequence;

/// Codec of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayoutCodec {
    /// G.711 at 8 kHz; `sample_rate_hz` must be 8,000.
    G711(Law),
    /// Opus, decoded at `sample_rate_hz`.
    Opus,
}

/// Settings of a [`Playout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// What the payloads are. The caller sorts packets by payload type.
    pub codec: PlayoutCodec,
    /// Of the PCM played: 8,000 for everything a narrowband leg hears.
    pub sample_rate_hz: u32,
    /// Tells the comfort noise of sources apart.
    pub seed: u32,
}

/// What a tick played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// What the source sent.
    Voice,
    /// Invented, at least in part: a packet is late or lost.
    Concealed,
    /// Nothing: the frame is all zeros and need not be mixed.
    Silence,
}

/// Figures of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlayoutStats {
    /// Packets taken.
    pub packets_accepted: u64,
    /// Packets refused, by [`Discard::index`].
    pub packets_discarded: [u64; Discard::ALL.len()],
    /// Audio invented for late or lost packets, in ms.
    pub concealed_ms: u64,
}

/// The playout of one remote source.
#[derive(Debug)]
pub struct Playout {
    config: PlayoutConfig,
    decoder: Option<Decoder>,
    sequence: ExtendedSequence,
    pcm: std::collections::VecDeque<i16>,
    stats: PlayoutStats,
}

impl Playout {
    /// A source that has sent nothing.
    ///
    /// # Errors
    /// libopus does not know the sample rate: the caller's.
    pub fn new(config: PlayoutConfig) -> Result<Self, OpusError> {
        let decoder = match config.codec {
            PlayoutCodec::Opus => Some(Decoder::new(config.sample_rate_hz)?),
            PlayoutCodec::G711(_) => None,
        };
        Ok(Self {
            config,
            decoder,
            sequence: ExtendedSequence::new(),
            pcm: std::collections::VecDeque::with_capacity(8_192),
            stats: PlayoutStats::default(),
        })
    }

    /// Takes one packet; `arrival` is the kernel's receive time, not the time it was read.
    ///
    /// # Errors
    /// The packet is not used, for the reason given, which is already counted.
    pub fn handle_packet(&mut self, _arrival: Instant, packet: Packet<'_>) -> Result<(), Discard> {
        let result = self.take(&packet);
        match result {
            Ok(()) => self.stats.packets_accepted += 1,
            Err(reason) => self.stats.packets_discarded[reason.index()] += 1,
        }
        result
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<(), Discard> {
        if packet.payload.is_empty() {
            return Err(Discard::Empty);
        }
        let highest = self.sequence.highest();
        if highest.is_some_and(|highest| self.sequence.peek(packet.sequence) <= highest) {
            return Err(Discard::Late);
        }
        let mut pcm = [0i16; 48 * PACKET_MS_MAX];
        let samples = match (self.config.codec, &mut self.decoder) {
            (PlayoutCodec::G711(law), _) if packet.payload.len() <= 960 => {
                law.decode(packet.payload, &mut pcm)
            }
            (PlayoutCodec::Opus, Some(decoder)) => decoder
                .decode(packet.payload, &mut pcm)
                .ok_or(Discard::BadPayload)?,
            _ => return Err(Discard::BadPayload),
        };
        if self.pcm.len() + samples > self.pcm.capacity() {
            return Err(Discard::BufferFull);
        }
        self.sequence.extend(packet.sequence);
        self.pcm.extend(&pcm[..samples]);
        Ok(())
    }

    /// Plays the tick of `now` into `out`, whose length is 20 ms at the sample rate.
    pub fn play(&mut self, _now: Instant, out: &mut [i16]) -> Played {
        if self.pcm.len() < out.len() {
            out.fill(0);
            return Played::Silence;
        }
        let count = out.len();
        let queued = self.pcm.drain(..count);
        for (sample, queued) in out.iter_mut().zip(queued) {
            *sample = queued;
        }
        Played::Voice
    }

    /// Takes a comfort-noise packet (RFC 3389, payload type 13): its level colours the silence.
    pub fn handle_comfort_noise(&mut self, _packet: &Packet<'_>) {}

    /// Figures so far.
    pub fn stats(&self) -> PlayoutStats {
        self.stats
    }
}
