//! Non-INVITE server transaction (RFC 3261 §17.2.2).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::Action;
use crate::sip::timer::{T1_64, Timer, Timers};

/// RFC 3261 figure 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing sent: copies of the request are absorbed.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
    /// Done.
    Terminated,
}

/// One non-INVITE server transaction.
#[derive(Debug)]
pub struct NonInviteServer {
    state: State,
    is_reliable: bool,
    last: Option<Bytes>,
    timers: Timers,
    actions: VecDeque<Action>,
}

impl NonInviteServer {
    /// In Trying.
    pub fn new(is_reliable: bool) -> Self {
        Self {
            state: State::Trying,
            is_reliable,
            last: None,
            timers: Timers::default(),
            actions: VecDeque::new(),
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// A copy of the request arrived.
    pub fn handle_retransmission(&mut self) {
        self.actions.extend(self.last.clone().map(Action::Send));
    }

    /// Sends a response; after a final one, others are ignored.
    pub fn respond(&mut self, now: Instant, status: u16, bytes: Bytes) {
        if !matches!(self.state, State::Trying | State::Proceeding) {
            return;
        }
        self.last = Some(bytes.clone());
        self.actions.push_back(Action::Send(bytes));
        if status < 200 {
            self.state = State::Proceeding;
        } else if self.is_reliable {
            // Timer J is zero: a reliable transport brings no copies.
            self.terminate();
        } else {
            self.state = State::Completed;
            self.timers.set(Timer::J, now + T1_64);
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.timers.take_due(now).is_some() {
            self.terminate();
        }
    }

    /// The earliest deadline.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn terminate(&mut self) {
        self.state = State::Terminated;
        self.last = None;
        self.actions.push_back(Action::Terminated);
    }
}
