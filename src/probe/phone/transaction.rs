//! The client side of a transaction (RFC 3261 §17.1): retransmission and giving up.

use std::time::{Duration, Instant};

/// RFC 3261 §17.1.1.1: estimate of the round trip, first retransmission interval.
pub(super) const T1: Duration = Duration::from_millis(500);
/// Longest retransmission interval of requests other than INVITE.
const T2: Duration = Duration::from_secs(4);

/// A request of ours that waits for its final answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub method: &'static str,
    pub cseq: u32,
    pub branch: String,
    pub bytes: Vec<u8>,
    /// Challenges answered for it so far.
    pub auth_tries: u32,
    resend_at: Option<Instant>,
    interval: Duration,
    give_up_at: Instant,
}

/// What the passing of time demands.
#[derive(Debug)]
pub(super) enum Due {
    Nothing,
    /// Send these bytes again (timers A and E).
    Resend(Vec<u8>),
    /// Nobody answers (timers B and F).
    GivenUp,
}

impl Pending {
    pub fn new(
        now: Instant,
        method: &'static str,
        cseq: u32,
        branch: String,
        bytes: Vec<u8>,
        unreliable: bool,
    ) -> Self {
        Self {
            method,
            cseq,
            branch,
            bytes,
            auth_tries: 0,
            resend_at: unreliable.then_some(now + T1),
            interval: T1,
            give_up_at: now + 64 * T1,
        }
    }

    /// A 1xx came: an INVITE is not repeated any more, others seldom.
    pub fn handle_provisional(&mut self, now: Instant) {
        self.resend_at = match self.method {
            "INVITE" => None,
            _ => self.resend_at.map(|_| now + T2),
        };
    }

    /// Waits anew: a cancelled INVITE gets the time of its CANCEL.
    pub fn extend(&mut self, now: Instant) {
        self.give_up_at = now + 64 * T1;
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.give_up_at <= now {
            return Due::GivenUp;
        }
        if self.resend_at.is_none_or(|at| at > now) {
            return Due::Nothing;
        }
        self.interval *= 2;
        if self.method != "INVITE" {
            self.interval = self.interval.min(T2);
        }
        self.resend_at = Some(now + self.interval);
        Due::Resend(self.bytes.clone())
    }

    pub fn next_timeout(&self) -> Instant {
        match self.resend_at {
            Some(at) => at.min(self.give_up_at),
            None => self.give_up_at,
        }
    }
}
