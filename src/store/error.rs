//! What can go wrong with the store: when it is opened, and when it is used.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// The database could not be opened. Each message names the file and says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be made or its files not created.
    #[error("data folder {}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process of ours has it.
    #[error("{}: another ringbridge is running on this data folder", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// Another program holds a lock on it.
    #[error(
        "{}: the database is locked by another program; close it and start again",
        path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Not a database, or damaged.
    #[error(
        "{}: not a database or damaged ({reason}); restore a backup or move it away",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// Written by a newer version.
    #[error(
        "{}: written by a newer ringbridge (schema {found}, this one knows up to {known}); \
         upgrade, or restore the backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest we know.
        known: i64,
    },
    /// Anything else SQLite refuses: permissions, a full disk, a read-only file system.
    #[error("{}: cannot use the database: {reason}", path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl OpenError {
    /// Classifies what SQLite said about the database at `path`.
    pub(super) fn from_sqlite(path: PathBuf, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                path,
                reason: error.to_string(),
            },
            _ => Self::Unusable {
                path,
                reason: error.to_string(),
            },
        }
    }
}

/// An operation on the open store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The queue was full or the disk slow for too long; worth trying again.
    #[error("the store did not answer in time")]
    Busy,
    /// The store's thread has ended, or the work panicked.
    #[error("the store is closed")]
    Closed,
    /// A rule of the data forbids it; the caller must change the request.
    #[error("conflict: {0:?}")]
    Conflict(Conflict),
    /// The database refused: disk full, locked, damaged.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// A uniqueness rule that was about to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// SIP user names are unique over all organisations.
    UsernameTaken,
    /// Preset names are unique in their organisation.
    PresetNameTaken,
    /// The organisation has as many of these as it may have.
    TooMany,
}

impl StoreError {
    /// Names a broken uniqueness rule, passing anything else on.
    pub(super) fn or_conflict(error: rusqlite::Error, conflict: Conflict) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Conflict(conflict),
            _ => Self::Database(error),
        }
    }
}
