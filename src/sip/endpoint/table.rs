//! Tables of running transactions, and the deadlines of everything that has any.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::event::DialogId;
use super::paths::ReplyPath;
use super::token::{Fingerprint, Tokens};
use crate::sip::message::Request;
use crate::sip::transaction::client::Client;
use crate::sip::transaction::invite_server::{InviteServer, State as InviteState};
use crate::sip::transaction::non_invite_server::NonInviteServer;

/// Number of a transaction within this endpoint.
pub(super) type TransactionId = u64;

/// What a server transaction is recognised by (RFC 3261 §17.2.3). Call-ID and CSeq are part of it,
/// so that phones which use one branch twice still get two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ServerKey(Fingerprint);

impl ServerKey {
    /// The key of a request, as if its method were `method` (INVITE for its ACK and CANCEL).
    pub fn of(tokens: &Tokens, request: &Request, method: &str) -> Self {
        let via = &request.via;
        let (call_id, method) = (request.call_id.as_bytes(), method.as_bytes());
        let cseq = request.cseq.to_be_bytes();
        Self(match via.branch() {
            Some(branch) => {
                let sent_by = via.sent_by();
                tokens.fingerprint(&[
                    b"branch",
                    branch.as_bytes(),
                    sent_by.as_bytes(),
                    method,
                    &cseq,
                    call_id,
                ])
            }
            // RFC 2543: no unique branch, so what else is the same in copies.
            None => {
                let top = request.headers.get("Via").unwrap_or_default();
                tokens.fingerprint(&[
                    b"2543",
                    top.as_bytes(),
                    request.from_tag().as_bytes(),
                    request.uri.as_str().as_bytes(),
                    method,
                    &cseq,
                    call_id,
                ])
            }
        })
    }
}

/// Either server machine.
#[derive(Debug)]
pub(super) enum ServerMachine {
    /// Of an INVITE.
    Invite(InviteServer),
    /// Of anything else.
    NonInvite(NonInviteServer),
}

/// A running server transaction.
#[derive(Debug)]
pub(super) struct Server {
    pub key: ServerKey,
    pub machine: ServerMachine,
    /// Where responses go.
    pub path: ReplyPath,
    /// The request, for responses to come.
    pub request: Arc<Request>,
    /// The dialog it is in, or forms.
    pub dialog: Option<DialogId>,
}

impl Server {
    /// Its key and dialog, once its INVITE is accepted: from here on only copies concern it.
    pub fn accepted_dialog(&self) -> Option<(ServerKey, DialogId)> {
        let is_accepted = matches!(
            &self.machine,
            ServerMachine::Invite(machine) if machine.state() == InviteState::Accepted
        );
        Some((self.key, self.dialog.filter(|_| is_accepted)?))
    }
}

/// Why we sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The call ends.
    Bye,
    /// Its owner changes the media.
    Reinvite,
    /// The session timer asks for it (re-INVITE or UPDATE).
    Refresh,
    /// A REFER's subscription.
    Notify,
}

/// A running client transaction.
#[derive(Debug)]
pub(super) struct ClientEntry {
    pub key: ClientKey,
    pub machine: Client,
    pub dialog: DialogId,
    pub purpose: Purpose,
    pub is_invite: bool,
    pub cseq: u32,
    /// Via of the request, for the ACK of a refusal.
    pub via: String,
}

/// Branch and method (RFC 3261 §17.1.3).
pub(super) type ClientKey = (String, String);

/// All running transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    next_id: TransactionId,
    servers: HashMap<TransactionId, Server>,
    server_keys: HashMap<ServerKey, TransactionId>,
    clients: HashMap<TransactionId, ClientEntry>,
    client_keys: HashMap<ClientKey, TransactionId>,
}

impl Transactions {
    pub fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    pub fn insert_server(&mut self, server: Server) -> TransactionId {
        self.next_id += 1;
        self.server_keys.insert(server.key, self.next_id);
        self.servers.insert(self.next_id, server);
        self.next_id
    }

    pub fn find_server(&self, key: ServerKey) -> Option<TransactionId> {
        self.server_keys.get(&key).copied()
    }

    pub fn server(&self, id: TransactionId) -> Option<&Server> {
        self.servers.get(&id)
    }

    pub fn server_mut(&mut self, id: TransactionId) -> Option<&mut Server> {
        self.servers.get_mut(&id)
    }

    pub fn remove_server(&mut self, id: TransactionId) {
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
        }
    }

    pub fn insert_client(&mut self, client: ClientEntry) -> TransactionId {
        self.next_id += 1;
        self.client_keys.insert(client.key.clone(), self.next_id);
        self.clients.insert(self.next_id, client);
        self.next_id
    }

    pub fn find_client(&self, key: &ClientKey) -> Option<TransactionId> {
        self.client_keys.get(key).copied()
    }

    pub fn client(&self, id: TransactionId) -> Option<&ClientEntry> {
        self.clients.get(&id)
    }

    pub fn client_mut(&mut self, id: TransactionId) -> Option<&mut ClientEntry> {
        self.clients.get_mut(&id)
    }

    pub fn remove_client(&mut self, id: TransactionId) {
        if let Some(client) = self.clients.remove(&id) {
            self.client_keys.remove(&client.key);
        }
    }
}

/// Who has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    Server(TransactionId),
    Client(TransactionId),
    Call(DialogId),
}

/// One deadline for each owner, in order.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    order: BTreeSet<(Instant, Owner)>,
    of: HashMap<Owner, Instant>,
}

impl Deadlines {
    /// Sets, moves or removes an owner's deadline.
    pub fn set(&mut self, owner: Owner, at: Option<Instant>) {
        if let Some(old) = self.of.remove(&owner) {
            self.order.remove(&(old, owner));
        }
        if let Some(at) = at {
            self.of.insert(owner, at);
            self.order.insert((at, owner));
        }
    }

    /// The earliest.
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Removes and returns an owner that is due.
    pub fn take_due(&mut self, now: Instant) -> Option<Owner> {
        let &(at, owner) = self.order.first()?;
        if at > now {
            return None;
        }
        self.set(owner, None);
        Some(owner)
    }
}
