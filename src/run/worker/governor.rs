//! Keeps a worker ahead of its ticks: from the load it measures it decides how well voices are
//! encoded, and who is let in.
//!
//! Load is the share of a core the thread has used in the last second, by the kernel's account:
//! time it merely waited for a core is not its own and refuses nobody. Under growing load the
//! Opus encoders step down first, one step a second, long before anything is late; when the limit
//! would be passed, newcomers are refused, and calls in progress notice nothing of it. Both come
//! back with the load, the encoders slowly.

use std::time::{Duration, Instant};

/// Time over which load is measured.
pub(super) const ROUND: Duration = Duration::from_secs(1);

/// What a refused newcomer is told: two rounds, and the time somebody needs to hang up.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Of the limit: above, encoders step down; below, after calm, they step up. A step is worth a
/// tenth of the load at most, so the two never chase each other.
const STEP_DOWN_FROM: f32 = 0.88;
const STEP_UP_BELOW: f32 = 0.70;

/// Rounds below [`STEP_UP_BELOW`] before a step up.
const CALM_ROUNDS: u32 = 10;

/// A sub-tick later than this is one too late (a phone hears 20 ms).
const LATE: Duration = Duration::from_millis(5);

/// Share of late sub-ticks in a round that counts as being near the limit, whatever the load says:
/// neighbours on the core.
const LATE_SHARE: f32 = 0.05;

/// Load below which lateness cannot be our own.
const OWN_LOAD_MIN: f32 = 0.4;

/// Weights of what has joined: a phone is an encoding and a socket, a browser some packets.
const LEG_WEIGHT: u32 = 4;
const PEER_WEIGHT: u32 = 1;

/// Load of one weight unit: assumed while nothing is measured, and the bounds of what is believed.
/// A talking phone and its browser are five units and about 1 % of a core: so many are let in at
/// once before the first is measured, and no more.
const UNIT_LOAD: f32 = 0.002;
const UNIT_LOAD_BOUNDS: (f32, f32) = (0.000_1, 0.004);

/// Weight from which the measured load per unit is believed.
const TRUSTED_WEIGHT: u32 = 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Governor {
    /// Share of a core at which newcomers are refused; from 1.0 on never.
    limit: f32,
    complexity_max: u8,
    complexity: u8,
    /// Measured in the last round.
    load: f32,
    round_began: Option<(Instant, Duration)>,
    sub_ticks: u32,
    late_sub_ticks: u32,
    strained: bool,
    calm_rounds: u32,
    weight: u32,
    /// At the last two measurements: who came since is not yet in the load.
    weight_measured: [u32; 2],
}

/// Who wants to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newcomer {
    Leg,
    Peer,
}

impl Governor {
    /// Refuses from `limit` on (share of a core); encodes with `complexity` at best.
    pub fn new(limit: f32, complexity: u8) -> Self {
        Self {
            limit,
            complexity_max: complexity,
            complexity,
            load: 0.0,
            round_began: None,
            sub_ticks: 0,
            late_sub_ticks: 0,
            strained: false,
            calm_rounds: 0,
            weight: 0,
            weight_measured: [0; 2],
        }
    }

    /// Notes how late a sub-tick began.
    pub fn handle_sub_tick(&mut self, late: Duration) {
        self.sub_ticks += 1;
        self.late_sub_ticks += u32::from(late > LATE);
    }

    /// Notes who is there.
    pub fn handle_population(&mut self, legs: usize, peers: usize) {
        let weight = legs * LEG_WEIGHT as usize + peers * PEER_WEIGHT as usize;
        self.weight = u32::try_from(weight).unwrap_or(u32::MAX);
    }

    /// Ends a round when its time has come; `cpu` is what the thread has used since it began. True
    /// if the complexity has changed.
    pub fn handle_time(&mut self, now: Instant, cpu: impl FnOnce() -> Option<Duration>) -> bool {
        let wall = match self.round_began {
            Some((began, _)) => now.saturating_duration_since(began),
            None => ROUND,
        };
        if wall < ROUND {
            return false;
        }
        let Some(cpu) = cpu() else {
            return false;
        };
        let before = self.round_began.replace((now, cpu));
        let Some((_, cpu_before)) = before else {
            return false;
        };
        let used = cpu.saturating_sub(cpu_before);
        self.load = used.as_secs_f32() / wall.as_secs_f32();
        let late_share = self.late_sub_ticks as f32 / self.sub_ticks.max(1) as f32;
        (self.sub_ticks, self.late_sub_ticks) = (0, 0);
        self.strained = late_share > LATE_SHARE && self.load > OWN_LOAD_MIN * self.limit;
        self.weight_measured = [self.weight_measured[1], self.weight];
        self.step()
    }

    fn step(&mut self) -> bool {
        let before = self.complexity;
        if self.strained || self.load >= STEP_DOWN_FROM * self.limit {
            self.calm_rounds = 0;
            self.complexity = self.complexity.saturating_sub(1);
        } else if self.load < STEP_UP_BELOW * self.limit {
            self.calm_rounds += 1;
            if self.calm_rounds >= CALM_ROUNDS && self.complexity < self.complexity_max {
                self.calm_rounds = 0;
                self.complexity += 1;
            }
        } else {
            self.calm_rounds = 0;
        }
        self.complexity != before
    }

    /// Effort of the Opus encoders now, 0–10.
    pub fn complexity(&self) -> u8 {
        self.complexity
    }

    /// Share of a core used in the last round.
    pub fn load(&self) -> f32 {
        self.load
    }

    /// Would the worker still be in time with one more?
    pub fn admits(&self, newcomer: Newcomer) -> bool {
        if self.limit >= 1.0 {
            return true;
        }
        let weight = match newcomer {
            Newcomer::Leg => LEG_WEIGHT,
            Newcomer::Peer => PEER_WEIGHT,
        };
        let measured = self.weight_measured[0].min(self.weight_measured[1]);
        let unmeasured = self.weight.saturating_sub(measured) + weight;
        let coming = unmeasured as f32 * self.unit_load(measured);
        !self.strained && self.load + coming <= self.limit
    }

    fn unit_load(&self, measured: u32) -> f32 {
        if measured < TRUSTED_WEIGHT {
            return UNIT_LOAD;
        }
        let (least, most) = UNIT_LOAD_BOUNDS;
        (self.load / measured as f32).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker in virtual time whose calls cost a share of a core each, less at less complexity.
    struct World {
        governor: Governor,
        now: Instant,
        cpu: Duration,
        calls: usize,
        call_load: f32,
        lateness: Duration,
    }

    impl World {
        fn new(limit: f32, call_load: f32) -> Self {
            let mut world = Self {
                governor: Governor::new(limit, 5),
                now: Instant::now(),
                cpu: Duration::ZERO,
                calls: 0,
                call_load,
                lateness: Duration::ZERO,
            };
            world.pass(0);
            world
        }

        fn load(&self) -> f32 {
            let saved = 0.06 * f32::from(5 - self.governor.complexity());
            (self.calls as f32 * self.call_load * (1.0 - saved)).min(1.0)
        }

        /// Lets seconds pass in quarters.
        fn pass(&mut self, seconds: u32) {
            for _ in 0..=seconds * 4 {
                self.governor.handle_population(self.calls, self.calls);
                self.governor.handle_sub_tick(self.lateness);
                let cpu = self.cpu;
                self.governor.handle_time(self.now, || Some(cpu));
                self.now += ROUND / 4;
                self.cpu += (ROUND / 4).mul_f32(self.load());
            }
        }

        /// Calls come, so many a second, until one is refused.
        fn fill(&mut self, per_second: usize) {
            for _ in 0..10_000 {
                for _ in 0..per_second {
                    self.governor.handle_population(self.calls, self.calls);
                    if !self.governor.admits(Newcomer::Leg) {
                        return;
                    }
                    self.calls += 1;
                }
                self.pass(1);
            }
        }
    }

    #[test]
    fn newcomers_are_refused_at_the_limit_and_not_before_however_fast_they_come() {
        for per_second in [1, 10, 300] {
            let mut world = World::new(0.85, 0.01);
            // A refusal while much is unmeasured is not the limit yet: they come again.
            for _ in 0..40 {
                world.fill(per_second);
                world.pass(3);
            }
            let load = world.governor.load();
            assert!((0.78..=0.86).contains(&load), "{per_second}/s: {load}");
            assert!(!world.governor.admits(Newcomer::Leg));
        }
    }

    #[test]
    fn a_burst_is_never_let_beyond_a_full_core_before_it_is_measured() {
        let mut world = World::new(0.85, 0.008);
        world.fill(10_000);
        assert!(world.load() <= 0.85, "{} calls", world.calls);
        assert!(world.calls > 50, "{} calls", world.calls);
    }

    #[test]
    fn room_that_becomes_free_is_given_away_again() {
        let mut world = World::new(0.85, 0.01);
        world.fill(5);
        world.calls -= 20;
        world.pass(3);
        assert!(world.governor.admits(Newcomer::Leg));
    }

    #[test]
    fn encoders_step_down_before_the_limit_and_up_again_after_calm() {
        let mut world = World::new(0.85, 0.01);
        world.calls = 60;
        world.pass(5);
        assert_eq!(world.governor.complexity(), 5);
        world.calls = 80;
        world.pass(3);
        let under_load = world.governor.complexity();
        assert!(under_load < 5 && world.governor.load() < 0.85);
        // Long at this load: it neither falls for ever nor goes up and down.
        world.pass(10);
        let settled = world.governor.complexity();
        world.pass(60);
        assert_eq!(world.governor.complexity(), settled);
        assert!(settled > 0, "one step at a time, only as many as needed");
        world.calls = 40;
        world.pass(5);
        assert_eq!(world.governor.complexity(), settled, "not at once");
        world.pass(80);
        assert_eq!(world.governor.complexity(), 5);
    }

    #[test]
    fn lateness_counts_only_with_load_of_our_own() {
        for (calls, refused) in [(10, false), (50, true)] {
            let mut world = World::new(0.85, 0.01);
            world.calls = calls;
            world.pass(3);
            assert!(world.governor.admits(Newcomer::Leg));
            world.lateness = Duration::from_millis(9);
            world.pass(3);
            let admits = world.governor.admits(Newcomer::Leg);
            assert_eq!(!admits, refused, "{calls} calls");
        }
    }
}
