//! What outlives the process: SQLite behind one thread and a bounded channel.
//!
//! One OS thread owns the connection; everybody else sends it jobs and awaits the reply, at most
//! [`STORE_REPLY_MAX`]. What an INVITE or a request needs before anything else (SIP credentials,
//! API keys) is published as an in-memory snapshot whenever it changes, so that nobody waits on the
//! disk to be told who they are. A write is on the disk when its reply arrives.
//!
//! One file per noun; `thread` is the owner, `schema` the tables and their history.

mod cache;
mod error;
mod first_start;
mod preset_document;
mod row;
mod schema;
mod thread;

pub mod analytics;
pub mod call;
pub mod credential;
pub mod document;
pub mod meeting;
pub mod organization;
pub mod page;
pub mod participant;
pub mod preset;
pub mod registration;
pub mod routing_rule;
pub mod session;
pub mod trunk;
pub mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::id::{MeetingId, OrganizationId};
use crate::limits::STORE_REPLY_MAX;
use crate::telemetry::metric::store::{Operation, StoreMetrics};

pub use credential::CredentialBook;
pub use error::{Conflict, OpenError, StoreError};
pub use first_start::FirstStart;
pub use meeting::Meeting;
pub use organization::ApiKeyBook;
pub use page::{Listed, Page};
use thread::{Database, Job, Published};

/// How the store reads the time: given by the shell, since only `run::clock` reads the clocks.
#[derive(Debug, Clone, Copy)]
pub struct StoreClock {
    /// Wallclock in nanoseconds since the Unix epoch; stamps rows.
    pub unix_ns: fn() -> i128,
    /// Monotonic; measures how long jobs take.
    pub now: fn() -> Instant,
}

/// What [`Store::open`] needs to know.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Digest realm of a new database; one that exists keeps its own, since HA1 depends on it.
    pub realm: String,
    /// The clocks.
    pub clock: StoreClock,
    /// Where figures go.
    pub metrics: StoreMetrics,
}

/// Realm of a new database when nothing else is said.
pub const DEFAULT_REALM: &str = "ringbridge";

/// Fixed at first start, the same for the life of the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Digest realm of every SIP credential.
    pub realm: String,
    /// Key of the join tokens' signature.
    pub token_secret: [u8; 32],
    /// The organisation made at first start.
    pub first_organization: OrganizationId,
    /// The demo meeting made at first start.
    pub demo_meeting: MeetingId,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Handle to the store's thread. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    published: Arc<Published>,
    settings: Arc<Settings>,
    first_start: Option<Arc<FirstStart>>,
    metrics: StoreMetrics,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or creates the database in `dir` (made if missing, readable by its owner only) and
    /// starts its thread.
    ///
    /// # Errors
    /// When the folder or file cannot be used; the operator must act. The message names the file.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        thread::open(dir, options)
    }

    /// What was fixed at first start.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The secrets of the first start, if this process made the database; never stored in clear.
    pub fn first_start(&self) -> Option<&FirstStart> {
        self.first_start.as_deref()
    }

    /// The SIP credentials as of now.
    pub fn credentials(&self) -> Arc<CredentialBook> {
        self.published.credentials.load_full()
    }

    /// The API keys as of now.
    pub fn api_keys(&self) -> Arc<ApiKeyBook> {
        self.published.api_keys.load_full()
    }

    /// Writes a row and commits it, to see whether the disk takes it.
    ///
    /// # Errors
    /// As any write's.
    pub async fn is_writable(&self) -> Result<(), StoreError> {
        self.run(Operation::Probe, |db| {
            let now = db.unix_ns();
            db.conn.execute(
                "INSERT INTO settings (key, value) VALUES ('writable_at', ?1)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [now],
            )?;
            Ok(())
        })
        .await
    }

    /// Waits for what is queued and folds the log into the database, so that a stopped server
    /// leaves one file to back up. Nothing is lost without it: the next start does the same.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.run_always(Operation::Write, |db| Ok(db.fold_log()?))
            .await
    }

    /// Runs `work` on the store's thread and awaits its result. Work whose caller has given up is
    /// skipped, so that [`StoreError::Busy`] means "not done" unless it was already running.
    async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(operation, false, work).await
    }

    /// As [`Self::run`], but once queued the work is done even if its caller has given up.
    async fn run_always<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(operation, true, work).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        operation: Operation,
        always: bool,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Work(Box::new(move |db: &mut Database| {
            if reply.is_closed() && !always {
                return;
            }
            let began = db.now();
            let result = work(db);
            db.metrics
                .done(operation, db.now() - began, result.is_err());
            // The caller may have given up meanwhile; there is nobody else to tell.
            drop(reply.send(result));
        }));
        let exchange = async {
            self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| StoreError::Closed)?
        };
        match tokio::time::timeout(STORE_REPLY_MAX, exchange).await {
            Ok(result) => result,
            Err(_) => {
                self.metrics.busy.inc();
                Err(StoreError::Busy)
            }
        }
    }
}

#[cfg(test)]
mod tests;
