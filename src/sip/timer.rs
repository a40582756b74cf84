//! The timers of RFC 3261 §17 and their neighbours: a closed set, in a small table per machine.

use std::time::{Duration, Instant};

/// Round-trip estimate.
pub const T1: Duration = Duration::from_millis(500);
/// Longest retransmission interval of non-INVITE requests and of responses to INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message can remain in the network.
pub const T4: Duration = Duration::from_secs(5);
/// When a transaction gives up.
pub const T1_64: Duration = Duration::from_secs(32);
/// How long a client waits for late copies of a final response to INVITE on UDP (timer D).
pub const TIMER_D: Duration = Duration::from_secs(32);
/// Refreshes a provisional response, so that no proxy cancels the call (RFC 3261 §13.3.1.1).
pub const PROVISIONAL_INTERVAL: Duration = Duration::from_secs(60);
/// Longest time without a final answer from the owner of a call; three minutes are what proxies
/// grant (timer C).
pub const ANSWER_WAIT: Duration = Duration::from_secs(180);
/// Longest time an owner may think about a mid-dialog offer: the peer gives up at 64·T1.
pub const OFFER_WAIT: Duration = Duration::from_secs(20);

/// Which timer. Letters are the RFC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// INVITE request retransmission.
    A,
    /// INVITE client transaction gives up.
    B,
    /// INVITE client: wait for copies of the final response.
    D,
    /// Non-INVITE request retransmission.
    E,
    /// Non-INVITE client transaction gives up.
    F,
    /// INVITE response retransmission.
    G,
    /// INVITE server: gives up waiting for ACK.
    H,
    /// INVITE server: wait for copies of ACK.
    I,
    /// Non-INVITE server: wait for copies of the request.
    J,
    /// Non-INVITE client: wait for copies of the response.
    K,
    /// INVITE server: wait for copies of an accepted INVITE (RFC 6026).
    L,
    /// INVITE client: wait for further 2xx (RFC 6026).
    M,
    /// 2xx retransmission by the dialog (RFC 3261 §13.3.1.4).
    Answer,
    /// The dialog gives up waiting for the ACK of its 2xx.
    Ack,
    /// Provisional response refresh.
    Provisional,
    /// The owner gave no final answer.
    AnswerWait,
    /// The owner did not answer a mid-dialog offer.
    OfferWait,
    /// Reliable provisional response retransmission (RFC 3262 §3).
    Reliable,
    /// It was never acknowledged.
    Prack,
    /// The owner did not answer a REFER.
    ReferWait,
    /// We refresh the session (RFC 4028).
    SessionRefresh,
    /// The session was not refreshed (RFC 4028).
    SessionExpiry,
}

/// The running timers of one machine: a handful.
#[derive(Debug, Clone, Default)]
pub struct Timers(Vec<(Timer, Instant)>);

impl Timers {
    /// Starts or restarts a timer.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        self.0.push((timer, at));
    }

    /// Stops a timer, if it runs.
    pub fn cancel(&mut self, timer: Timer) {
        self.0.retain(|(other, _)| *other != timer);
    }

    /// Stops all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether it runs.
    pub fn is_running(&self, timer: Timer) -> bool {
        self.0.iter().any(|(other, _)| *other == timer)
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// Removes and returns the earliest timer that is due.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let due = self.0.iter().enumerate().filter(|(_, (_, at))| *at <= now);
        let (index, _) = due.min_by_key(|(_, (_, at))| *at)?;
        Some(self.0.remove(index).0)
    }
}
