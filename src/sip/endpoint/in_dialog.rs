//! Requests within a dialog: BYE, re-INVITE, UPDATE, INFO and their like.

use std::time::Instant;

use rsip::Method as Known;

use super::Endpoint;
use super::body::{info, session_description};
use super::call::{PendingOffer, Phase};
use super::event::{DialogId, Event, OfferMethod, TerminationCause};
use super::request::{bad_event_reply, options_reply, unsupported_extensions};
use crate::sip::auth::CredentialSource;
use crate::sip::flow::Flow;
use crate::sip::message::{Method, Request};
use crate::sip::normalise::readable;
use crate::sip::reply::Reply;
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::{OFFER_WAIT, Timer};

impl Endpoint {
    pub(super) fn handle_in_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        let Some(id) = self.find_call(&request) else {
            return self.reply_stateless(flow, &request.headers, Reply::new(481));
        };
        let Method::Known(method) = request.method else {
            return self.refuse_method(flow, &request);
        };
        if let Some(unsupported) = unsupported_extensions(&request.headers) {
            let reply = Reply::new(420).header("Unsupported", unsupported);
            return self.reply_stateless(flow, &request.headers, reply);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.phase == Phase::Ending && method != Known::Bye {
            return self.reply_stateless(flow, &request.headers, Reply::new(481));
        }
        if call.dialog.accept_cseq(request.cseq).is_err() {
            let reply = Reply::with_reason(500, "CSeq Out Of Order");
            return self.reply_stateless(flow, &request.headers, reply);
        }
        match method {
            Known::Bye => self.handle_bye(now, id, flow, request),
            Known::Invite => self.handle_offer(now, id, flow, request, credentials),
            Known::Update => self.handle_update(now, id, flow, request, credentials),
            Known::Info => {
                let info = info(&request);
                self.reply_plainly(now, flow, &request, 200);
                self.emit(Event::Info { dialog: id, info });
            }
            Known::Options => self.reply_in_transaction(now, flow, &request, options_reply()),
            Known::Notify => self.reply_plainly(now, flow, &request, 200),
            Known::Refer => self.handle_refer(now, id, flow, request, credentials),
            Known::PRack => self.handle_prack(now, id, flow, request),
            Known::Subscribe | Known::Publish => {
                self.reply_in_transaction(now, flow, &request, bad_event_reply());
            }
            Known::Message | Known::Register => self.refuse_method(flow, &request),
            // Dealt with before.
            Known::Ack | Known::Cancel => {}
        }
    }

    /// The peer hangs up, before or after our answer or its ACK.
    fn handle_bye(&mut self, now: Instant, id: DialogId, flow: Flow, request: Request) {
        let reason = request.headers.get("Reason").map(readable);
        self.reply_plainly(now, flow, &request, 200);
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let (phase, invite, offer) = (call.phase, call.invite, call.offer);
        if phase == Phase::Ending {
            // Both hung up at once; our own BYE goes its way.
            return;
        }
        if phase == Phase::Incoming {
            self.respond_in_call(now, id, invite, Reply::new(487), &[]);
        }
        if let Some(offer) = offer {
            self.respond_in_call(now, id, offer.transaction, Reply::new(487), &[]);
        }
        let is_owned = call_is_owned(self.calls.get(&id));
        self.remove_call(id);
        if is_owned {
            self.emit(Event::Bye { dialog: id, reason });
        }
    }

    /// UPDATE (RFC 3311): a refresh of the session, or an offer.
    fn handle_update(
        &mut self,
        now: Instant,
        id: DialogId,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        if !request.body.is_empty() {
            return self.handle_offer(now, id, flow, request, credentials);
        }
        let Some(session) = self.agree_session(flow, &request) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.dialog.refresh_target(&request.headers).is_err() {
            let reply = Reply::with_reason(400, "Malformed Contact");
            return self.reply_stateless(flow, &request.headers, reply);
        }
        call.follow(flow);
        if call.phase == Phase::Established {
            call.start_session(now, session);
        } else {
            call.session = session.or(call.session);
        }
        let reply = Reply {
            headers: session
                .map(SessionTimer::response_headers)
                .unwrap_or_default(),
            ..Reply::new(200)
        };
        self.settle(id);
        match self.open_server(flow, request, Some(id)) {
            Ok(transaction) => {
                self.respond_in_call(now, id, transaction, reply, &[]);
            }
            Err(request) => self.reply_overloaded(flow, &request.headers),
        }
    }

    /// A re-INVITE, or an UPDATE with an offer: checked, then its owner's to answer.
    fn handle_offer(
        &mut self,
        now: Instant,
        id: DialogId,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        let method = match request.method == Known::Invite {
            true => OfferMethod::Invite,
            false => OfferMethod::Update,
        };
        if let Some(reply) = self.offer_refusal(id, &request) {
            return self.reply_stateless(flow, &request.headers, reply);
        }
        if !self.is_known_peer(now, id, flow, &request, credentials) {
            return;
        }
        let Some(session) = self.agree_session(flow, &request) else {
            return;
        };
        let offer = session_description(&request)
            .ok()
            .flatten()
            .map(<[u8]>::to_vec);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.dialog.refresh_target(&request.headers).is_err() {
            let reply = Reply::with_reason(400, "Malformed Contact");
            return self.reply_stateless(flow, &request.headers, reply);
        }
        call.flow = flow;
        call.session = session;
        let transaction = match self.open_server(flow, request, Some(id)) {
            Ok(transaction) => transaction,
            Err(request) => return self.reply_overloaded(flow, &request.headers),
        };
        if method == OfferMethod::Invite {
            self.respond(now, transaction, Reply::new(100), &[]);
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.offer = Some(PendingOffer {
                transaction,
                method,
            });
            call.timers.set(Timer::OfferWait, now + OFFER_WAIT);
        }
        self.settle(id);
        self.emit(Event::Reinvite {
            dialog: id,
            method,
            offer,
        });
    }

    /// What forbids a mid-dialog offer now (RFC 3261 §14.2, RFC 3311 §5.2).
    fn offer_refusal(&self, id: DialogId, request: &Request) -> Option<Reply<'static>> {
        let call = self.calls.get(&id)?;
        if session_description(request).is_err() {
            return Some(Reply::new(415).header("Accept", "application/sdp"));
        }
        if call.own_request.is_some() || call.answer.is_some() {
            // Glare, or our own offer or answer is not acknowledged.
            return Some(Reply::new(491));
        }
        if call.phase != Phase::Established || call.offer.is_some() {
            return Some(Reply::new(500).header("Retry-After", "2"));
        }
        None
    }

    /// Whether a mid-dialog offer comes from where the call came from; from elsewhere it needs
    /// credentials, since who moves the media hears the call. If not, it is answered.
    pub(super) fn is_known_peer(
        &mut self,
        now: Instant,
        id: DialogId,
        flow: Flow,
        request: &Request,
        credentials: &dyn CredentialSource,
    ) -> bool {
        let Some(call) = self.calls.get(&id) else {
            return false;
        };
        let (username, trunk) = (call.username.clone(), call.trunk.clone());
        if call.flow.remote.ip() == flow.remote.ip()
            || call.flow.id == flow.id && flow.transport.is_reliable()
        {
            return true;
        }
        if trunk.is_some() {
            let same_trunk = (self.config.trunk)(flow.remote.ip().to_canonical()) == trunk;
            if !same_trunk {
                self.reply_stateless(flow, &request.headers, Reply::new(403));
            }
            return same_trunk;
        }
        let Some(admitted) = self.authenticate(now, flow, request, credentials) else {
            return false;
        };
        let is_same = Some(admitted.username) == username;
        if !is_same {
            self.reply_stateless(flow, &request.headers, Reply::new(403));
        }
        is_same
    }

    /// Session timer of a refresh; `None`: answered with 422.
    fn agree_session(&mut self, flow: Flow, request: &Request) -> Option<Option<SessionTimer>> {
        let min = self.config.min_session_expires;
        match SessionTimer::from_request(&request.headers, min) {
            Ok(session) => Some(session),
            Err(_) => {
                let reply = Reply::new(422).header("Min-SE", min.as_secs().to_string());
                self.reply_stateless(flow, &request.headers, reply);
                None
            }
        }
    }

    /// A timer of a call has fired.
    pub(super) fn handle_call_timeout(&mut self, now: Instant, id: DialogId) {
        while let Some(timer) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.timers.take_due(now))
        {
            match timer {
                Timer::Answer => {
                    let call = self.calls.get_mut(&id);
                    if let Some((path, bytes)) = call.and_then(|call| call.repeat_answer(now)) {
                        self.send_response(path, bytes);
                    }
                }
                Timer::Ack => self.end(
                    now,
                    id,
                    Some("SIP;cause=408;text=\"No ACK\""),
                    Event::AckTimeout { dialog: id },
                ),
                Timer::Provisional => self.repeat_provisional(now, id),
                Timer::AnswerWait => {
                    if let Some(invite) = self.calls.get(&id).map(|call| call.invite) {
                        self.respond_in_call(now, id, invite, Reply::new(480), &[]);
                    }
                    self.remove_call(id);
                    self.emit(Event::Terminated {
                        dialog: id,
                        cause: TerminationCause::Unanswered,
                    });
                }
                Timer::OfferWait => {
                    let offer = self.calls.get_mut(&id).and_then(|call| call.offer.take());
                    if let Some(offer) = offer {
                        self.respond_in_call(now, id, offer.transaction, Reply::new(504), &[]);
                    }
                }
                Timer::SessionRefresh => self.refresh_session(now, id),
                Timer::Reliable => self.repeat_reliable(now, id),
                Timer::Prack => self.give_up_prack(now, id),
                Timer::ReferWait => self.give_up_refer(now, id),
                _ => self.end(
                    now,
                    id,
                    Some("SIP;cause=408;text=\"Session Expired\""),
                    Event::Terminated {
                        dialog: id,
                        cause: TerminationCause::SessionExpired,
                    },
                ),
            }
        }
        self.settle(id);
    }

    fn repeat_provisional(&mut self, now: Instant, id: DialogId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.timers.set(
            Timer::Provisional,
            now + crate::sip::timer::PROVISIONAL_INTERVAL,
        );
        if call.reliable.is_some() {
            // A copy would not do: each has its own RSeq. An error: it is answered by now.
            let _ = self.ring(now, id);
            return;
        }
        let provisional = call.provisional.clone();
        let path = self
            .transactions
            .server(call.invite)
            .map(|server| server.path);
        if let (Some(path), Some(provisional)) = (path, provisional) {
            self.send_response(path, provisional);
        }
    }

    /// Sends BYE and tells the owner, unless the owner itself hung up before.
    pub(super) fn end(&mut self, now: Instant, id: DialogId, reason: Option<&str>, event: Event) {
        let is_owned = call_is_owned(self.calls.get(&id));
        let reason = match self
            .calls
            .get_mut(&id)
            .and_then(|call| call.wanted_bye.take())
        {
            Some(wanted) => wanted,
            None => reason.map(str::to_owned),
        };
        self.send_bye(now, id, reason.as_deref());
        if is_owned {
            self.emit(event);
        }
    }
}

/// Whether the owner still expects events: it has not hung up, nor been told of the end.
fn call_is_owned(call: Option<&super::call::Call>) -> bool {
    call.is_some_and(|call| call.phase != Phase::Ending && call.wanted_bye.is_none())
}
