//! Telling the outside world: what happens becomes an event on the disk, then a request.

pub mod deliver;
pub mod target;
mod tell;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::id::OrganizationId;
use crate::limits::WEBHOOK_EVENTS_WAITING_MAX;
use crate::store::Store;
pub(super) use tell::{CallFacts, call_event, ending, meeting_event, participant};

/// Every event there is.
pub const EVENTS: [&str; 12] = [
    "call.answered",
    "call.dtmf",
    "call.ended",
    "call.held",
    "call.missed",
    "call.resumed",
    "call.ringing",
    "call.transferred",
    "meeting.ended",
    "meeting.participantJoined",
    "meeting.participantLeft",
    "meeting.started",
];

/// Something that happened, or the wish to know that all before it is on the disk.
#[derive(Debug)]
enum Told {
    Event {
        organization: OrganizationId,
        event: &'static str,
        payload: String,
    },
    Flush(oneshot::Sender<()>),
}

/// Where what happens is told. Clones share it.
#[derive(Debug, Clone)]
pub struct Webhooks {
    store: Store,
    told: mpsc::Sender<Told>,
    wake: Arc<Notify>,
}

/// The other end: what has been told and is not on the disk yet.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    told: mpsc::Receiver<Told>,
    wake: Arc<Notify>,
}

impl Webhooks {
    /// The two ends.
    pub fn new(store: Store) -> (Self, Ledger) {
        let (sender, told) = mpsc::channel(WEBHOOK_EVENTS_WAITING_MAX);
        let wake = Arc::new(Notify::new());
        let ledger = Ledger {
            store: store.clone(),
            told,
            wake: Arc::clone(&wake),
        };
        let webhooks = Self {
            store,
            told: sender,
            wake,
        };
        (webhooks, ledger)
    }

    /// Wakes whoever posts.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Somebody wants this event.
    pub(super) fn wants(&self, organization: OrganizationId, event: &str) -> bool {
        let book = self.store.webhook_book();
        book.wanting(organization, event).next().is_some()
    }

    /// Tells an event, if somebody wants it. Never waits: what happens must not wait for the disk.
    pub(super) fn tell(
        &self,
        organization: OrganizationId,
        event: &'static str,
        payload: impl FnOnce() -> Value,
    ) {
        debug_assert!(EVENTS.contains(&event), "{event} is in the list");
        if !self.wants(organization, event) {
            return;
        }
        let told = Told::Event {
            organization,
            event,
            payload: payload().to_string(),
        };
        if self.told.try_send(told).is_err() {
            tracing::error!(event, "an event was lost: the store does not keep up");
        }
    }

    /// Waits until everything told before is on the disk.
    pub async fn flush(&self) {
        let (written, done) = oneshot::channel();
        if self.told.send(Told::Flush(written)).await.is_ok() {
            let _ledger_gone = done.await;
        }
    }
}

impl Ledger {
    /// Writes events down until nobody can tell any more.
    pub async fn keep(mut self) {
        while let Some(told) = self.told.recv().await {
            match told {
                Told::Event {
                    organization,
                    event,
                    payload,
                } => self.write(organization, event, payload).await,
                Told::Flush(written) => {
                    let _nobody_waits = written.send(());
                }
            }
        }
    }

    async fn write(&self, organization: OrganizationId, event: &'static str, payload: String) {
        match self.store.queue_event(organization, event, payload).await {
            Ok(full) => {
                if full > 0 {
                    tracing::warn!(event, webhooks = full, "webhooks have no room for an event");
                }
                self.wake.notify_one();
            }
            Err(error) => tracing::error!(event, %error, "an event could not be written down"),
        }
    }
}
