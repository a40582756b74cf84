//! How often a source address gave a wrong password for a user name.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::SIP_AUTH_FAILURES_MAX;

/// How long failures are remembered after the last one.
const MEMORY: Duration = Duration::from_secs(60);

type Key = (IpAddr, String);

/// A bounded table; the oldest entry makes room.
#[derive(Debug)]
pub(super) struct Failures {
    max: u32,
    counts: HashMap<Key, (u32, Instant)>,
    order: VecDeque<Key>,
}

impl Failures {
    pub fn new(max: u32) -> Self {
        Self {
            max,
            counts: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub fn is_locked(&self, now: Instant, source: IpAddr, username: &str) -> bool {
        let count = self.counts.get(&key(source, username));
        count.is_some_and(|&(count, last)| count >= self.max && now < last + MEMORY)
    }

    /// Counts one; `true` when the name is locked from now on.
    pub fn count(&mut self, now: Instant, source: IpAddr, username: &str) -> bool {
        let key = key(source, username);
        if let Some((count, last)) = self.counts.get_mut(&key) {
            *count = match now < *last + MEMORY {
                true => count.saturating_add(1),
                false => 1,
            };
            *last = now;
            return *count >= self.max;
        }
        if self.order.len() >= SIP_AUTH_FAILURES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.counts.insert(key, (1, now));
        self.max <= 1
    }

    /// The right password came.
    pub fn forget(&mut self, source: IpAddr, username: &str) {
        if let Some((count, _)) = self.counts.get_mut(&key(source, username)) {
            *count = 0;
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
