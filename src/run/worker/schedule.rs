//! The absolute 5 ms schedule: four sub-ticks make the 20 ms tick.

use std::time::{Duration, Instant};

/// Length of a sub-tick.
pub(super) const SUB_TICK: Duration = Duration::from_millis(5);

/// Sub-ticks of a tick; a session ticks in one of them.
pub(super) const PHASES: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// Number of the next sub-tick.
    next: u64,
}

/// Sub-ticks that are due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// How late the first of them is.
    pub late: Duration,
    /// First and last number; at most [`PHASES`] of them, so that each session ticks once.
    pub first: u64,
    pub last: u64,
}

impl Schedule {
    /// The first sub-tick is at `start`.
    pub fn new(start: Instant) -> Self {
        Self { start, next: 0 }
    }

    /// When the next sub-tick is.
    pub fn next_at(&self) -> Instant {
        self.start + Duration::from_nanos(SUB_TICK.as_nanos() as u64 * self.next)
    }

    /// Takes what is due at `now`. After a stall all but the last round is skipped: a tick not
    /// ticked in time is of no use to anyone.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        let late = now.checked_duration_since(self.next_at())?;
        let last = self.next + (late.as_nanos() / SUB_TICK.as_nanos()) as u64;
        let first = self.next.max((last + 1).saturating_sub(PHASES as u64));
        self.next = last + 1;
        Some(Due { late, first, last })
    }

    /// Number of the 20 ms tick a sub-tick belongs to, and which of the four it is.
    pub fn tick_and_phase(sub_tick: u64) -> (u64, usize) {
        (
            sub_tick / PHASES as u64,
            (sub_tick % PHASES as u64) as usize,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_ticks_keep_their_absolute_times_and_a_stall_is_skipped() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut schedule = Schedule::new(start);
        let due = |late, first, last| Some(Due { late, first, last });
        assert_eq!(schedule.take(start), due(ms(0), 0, 0));
        assert_eq!(schedule.take(start + ms(4)), None);
        assert_eq!(schedule.take(start + ms(7)), due(ms(2), 1, 1));
        assert_eq!(schedule.next_at(), start + ms(10));
        // 10 and 15 are due, then nothing until 20.
        assert_eq!(schedule.take(start + ms(15)), due(ms(5), 2, 3));
        // 200 ms away: of the forty sub-ticks only the last four are done.
        assert_eq!(schedule.take(start + ms(220)), due(ms(200), 41, 44));
        assert_eq!(Schedule::tick_and_phase(41), (10, 1));
        assert_eq!(Schedule::tick_and_phase(44), (11, 0));
    }
}
