//! How much the way to a browser carries, from when its packets left and arrived.
//!
//! `rtc`'s own controller (GCC) looks at changes of delay: behind a 300 kbit/s way it let 350
//! kbit/s stand in a full queue of 400 ms for five seconds, until loss told it (virtual time, test
//! `congestion`). Here the delay itself counts: what a packet takes longer than the quickest one
//! of the last seconds, it has waited in a queue.

use std::time::{Duration, Instant};

use crate::limits::{ESTIMATE_BPS_MAX, ESTIMATE_BPS_MIN};

/// Assumed until something else is seen: most links carry a camera and a screen.
const INITIAL_BPS: f64 = 2_500_000.0;

/// A queue this long, for this long, is too much for a conversation…
const QUEUE_HIGH: f64 = 0.120;
const QUEUE_HIGH_FOR: Duration = Duration::from_millis(250);
/// …and one this short leaves room for more. Seconds.
const QUEUE_LOW: f64 = 0.060;

/// Loss above this is congestion; below the other it is none.
const LOSS_HIGH: f64 = 0.10;
const LOSS_LOW: f64 = 0.04;

/// After a step down its effect must show first.
const DECREASE_PAUSE: Duration = Duration::from_millis(300);
const INCREASE_PAUSE: Duration = Duration::from_secs(1);
const DECREASE_FACTOR: f64 = 0.85;
/// Of what arrives: a queue that drains slowly must not starve what follows.
const DECREASE_FLOOR: f64 = 0.7;
/// Loss is answered from here on down, times what arrives.
const LOSS_FROM: f64 = 1.5;
/// Per second.
const INCREASE: f64 = 0.15;

/// What has not been tried is believed up to this: enough for the next layer.
const UNTRIED_FACTOR: f64 = 4.0;
const UNTRIED_MORE_BPS: f64 = 200_000.0;

/// The quickest packet is sought in this and the one before.
const BASE_WINDOW: Duration = Duration::from_secs(10);

/// Weight of the past falls to a third in this time.
const RATE_MEMORY: f64 = 0.5;

/// What became of one packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// When it left.
    pub departure: Instant,
    /// When it arrived, by the browser's clock; `None` if it did not.
    pub arrival: Option<Duration>,
    /// With its header.
    pub bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Estimate {
    target: f64,
    acked_bps: f64,
    /// Seconds.
    queue: f64,
    loss: f64,
    high_since: Option<Instant>,
    decreased_at: Option<Instant>,
    told_at: Option<Instant>,
    epoch: Option<Instant>,
    /// Shortest way by both clocks, in the present window and the one before; seconds.
    base: f64,
    base_before: f64,
    base_began: Instant,
}

impl Estimate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            target: INITIAL_BPS,
            acked_bps: 0.0,
            queue: 0.0,
            loss: 0.0,
            high_since: None,
            decreased_at: None,
            told_at: None,
            epoch: None,
            base: f64::INFINITY,
            base_before: f64::INFINITY,
            base_began: now,
        }
    }

    /// Bit/s.
    pub(super) fn bps(&self) -> u64 {
        self.target as u64
    }

    /// Takes one report in.
    pub(super) fn learn(&mut self, now: Instant, fates: &[Fate]) {
        let Some(first) = fates.first() else {
            return;
        };
        let epoch = *self.epoch.get_or_insert(first.departure);
        let (mut ways, mut arrived, mut bytes) = (0.0, 0, 0);
        for fate in fates {
            let Some(arrival) = fate.arrival else {
                continue;
            };
            let left = fate.departure.saturating_duration_since(epoch);
            let way = arrival.as_secs_f64() - left.as_secs_f64();
            self.base = self.base.min(way);
            (ways, arrived, bytes) = (ways + way, arrived + 1, bytes + fate.bytes);
        }
        if now.saturating_duration_since(self.base_began) >= BASE_WINDOW {
            self.base_before = std::mem::replace(&mut self.base, f64::INFINITY);
            self.base_began = now;
        }
        let passed = self.told_at.replace(now).map(|at| now - at);
        let passed = passed.map_or(0.1, |passed| passed.as_secs_f64().clamp(0.005, 1.0));
        let weight = 1.0 - (-passed / RATE_MEMORY).exp();
        self.acked_bps += (bytes as f64 * 8.0 / passed - self.acked_bps) * weight;
        let lost = (fates.len() - arrived) as f64 / fates.len() as f64;
        self.loss += (lost - self.loss) * weight;
        if arrived > 0 {
            let queue = ways / arrived as f64 - self.base.min(self.base_before);
            self.queue += (queue - self.queue) * 0.5;
        }
        self.steer(now, passed);
    }

    fn steer(&mut self, now: Instant, passed: f64) {
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if self.queue > QUEUE_HIGH {
            self.high_since.get_or_insert(now);
        } else {
            self.high_since = None;
        }
        let queues = since(self.high_since).is_some_and(|for_long| for_long >= QUEUE_HIGH_FOR);
        let loses = self.loss > LOSS_HIGH;
        let decreased = since(self.decreased_at).unwrap_or(Duration::MAX);
        if queues || loses {
            if decreased >= DECREASE_PAUSE {
                let acked = self.acked_bps;
                self.target = if queues {
                    (self.target.min(acked) * DECREASE_FACTOR).max(acked * DECREASE_FLOOR)
                } else {
                    // What arrives does get through: less would help nobody if the loss is chance.
                    let from = self.target.min(acked * LOSS_FROM);
                    (from * (1.0 - self.loss / 2.0)).max(acked)
                };
                self.decreased_at = Some(now);
            }
        } else if self.queue < QUEUE_LOW && self.loss < LOSS_LOW && decreased >= INCREASE_PAUSE {
            let tried = self.acked_bps * UNTRIED_FACTOR + UNTRIED_MORE_BPS;
            if self.target < tried {
                self.target = (self.target * (1.0 + INCREASE * passed)).min(tried);
            }
        }
        let bounds = (ESTIMATE_BPS_MIN as f64, ESTIMATE_BPS_MAX as f64);
        self.target = self.target.clamp(bounds.0, bounds.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way of some rate with a queue of 500 ms before it, reported on ten times a second.
    struct Way {
        now: Instant,
        start: Instant,
        free_at: Instant,
        bps: f64,
        estimate: Estimate,
    }

    impl Way {
        fn new(bps: f64) -> Self {
            let now = Instant::now();
            Self {
                now,
                start: now,
                free_at: now,
                bps,
                estimate: Estimate::new(now),
            }
        }

        /// Sends at a rate, with some loss besides, for a while.
        fn send(&mut self, bps: f64, lose_every: usize, seconds: usize) {
            for _ in 0..seconds * 10 {
                let packets = (bps / 10.0 / 8_000.0).round() as usize;
                let mut fates = Vec::new();
                for index in 0..packets {
                    let departure =
                        self.now + Duration::from_millis(100) * index as u32 / packets as u32;
                    let leaves =
                        self.free_at.max(departure) + Duration::from_secs_f64(8_000.0 / self.bps);
                    let lost = leaves - departure > Duration::from_millis(500)
                        || (lose_every > 0 && index % lose_every == 0);
                    if !lost {
                        self.free_at = leaves;
                    }
                    // The browser's clock has another zero.
                    let arrival = leaves - self.start + Duration::from_secs(1_000);
                    let arrival = (!lost).then_some(arrival);
                    fates.push(Fate {
                        departure,
                        arrival,
                        bytes: 1_000,
                    });
                }
                self.now += Duration::from_millis(100);
                self.estimate.learn(self.now, &fates);
            }
        }
    }

    #[test]
    fn a_queue_brings_the_estimate_below_the_way_within_two_seconds() {
        let mut way = Way::new(500_000.0);
        way.send(400_000.0, 0, 5);
        assert!(
            way.estimate.bps() > 1_000_000,
            "nothing stands against more"
        );
        way.send(1_000_000.0, 0, 2);
        assert!(
            (300_000..500_000).contains(&way.estimate.bps()),
            "{}",
            way.estimate.bps()
        );
    }

    #[test]
    fn heavy_loss_lowers_it_light_loss_does_not_and_it_recovers() {
        let mut way = Way::new(10_000_000.0);
        way.send(800_000.0, 50, 5);
        assert!(way.estimate.bps() > 2_000_000, "{}", way.estimate.bps());
        way.send(800_000.0, 4, 5);
        assert!(way.estimate.bps() < 800_000, "{}", way.estimate.bps());
        way.send(800_000.0, 0, 20);
        assert!(way.estimate.bps() > 2_000_000, "{}", way.estimate.bps());
    }

    #[test]
    fn what_was_never_sent_is_believed_only_so_far() {
        let mut way = Way::new(10_000_000.0);
        way.send(400_000.0, 4, 10);
        way.send(80_000.0, 0, 120);
        let bps = way.estimate.bps();
        assert!((400_000..600_000).contains(&bps), "{bps}");
    }
}
