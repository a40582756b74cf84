//! One track on its way to one browser: numbers rewritten so that what the browser sees is one
//! unbroken stream, whoever's packets it is made of.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::meeting::peer::SlotId;
use crate::meeting::track::{TrackCodec, TrackKind};
use crate::meeting::vp8::Pictures;

/// Dropped packets remembered, for late ones before them: more than any reordering.
const DROPS_REMEMBERED: usize = 64;

/// A step in sequence beyond this is a restart of the source, not loss.
const SEQUENCE_STEP_MAX: i64 = 3_000;

/// Rewrites sequence numbers and timestamps of one subscription.
#[derive(Debug)]
pub struct Forward {
    /// Where the packets go out.
    pub slot: SlotId,
    clock_rate_hz: u32,
    /// The stream being forwarded.
    source: Option<SourceLine>,
    /// Last numbers sent.
    sent: Option<Sent>,
    first_sequence: u16,
    first_timestamp: u32,
    /// Nothing of the present track has been sent.
    fresh: bool,
    kind: TrackKind,
    aim: Aim,
    /// The stream of the track that is sent now.
    stream: Option<u32>,
    /// Numbers in VP8 payloads.
    pictures: Option<Pictures>,
}

/// Which of a track's streams is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Whichever comes.
    Anything,
    /// This one, from its next keyframe on; until then the one before.
    Stream(u32),
    /// None: the picture is not looked at.
    Nothing,
}

#[derive(Debug)]
struct SourceLine {
    ssrc: u32,
    /// Highest sequence number seen, extended.
    highest: i64,
    /// Sequence number out = in + this − drops before it.
    sequence_offset: i64,
    timestamp_offset: u32,
    /// Extended sequence numbers not forwarded, oldest first.
    drops: Vec<i64>,
    /// Drops no longer in `drops`.
    drops_forgotten: i64,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    sequence: i64,
    timestamp: u32,
    at: Instant,
}

/// What to write on a forwarded packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
}

impl Forward {
    /// Through `slot`; the first numbers are random (RFC 3550 §5.1).
    pub fn new(slot: SlotId, codec: TrackCodec, sequence: u16, timestamp: u32) -> Self {
        Self {
            slot,
            clock_rate_hz: codec.clock_rate_hz(),
            source: None,
            sent: None,
            first_sequence: sequence,
            first_timestamp: timestamp,
            fresh: true,
            kind: codec.kind(),
            aim: Aim::Anything,
            stream: None,
            pictures: (codec == TrackCodec::Vp8).then(Pictures::default),
        }
    }

    /// Which stream is wanted from now on.
    pub fn aim(&mut self, aim: Aim) {
        self.aim = aim;
        if aim == Aim::Nothing {
            self.stop();
        }
    }

    /// What comes next is a line of its own, however long the pause.
    fn stop(&mut self) {
        self.stream = None;
        self.source = None;
    }

    /// The stream that is sent, or would be if it came.
    pub fn stream(&self) -> Option<u32> {
        match self.aim {
            Aim::Stream(ssrc) => Some(ssrc),
            Aim::Anything | Aim::Nothing => self.stream,
        }
    }

    /// The stream that cannot be sent before its next keyframe.
    pub fn awaits_keyframe_of(&self) -> Option<u32> {
        match self.aim {
            Aim::Stream(ssrc) if self.stream != Some(ssrc) => Some(ssrc),
            _ => None,
        }
    }

    /// Whether a packet of a stream goes on; `begins` if a picture can be begun with it.
    pub fn takes(&mut self, ssrc: u32, begins: bool) -> bool {
        if self.stream == Some(ssrc) {
            return true;
        }
        // A picture that follows another must not be taken for its continuation.
        let may_begin = begins || self.kind == TrackKind::Audio || self.sent.is_none();
        let wanted = match self.aim {
            Aim::Anything => true,
            Aim::Stream(wanted) => wanted == ssrc,
            Aim::Nothing => false,
        };
        if wanted && may_begin {
            self.stream = Some(ssrc);
            if let Some(pictures) = &mut self.pictures {
                pictures.restart();
            }
            return true;
        }
        false
    }

    /// The payload with what must run on inside of it.
    pub fn rewrite_payload(&mut self, payload: &Bytes) -> Bytes {
        match &mut self.pictures {
            Some(pictures) => pictures.rewrite(payload),
            None => payload.clone(),
        }
    }

    /// Nothing of the present track has been forwarded yet.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Another track takes the slot: the numbers run on, since the stream's SSRC, and with it the
    /// packet index of SRTP (RFC 3711 §3.3.1), stays the same.
    pub fn restart(&mut self) {
        self.stop();
        self.aim = Aim::Anything;
        self.fresh = true;
    }

    /// Numbers for a packet that goes on.
    pub fn rewrite(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Numbers {
        let (extended, source) = self.follow(now, ssrc, sequence, timestamp);
        let before = source.drops.iter().filter(|drop| **drop < extended).count() as i64;
        let out = extended + source.sequence_offset - source.drops_forgotten - before;
        let timestamp = timestamp.wrapping_add(source.timestamp_offset);
        if self.sent.is_none_or(|sent| out > sent.sequence) {
            self.sent = Some(Sent {
                sequence: out,
                timestamp,
                at: now,
            });
        }
        self.fresh = false;
        Numbers {
            sequence: out as u16,
            timestamp,
        }
    }

    /// A packet of the source that is not forwarded (padding only): the ones after it close up.
    pub fn skip(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) {
        if self.fresh || self.stream != Some(ssrc) {
            return;
        }
        let (extended, source) = self.follow(now, ssrc, sequence, timestamp);
        if extended < source.highest || source.drops.contains(&extended) {
            // Its place has been given away already.
            return;
        }
        source.drops.push(extended);
        if source.drops.len() > DROPS_REMEMBERED {
            source.drops.remove(0);
            source.drops_forgotten += 1;
        }
    }

    /// Extends the sequence number, starting a new line when the source changed.
    fn follow(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
    ) -> (i64, &mut SourceLine) {
        let step = |source: &SourceLine| {
            let step = i64::from(sequence.wrapping_sub(source.highest as u16) as i16);
            (source.ssrc == ssrc && step.abs() <= SEQUENCE_STEP_MAX).then_some(step)
        };
        let extended = match self
            .source
            .as_ref()
            .and_then(|source| Some((source, step(source)?)))
        {
            Some((source, step)) => source.highest + step,
            None => {
                self.source = None;
                i64::from(sequence)
            }
        };
        let next = self.next_numbers(now);
        let source = self.source.get_or_insert_with(|| SourceLine {
            ssrc,
            highest: extended,
            sequence_offset: next.0 - extended,
            timestamp_offset: next.1.wrapping_sub(timestamp),
            drops: Vec::new(),
            drops_forgotten: 0,
        });
        source.highest = source.highest.max(extended);
        (extended, source)
    }

    /// Where a new source begins: the timeline goes on as time did, so that the receiver's buffer
    /// sees a pause.
    fn next_numbers(&self, now: Instant) -> (i64, u32) {
        let Some(sent) = self.sent else {
            return (i64::from(self.first_sequence), self.first_timestamp);
        };
        let passed = now
            .saturating_duration_since(sent.at)
            .max(Duration::from_millis(1));
        let units = passed.as_secs_f64() * f64::from(self.clock_rate_hz);
        let timestamp = sent.timestamp.wrapping_add(units as u64 as u32);
        (sent.sequence + 1, timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward() -> Forward {
        Forward::new(SlotId::for_test(0), TrackCodec::H264, 65_534, 1_000)
    }

    #[test]
    fn numbers_run_on_over_the_wrap_and_keep_gaps_of_lost_packets() {
        let now = Instant::now();
        let mut forward = forward();
        let mut out = Vec::new();
        for sequence in [10u16, 11, 13, 12, 15] {
            let numbers = forward.rewrite(now, 1, sequence, u32::from(sequence) * 10);
            out.push((numbers.sequence, numbers.timestamp));
        }
        assert_eq!(
            out,
            [
                (65_534, 1_000),
                (65_535, 1_010),
                (1, 1_030),
                (0, 1_020),
                (3, 1_050)
            ]
        );
    }

    #[test]
    fn padding_leaves_no_gap_and_late_packets_find_their_place() {
        let now = Instant::now();
        let mut forward = forward();
        let sequence_of = |n: Numbers| n.sequence;
        assert!(forward.takes(1, true));
        assert_eq!(sequence_of(forward.rewrite(now, 1, 100, 0)), 65_534);
        forward.skip(now, 1, 102, 0);
        forward.skip(now, 1, 103, 0);
        assert_eq!(sequence_of(forward.rewrite(now, 1, 104, 0)), 0);
        // 101 was only late: its place before the padding is still free.
        assert_eq!(sequence_of(forward.rewrite(now, 1, 101, 0)), 65_535);
        for sequence in 105..305 {
            forward.skip(now, 1, sequence, 0);
        }
        assert_eq!(sequence_of(forward.rewrite(now, 1, 305, 0)), 1);
    }

    #[test]
    fn a_new_source_continues_the_line_by_the_time_that_passed() {
        let start = Instant::now();
        let mut forward = forward();
        forward.rewrite(start, 1, 10, 5_000);
        let later = start + Duration::from_secs(1);
        forward.restart();
        assert!(forward.is_fresh());
        let numbers = forward.rewrite(later, 2, 60_000, 77);
        assert_eq!((numbers.sequence, numbers.timestamp), (65_535, 91_000));
        let next = forward.rewrite(later, 2, 60_001, 3_077);
        assert_eq!((next.sequence, next.timestamp), (0, 94_000));
    }

    #[test]
    fn a_stream_is_left_at_the_keyframe_of_the_one_aimed_at() {
        let mut forward = forward();
        let now = Instant::now();
        forward.aim(Aim::Stream(1));
        assert!(forward.takes(1, false), "the first of all begins anywhere");
        forward.rewrite(now, 1, 10, 0);
        forward.aim(Aim::Stream(2));
        assert_eq!(forward.awaits_keyframe_of(), Some(2));
        assert!(!forward.takes(2, false) && forward.takes(1, false));
        assert!(forward.takes(2, true));
        assert!(!forward.takes(1, true), "the old one is over");
        assert_eq!(forward.awaits_keyframe_of(), None);
        assert_eq!(forward.rewrite(now, 2, 900, 7).sequence, 65_535);
    }

    #[test]
    fn a_pause_leaves_no_gap_and_ends_with_a_keyframe() {
        let mut forward = forward();
        let now = Instant::now();
        forward.aim(Aim::Stream(1));
        assert!(forward.takes(1, true));
        forward.rewrite(now, 1, 10, 0);
        forward.aim(Aim::Nothing);
        assert!(!forward.takes(1, true));
        assert_eq!(forward.awaits_keyframe_of(), None);
        forward.aim(Aim::Stream(1));
        assert!(
            !forward.takes(1, false),
            "a continuation of what was not seen"
        );
        assert!(forward.takes(1, true));
        assert_eq!(forward.rewrite(now, 1, 500, 0).sequence, 65_535);
    }
}
