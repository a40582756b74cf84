//! The thread that owns the database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc;

use super::cache::Cache;
use super::call::{self, CallWrite};
use super::credential::{self, CredentialBook};
use super::first_start;
use super::meeting::Meeting;
use super::organization::{self, ApiKeyBook};
use super::schema::{self, MigrateError};
use super::session;
use super::trunk::{self, TrunkBook};
use super::webhook::{self, WebhookBook};
use super::{OpenError, Store, StoreClock, StoreError, StoreOptions};
use crate::id::{MeetingId, OrganizationId};
use crate::limits::{
    STORE_BATCH_CALLS_MAX, STORE_LOCK_WAIT_MAX, STORE_MEETINGS_CACHED_MAX,
    STORE_PRESETS_CACHED_MAX, STORE_QUEUE_JOBS_MAX,
};
use crate::meeting::preset::Preset;
use crate::telemetry::metric::store::StoreMetrics;

/// Work for the thread; it carries its own way to reply.
pub(super) enum Job {
    /// Anything, in transactions of its own.
    Work(Box<dyn FnOnce(&mut Database) + Send>),
    /// A call's record: those that wait together are written together.
    Call(Box<CallWrite>),
}

/// Name of the database in the data folder.
pub(super) const DATABASE_FILE: &str = "ringbridge.db";
/// Name of the file whose lock says that a process of ours uses the folder.
const LOCK_FILE: &str = "ringbridge.lock";

/// What the thread publishes for everybody to read without asking it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) credentials: ArcSwap<CredentialBook>,
    pub(super) api_keys: ArcSwap<ApiKeyBook>,
    pub(super) trunks: ArcSwap<TrunkBook>,
    pub(super) webhooks: ArcSwap<WebhookBook>,
    pub(super) meetings: Cache<MeetingId, Meeting>,
    pub(super) presets: Cache<(OrganizationId, String), Preset>,
}

/// What the thread owns.
pub(super) struct Database {
    pub(super) conn: Connection,
    pub(super) published: Arc<Published>,
    pub(super) metrics: StoreMetrics,
    clock: StoreClock,
    realm: String,
    /// Held, never read: the lock ends with it.
    _lock: File,
}

impl Database {
    /// Now, as columns hold times.
    pub(super) fn unix_ns(&self) -> i64 {
        super::row::ns((self.clock.unix_ns)())
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock.now)()
    }

    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// A transaction that takes the write lock at once.
    pub(super) fn write(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Moves what the write-ahead log holds into the database and empties it.
    pub(super) fn fold_log(&self) -> rusqlite::Result<()> {
        self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Reads the credentials again and publishes them.
    pub(super) fn publish_credentials(&self) -> Result<(), StoreError> {
        let book = credential::load_book(&self.conn)?;
        self.published.credentials.store(Arc::new(book));
        Ok(())
    }

    /// Reads the trunks and routing rules again and publishes them.
    pub(super) fn publish_trunks(&self) -> Result<(), StoreError> {
        let book = trunk::load_book(&self.conn)?;
        self.published.trunks.store(Arc::new(book));
        Ok(())
    }

    /// Reads the webhooks again and publishes them.
    pub(super) fn publish_webhooks(&self) -> Result<(), StoreError> {
        let book = webhook::load_book(&self.conn)?;
        self.published.webhooks.store(Arc::new(book));
        Ok(())
    }
}

pub(super) fn open(dir: &Path, options: StoreOptions) -> Result<Store, OpenError> {
    let StoreOptions {
        realm,
        clock,
        metrics,
    } = options;
    make_folder(dir)?;
    let lock = take_lock(&dir.join(LOCK_FILE))?;
    let path = dir.join(DATABASE_FILE);
    let mut conn = connect(&path)?;
    let on_sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path.clone(), &error);

    schema::migrate(&mut conn, schema::MIGRATIONS).map_err(|error| match error {
        MigrateError::Newer { found, known } => OpenError::Newer {
            path: path.clone(),
            found,
            known,
        },
        MigrateError::Sqlite(error) => on_sqlite(error),
    })?;
    let now = super::row::ns((clock.unix_ns)());
    let (settings, first_start) =
        first_start::settle(&mut conn, &realm, now).map_err(&on_sqlite)?;
    let interrupted = session::end_interrupted(&conn, now).map_err(&on_sqlite)?;
    if interrupted > 0 {
        tracing::warn!(
            sessions = interrupted,
            "ended sessions that an earlier process left open"
        );
    }

    let cut_off = call::end_interrupted(&conn).map_err(&on_sqlite)?;
    if cut_off > 0 {
        tracing::warn!(
            calls = cut_off,
            "ended calls that an earlier process left open"
        );
    }

    let published = Arc::new(Published {
        credentials: ArcSwap::from_pointee(credential::load_book(&conn).map_err(&on_sqlite)?),
        api_keys: ArcSwap::from_pointee(organization::load_keys(&conn).map_err(&on_sqlite)?),
        trunks: ArcSwap::from_pointee(trunk::load_book(&conn).map_err(&on_sqlite)?),
        webhooks: ArcSwap::from_pointee(webhook::load_book(&conn).map_err(&on_sqlite)?),
        meetings: Cache::new(STORE_MEETINGS_CACHED_MAX),
        presets: Cache::new(STORE_PRESETS_CACHED_MAX),
    });
    let (jobs, queue) = mpsc::channel(STORE_QUEUE_JOBS_MAX);
    let database = Database {
        conn,
        published: Arc::clone(&published),
        metrics: metrics.clone(),
        clock,
        realm: settings.realm.clone(),
        _lock: lock,
    };
    std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || serve(database, queue))
        .map_err(|source| OpenError::Folder {
            path: path.clone(),
            source,
        })?;
    Ok(Store {
        jobs,
        published,
        settings: Arc::new(settings),
        first_start: first_start.map(Arc::new),
        metrics,
    })
}

/// The thread's life: one job at a time until the last handle is gone.
fn serve(mut database: Database, mut queue: mpsc::Receiver<Job>) {
    let mut held = None;
    while let Some(job) = held.take().or_else(|| queue.blocking_recv()) {
        database
            .metrics
            .queue_depth
            .set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        // A panic in one job is that job's failure: its caller sees the reply's sender dropped, an
        // open transaction rolls back, and the next job finds the connection as it was.
        let database = &mut database;
        let done = catch_unwind(AssertUnwindSafe(|| match job {
            Job::Work(work) => work(database),
            Job::Call(first) => {
                let batch = waiting_calls(*first, &mut queue, &mut held);
                call::write_batch(database, batch);
            }
        }));
        if done.is_err() {
            tracing::error!("a store job panicked; it was rolled back");
        }
    }
    if let Err(error) = database.fold_log() {
        tracing::warn!(%error, "the database's log could not be folded in; the next start will");
    }
}

/// The record at hand and those right behind it; whatever else comes next is held back.
fn waiting_calls(
    first: CallWrite,
    queue: &mut mpsc::Receiver<Job>,
    held: &mut Option<Job>,
) -> Vec<CallWrite> {
    let mut batch = vec![first];
    while batch.len() < STORE_BATCH_CALLS_MAX {
        match queue.try_recv() {
            Ok(Job::Call(next)) => batch.push(*next),
            Ok(other) => {
                *held = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    batch
}

fn make_folder(dir: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| OpenError::Folder {
            path: dir.to_owned(),
            source,
        })
}

fn private_file(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::Folder {
            path: path.to_owned(),
            source,
        })
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let file = private_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::Folder {
            path: path.to_owned(),
            source,
        }),
    }
}

fn connect(path: &PathBuf) -> Result<Connection, OpenError> {
    let on_sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path.clone(), &error);
    // Made by us first, since SQLite would make it readable by everybody; its log and index
    // inherit the mode.
    drop(private_file(path)?);
    let conn = Connection::open(path).map_err(on_sqlite)?;
    conn.busy_timeout(STORE_LOCK_WAIT_MAX).map_err(on_sqlite)?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(on_sqlite)?;
    if mode != "wal" {
        return Err(OpenError::Unusable {
            path: path.clone(),
            reason: format!("write-ahead log refused, journal mode is {mode}"),
        });
    }
    // FULL: a commit is on the disk before its reply, whatever happens to the power.
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .map_err(on_sqlite)?;
    Ok(conn)
}
