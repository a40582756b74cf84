//! What arrived and what did not: loss and jitter of one incoming stream (RFC 3550 §A.1, A.3, A.8).

use std::time::{Duration, Instant};

use super::packet::Packet;
use super::seq::{ExtendedSequence, ExtendedTimestamp};

/// A jump in sequence beyond this starts the count anew: the sender restarted (RFC 3550 §A.1,
/// MAX_DROPOUT).
const SEQUENCE_JUMP_MAX: i64 = 3_000;

/// Loss and jitter of one source, over changes of its SSRC.
#[derive(Debug, Clone)]
pub struct Reception {
    clock_rate_hz: u32,
    ssrc: Option<u32>,
    sequence: ExtendedSequence,
    timestamp: ExtendedTimestamp,
    /// First sequence number of this SSRC.
    base: i64,
    /// Packets of this SSRC, copies counted.
    received: i64,
    /// Lost packets of earlier SSRCs.
    lost_before: i64,
    /// Packets of earlier SSRCs.
    received_before: u64,
    /// Of the last packet, for the next difference: arrival and media time.
    last: Option<(Instant, i64)>,
    /// In clock units.
    jitter: f64,
    /// At the last report block.
    expected_prior: i64,
    received_prior: i64,
}

/// The figures of one reception report block (RFC 3550 §6.4.1), without the LSR pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceptionBlock {
    /// Source reported on.
    pub ssrc: u32,
    /// Lost since the last block, 0–255 for 0–100 %.
    pub fraction_lost: u8,
    /// Lost since the beginning, clamped to 24 bits signed.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// In clock units.
    pub jitter: u32,
}

impl Reception {
    /// Has received nothing of a stream with this RTP clock.
    pub fn new(clock_rate_hz: u32) -> Self {
        Self {
            clock_rate_hz: clock_rate_hz.max(1),
            ssrc: None,
            sequence: ExtendedSequence::new(),
            timestamp: ExtendedTimestamp::new(),
            base: 0,
            received: 0,
            lost_before: 0,
            received_before: 0,
            last: None,
            jitter: 0.0,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// Counts one packet of the stream, voice or event. Events do not count into jitter: their
    /// timestamp stands still (`counts_for_jitter` false).
    pub fn handle_packet(
        &mut self,
        arrival: Instant,
        packet: &Packet<'_>,
        counts_for_jitter: bool,
    ) {
        let jumped = self.sequence.highest().is_some_and(|highest| {
            let step = self.sequence.peek(packet.sequence) - highest;
            step.abs() > SEQUENCE_JUMP_MAX
        });
        if self.ssrc != Some(packet.ssrc) || jumped {
            self.restart(packet);
        }
        self.sequence.extend(packet.sequence);
        self.received += 1;
        if counts_for_jitter {
            self.update_jitter(arrival, packet.timestamp);
        }
    }

    fn restart(&mut self, packet: &Packet<'_>) {
        self.lost_before += self.lost_of_ssrc();
        self.received_before += self.received.unsigned_abs();
        self.ssrc = Some(packet.ssrc);
        self.sequence = ExtendedSequence::new();
        self.timestamp = ExtendedTimestamp::new();
        self.base = i64::from(packet.sequence);
        self.received = 0;
        self.expected_prior = 0;
        self.received_prior = 0;
        self.last = None;
    }

    /// RFC 3550 §A.8, in floating point.
    fn update_jitter(&mut self, arrival: Instant, timestamp: u32) {
        let media = self.timestamp.extend(timestamp);
        if let Some((last_arrival, last_media)) = self.last {
            let waited = signed_seconds(arrival, last_arrival) * f64::from(self.clock_rate_hz);
            let difference = (waited - (media - last_media) as f64).abs();
            // A talkspurt after a clock jump is no jitter.
            if difference < f64::from(self.clock_rate_hz) * 2.0 {
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.last = Some((arrival, media));
    }

    fn expected(&self) -> i64 {
        self.sequence
            .highest()
            .map_or(0, |highest| highest - self.base + 1)
    }

    fn lost_of_ssrc(&self) -> i64 {
        self.expected() - self.received
    }

    /// Packets received over all SSRCs, copies counted.
    pub fn packets_received(&self) -> u64 {
        self.received_before + self.received.unsigned_abs()
    }

    /// Packets lost over all SSRCs (RFC 3550 §A.3); copies make it smaller, never below 0.
    pub fn packets_lost(&self) -> u64 {
        (self.lost_before + self.lost_of_ssrc())
            .max(0)
            .unsigned_abs()
    }

    /// Interarrival jitter (RFC 3550 §A.8).
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter / f64::from(self.clock_rate_hz))
    }

    /// The source counted now.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Figures for the next report; starts the next interval. `None` before the first packet.
    pub fn next_block(&mut self) -> Option<ReceptionBlock> {
        let ssrc = self.ssrc?;
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = (expected - received).max(0);
        let fraction_lost = (lost * 256)
            .checked_div(expected)
            .unwrap_or(0)
            .clamp(0, 255) as u8;
        Some(ReceptionBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: self.lost_of_ssrc().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: self.sequence.highest().unwrap_or(0) as u32,
            jitter: self.jitter as u32,
        })
    }
}

fn signed_seconds(later: Instant, earlier: Instant) -> f64 {
    match later.checked_duration_since(earlier) {
        Some(ahead) => ahead.as_secs_f64(),
        None => -earlier.duration_since(later).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16) -> Packet<'static> {
        Packet {
            sequence,
            timestamp: u32::from(sequence).wrapping_mul(160),
            ssrc,
            marker: false,
            payload_type: 0,
            payload: &[],
        }
    }

    #[test]
    fn loss_is_counted_over_the_wrap_and_over_a_change_of_ssrc() {
        let now = Instant::now();
        let mut reception = Reception::new(8_000);
        for sequence in (65_530..=65_535).chain(0..10) {
            if sequence % 5 != 0 {
                reception.handle_packet(now, &packet(1, sequence), true);
            }
        }
        // 65530 came before the base, so 65535, 0 and 5 are missing.
        assert_eq!(reception.packets_lost(), 3);
        assert_eq!(
            reception.next_block().unwrap().fraction_lost,
            (3 * 256 / 15) as u8
        );
        reception.handle_packet(now, &packet(2, 40_000), true);
        reception.handle_packet(now, &packet(2, 40_002), true);
        assert_eq!(reception.packets_lost(), 4);
        assert_eq!(reception.next_block().unwrap().cumulative_lost, 1);
    }

    #[test]
    fn a_steady_stream_has_no_jitter_and_an_uneven_one_its_mean_difference() {
        let start = Instant::now();
        let mut reception = Reception::new(8_000);
        for sequence in 0..200u16 {
            let at = start + Duration::from_millis(20 * u64::from(sequence));
            reception.handle_packet(at, &packet(1, sequence), true);
        }
        assert!(reception.jitter() < Duration::from_micros(1));
        for sequence in 200..1_000u16 {
            let late = u64::from(sequence % 2) * 10;
            let at = start + Duration::from_millis(20 * u64::from(sequence) + late);
            reception.handle_packet(at, &packet(1, sequence), true);
        }
        let jitter_ms = reception.jitter().as_secs_f64() * 1e3;
        assert!((9.0..11.0).contains(&jitter_ms), "{jitter_ms}");
    }
}
