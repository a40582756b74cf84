//! What becomes of a request: copies and CANCEL go to their transaction, requests with a To tag to
//! their dialog, the rest is answered as cheaply as it can be.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rsip::Method as Known;

use super::admission::OUTBOUND;
use super::event::DialogId;
use super::finished::Finished;
use super::paths::ReplyPath;
use super::table::{Server, ServerKey, ServerMachine, TransactionId};
use super::{ALLOW, Endpoint, SUPPORTED};
use crate::limits::SIP_TRANSACTIONS_MAX;
use crate::sip::auth::CredentialSource;
use crate::sip::flow::Flow;
use crate::sip::headers::Headers;
use crate::sip::message::{Method, Request, Unacceptable};
use crate::sip::reply::Reply;
use crate::sip::transaction::invite_server::InviteServer;
use crate::sip::transaction::non_invite_server::NonInviteServer;

impl Endpoint {
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        let is_ack = request.method == Known::Ack;
        // Before anything that counts or counts up: a copy must not look like a replay.
        if self.pass_to_transaction(now, flow, &request, is_ack) {
            return;
        }
        match &request.method {
            Method::Known(Known::Ack) => self.handle_ack(now, flow, &request),
            Method::Known(Known::Cancel) => self.handle_cancel(now, flow, &request),
            Method::Unknown(_) => self.refuse_method(flow, &request),
            Method::Known(_) if request.to.tag().is_some() => {
                self.handle_in_dialog(now, flow, request, credentials);
            }
            Method::Known(method) => {
                let method = *method;
                self.handle_out_of_dialog(now, flow, method, request, credentials);
            }
        }
    }

    /// Whether the request belongs to a transaction and is dealt with.
    fn pass_to_transaction(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        is_ack: bool,
    ) -> bool {
        let method = match is_ack {
            true => "INVITE",
            false => request.method.as_str(),
        };
        let key = ServerKey::of(&self.tokens, request, method);
        let Some(id) = self.transactions.find_server(key) else {
            return self.pass_to_finished(flow, request, key, is_ack);
        };
        let is_dealt_with = match self.transactions.server_mut(id).map(|s| &mut s.machine) {
            Some(ServerMachine::Invite(machine)) if is_ack => {
                machine.handle_ack(now);
                true
            }
            Some(ServerMachine::Invite(machine)) => {
                machine.handle_retransmission();
                true
            }
            Some(ServerMachine::NonInvite(machine)) => {
                machine.handle_retransmission();
                true
            }
            None => false,
        };
        self.counters.retransmissions += u64::from(is_dealt_with && !is_ack);
        self.drain_server(now, id);
        is_dealt_with
    }

    /// A copy of a request that has had its final answer.
    fn pass_to_finished(
        &mut self,
        flow: Flow,
        request: &Request,
        key: ServerKey,
        is_ack: bool,
    ) -> bool {
        let Some(finished) = self.finished.get(key).cloned() else {
            return false;
        };
        if is_ack {
            // The ACK of a 2xx is the dialog's, even if the phone reuses the branch.
            return false;
        }
        self.counters.retransmissions += 1;
        match finished {
            Finished::Accepted(_) => {}
            Finished::Plain(status) => {
                self.reply_stateless(flow, &request.headers, Reply::new(status));
            }
            Finished::Answered(bytes) => self.transmit(flow, bytes),
        }
        true
    }

    fn handle_out_of_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        method: Known,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        // We stand between two networks, so a request at its last hop goes no further (RFC 7332);
        // OPTIONS asks just who stands there (RFC 3261 §11).
        if request.max_forwards == Some(0) && method != Known::Options {
            return self.reply_stateless(flow, &request.headers, Reply::new(483));
        }
        let refused = matches!(method, Known::Invite | Known::Options | Known::Register)
            .then(|| match method {
                Known::Register => unsupported(&request.headers, &[OUTBOUND]),
                _ => unsupported_extensions(&request.headers),
            })
            .flatten();
        if let Some(unsupported) = refused {
            let reply = Reply::new(420).header("Unsupported", unsupported);
            return self.reply_stateless(flow, &request.headers, reply);
        }
        match method {
            Known::Invite => self.handle_invite(now, flow, request, credentials),
            Known::Register => self.handle_register(now, flow, request, credentials),
            Known::Options => self.answer_options(flow, &request),
            Known::Subscribe | Known::Publish => {
                self.reply_stateless(flow, &request.headers, bad_event_reply());
            }
            Known::Message => self.refuse_method(flow, &request),
            // We call nobody; within a call it may move that call.
            Known::Refer => self.reply_stateless(flow, &request.headers, Reply::new(603)),
            Known::Bye | Known::Info | Known::Update | Known::PRack | Known::Notify => {
                self.reply_stateless(flow, &request.headers, Reply::new(481));
            }
            // Dealt with before.
            Known::Ack | Known::Cancel => {}
        }
    }

    /// OPTIONS agrees with what an INVITE would get: carriers take 503 for "try another".
    fn answer_options(&mut self, flow: Flow, request: &Request) {
        if !self.available {
            return self.reply_overloaded(flow, &request.headers);
        }
        self.reply_stateless(flow, &request.headers, options_reply());
    }

    pub(super) fn refuse_method(&mut self, flow: Flow, request: &Request) {
        let reply = Reply::new(405).header("Allow", ALLOW);
        self.reply_stateless(flow, &request.headers, reply);
    }

    /// Answers a request whose form forbids more, if it can be answered.
    pub(super) fn refuse_unacceptable(&mut self, flow: Flow, refused: &Unacceptable) {
        if refused.method == Known::Ack || refused.headers.get("Via").is_none() {
            return;
        }
        let mut reply = Reply::with_reason(refused.status, refused.reason.clone());
        if refused.status == 501 {
            reply = reply.header("Allow", ALLOW);
        }
        self.reply_stateless(flow, &refused.headers, reply);
    }

    /// 503: a table is full, or we take no new calls.
    pub(super) fn reply_overloaded(&mut self, flow: Flow, request: &Headers) {
        self.counters.overloads += 1;
        let retry_after = self.config.retry_after.as_secs().to_string();
        self.reply_stateless(
            flow,
            request,
            Reply::new(503).header("Retry-After", retry_after),
        );
    }

    /// Answers without keeping anything. Every copy gets the same To tag, unless the reply has one.
    pub(super) fn reply_stateless(&mut self, flow: Flow, request: &Headers, reply: Reply<'_>) {
        let bytes = self.stateless_bytes(flow, request, reply);
        self.transmit(flow, bytes);
    }

    fn stateless_bytes(&self, flow: Flow, request: &Headers, reply: Reply<'_>) -> Bytes {
        let tag = self.tokens.stateless_tag(request);
        let reply = Reply {
            to_tag: reply.to_tag.or(Some(&tag)),
            ..reply
        };
        let reply = reply.header("Server", self.config.product.as_str());
        Bytes::from(reply.to_bytes(request, flow.remote, &[]))
    }

    /// Answers a non-INVITE request for good, so that its copies get the same answer. When too much
    /// is kept already, its copies are taken as new requests.
    pub(super) fn reply_in_transaction(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        reply: Reply<'_>,
    ) {
        let bytes = self.stateless_bytes(flow, &request.headers, reply);
        if self.finished.has_room() {
            self.finish(now, flow, request, Finished::Answered(bytes.clone()));
        }
        self.transmit(flow, bytes);
    }

    /// As [`Self::reply_in_transaction`], for a request with a To tag and an answer with nothing in
    /// it but its status: a BYE is never taken twice for want of memory.
    pub(super) fn reply_plainly(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        status: u16,
    ) {
        self.finish(now, flow, request, Finished::Plain(status));
        self.reply_stateless(flow, &request.headers, Reply::new(status));
    }

    fn finish(&mut self, now: Instant, flow: Flow, request: &Request, finished: Finished) {
        // Timer J is zero there: a reliable transport brings no copies.
        if !flow.transport.is_reliable() {
            let key = ServerKey::of(&self.tokens, request, request.method.as_str());
            self.finished.insert(now, key, finished);
        }
    }

    /// Starts a server transaction; gives the request back when the table is full.
    pub(super) fn open_server(
        &mut self,
        flow: Flow,
        request: Request,
        dialog: Option<DialogId>,
    ) -> Result<TransactionId, Box<Request>> {
        if self.transactions.len() >= SIP_TRANSACTIONS_MAX {
            return Err(Box::new(request));
        }
        let is_reliable = flow.transport.is_reliable();
        let machine = match request.method == Known::Invite {
            true => ServerMachine::Invite(InviteServer::new(is_reliable)),
            false => ServerMachine::NonInvite(NonInviteServer::new(is_reliable)),
        };
        Ok(self.transactions.insert_server(Server {
            key: ServerKey::of(&self.tokens, &request, request.method.as_str()),
            machine,
            path: ReplyPath::new(flow, &request.via),
            request: Arc::new(request),
            dialog,
        }))
    }

    /// Responds in a transaction. Returns nothing: what cannot be sent any more needs no answer.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        id: TransactionId,
        reply: Reply<'_>,
        more: &[(String, String)],
    ) {
        let _ = self.respond_with_bytes(now, id, reply, more);
    }

    /// As [`Self::respond`], and gives the bytes for repetition.
    pub(super) fn respond_with_bytes(
        &mut self,
        now: Instant,
        id: TransactionId,
        reply: Reply<'_>,
        more: &[(String, String)],
    ) -> Option<Bytes> {
        let server = self.transactions.server_mut(id)?;
        let status = reply.status;
        let reply = reply.header("Server", self.config.product.as_str());
        let fallback = match (status, reply.to_tag) {
            (100, _) | (_, Some(_)) => None,
            (_, None) => Some(self.tokens.stateless_tag(&server.request.headers)),
        };
        let reply = Reply {
            to_tag: match status {
                100 => None,
                _ => reply.to_tag.or(fallback.as_deref()),
            },
            ..reply
        };
        let bytes =
            Bytes::from(reply.to_bytes(&server.request.headers, server.path.flow.remote, more));
        match &mut server.machine {
            ServerMachine::Invite(machine) => machine.respond(now, status, bytes.clone()),
            ServerMachine::NonInvite(machine) => machine.respond(now, status, bytes.clone()),
        }
        self.drain_server(now, id);
        Some(bytes)
    }

    /// The call that a request with a To tag belongs to.
    pub(super) fn find_call(&self, request: &Request) -> Option<DialogId> {
        let key = self.dialog_key(&request.call_id, request.to.tag()?);
        let id = *self.by_dialog.get(&key)?;
        let call = self.calls.get(&id)?;
        (call.dialog.remote_tag() == request.from_tag()).then_some(id)
    }
}

/// RFC 6665 §4.1.3: with the packages we know. `refer` is one that only a REFER subscribes to.
pub(super) fn bad_event_reply() -> Reply<'static> {
    Reply::new(489)
        .header("Allow", ALLOW)
        .header("Allow-Events", "refer")
}

pub(super) fn options_reply() -> Reply<'static> {
    Reply::new(200)
        .header("Allow", ALLOW)
        .header("Accept", "application/sdp")
        .header("Accept-Encoding", "identity")
        .header("Accept-Language", "en")
        .header("Supported", SUPPORTED)
}

/// Option tags of Require that we do not know: value of Unsupported.
pub(super) fn unsupported_extensions(headers: &Headers) -> Option<String> {
    unsupported(headers, &[])
}

/// As [`unsupported_extensions`], where more are known.
fn unsupported(headers: &Headers, more: &[&str]) -> Option<String> {
    let is_known = |tag: &str| {
        let mut known = SUPPORTED.split(", ").chain(more.iter().copied());
        known.any(|known| known.eq_ignore_ascii_case(tag))
    };
    let unknown: Vec<&str> = headers
        .all("Require")
        .filter(|tag| !is_known(tag))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}
