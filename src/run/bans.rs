//! The gate in front of SIP as its task and operators share it, and who is shut out: sources by
//! the gate, user names of a source by the endpoint's locks.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::run::clock;
use crate::run::sip_task::{SipCommand, SipHandle};
use crate::sip::gate::{Admission, Ban, Gate, GateConfig, Trunks};

/// The gate; clones share it. Its lock is held for one look into its tables.
#[derive(Debug, Clone)]
pub struct SharedGate(Arc<Mutex<Gate>>);

impl SharedGate {
    /// Of this gate.
    pub fn new(gate: Gate) -> Self {
        Self(Arc::new(Mutex::new(gate)))
    }

    /// See [`Gate::admit`].
    pub fn admit(&self, now: Instant, source: IpAddr) -> Admission {
        self.lock().admit(now, source)
    }

    /// See [`Gate::prove`].
    pub fn prove(&self, now: Instant, source: IpAddr) {
        self.lock().prove(now, source);
    }

    /// See [`Gate::count_failure`].
    pub fn count_failure(&self, now: Instant, source: IpAddr) -> Option<Ban> {
        self.lock().count_failure(now, source)
    }

    /// See [`Gate::configure`].
    pub fn configure(&self, config: GateConfig, trunks: Trunks) {
        self.lock().configure(config, trunks);
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        // Every update leaves the tables whole, so that a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source, or one user name of it, that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutOut {
    /// An IPv4 address, or the first of an IPv6 /64 when the whole source is banned.
    pub source: IpAddr,
    /// The user name it may not try; `None`: it is not heard at all.
    pub username: Option<String>,
    /// When this ends.
    pub until: Instant,
    /// How many times it came to this.
    pub count: u32,
}

/// What an operator may see and undo. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bans {
    gate: SharedGate,
    sip: SipHandle,
}

impl Bans {
    /// Of the SIP task that `sip` leads to.
    pub fn new(gate: SharedGate, sip: SipHandle) -> Self {
        Self { gate, sip }
    }

    /// All in force: bans, then locks, the longest first.
    pub async fn list(&self) -> Vec<ShutOut> {
        let (reply, locks) = oneshot::channel();
        self.sip.send(SipCommand::Locks(reply)).await;
        let bans = self.gate.lock().bans(clock::now());
        let bans = bans.into_iter().map(|ban| ShutOut {
            source: ban.source,
            username: None,
            until: ban.until,
            count: ban.count,
        });
        // Without a SIP task nobody is locked.
        let locks = locks.await.unwrap_or_default();
        let locks = locks.into_iter().map(|lock| ShutOut {
            source: lock.source,
            username: Some(lock.username),
            until: lock.until,
            count: lock.count,
        });
        bans.chain(locks).collect()
    }

    /// How many sources are banned.
    pub fn count(&self) -> usize {
        self.gate.lock().bans(clock::now()).len()
    }

    /// Lifts the lock of one user name of a source, or all that shuts the source out; says how many
    /// were in force.
    pub async fn lift(&self, source: IpAddr, username: Option<String>) -> usize {
        let banned = username.is_none() && self.gate.lock().lift(clock::now(), source);
        let (reply, lifted) = oneshot::channel();
        let command = SipCommand::Unlock {
            source,
            username,
            reply,
        };
        self.sip.send(command).await;
        usize::from(banned) + lifted.await.unwrap_or_default()
    }
}
