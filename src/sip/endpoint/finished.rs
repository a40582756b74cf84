//! Server transactions that have given their final answer: what a copy of their request still
//! needs, in a few dozen octets each. Copies come for 64·T1 (timers J and L), so this table is what
//! the rate of set-ups fills.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event::DialogId;
use super::table::ServerKey;
use crate::limits::{SIP_FINISHED_BYTES_MAX, SIP_FINISHED_MAX};
use crate::sip::timer::T1_64;

/// What a copy gets.
#[derive(Debug, Clone)]
pub(super) enum Finished {
    /// Of an accepted INVITE: nothing, since its dialog repeats the 2xx (RFC 6026 §7.1).
    Accepted(DialogId),
    /// Of another request in a dialog: this status, and what follows from the copy itself.
    Plain(u16),
    /// The answer again.
    Answered(Bytes),
}

/// They all last equally long, so that the oldest is the first to go.
#[derive(Debug, Default)]
pub(super) struct FinishedTable {
    by_key: HashMap<ServerKey, Finished>,
    order: VecDeque<(Instant, ServerKey)>,
    /// Octets of the answers kept.
    bytes: usize,
}

/// Nobody waits for a transaction's end: many are forgotten at a time.
const SWEEP: Duration = Duration::from_millis(500);

impl FinishedTable {
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether answers may be kept at length.
    pub fn has_room(&self) -> bool {
        self.bytes < SIP_FINISHED_BYTES_MAX
    }

    pub fn insert(&mut self, now: Instant, key: ServerKey, finished: Finished) {
        if self.by_key.len() >= SIP_FINISHED_MAX {
            self.forget_oldest();
        }
        self.bytes += finished.bytes();
        self.order.push_back((now + T1_64, key));
        if let Some(older) = self.by_key.insert(key, finished) {
            self.bytes -= older.bytes();
        }
    }

    pub fn get(&self, key: ServerKey) -> Option<&Finished> {
        self.by_key.get(&key)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.order.front().map(|(until, _)| *until + SWEEP)
    }

    fn forget_oldest(&mut self) {
        let Some((_, key)) = self.order.pop_front() else {
            return;
        };
        if let Some(finished) = self.by_key.remove(&key) {
            self.bytes -= finished.bytes();
        }
    }
}

impl Finished {
    fn bytes(&self) -> usize {
        match self {
            Self::Answered(bytes) => bytes.len(),
            Self::Accepted(_) | Self::Plain(_) => 0,
        }
    }
}
