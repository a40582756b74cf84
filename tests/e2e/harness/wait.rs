//! Waiting on conditions, with a deadline and a name for what was waited for.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Returns what `look` finds, looking until it finds something.
///
/// # Panics
/// When `within` has passed; says what was waited for and what `look` last said about it.
pub fn until_found<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) if start.elapsed() > within => {
                panic!("waited {within:?} for {what}; last seen: {last}")
            }
            Err(_) => sleep(POLL_INTERVAL),
        }
    }
}

/// Returns as soon as `holds` is true. See [`until_found`].
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    until_found(what, within, || {
        if holds() {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    });
}
