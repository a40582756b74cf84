//! How often a source address gave a wrong password for a user name, and the locks this brings.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{SIP_AUTH_FAILURES_MAX, SIP_LOCK_MAX};
use crate::sip::gate::doubled;

/// How long failures count together, and how long a first lock holds.
const MEMORY: Duration = Duration::from_secs(60);

type Key = (IpAddr, String);

/// A source that may not try a user name for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Where the wrong passwords came from.
    pub source: IpAddr,
    /// The digest username, cut at 64 octets.
    pub username: String,
    /// When it may try again.
    pub until: Instant,
    /// How many locks it has had, this one included.
    pub count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    count: u32,
    last: Instant,
    /// Locks so far, and the end of the latest.
    locks: u32,
    until: Option<Instant>,
}

impl Entry {
    fn is_locked(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A bounded table; the oldest entry makes room.
#[derive(Debug)]
pub(super) struct Failures {
    max: u32,
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
}

impl Failures {
    pub fn new(max: u32) -> Self {
        Self {
            max,
            entries: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub fn is_locked(&self, now: Instant, source: IpAddr, username: &str) -> bool {
        let entry = self.entries.get(&key(source, username));
        entry.is_some_and(|entry| entry.is_locked(now))
    }

    /// Counts one; `true` when the name is locked from now on: a minute at first, then twice as
    /// long each time.
    pub fn count(&mut self, now: Instant, source: IpAddr, username: &str) -> bool {
        let key = key(source, username);
        if !self.entries.contains_key(&key) {
            self.make_room();
            self.order.push_back(key.clone());
        }
        let entry = self.entries.entry(key).or_insert(Entry {
            count: 0,
            last: now,
            locks: 0,
            until: None,
        });
        if now >= entry.last + MEMORY {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
        if entry.count < self.max {
            return false;
        }
        entry.count = 0;
        entry.until = Some(now + doubled(MEMORY, entry.locks).min(SIP_LOCK_MAX));
        entry.locks = entry.locks.saturating_add(1);
        true
    }

    /// The right password came.
    pub fn forget(&mut self, source: IpAddr, username: &str) {
        if let Some(entry) = self.entries.get_mut(&key(source, username)) {
            entry.count = 0;
            entry.locks = 0;
            entry.until = None;
        }
    }

    /// Locks in force, the longest first.
    pub fn locks(&self, now: Instant) -> Vec<Lock> {
        let in_force = |entry: &(&Key, &Entry)| entry.1.is_locked(now);
        let mut locks: Vec<Lock> = self
            .entries
            .iter()
            .filter(in_force)
            .filter_map(|((source, username), entry)| {
                Some(Lock {
                    source: *source,
                    username: username.clone(),
                    until: entry.until?,
                    count: entry.locks,
                })
            })
            .collect();
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.until));
        locks
    }

    /// Lifts the locks of a source, of one user name or of all; says how many were in force.
    pub fn unlock(&mut self, now: Instant, source: IpAddr, username: Option<&str>) -> usize {
        let source = source.to_canonical();
        let mut lifted = 0;
        for ((of, name), entry) in &mut self.entries {
            if *of == source && username.is_none_or(|username| username == name) {
                lifted += usize::from(entry.is_locked(now));
                entry.count = 0;
                entry.locks = 0;
                entry.until = None;
            }
        }
        lifted
    }

    fn make_room(&mut self) {
        if self.order.len() >= SIP_AUTH_FAILURES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

/// A name longer than any of ours is cut: the table's memory is bounded by entries.
fn key(source: IpAddr, username: &str) -> Key {
    let end = (0..=64.min(username.len())).rfind(|&at| username.is_char_boundary(at));
    (
        source.to_canonical(),
        username[..end.unwrap_or(0)].to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lock_is_twice_as_long_and_the_right_password_or_an_operator_ends_it() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let mut failures = Failures::new(2);
        let mut now = Instant::now();
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!failures.count(now, source, "ada"));
            assert!(failures.count(now, source, "ada"));
            let locks = failures.locks(now);
            assert_eq!(locks.len(), 1);
            let until = locks[0].until;
            assert_eq!(until - now, Duration::from_secs(60 * minutes));
            assert!(!failures.is_locked(now, source, "bob"));
            now = until;
            assert!(!failures.is_locked(now, source, "ada"));
        }
        failures.forget(source, "ada");
        failures.count(now, source, "ada");
        failures.count(now, source, "ada");
        assert!(failures.is_locked(now + MEMORY / 2, source, "ada"));
        assert_eq!(failures.unlock(now, source, Some("bob")), 0);
        assert_eq!(failures.unlock(now, source, None), 1);
        assert!(!failures.is_locked(now, source, "ada"));
    }
}
