//! The tables and their history. A database remembers how many steps it has taken in SQLite's
//! `user_version`; each step runs once, in a transaction of its own.

use rusqlite::{Connection, TransactionBehavior};

/// Steps in order; a released one is never changed, only followed by another.
pub(super) const MIGRATIONS: &[&str] = &[
    FIRST,
    SESSIONS_AND_CALLS,
    TRUNKS,
    REGISTRATIONS,
    WEBHOOKS,
    CALL_TIMELINES,
    CALL_QUALITY,
    TOKEN_SERIALS,
];

const FIRST: &str = "
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    hash            BLOB PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE meetings (
    id                   TEXT PRIMARY KEY,
    organization_id      TEXT NOT NULL REFERENCES organizations (id),
    title                TEXT NOT NULL,
    preferred_region     TEXT,
    record_on_start      INTEGER NOT NULL,
    live_stream_on_start INTEGER NOT NULL,
    status               TEXT NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL
) STRICT;
CREATE INDEX meetings_by_organization ON meetings (organization_id, created_at);

CREATE TABLE presets (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    document        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;

CREATE TABLE participants (
    id                    TEXT PRIMARY KEY,
    meeting_id            TEXT NOT NULL REFERENCES meetings (id),
    name                  TEXT NOT NULL,
    picture               TEXT,
    preset_name           TEXT NOT NULL,
    custom_participant_id TEXT,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX participants_by_meeting ON participants (meeting_id, created_at);

CREATE TABLE sip_credentials (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    username        TEXT NOT NULL UNIQUE,
    ha1_md5         TEXT NOT NULL,
    ha1_sha256      TEXT NOT NULL,
    meetings        TEXT,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX sip_credentials_by_organization ON sip_credentials (organization_id, created_at);
";

const SESSIONS_AND_CALLS: &str = "
CREATE TABLE sessions (
    id                          TEXT PRIMARY KEY,
    organization_id             TEXT NOT NULL,
    meeting_id                  TEXT NOT NULL,
    meeting_title               TEXT NOT NULL,
    started_at                  INTEGER NOT NULL,
    ended_at                    INTEGER,
    live_participants           INTEGER NOT NULL DEFAULT 0,
    max_concurrent_participants INTEGER NOT NULL DEFAULT 0,
    interrupted                 INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_organization ON sessions (organization_id, started_at);
CREATE INDEX sessions_by_meeting ON sessions (meeting_id, started_at);
CREATE INDEX sessions_open ON sessions (id) WHERE ended_at IS NULL;

CREATE TABLE session_participants (
    session_id            TEXT NOT NULL REFERENCES sessions (id),
    participant_id        TEXT NOT NULL,
    name                  TEXT NOT NULL,
    kind                  TEXT NOT NULL,
    custom_participant_id TEXT,
    joined_at             INTEGER NOT NULL,
    left_at               INTEGER
) STRICT;
CREATE INDEX session_participants_by_session ON session_participants (session_id, joined_at);

CREATE TABLE calls (
    id                TEXT PRIMARY KEY,
    organization_id   TEXT NOT NULL,
    meeting_id        TEXT,
    session_id        TEXT,
    participant_id    TEXT,
    credential_id     TEXT,
    sip_call_id       TEXT NOT NULL,
    caller            TEXT NOT NULL,
    profile           TEXT NOT NULL,
    started_at        INTEGER NOT NULL,
    answered_at       INTEGER,
    ended_at          INTEGER NOT NULL,
    setup_ns          INTEGER,
    sip_status        INTEGER NOT NULL,
    reason            TEXT NOT NULL,
    outcome           TEXT NOT NULL,
    packets_received  INTEGER,
    packets_sent      INTEGER,
    packets_lost      INTEGER,
    packets_discarded INTEGER,
    jitter_ms         REAL,
    concealed_ms      INTEGER,
    remote_loss       REAL,
    round_trip_ms     REAL
) STRICT;
CREATE INDEX calls_by_organization ON calls (organization_id, started_at);
CREATE INDEX calls_by_meeting ON calls (meeting_id, started_at);
";

const TRUNKS: &str = "
CREATE TABLE sip_trunks (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    document        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX sip_trunks_by_organization ON sip_trunks (organization_id, created_at);

CREATE TABLE sip_routing_rules (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    document        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX sip_routing_rules_by_organization
    ON sip_routing_rules (organization_id, created_at);
";

const REGISTRATIONS: &str = "
CREATE TABLE registrations (
    credential_id TEXT NOT NULL,
    contact       TEXT NOT NULL,
    username      TEXT NOT NULL,
    contact_value TEXT NOT NULL,
    instance      TEXT,
    user_agent    TEXT,
    transport     TEXT NOT NULL,
    local         TEXT NOT NULL,
    remote        TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    cseq          INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (credential_id, contact)
) STRICT, WITHOUT ROWID;
";

const WEBHOOKS: &str = "
CREATE TABLE webhooks (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    document        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_by_organization ON webhooks (organization_id, created_at);

CREATE TABLE webhook_deliveries (
    id              TEXT PRIMARY KEY,
    webhook_id      TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    organization_id TEXT NOT NULL,
    event           TEXT NOT NULL,
    payload         TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    status          TEXT NOT NULL,
    attempts        INTEGER NOT NULL,
    next_at         INTEGER,
    finished_at     INTEGER,
    last_status     INTEGER,
    last_error      TEXT
) STRICT;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at)
    WHERE status = 'PENDING';
";

/// A call's row is written at its 200, `open`, and again at its end.
const CALL_TIMELINES: &str = "
ALTER TABLE calls ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN timeline TEXT;
CREATE INDEX calls_open ON calls (id) WHERE open = 1;
";

/// Each way of a call's media and its curve, as JSON: read whole, searched by nobody.
const CALL_QUALITY: &str = "
ALTER TABLE calls ADD COLUMN quality TEXT;
";

const TOKEN_SERIALS: &str = "
ALTER TABLE participants ADD COLUMN token_serial INTEGER NOT NULL DEFAULT 0;
";

/// The database's schema version is `found`, newer than `known`.
pub(super) enum MigrateError {
    Newer { found: i64, known: i64 },
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Takes the steps that `conn`'s database has not taken yet.
pub(super) fn migrate(conn: &mut Connection, steps: &[&str]) -> Result<(), MigrateError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if !(0..=known).contains(&found) {
        return Err(MigrateError::Newer { found, known });
    }
    let taken = usize::try_from(found).unwrap_or(0);
    for (index, step) in steps.iter().enumerate().skip(taken) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.execute_batch(&format!("PRAGMA user_version = {}", index + 1))?;
        tx.commit()?;
        tracing::info!(schema = index + 1, "database schema upgraded");
    }
    Ok(())
}
