//! The phones that are registered now: listed by the API, and kept over restarts.
//!
//! The SIP task notes each change and goes on; a task of its own writes what has changed once a
//! second, all of it in one transaction, because phones refresh every half minute.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::CredentialId;
use crate::run::clock;
use crate::sip::endpoint::Registration;
use crate::store::Store;
use crate::store::registration::{RegistrationChange, StoredRegistration};

/// How often changes are written. A crash forgets at most so much of them: the phone's next refresh
/// brings them back.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// The table; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Registrations {
    shared: Arc<Mutex<Table>>,
}

/// One phone of one account: its Contact.
type Key = (CredentialId, String);

#[derive(Debug, Default)]
struct Table {
    live: BTreeMap<Key, StoredRegistration>,
    /// What is not on the disk yet. Bounded like the registrar's own table.
    dirty: HashSet<Key>,
}

impl Registrations {
    /// With what an earlier run kept.
    pub fn restored(kept: &[StoredRegistration]) -> Self {
        let live = kept
            .iter()
            .map(|kept| (key(&kept.registration), kept.clone()));
        let table = Table {
            live: live.collect(),
            dirty: HashSet::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(table)),
        }
    }

    /// A phone registered or refreshed.
    pub fn note(&self, registration: Registration) {
        let mut table = self.lock();
        let key = key(&registration);
        let expires = registration.expires.as_nanos();
        let expires_at_unix_ns = clock::unix_ns() + i128::try_from(expires).unwrap_or(i128::MAX);
        let stored = StoredRegistration {
            registration,
            expires_at_unix_ns,
        };
        table.live.insert(key.clone(), stored);
        table.dirty.insert(key);
    }

    /// A phone signed off, or its registration ran out.
    pub fn forget(&self, registration: &Registration) {
        let mut table = self.lock();
        let key = key(registration);
        table.live.remove(&key);
        table.dirty.insert(key);
    }

    /// All of the accounts that `wanted` says, by account.
    pub fn list(&self, wanted: impl Fn(CredentialId) -> bool) -> Vec<StoredRegistration> {
        let table = self.lock();
        let all = table.live.iter().filter(|((owner, _), _)| wanted(*owner));
        all.map(|(_, registration)| registration.clone()).collect()
    }

    /// Writes changes as they come, for ever.
    pub async fn keep(self, store: Store) {
        let mut ticks = tokio::time::interval(WRITE_INTERVAL);
        loop {
            ticks.tick().await;
            self.write(&store).await;
        }
    }

    /// Writes what is not on the disk yet. What the store does not take is tried again.
    pub async fn write(&self, store: &Store) {
        let (keys, changes) = self.take_dirty();
        if changes.is_empty() {
            return;
        }
        if let Err(error) = store.keep_registrations(changes).await {
            tracing::warn!(%error, "registrations could not be written");
            self.lock().dirty.extend(keys);
        }
    }

    fn take_dirty(&self) -> (Vec<Key>, Vec<RegistrationChange>) {
        let mut table = self.lock();
        let keys: Vec<Key> = table.dirty.drain().collect();
        let change = |key: &Key| match table.live.get(key) {
            Some(kept) => RegistrationChange::Keep(Box::new(kept.clone())),
            None => RegistrationChange::Forget {
                credential: key.0,
                contact: key.1.clone(),
            },
        };
        let changes = keys.iter().map(change).collect();
        (keys, changes)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Every update is one map operation: a panic elsewhere leaves the table whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(registration: &Registration) -> Key {
    (registration.credential, registration.contact.clone())
}
