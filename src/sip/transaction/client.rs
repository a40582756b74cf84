//! Client transactions (RFC 3261 §17.1 as changed by RFC 6026 §7.2).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Action;
use crate::sip::timer::{ANSWER_WAIT, T1, T1_64, T2, T4, TIMER_D, Timer, Timers};

/// INVITE or not: they differ in timers and in what follows a final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// INVITE.
    Invite,
    /// Any other method.
    NonInvite,
}

/// RFC 3261 figures 5 and 6, with Accepted of RFC 6026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Sent, nothing heard: Calling for INVITE, Trying for others.
    Calling,
    /// A provisional response was heard.
    Proceeding,
    /// INVITE: a 2xx was heard; further copies pass to the dialog, which repeats its ACK.
    Accepted,
    /// A final response was heard; copies of it are absorbed.
    Completed,
    /// Done.
    Terminated,
}

/// What the transaction's user makes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A provisional response.
    Provisional,
    /// The first final response.
    Final,
    /// A further 2xx to INVITE: repeat its ACK.
    AcceptedAgain,
    /// A copy, or too late: nothing.
    Absorbed,
}

/// One client transaction.
#[derive(Debug)]
pub struct Client {
    kind: Kind,
    state: State,
    is_reliable: bool,
    request: Bytes,
    ack: Option<Bytes>,
    interval: Duration,
    timers: Timers,
    actions: VecDeque<Action>,
}

impl Client {
    /// Sends `request`.
    pub fn new(now: Instant, kind: Kind, is_reliable: bool, request: Bytes) -> Self {
        let mut timers = Timers::default();
        let (retransmit, give_up) = match kind {
            Kind::Invite => (Timer::A, Timer::B),
            Kind::NonInvite => (Timer::E, Timer::F),
        };
        if !is_reliable {
            timers.set(retransmit, now + T1);
        }
        timers.set(give_up, now + T1_64);
        Self {
            kind,
            state: State::Calling,
            is_reliable,
            actions: VecDeque::from([Action::Send(request.clone())]),
            request,
            ack: None,
            interval: T1,
            timers,
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// A response with this transaction's branch and method arrived. `ack` builds the ACK of a
    /// refusal of INVITE, which is the transaction's own to send.
    pub fn handle_response(
        &mut self,
        now: Instant,
        status: u16,
        ack: impl FnOnce() -> Bytes,
    ) -> Heard {
        match (self.kind, self.state, status) {
            (_, State::Calling | State::Proceeding, 100..200) => {
                self.handle_provisional(now);
                Heard::Provisional
            }
            (Kind::Invite, State::Calling | State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.timers.clear();
                self.timers.set(Timer::M, now + T1_64);
                Heard::Final
            }
            (Kind::Invite, State::Accepted, 200..300) => Heard::AcceptedAgain,
            (Kind::Invite, State::Calling | State::Proceeding, _) => {
                let ack = ack();
                self.actions.push_back(Action::Send(ack.clone()));
                self.ack = Some(ack);
                self.complete(now, Timer::D, TIMER_D);
                Heard::Final
            }
            (Kind::NonInvite, State::Calling | State::Proceeding, _) => {
                self.complete(now, Timer::K, T4);
                Heard::Final
            }
            (Kind::Invite, State::Completed, 300..) => {
                self.actions.extend(self.ack.clone().map(Action::Send));
                Heard::Absorbed
            }
            _ => Heard::Absorbed,
        }
    }

    fn handle_provisional(&mut self, now: Instant) {
        self.state = State::Proceeding;
        match self.kind {
            Kind::Invite => {
                self.timers.clear();
                // The RFC leaves a ringing INVITE without a timer; a lost final response must not
                // hold us for ever. Three minutes are a proxy's timer C.
                self.timers.set(Timer::B, now + ANSWER_WAIT);
            }
            Kind::NonInvite if self.timers.is_running(Timer::E) => {
                self.interval = T2;
                self.timers.set(Timer::E, now + T2);
            }
            Kind::NonInvite => {}
        }
    }

    fn complete(&mut self, now: Instant, timer: Timer, wait: Duration) {
        self.timers.clear();
        if self.is_reliable {
            self.terminate();
        } else {
            self.state = State::Completed;
            self.timers.set(timer, now + wait);
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::A => {
                    self.interval *= 2;
                    self.timers.set(Timer::A, now + self.interval);
                    self.actions.push_back(Action::Send(self.request.clone()));
                }
                Timer::E => {
                    self.interval = (self.interval * 2).min(T2);
                    self.timers.set(Timer::E, now + self.interval);
                    self.actions.push_back(Action::Send(self.request.clone()));
                }
                Timer::B | Timer::F => {
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
