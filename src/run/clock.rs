//! The only file that reads the clock (invariant A2). Everything else is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic now.
pub fn now() -> Instant {
    Instant::now()
}

/// Wallclock now: nanoseconds since the Unix epoch.
pub fn unix_ns() -> i128 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// Wallclock of a past or coming `instant`: nanoseconds since the Unix epoch, as the wallclock
/// stands now.
pub fn unix_ns_at(instant: Instant) -> i128 {
    let now = now();
    let wall = unix_ns();
    match instant.checked_duration_since(now) {
        Some(ahead) => wall + ahead.as_nanos() as i128,
        None => wall - now.duration_since(instant).as_nanos() as i128,
    }
}

/// Monotonic time of a kernel receive stamp (`SO_TIMESTAMPNS`, wallclock): the kernel stamps
/// packets with the wallclock, so a stamp is placed by its age against one pair of readings.
#[derive(Debug, Clone, Copy)]
pub struct StampAnchor {
    monotonic: Instant,
    wall_ns: i128,
}

impl StampAnchor {
    /// Reads both clocks; once per drain of the sockets is enough.
    pub fn read() -> Self {
        Self {
            monotonic: now(),
            wall_ns: unix_ns(),
        }
    }

    /// The monotonic reading.
    pub fn now(&self) -> Instant {
        self.monotonic
    }

    /// When the packet with this stamp (ns since the Unix epoch) arrived: never later than the
    /// anchor, at most `age_max` earlier, so that a stepped wallclock cannot invent an age.
    pub fn place(&self, stamp_ns: i128, age_max: Duration) -> Instant {
        let age_ns = (self.wall_ns - stamp_ns).clamp(0, age_max.as_nanos() as i128);
        self.monotonic
            .checked_sub(Duration::from_nanos(age_ns as u64))
            .unwrap_or(self.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_stamp_is_placed_by_its_age_and_never_in_the_future() {
        let anchor = StampAnchor {
            monotonic: now() + Duration::from_secs(10),
            wall_ns: 1_000_000_000_000,
        };
        let max = Duration::from_millis(500);
        let early = anchor.place(1_000_000_000_000 - 3_000_000, max);
        assert_eq!(anchor.now() - early, Duration::from_millis(3));
        assert_eq!(anchor.place(1_000_000_000_000 + 5, max), anchor.now());
        assert_eq!(anchor.now() - anchor.place(0, max), max);
    }
}
