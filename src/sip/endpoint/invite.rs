//! INVITE outside a dialog, CANCEL, and ACK.

use std::net::IpAddr;
use std::time::Instant;

use rsip::Method as Known;

use super::Endpoint;
use super::body::session_description;
use super::call::{Call, Phase};
use super::event::{DialogId, Event, Invite};
use super::finished::Finished;
use super::identity;
use super::reliable::Reliable;
use super::table::{ServerKey, ServerMachine, TransactionId};
use crate::limits::{SIP_DIALOGS_MAX, SIP_TRANSACTIONS_MAX};
use crate::sip::auth::CredentialSource;
use crate::sip::dialog::{Dialog, own_contact};
use crate::sip::flow::Flow;
use crate::sip::header::Via;
use crate::sip::message::Request;
use crate::sip::normalise::readable;
use crate::sip::reply::Reply;
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::{ANSWER_WAIT, PROVISIONAL_INTERVAL, Timer, Timers};
use crate::sip::transaction::invite_server::State as InviteState;
use crate::sip::uri::Host;

impl Endpoint {
    pub(super) fn handle_invite(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        if let Some(reply) = self.cheap_refusal(&request) {
            return self.reply_stateless(flow, &request.headers, reply);
        }
        let is_full =
            self.calls.len() >= SIP_DIALOGS_MAX || self.transactions.len() >= SIP_TRANSACTIONS_MAX;
        if !self.available || is_full {
            return self.reply_overloaded(flow, &request.headers);
        }
        let key = self.invite_key(&request.call_id, request.from_tag(), request.cseq);
        if self.by_invite.contains_key(&key) {
            // The same INVITE over another path (RFC 3261 §8.2.2.2).
            let reply = Reply::with_reason(482, "Merged Request");
            return self.reply_stateless(flow, &request.headers, reply);
        }
        let trunk = (self.config.trunk)(flow.remote.ip().to_canonical());
        let admitted = match &trunk {
            Some(_) => None,
            None => match self.authenticate(now, flow, &request, credentials) {
                Some(admitted) => Some(admitted),
                None => return,
            },
        };
        let local_tag = self.tokens.next();
        let dialog = match Dialog::from_invite(&request, &local_tag) {
            Ok(dialog) => dialog,
            Err(fault) => {
                let reply = Reply::with_reason(400, fault.to_string());
                return self.reply_stateless(flow, &request.headers, reply);
            }
        };
        self.next_dialog += 1;
        let id = DialogId(self.next_dialog);
        let mut event = invite_event(id, flow, &request);
        event.trunk = trunk.clone();
        if let Some(admitted) = admitted {
            event.credential = Some(admitted.credential);
            event.username = Some(admitted.username);
        }
        let call = self.new_call(now, flow, &request, dialog, trunk, event.username.clone());
        self.open_call(now, id, flow, request, call);
        self.emit(Event::Invite(Box::new(event)));
    }

    /// Starts the transaction with 100, and the call in it.
    fn open_call(&mut self, now: Instant, id: DialogId, flow: Flow, request: Request, call: Call) {
        let Ok(transaction) = self.open_server(flow, request, Some(id)) else {
            return;
        };
        let call = Call {
            invite: transaction,
            ..call
        };
        self.insert_call(id, call);
        self.respond(now, transaction, Reply::new(100), &[]);
        self.settle(id);
    }

    fn new_call(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        dialog: Dialog,
        trunk: Option<String>,
        username: Option<String>,
    ) -> Call {
        let (host, port) = (self.config.advertise)(&flow);
        let mut timers = Timers::default();
        timers.set(Timer::AnswerWait, now + ANSWER_WAIT);
        timers.set(Timer::Provisional, now + PROVISIONAL_INTERVAL);
        let session = SessionTimer::from_request(&request.headers, self.config.min_session_expires);
        Call {
            contact: own_contact(&request.uri, &host, port, flow.transport.uri_param()),
            dialog,
            flow,
            username,
            trunk,
            peer_allows_update: request.headers.has_token("Allow", "UPDATE"),
            phase: Phase::Incoming,
            invite: 0,
            invite_cseq: request.cseq,
            answer: None,
            offer: None,
            own_request: None,
            own_ack: None,
            wanted_bye: None,
            local_sdp: None,
            provisional: None,
            has_offer: session_description(request).is_ok_and(|sdp| sdp.is_some()),
            reliable: request
                .headers
                .has_token("Require", "100rel")
                .then(|| Reliable::new(self.invite_key(&request.call_id, "rseq", request.cseq))),
            refer: None,
            session: session.ok().flatten(),
            timers,
        }
    }

    /// Refusals that need neither credentials nor memory.
    fn cheap_refusal(&self, request: &Request) -> Option<Reply<'static>> {
        let headers = &request.headers;
        if session_description(request).is_err() {
            return Some(
                Reply::new(415)
                    .header("Accept", "application/sdp")
                    .header("Accept-Encoding", "identity"),
            );
        }
        let mut accepted = headers.all("Accept").peekable();
        let refuses_sdp = accepted.peek().is_some() && !accepted.any(covers_sdp);
        if refuses_sdp {
            return Some(Reply::new(406).header("Accept", "application/sdp"));
        }
        if let Err(fault) = Dialog::from_invite(request, "") {
            return Some(Reply::with_reason(400, fault.to_string()));
        }
        let min = self.config.min_session_expires;
        SessionTimer::from_request(headers, min)
            .is_err()
            .then(|| Reply::new(422).header("Min-SE", min.as_secs().to_string()))
    }

    /// CANCEL (RFC 3261 §9.2): 200 to itself, 487 to an INVITE not yet answered.
    pub(super) fn handle_cancel(&mut self, now: Instant, flow: Flow, request: &Request) {
        let key = ServerKey::of(&self.tokens, request, "INVITE");
        let found = self.transactions.find_server(key);
        let server = found.and_then(|id| self.transactions.server(id));
        let dialog = match (server, self.finished.get(key)) {
            (Some(server), _) => server.dialog,
            (None, Some(Finished::Accepted(dialog))) => Some(*dialog),
            (None, _) => return self.reply_stateless(flow, &request.headers, Reply::new(481)),
        };
        let is_unanswered = server.is_some_and(|server| {
            matches!(
                &server.machine,
                ServerMachine::Invite(machine) if machine.state() == InviteState::Proceeding
            )
        });
        let call = dialog.and_then(|id| self.calls.get(&id));
        let tag = call.map(|call| call.dialog.local_tag().to_owned());
        // 200 and 487 carry the same tag: the dialog's (RFC 3261 §9.2).
        let reply = Reply {
            to_tag: tag.as_deref(),
            ..Reply::new(200)
        };
        self.reply_stateless(flow, &request.headers, reply);
        let (Some(id), Some(transaction)) = (dialog.filter(|_| is_unanswered), found) else {
            return;
        };
        let reason = request.headers.get("Reason").map(readable);
        self.cancel(now, id, transaction, reason);
    }

    fn cancel(
        &mut self,
        now: Instant,
        id: DialogId,
        transaction: TransactionId,
        reason: Option<String>,
    ) {
        self.respond_in_call(now, id, transaction, Reply::new(487), &[]);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.invite == transaction && call.phase == Phase::Incoming {
            self.remove_call(id);
            self.emit(Event::Cancelled { dialog: id, reason });
        } else if call
            .offer
            .is_some_and(|offer| offer.transaction == transaction)
        {
            // A re-INVITE was withdrawn: the call goes on, its owner's answer comes too late.
            call.offer = None;
            call.timers.cancel(Timer::OfferWait);
            self.settle(id);
        }
    }

    /// The ACK of a 2xx. Any other that finds no transaction is swallowed: it acknowledges a
    /// stateless refusal.
    pub(super) fn handle_ack(&mut self, now: Instant, flow: Flow, request: &Request) {
        let Some(id) = self.find_call(request) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call
            .answer
            .as_ref()
            .is_none_or(|answer| answer.cseq != request.cseq)
        {
            return;
        }
        call.stop_awaiting_ack();
        call.follow(flow);
        let body = session_description(request)
            .ok()
            .flatten()
            .map(<[u8]>::to_vec);
        let wanted_bye = call.wanted_bye.take();
        self.settle(id);
        match wanted_bye {
            Some(reason) => self.send_bye(now, id, reason.as_deref()),
            None => self.emit(Event::Acked { dialog: id, body }),
        }
    }

    /// Responds in a call's transaction, with the dialog's tag, Contact and Record-Route.
    pub(super) fn respond_in_call(
        &mut self,
        now: Instant,
        id: DialogId,
        transaction: TransactionId,
        reply: Reply<'_>,
        more: &[(String, String)],
    ) -> Option<bytes::Bytes> {
        let call = self.calls.get(&id)?;
        let tag = call.dialog.local_tag().to_owned();
        let forms_dialog = (101..300).contains(&reply.status);
        let is_invite = self.transactions.server(transaction)?.request.method == Known::Invite;
        let mut reply = Reply {
            to_tag: Some(&tag),
            with_record_route: forms_dialog && is_invite,
            ..reply
        };
        if forms_dialog {
            reply = reply.header("Contact", call.contact.clone());
            reply = reply.header("Allow", super::ALLOW);
            reply = reply.header("Supported", super::SUPPORTED);
        }
        self.respond_with_bytes(now, transaction, reply, more)
    }
}

impl Call {
    /// The peer spoke on another flow: a new connection, or another port of its NAT. Another
    /// address is not followed without credentials.
    pub(super) fn follow(&mut self, flow: Flow) {
        if flow.remote.ip() == self.flow.remote.ip() && flow.transport == self.flow.transport {
            self.flow = flow;
        }
    }
}

/// Whether an Accept item allows `application/sdp`.
fn covers_sdp(item: &str) -> bool {
    let (range, _params) = item.split_once(';').unwrap_or((item, ""));
    let range: String = range.split_whitespace().collect();
    ["application/sdp", "application/*", "*/*"]
        .iter()
        .any(|covering| range.eq_ignore_ascii_case(covering))
}

fn invite_event(id: DialogId, flow: Flow, request: &Request) -> Invite {
    let headers = &request.headers;
    let secrets = ["Authorization", "Proxy-Authorization"];
    Invite {
        dialog: id,
        flow,
        request_uri: request.uri.clone(),
        credential: None,
        username: None,
        trunk: None,
        call_id: request.call_id.clone(),
        cseq: request.cseq,
        caller: identity::caller(request),
        headers: headers
            .iter()
            .filter(|(name, _)| !secrets.contains(name))
            .map(|(name, value)| (name.to_owned(), readable(value)))
            .collect(),
        offer: session_description(request)
            .ok()
            .flatten()
            .map(<[u8]>::to_vec),
        user_agent: headers.get("User-Agent").map(readable),
        via_private: headers.all("Via").last().is_some_and(is_private_via),
    }
}

fn is_private_via(via: &str) -> bool {
    match Via::parse(via).map(|via| via.host) {
        Ok(Host::Address(ip)) => is_private(ip),
        _ => false,
    }
}

/// Whether an address means something on its own network only.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || is_shared
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            ip.is_loopback()
                || ip.is_unspecified()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
        }
    }
}
