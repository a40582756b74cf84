//! Reliable provisional responses (RFC 3262), for callers that require them.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Endpoint;
use super::body::session_description;
use super::call::Call;
use super::event::{CommandError, DialogId, Event, TerminationCause};
use super::paths::ReplyPath;
use crate::sip::flow::Flow;
use crate::sip::header::parse_decimal;
use crate::sip::message::Request;
use crate::sip::reply::Reply;
use crate::sip::timer::{T1, T1_64, Timer};

/// What a call whose INVITE has `Require: 100rel` knows of its provisional responses.
#[derive(Debug)]
pub(super) struct Reliable {
    /// Of the next one.
    rseq: u32,
    pending: Option<Pending>,
    /// The owner's answer, while a description in a provisional one is not acknowledged.
    wanted_answer: Option<WantedAnswer>,
}

/// Our description, and further headers.
type WantedAnswer = (String, Vec<(String, String)>);

/// One that waits for its PRACK.
#[derive(Debug)]
struct Pending {
    rseq: u32,
    path: ReplyPath,
    bytes: Bytes,
    interval: Duration,
    has_body: bool,
}

impl Reliable {
    /// The first RSeq is anything below 2³¹ with room above it.
    pub fn new(chance: u128) -> Self {
        Self {
            rseq: (chance as u32 & 0x3fff_ffff) + 1,
            pending: None,
            wanted_answer: None,
        }
    }
}

impl Endpoint {
    /// Sends a provisional response, reliably where the caller requires it.
    pub(super) fn provisional(
        &mut self,
        now: Instant,
        dialog: DialogId,
        reply: Reply<'_>,
    ) -> Result<(), CommandError> {
        let call = self.incoming(dialog)?;
        let (invite, has_offer) = (call.invite, call.has_offer);
        let Some(reliable) = call.reliable.as_mut() else {
            let bytes = self.respond_in_call(now, dialog, invite, reply, &[]);
            self.call_mut(dialog)?.provisional = bytes;
            return Ok(());
        };
        // One at a time (§3). And where the INVITE has no offer, the first reliable response would
        // have to bring ours (§5): the 200 does.
        if reliable.pending.is_some() || !has_offer {
            return Ok(());
        }
        let rseq = reliable.rseq;
        reliable.rseq += 1;
        let has_body = reply.body.is_some();
        let reply = reply
            .header("Require", "100rel")
            .header("RSeq", rseq.to_string());
        let path = self.reply_path(invite)?;
        let bytes = self
            .respond_in_call(now, dialog, invite, reply, &[])
            .ok_or(CommandError::UnknownDialog)?;
        let call = self.call_mut(dialog)?;
        if let Some(reliable) = call.reliable.as_mut() {
            reliable.pending = Some(Pending {
                rseq,
                path,
                bytes,
                interval: T1,
                has_body,
            });
        }
        call.timers.set(Timer::Reliable, now + T1);
        call.timers.set(Timer::Prack, now + T1_64);
        self.settle(dialog);
        Ok(())
    }

    /// Whether the answer must wait for a PRACK (§3: a 2xx never overtakes a description); if so,
    /// it is sent when that comes.
    pub(super) fn postpone_answer(
        &mut self,
        dialog: DialogId,
        sdp: &str,
        headers: &[(String, String)],
    ) -> bool {
        let reliable = self
            .calls
            .get_mut(&dialog)
            .and_then(|c| c.reliable.as_mut());
        let Some(reliable) = reliable else {
            return false;
        };
        let must_wait = reliable.pending.as_ref().is_some_and(|p| p.has_body);
        if must_wait {
            reliable.wanted_answer = Some((sdp.to_owned(), headers.to_vec()));
        }
        must_wait
    }

    /// PRACK: acknowledges one response, named by RSeq, CSeq and method.
    pub(super) fn handle_prack(&mut self, now: Instant, id: DialogId, flow: Flow, prack: Request) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.take_pending(&prack) {
            return self.reply_plainly(now, flow, &prack, 481);
        }
        call.timers.cancel(Timer::Reliable);
        call.timers.cancel(Timer::Prack);
        let reliable = call.reliable.as_mut();
        let answer = reliable.and_then(|reliable| reliable.wanted_answer.take());
        self.settle(id);
        // An offer in it cannot be answered before the call is: it is refused, the call goes on.
        let status = match session_description(&prack) {
            Ok(None) => 200,
            Ok(Some(_)) => 488,
            Err(_) => 415,
        };
        self.reply_plainly(now, flow, &prack, status);
        if let Some((sdp, headers)) = answer {
            // The call can only have ended meanwhile, and then its owner knows.
            let _ = self.answer(now, id, &sdp, &headers);
        }
    }

    /// Sends the pending response again.
    pub(super) fn repeat_reliable(&mut self, now: Instant, id: DialogId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let reliable = call.reliable.as_mut();
        let Some(pending) = reliable.and_then(|reliable| reliable.pending.as_mut()) else {
            return;
        };
        pending.interval *= 2;
        call.timers.set(Timer::Reliable, now + pending.interval);
        let (path, bytes) = (pending.path, pending.bytes.clone());
        self.send_response(path, bytes);
    }

    /// No PRACK came within 64·T1: the INVITE is refused (§3).
    pub(super) fn give_up_prack(&mut self, now: Instant, id: DialogId) {
        let Some(invite) = self.calls.get(&id).map(|call| call.invite) else {
            return;
        };
        self.respond_in_call(now, id, invite, Reply::new(504), &[]);
        self.remove_call(id);
        self.emit(Event::Terminated {
            dialog: id,
            cause: TerminationCause::Unacknowledged,
        });
    }
}

impl Call {
    /// Takes the pending response if it is the one that this PRACK names.
    fn take_pending(&mut self, prack: &Request) -> bool {
        let named = prack.headers.get("RAck").and_then(read_rack);
        let invite_cseq = self.invite_cseq;
        let Some(reliable) = self.reliable.as_mut() else {
            return false;
        };
        let is_it = reliable
            .pending
            .as_ref()
            .is_some_and(|pending| named == Some((pending.rseq, invite_cseq)));
        if is_it {
            reliable.pending = None;
        }
        is_it
    }
}

/// RSeq and CSeq number of `RAck: 776656 1 INVITE`.
fn read_rack(value: &str) -> Option<(u32, u32)> {
    let mut parts = value.split_ascii_whitespace();
    let rseq = parse_decimal(parts.next()?)?;
    let cseq = parse_decimal(parts.next()?)?;
    (parts.next() == Some("INVITE") && parts.next().is_none()).then_some((rseq, cseq))
}
