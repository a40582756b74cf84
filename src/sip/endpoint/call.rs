//! One phone's call as the endpoint sees it: a dialog, what is unanswered in it, and its timers.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event::OfferMethod;
use super::paths::ReplyPath;
use super::refer::Refer;
use super::reliable::Reliable;
use super::table::TransactionId;
use crate::sip::dialog::Dialog;
use crate::sip::flow::Flow;
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::{T1, T1_64, T2, Timer, Timers};

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The INVITE has no final answer.
    Incoming,
    /// 2xx is sent.
    Established,
    /// BYE is sent; the owner has heard or said the last word.
    Ending,
}

/// A 2xx to INVITE that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(super) struct PendingAnswer {
    pub cseq: u32,
    pub path: ReplyPath,
    pub bytes: Bytes,
    pub interval: Duration,
}

/// A mid-dialog offer of the peer that waits for its owner's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingOffer {
    pub transaction: TransactionId,
    pub method: OfferMethod,
}

/// The ACK of a 2xx to our re-INVITE, kept for copies of the 2xx.
#[derive(Debug)]
pub(super) struct OwnAck {
    pub cseq: u32,
    pub bytes: Bytes,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    // given
    pub dialog: Dialog,
    pub flow: Flow,
    pub contact: String,
    pub username: Option<String>,
    pub trunk: Option<String>,
    pub peer_allows_update: bool,
    // owned
    pub phase: Phase,
    pub invite: TransactionId,
    pub invite_cseq: u32,
    pub answer: Option<PendingAnswer>,
    pub offer: Option<PendingOffer>,
    pub own_request: Option<TransactionId>,
    pub own_ack: Option<OwnAck>,
    /// The owner wants to hang up, but the ACK is not there yet.
    pub wanted_bye: Option<Option<String>>,
    pub local_sdp: Option<String>,
    pub provisional: Option<Bytes>,
    /// The INVITE has an offer.
    pub has_offer: bool,
    /// The caller requires provisional responses to be reliable.
    pub reliable: Option<Reliable>,
    pub refer: Option<Refer>,
    pub session: Option<SessionTimer>,
    pub timers: Timers,
}

impl Call {
    /// Starts repeating a 2xx until its ACK.
    pub fn await_ack(&mut self, now: Instant, cseq: u32, path: ReplyPath, bytes: Bytes) {
        self.answer = Some(PendingAnswer {
            cseq,
            path,
            bytes,
            interval: T1,
        });
        self.timers.set(Timer::Answer, now + T1);
        self.timers.set(Timer::Ack, now + T1_64);
    }

    /// The next copy of the 2xx.
    pub fn repeat_answer(&mut self, now: Instant) -> Option<(ReplyPath, Bytes)> {
        let answer = self.answer.as_mut()?;
        answer.interval = (answer.interval * 2).min(T2);
        self.timers.set(Timer::Answer, now + answer.interval);
        Some((answer.path, answer.bytes.clone()))
    }

    /// The ACK is there, or no longer awaited.
    pub fn stop_awaiting_ack(&mut self) {
        self.answer = None;
        self.timers.cancel(Timer::Answer);
        self.timers.cancel(Timer::Ack);
    }

    /// Starts or restarts the session timer.
    pub fn start_session(&mut self, now: Instant, session: Option<SessionTimer>) {
        self.session = session;
        self.timers.cancel(Timer::SessionRefresh);
        self.timers.cancel(Timer::SessionExpiry);
        if let Some(session) = session {
            if let Some(after) = session.refresh_after() {
                self.timers.set(Timer::SessionRefresh, now + after);
            }
            self.timers
                .set(Timer::SessionExpiry, now + session.expires_after());
        }
    }
}
