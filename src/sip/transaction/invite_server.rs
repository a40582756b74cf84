//! INVITE server transaction (RFC 3261 §17.2.1 as changed by RFC 6026 §7.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Action;
use crate::sip::timer::{T1, T1_64, T2, T4, Timer, Timers};

/// RFC 6026's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No final response yet.
    Proceeding,
    /// 2xx sent: copies of the INVITE are absorbed, the dialog repeats the 2xx.
    Accepted,
    /// Another final response sent, ACK awaited.
    Completed,
    /// ACK received, copies of it absorbed.
    Confirmed,
    /// Done.
    Terminated,
}

/// One INVITE server transaction.
#[derive(Debug)]
pub struct InviteServer {
    state: State,
    is_reliable: bool,
    last: Option<Bytes>,
    interval: Duration,
    timers: Timers,
    actions: VecDeque<Action>,
}

impl InviteServer {
    /// In Proceeding, nothing sent yet.
    pub fn new(is_reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            is_reliable,
            last: None,
            interval: T1,
            timers: Timers::default(),
            actions: VecDeque::new(),
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// A copy of the INVITE arrived: the last response goes out again.
    pub fn handle_retransmission(&mut self) {
        if matches!(self.state, State::Proceeding | State::Completed)
            && let Some(last) = &self.last
        {
            self.actions.push_back(Action::Send(last.clone()));
        }
    }

    /// An ACK with this transaction's branch arrived.
    pub fn handle_ack(&mut self, now: Instant) {
        if self.state != State::Completed {
            return;
        }
        self.timers.clear();
        if self.is_reliable {
            self.terminate();
        } else {
            self.state = State::Confirmed;
            self.timers.set(Timer::I, now + T4);
        }
    }

    /// Sends a response. Further 2xx are the dialog's repetitions; anything else after a final
    /// response is ignored.
    pub fn respond(&mut self, now: Instant, status: u16, bytes: Bytes) {
        match (self.state, status) {
            (State::Proceeding, 100..200) => {
                self.last = Some(bytes.clone());
            }
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.last = None;
                self.timers.set(Timer::L, now + T1_64);
            }
            (State::Proceeding, _) => {
                self.state = State::Completed;
                self.last = Some(bytes.clone());
                if !self.is_reliable {
                    self.timers.set(Timer::G, now + T1);
                }
                self.timers.set(Timer::H, now + T1_64);
            }
            (State::Accepted, 200..300) => {}
            _ => return,
        }
        self.actions.push_back(Action::Send(bytes));
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::G => {
                    self.interval = (self.interval * 2).min(T2);
                    self.timers.set(Timer::G, now + self.interval);
                    self.actions.extend(self.last.clone().map(Action::Send));
                }
                Timer::H => {
                    self.actions.push_back(Action::TimedOut);
                    self.terminate();
                }
                _ => self.terminate(),
            }
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
        self.timers.clear();
        self.actions.push_back(Action::Terminated);
    }
}
