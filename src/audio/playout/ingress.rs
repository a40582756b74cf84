//! Packets coming in: whose, which, when, and whether they can still be used.

use super::{Playout, samples_to_us};
use crate::rtp::discard::Discard;
use crate::rtp::packet::Packet;
use crate::rtp::seq::{ExtendedSequence, ExtendedTimestamp};

/// Packets back in sequence that are told from their copies.
const RECENT_PACKETS: i64 = 128;

/// A packet this much earlier or later than the one before it, by its timestamp, begins a new
/// timeline: the sender's clock jumped, or it paused without counting time.
const JUMP_US: i64 = 1_000_000;

/// Packets of an SSRC that was just replaced are stragglers, not a change back, for so long.
const STRAGGLERS_US: i64 = 1_000_000;

/// One SSRC's sequence and timeline.
#[derive(Debug)]
pub(super) struct Stream {
    clock_rate_hz: i64,
    sample_rate_hz: u32,
    ssrc: Option<u32>,
    /// The SSRC before, and until when its packets are stragglers.
    replaced: Option<(u32, i64)>,
    sequence: ExtendedSequence,
    /// Bit n: the packet n before the highest was received.
    recent: u128,
    timestamp: ExtendedTimestamp,
    /// Timestamp and media position of one and the same moment.
    origin: Option<(i64, i64)>,
    last_delay_us: i64,
}

impl Stream {
    pub(super) fn new(clock_rate_hz: u32, sample_rate_hz: u32) -> Self {
        Self {
            clock_rate_hz: i64::from(clock_rate_hz),
            sample_rate_hz,
            ssrc: None,
            replaced: None,
            sequence: ExtendedSequence::new(),
            recent: 0,
            timestamp: ExtendedTimestamp::new(),
            origin: None,
            last_delay_us: 0,
        }
    }

    /// Is it the packet of the stream as known, or of a new one? Forgets the old one then.
    fn identify(&mut self, arrival_us: i64, ssrc: u32) -> Result<(), Discard> {
        if self.ssrc == Some(ssrc) {
            return Ok(());
        }
        if let Some((replaced, until_us)) = self.replaced
            && replaced == ssrc
            && arrival_us < until_us
        {
            return Err(Discard::Late);
        }
        self.replaced = self.ssrc.map(|old| (old, arrival_us + STRAGGLERS_US));
        self.ssrc = Some(ssrc);
        self.sequence = ExtendedSequence::new();
        self.recent = 0;
        self.timestamp = ExtendedTimestamp::new();
        self.origin = None;
        Ok(())
    }

    /// Notes a sequence number; returns it extended.
    fn note_sequence(&mut self, sequence: u16) -> Result<i64, Discard> {
        let highest = self.sequence.highest();
        let extended = self.sequence.extend(sequence);
        let Some(highest) = highest else {
            self.recent = 1;
            return Ok(extended);
        };
        let ahead = extended - highest;
        if ahead > 0 {
            self.recent = match ahead < RECENT_PACKETS {
                true => self.recent << ahead | 1,
                false => 1,
            };
            return Ok(extended);
        }
        if -ahead >= RECENT_PACKETS {
            return Err(Discard::Late);
        }
        let bit = 1u128 << -ahead;
        if self.recent & bit != 0 {
            return Err(Discard::Duplicate);
        }
        self.recent |= bit;
        Ok(extended)
    }

    /// Media position of a timestamp, in samples; `None` before the timeline has begun.
    fn position(&self, timestamp: i64) -> Option<i64> {
        let (origin_timestamp, origin) = self.origin?;
        let units = timestamp - origin_timestamp;
        let samples = units * i64::from(self.sample_rate_hz);
        Some(origin + samples.div_euclid(self.clock_rate_hz))
    }
}

impl Playout {
    /// Takes a packet or says why not.
    pub(super) fn take(&mut self, arrival_us: i64, packet: &Packet<'_>) -> Result<(), Discard> {
        let samples = self.voice.packet_samples(packet.payload)?;
        self.stream.identify(arrival_us, packet.ssrc)?;
        let sequence = self.stream.note_sequence(packet.sequence)?;
        let start = self.locate(arrival_us, packet.timestamp);
        self.control.handle_packet_length(samples);
        self.make_room_for(start);
        if start + samples as i64 <= self.end && !self.idle {
            return Err(Discard::Late);
        }
        self.store.insert(start, samples, sequence, packet.payload)
    }

    /// The source says that it is silent from this packet's time on.
    pub(super) fn note_silence(&mut self, packet: &Packet<'_>) {
        if self.stream.ssrc != Some(packet.ssrc) {
            return;
        }
        let Ok(sequence) = self.stream.note_sequence(packet.sequence) else {
            return;
        };
        // It has used a number: what comes after it is next.
        self.control.handle_decoded(sequence);
        let timestamp = self.stream.timestamp.extend(packet.timestamp);
        self.quiet_from = self.stream.position(timestamp);
    }

    /// Media position of a packet; its delay is noted on the way.
    fn locate(&mut self, arrival_us: i64, timestamp: u32) -> i64 {
        let extended = self.stream.timestamp.extend(timestamp);
        let delay_of = |start| arrival_us - samples_to_us(start, self.config.sample_rate_hz);
        let known = self.stream.position(extended).filter(|start| {
            let step_us = delay_of(*start) - self.stream.last_delay_us;
            step_us.abs() < JUMP_US
        });
        let start = known.unwrap_or_else(|| {
            // What is still to be played stays; the new timeline follows it.
            self.store.clear();
            self.quiet_from = None;
            self.control.handle_new_timeline();
            self.delays.clear();
            self.drift.clear();
            self.stream.timestamp = ExtendedTimestamp::new();
            self.stream.timestamp.extend(timestamp);
            self.stream.origin = Some((i64::from(timestamp), self.end));
            self.idle |= self.timeline.future_len() == 0;
            self.end
        });
        let delay_us = arrival_us - self.samples_to_us(start);
        self.stream.last_delay_us = delay_us;
        self.delays.note(delay_us);
        self.drift.note(arrival_us, delay_us);
        start
    }

    /// A packet came late, and only invented audio was played in its place and after: it is played
    /// now, and the delay grows by as much, instead of being lost.
    fn make_room_for(&mut self, start: i64) {
        let late = (self.end - start).clamp(0, self.invented as i64);
        self.end -= late;
        self.invented -= late as usize;
    }
}
