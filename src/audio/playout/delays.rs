//! How late packets come: what the delay of the buffer follows.

/// Packets remembered: 10 s at 20 ms.
const WINDOW_PACKETS: usize = 512;

/// One packet in so many of the window may be later than [`Delays::high`]: a delay that catches the
/// very last one would follow every hiccup of a network.
const OUTLIER_PACKETS: usize = 128;

/// Packets between two looks at the window, unless one was later than all expectation.
const REVIEW_PACKETS: usize = 16;

/// Arrival delays of the latest packets: arrival time minus media time, in µs against an arbitrary
/// origin. Only differences mean anything.
#[derive(Debug)]
pub(super) struct Delays {
    window: [i32; WINDOW_PACKETS],
    count: usize,
    next: usize,
    unreviewed: usize,
    origin_us: i64,
    high_us: i32,
    low_us: i32,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self {
            window: [0; WINDOW_PACKETS],
            count: 0,
            next: 0,
            unreviewed: 0,
            origin_us: 0,
            high_us: 0,
            low_us: 0,
        }
    }

    /// Forgets all: the source's timeline began anew.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.next = 0;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Notes one packet.
    pub(super) fn note(&mut self, delay_us: i64) {
        if self.count == 0 {
            self.origin_us = delay_us;
        }
        let delay = (delay_us - self.origin_us).clamp(-2_000_000_000, 2_000_000_000) as i32;
        self.window[self.next] = delay;
        self.next = (self.next + 1) % WINDOW_PACKETS;
        self.count = (self.count + 1).min(WINDOW_PACKETS);
        self.unreviewed += 1;
        let surprising = delay > self.high_us;
        if self.unreviewed >= REVIEW_PACKETS || surprising || self.count <= REVIEW_PACKETS {
            self.review();
        }
    }

    fn review(&mut self) {
        self.unreviewed = 0;
        let mut sorted = [0i32; WINDOW_PACKETS];
        let sorted = &mut sorted[..self.count];
        sorted.copy_from_slice(&self.window[..self.count]);
        let rank = self.count - 1 - self.count / OUTLIER_PACKETS;
        let (before, high, _) = sorted.select_nth_unstable(rank);
        self.high_us = *high;
        self.low_us = before.iter().copied().min().unwrap_or(*high);
    }

    /// Delay that all but a few packets of the window keep below.
    pub(super) fn high_us(&self) -> i64 {
        self.origin_us + i64::from(self.high_us)
    }

    /// Delay of the fastest packet of the window.
    pub(super) fn low_us(&self) -> i64 {
        self.origin_us + i64::from(self.low_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_hiccup_is_an_outlier_and_repeated_ones_are_not() {
        let mut delays = Delays::new();
        for packet in 0..500 {
            delays.note(
                1_000_000
                    + if packet % 400 == 399 {
                        80_000
                    } else {
                        packet % 7
                    },
            );
        }
        assert!(delays.high_us() <= 1_000_006, "{}", delays.high_us());
        for packet in 0..500 {
            delays.note(
                1_000_000
                    + if packet % 50 == 49 {
                        80_000
                    } else {
                        packet % 7
                    },
            );
        }
        assert_eq!(delays.high_us(), 1_080_000);
        assert_eq!(delays.low_us(), 1_000_000);
    }

    #[test]
    fn a_rise_is_noticed_at_once_and_forgotten_after_the_window() {
        let mut delays = Delays::new();
        for _ in 0..100 {
            delays.note(0);
        }
        for _ in 0..3 {
            delays.note(40_000);
        }
        assert_eq!(delays.high_us(), 40_000);
        for _ in 0..WINDOW_PACKETS {
            delays.note(0);
        }
        assert_eq!(delays.high_us(), 0);
    }
}
