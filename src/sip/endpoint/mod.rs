//! The SIP endpoint: the only public door of this module.
//!
//! Feed it datagrams, closed flows and time; command it by dialog; drain it with
//! [`Endpoint::poll_output`] until `None` after each. It opens no socket, reads no clock, draws no
//! randomness of its own, writes no log: what an operator should know leaves as an [`Event`] or
//! stands in [`Counters`].
//!
//! | File | What |
//! |---|---|
//! | `request` | what becomes of a request: transactions first, then dialogs, then the rest |
//! | `invite` | INVITE outside a dialog, CANCEL, ACK |
//! | `in_dialog` | BYE, re-INVITE, UPDATE, INFO and their like |
//! | `outgoing` | our own requests and the responses to them |
//! | `paths` | where messages go, and when that needs a new connection |
//! | `reliable` | provisional responses that are acknowledged by PRACK |
//! | `refer` | REFER, and what is told of it |
//! | `command` | what the owner of a call may ask |
//! | `admission` | who may come in: trunks and digest; REGISTER |

mod admission;
mod body;
mod call;
mod command;
mod config;
mod counters;
mod event;
mod finished;
mod identity;
mod in_dialog;
mod invite;
mod outgoing;
mod paths;
mod refer;
mod reliable;
mod request;
mod table;
mod token;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

pub use config::{Advertise, AlgorithmTable, EndpointConfig, RegistrationExpires, TrunkTable};
pub use counters::Counters;
pub use event::{
    CallerIdentity, CommandError, DialogId, Event, Info, Invite, OfferMethod, Output, Refusal,
    Registration, TerminationCause,
};

use call::Call;
use finished::{Finished, FinishedTable};
use table::{Deadlines, Owner, Server, ServerMachine, TransactionId, Transactions};
use token::{Fingerprint, Tokens};

use crate::sip::auth::{Authenticator, CredentialSource, Lock};
use crate::sip::flow::{Flow, FlowId};
use crate::sip::message::Message;
use crate::sip::normalise::Framing;
use crate::sip::registrar::Registrar;
use crate::sip::transaction::Action;

/// Methods we answer with more than a refusal.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, REGISTER";
/// Extensions we support (RFC 4028, RFC 3262, RFC 4488).
const SUPPORTED: &str = "timer, 100rel, norefersub";

/// Transactions, dialogs, digest and registrations of all SIP listeners.
#[derive(Debug)]
pub struct Endpoint {
    // given
    config: EndpointConfig,
    // owned
    auth: Authenticator,
    registrar: Registrar,
    tokens: Tokens,
    transactions: Transactions,
    finished: FinishedTable,
    calls: HashMap<DialogId, Call>,
    next_dialog: u64,
    deadlines: Deadlines,
    outputs: VecDeque<Output>,
    available: bool,
    counters: Counters,
    /// Stream connections on which something arrived and which have not closed.
    open_flows: HashSet<FlowId>,
    // derived
    /// By Call-ID and our tag.
    by_dialog: HashMap<Fingerprint, DialogId>,
    /// By Call-ID, the peer's tag and CSeq of the INVITE: finds merged requests.
    by_invite: HashMap<Fingerprint, DialogId>,
}

impl Endpoint {
    /// A new endpoint. `secret` keys nonces and tags and must be new at each start; `rng_seed`
    /// makes tags and branches differ between starts.
    pub fn new(config: EndpointConfig, secret: [u8; 32], rng_seed: u64) -> Self {
        Self {
            auth: Authenticator::new(
                config.realm.clone(),
                secret,
                config.nonce_ttl,
                config.auth_failures_max,
            ),
            registrar: Registrar::new(config.registration_expires),
            tokens: Tokens::new(&secret, rng_seed),
            config,
            transactions: Transactions::default(),
            finished: FinishedTable::default(),
            calls: HashMap::new(),
            next_dialog: 0,
            deadlines: Deadlines::default(),
            outputs: VecDeque::new(),
            available: true,
            counters: Counters::default(),
            open_flows: HashSet::new(),
            by_dialog: HashMap::new(),
            by_invite: HashMap::new(),
        }
    }

    // ── look ──────────────────────────────────────────────────────────────────────────────────

    /// What was received, sent and refused since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            transactions: self.transactions.len() + self.finished.len(),
            dialogs: self.calls.len(),
            bindings: self.registrar.len(),
            ..self.counters
        }
    }

    /// Locks of user names in force, the longest first.
    pub fn locks(&self, now: Instant) -> Vec<Lock> {
        self.auth.locks(now)
    }

    // ── feed ──────────────────────────────────────────────────────────────────────────────────

    /// Takes one whole SIP message: a UDP datagram, or what `framing` cut from a stream.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: &[u8],
        credentials: &dyn CredentialSource,
    ) {
        if flow.transport.is_reliable() {
            self.open_flows.insert(flow.id);
        }
        let framing = match flow.transport.is_stream() {
            true => Framing::Stream,
            false => Framing::Packet,
        };
        match Message::parse(bytes, framing) {
            Message::Request(request) => {
                self.counters.requests += 1;
                self.handle_request(now, flow, *request, credentials);
            }
            Message::Response(response) => {
                self.counters.responses += 1;
                self.handle_response(now, flow, *response);
            }
            Message::Unacceptable(unacceptable) => {
                self.counters.malformed += 1;
                self.refuse_unacceptable(flow, &unacceptable);
            }
            Message::Noise => self.counters.noise += 1,
        }
    }

    /// A message beyond its source's share ([`crate::sip::gate`]): a request is answered 503,
    /// without anything else being looked at.
    pub fn handle_excess(&mut self, flow: Flow, bytes: &[u8]) {
        let framing = match flow.transport.is_stream() {
            true => Framing::Stream,
            false => Framing::Packet,
        };
        if let Message::Request(request) = Message::parse(bytes, framing)
            && request.method != rsip::Method::Ack
        {
            self.reply_overloaded(flow, &request.headers);
        }
    }

    /// Lifts the locks of a source, of one user name or of all; says how many were in force.
    pub fn unlock(&mut self, now: Instant, source: IpAddr, username: Option<&str>) -> usize {
        self.auth.unlock(now, source, username)
    }

    /// A stream connection has closed. Its dialogs and transactions live on: what they send next
    /// opens a new one.
    pub fn handle_flow_closed(&mut self, _now: Instant, flow: FlowId) {
        self.open_flows.remove(&flow);
    }

    /// Time has passed; call it at [`Endpoint::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(owner) = self.deadlines.take_due(now) {
            match owner {
                Owner::Server(id) => {
                    match self
                        .transactions
                        .server_mut(id)
                        .map(|server| &mut server.machine)
                    {
                        Some(ServerMachine::Invite(machine)) => machine.handle_timeout(now),
                        Some(ServerMachine::NonInvite(machine)) => machine.handle_timeout(now),
                        None => {}
                    }
                    self.drain_server(now, id);
                }
                Owner::Client(id) => {
                    if let Some(client) = self.transactions.client_mut(id) {
                        client.machine.handle_timeout(now);
                    }
                    self.drain_client(now, id);
                }
                Owner::Call(id) => self.handle_call_timeout(now, id),
            }
        }
        self.finished.handle_timeout(now);
        for change in self.registrar.handle_timeout(now) {
            self.emit_registration(change);
        }
    }

    // ── drain ─────────────────────────────────────────────────────────────────────────────────

    /// The earliest deadline.
    pub fn next_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.deadlines.next(),
            self.finished.next_timeout(),
            self.registrar.next_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // ── plumbing ──────────────────────────────────────────────────────────────────────────────

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.outputs.push_back(Output::Transmit { flow, bytes });
    }

    /// Does what a server transaction wants, and notes its next deadline.
    fn drain_server(&mut self, now: Instant, id: TransactionId) {
        let Some(server) = self.transactions.server_mut(id) else {
            return;
        };
        let path = server.path;
        let mut is_done = false;
        let mut sends = Vec::new();
        let next = loop {
            let (action, next) = match &mut server.machine {
                ServerMachine::Invite(machine) => (machine.poll_action(), machine.next_timeout()),
                ServerMachine::NonInvite(machine) => {
                    (machine.poll_action(), machine.next_timeout())
                }
            };
            match action {
                Some(Action::Send(bytes)) => sends.push(bytes),
                // The refusal's ACK never came: the caller is gone, and so was the call.
                Some(Action::TimedOut) => {}
                Some(Action::Terminated) => is_done = true,
                None => break next,
            }
        };
        for bytes in sends {
            self.send_response(path, bytes);
        }
        let accepted = self
            .transactions
            .server(id)
            .and_then(Server::accepted_dialog);
        if let Some((key, dialog)) = accepted {
            self.finished.insert(now, key, Finished::Accepted(dialog));
        }
        if is_done || accepted.is_some() {
            self.transactions.remove_server(id);
            self.deadlines.set(Owner::Server(id), None);
        } else {
            self.deadlines.set(Owner::Server(id), next);
        }
    }

    /// Notes a call's next deadline: last step of whatever touched its timers.
    fn settle(&mut self, id: DialogId) {
        let next = self.calls.get(&id).and_then(|call| call.timers.next());
        self.deadlines.set(Owner::Call(id), next);
    }

    fn insert_call(&mut self, id: DialogId, call: Call) {
        let dialog = &call.dialog;
        let key = self.dialog_key(dialog.call_id(), dialog.local_tag());
        self.by_dialog.insert(key, id);
        let key = self.invite_key(dialog.call_id(), dialog.remote_tag(), call.invite_cseq);
        self.by_invite.insert(key, id);
        self.calls.insert(id, call);
    }

    fn remove_call(&mut self, id: DialogId) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        self.deadlines.set(Owner::Call(id), None);
        let dialog = &call.dialog;
        let key = self.dialog_key(dialog.call_id(), dialog.local_tag());
        self.by_dialog.remove(&key);
        let key = self.invite_key(dialog.call_id(), dialog.remote_tag(), call.invite_cseq);
        if self.by_invite.get(&key) == Some(&id) {
            self.by_invite.remove(&key);
        }
    }

    /// What a dialog is found by.
    fn dialog_key(&self, call_id: &str, local_tag: &str) -> Fingerprint {
        let parts: [&[u8]; 3] = [b"dialog", call_id.as_bytes(), local_tag.as_bytes()];
        self.tokens.fingerprint(&parts)
    }

    /// What an INVITE is known by that came twice.
    fn invite_key(&self, call_id: &str, remote_tag: &str, cseq: u32) -> Fingerprint {
        let (call_id, tag) = (call_id.as_bytes(), remote_tag.as_bytes());
        self.tokens
            .fingerprint(&[b"invite", call_id, tag, &cseq.to_be_bytes()])
    }
}
