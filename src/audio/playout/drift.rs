//! How fast the sender's clock runs against ours.

/// Length of one block, of which only the fastest packet counts: the least delayed packet tells
/// most about the clock and least about the network.
const BLOCK_US: i64 = 2_000_000;

/// Blocks looked at: about two minutes.
const BLOCKS_MAX: usize = 64;

/// Blocks before anything is said: half a minute.
const BLOCKS_MIN: usize = 15;

/// A sender's clock error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drift {
    /// Parts per million; positive: the sender is fast.
    pub(super) ppm: f32,
    /// One standard deviation of the estimate, as far as the blocks tell.
    pub(super) deviation_ppm: f32,
}

/// Fits a line through the fastest packets of the last blocks.
#[derive(Debug)]
pub(super) struct DriftMeter {
    /// (middle of the block, smallest delay), in µs.
    blocks: [(i64, i64); BLOCKS_MAX],
    count: usize,
    next: usize,
    block_start_us: i64,
    fastest: Option<(i64, i64)>,
    estimate: Option<Drift>,
}

impl DriftMeter {
    pub(super) fn new() -> Self {
        Self {
            blocks: [(0, 0); BLOCKS_MAX],
            count: 0,
            next: 0,
            block_start_us: 0,
            fastest: None,
            estimate: None,
        }
    }

    /// Forgets all: the source's timeline began anew. What was known of its clock stays true.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.next = 0;
        self.fastest = None;
    }

    /// Notes one packet: when it arrived and how late it was, in µs.
    pub(super) fn note(&mut self, arrival_us: i64, delay_us: i64) {
        match self.fastest {
            None => {
                self.block_start_us = arrival_us;
                self.fastest = Some((arrival_us, delay_us));
            }
            Some((_, fastest_us)) if delay_us < fastest_us => {
                self.fastest = Some((arrival_us, delay_us));
            }
            Some(_) => {}
        }
        if arrival_us - self.block_start_us < BLOCK_US {
            return;
        }
        if let Some(block) = self.fastest.take() {
            self.blocks[self.next] = block;
            self.next = (self.next + 1) % BLOCKS_MAX;
            self.count = (self.count + 1).min(BLOCKS_MAX);
            self.fit();
        }
    }

    /// Least squares.
    fn fit(&mut self) {
        if self.count < BLOCKS_MIN {
            return;
        }
        let blocks = &self.blocks[..self.count];
        let count = blocks.len() as f64;
        let (origin_t, origin_d) = blocks[0];
        let point = |block: &(i64, i64)| {
            (
                (block.0 - origin_t) as f64 / 1e6,
                (block.1 - origin_d) as f64,
            )
        };
        let (sum_t, sum_d) = blocks
            .iter()
            .map(point)
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        let (mean_t, mean_d) = (sum_t / count, sum_d / count);
        let (mut tt, mut td, mut dd) = (0.0, 0.0, 0.0);
        for (t, d) in blocks.iter().map(point) {
            tt += (t - mean_t) * (t - mean_t);
            td += (t - mean_t) * (d - mean_d);
            dd += (d - mean_d) * (d - mean_d);
        }
        if tt <= 0.0 {
            return;
        }
        // µs per s are ppm. A fast sender's packets come earlier and earlier.
        let slope = td / tt;
        let residual = (dd - slope * td).max(0.0) / (count - 2.0);
        self.estimate = Some(Drift {
            ppm: -slope as f32,
            deviation_ppm: (residual / tt).sqrt() as f32,
        });
    }

    /// The estimate, once there is one.
    pub(super) fn estimate(&self) -> Option<Drift> {
        self.estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender `ppm` fast, with jitter that a seeded generator draws.
    fn measured(ppm: f64, jitter_us: u64) -> Drift {
        let mut meter = DriftMeter::new();
        let mut state = 9u64;
        for packet in 0..6_000i64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let jitter = ((state >> 33) % (jitter_us + 1)) as i64;
            let sent_us = (packet as f64 * 20_000.0 / (1.0 + ppm * 1e-6)) as i64;
            let arrival_us = sent_us + jitter;
            meter.note(arrival_us, arrival_us - packet * 20_000);
        }
        meter.estimate().unwrap()
    }

    #[test]
    fn a_clock_is_measured_within_a_few_ppm_even_under_jitter() {
        for (ppm, jitter_us, allowed) in [
            (0.0, 0, 0.5),
            (200.0, 0, 1.0),
            (-200.0, 0, 1.0),
            (50.0, 20_000, 10.0),
            (-50.0, 60_000, 25.0),
        ] {
            let drift = measured(ppm, jitter_us);
            let error = (f64::from(drift.ppm) - ppm).abs();
            assert!(error < allowed, "{ppm} ppm, {jitter_us} µs: {drift:?}");
        }
    }
}
