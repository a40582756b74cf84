//! The history of sessions: when each ran and who was in it. The live state is the directory's;
//! rows follow its events.

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::{Duration, OffsetDateTime};

use super::{Listed, Page, Store, StoreError, row};
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::participant::ParticipantKind;
use crate::telemetry::metric::store::Operation;

/// One live instance of a meeting, running or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its id.
    pub id: SessionId,
    /// Owner of the meeting.
    pub organization: OrganizationId,
    /// The meeting.
    pub meeting: MeetingId,
    /// The meeting's title when it started.
    pub meeting_title: String,
    /// When the first participant came.
    pub started_at: OffsetDateTime,
    /// When it ended, if it has.
    pub ended_at: Option<OffsetDateTime>,
    /// In it now.
    pub live_participants: u32,
    /// In it at once, at most.
    pub max_concurrent_participants: u32,
    /// Everybody's time in it, added up.
    pub time_consumed: Duration,
    /// The process died during it; `ended_at` is the next start.
    pub interrupted: bool,
}

/// One stay of a participant in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionParticipant {
    /// Who.
    pub participant: ParticipantId,
    /// Name shown.
    pub name: String,
    /// Browser or phone.
    pub kind: ParticipantKind,
    /// The API user's own reference.
    pub custom_participant_id: Option<String>,
    /// When they came.
    pub joined_at: OffsetDateTime,
    /// When they left, if they have.
    pub left_at: Option<OffsetDateTime>,
}

/// A session's columns and the time people spent in it; `?2` is now, the end of a stay
/// that lasts.
const COLUMNS: &str = "sessions.*,
    (SELECT coalesce(sum(max(0, coalesce(left_at, ?2) - joined_at)), 0)
     FROM session_participants WHERE session_id = sessions.id) AS consumed_ns";

/// Which sessions are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of this meeting only.
    pub meeting: Option<MeetingId>,
    /// Live (true) or ended (false) ones only.
    pub live: Option<bool>,
}

impl Store {
    /// A session began. Told twice, it is written once.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session_started(
        &self,
        id: SessionId,
        organization: OrganizationId,
        meeting: MeetingId,
        meeting_title: String,
        at_unix_ns: i128,
    ) -> Result<(), StoreError> {
        self.run_always(Operation::Write, move |db| {
            db.conn.execute(
                "INSERT OR IGNORE INTO sessions
                    (id, organization_id, meeting_id, meeting_title, started_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    id.to_string(),
                    organization.to_string(),
                    meeting.to_string(),
                    meeting_title,
                    row::ns(at_unix_ns),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// A session ended; whoever was still in it has left.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session_ended(&self, id: SessionId, at_unix_ns: i128) -> Result<(), StoreError> {
        self.run_always(Operation::Write, move |db| {
            let now = row::ns(at_unix_ns);
            let tx = db.write()?;
            tx.execute(
                "UPDATE session_participants SET left_at = ?2
                 WHERE session_id = ?1 AND left_at IS NULL",
                params![id.to_string(), now],
            )?;
            tx.execute(
                "UPDATE sessions SET ended_at = ?2, live_participants = 0
                 WHERE id = ?1 AND ended_at IS NULL",
                params![id.to_string(), now],
            )?;
            Ok(tx.commit()?)
        })
        .await
    }

    /// A participant came into a session.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session_joined(
        &self,
        id: SessionId,
        participant: ParticipantId,
        name: String,
        kind: ParticipantKind,
        custom_participant_id: Option<String>,
        at_unix_ns: i128,
    ) -> Result<(), StoreError> {
        self.run_always(Operation::Write, move |db| {
            let now = row::ns(at_unix_ns);
            let tx = db.write()?;
            tx.execute(
                "INSERT INTO session_participants (session_id, participant_id, name, kind,
                    custom_participant_id, joined_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    id.to_string(),
                    participant.to_string(),
                    name,
                    kind_label(kind),
                    custom_participant_id,
                    now,
                ],
            )?;
            count_live(&tx, id)?;
            Ok(tx.commit()?)
        })
        .await
    }

    /// A participant left a session.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session_left(
        &self,
        id: SessionId,
        participant: ParticipantId,
        at_unix_ns: i128,
    ) -> Result<(), StoreError> {
        self.run_always(Operation::Write, move |db| {
            let now = row::ns(at_unix_ns);
            let tx = db.write()?;
            // The oldest open stay: a replaced seat leaves after its successor has come.
            tx.execute(
                "UPDATE session_participants SET left_at = ?3 WHERE rowid =
                    (SELECT min(rowid) FROM session_participants
                     WHERE session_id = ?1 AND participant_id = ?2 AND left_at IS NULL)",
                params![id.to_string(), participant.to_string(), now],
            )?;
            count_live(&tx, id)?;
            Ok(tx.commit()?)
        })
        .await
    }

    /// An organisation's sessions, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn sessions(
        &self,
        organization: OrganizationId,
        filter: SessionFilter,
        page: Page,
    ) -> Result<Listed<StoredSession>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let meeting = filter.meeting.map(|id| id.to_string());
            let now = db.unix_ns();
            // ?2 is the time now, which only the columns need.
            let matching = "organization_id = ?1 AND ?2 IS NOT NULL
                AND (?3 IS NULL OR meeting_id = ?3)
                AND (?4 IS NULL OR (ended_at IS NULL) = ?4)";
            let total = db.conn.query_row(
                &format!("SELECT count(*) FROM sessions WHERE {matching}"),
                params![organization, now, meeting, filter.live],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM sessions WHERE {matching}
                     ORDER BY started_at DESC, id LIMIT ?5 OFFSET ?6"
                ))?
                .query_map(
                    params![
                        organization,
                        now,
                        meeting,
                        filter.live,
                        page.limit,
                        page.offset
                    ],
                    from_row,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// An organisation's session, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session(
        &self,
        organization: OrganizationId,
        id: SessionId,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(db
                .conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM sessions WHERE id = ?1 AND organization_id = ?3"
                ))?
                .query_row(
                    params![id.to_string(), db.unix_ns(), organization.to_string()],
                    from_row,
                )
                .optional()?)
        })
        .await
    }

    /// The stays in a session, in the order they began.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn session_participants(
        &self,
        id: SessionId,
        page: Page,
    ) -> Result<Listed<SessionParticipant>, StoreError> {
        self.run(Operation::Read, move |db| {
            let total = db.conn.query_row(
                "SELECT count(*) FROM session_participants WHERE session_id = ?1",
                [id.to_string()],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(
                    "SELECT * FROM session_participants WHERE session_id = ?1
                     ORDER BY rowid LIMIT ?2 OFFSET ?3",
                )?
                .query_map(
                    params![id.to_string(), page.limit, page.offset],
                    stay_from_row,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }
}

/// Ends the sessions that a process which died left open, as of `now`; returns how many.
pub(super) fn end_interrupted(conn: &Connection, now: i64) -> rusqlite::Result<usize> {
    conn.execute(
        "UPDATE session_participants SET left_at = ?1 WHERE left_at IS NULL",
        [now],
    )?;
    conn.execute(
        "UPDATE sessions SET ended_at = ?1, live_participants = 0, interrupted = 1
         WHERE ended_at IS NULL",
        [now],
    )
}

fn count_live(conn: &Connection, id: SessionId) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE sessions SET
            live_participants = live.n,
            max_concurrent_participants = max(max_concurrent_participants, live.n)
         FROM (SELECT count(DISTINCT participant_id) AS n FROM session_participants
               WHERE session_id = ?1 AND left_at IS NULL) AS live
         WHERE id = ?1",
        [id.to_string()],
    )?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    Ok(StoredSession {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        meeting: row::id(row, "meeting_id")?,
        meeting_title: row.get("meeting_title")?,
        started_at: row::time(row, "started_at")?,
        ended_at: row::time_opt(row, "ended_at")?,
        live_participants: row.get("live_participants")?,
        max_concurrent_participants: row.get("max_concurrent_participants")?,
        time_consumed: Duration::nanoseconds(row.get("consumed_ns")?),
        interrupted: row.get("interrupted")?,
    })
}

fn stay_from_row(row: &Row<'_>) -> rusqlite::Result<SessionParticipant> {
    let kind: String = row.get("kind")?;
    Ok(SessionParticipant {
        participant: row::id(row, "participant_id")?,
        name: row.get("name")?,
        kind: if kind == kind_label(ParticipantKind::Robo) {
            ParticipantKind::Robo
        } else {
            ParticipantKind::Browser
        },
        custom_participant_id: row.get("custom_participant_id")?,
        joined_at: row::time(row, "joined_at")?,
        left_at: row::time_opt(row, "left_at")?,
    })
}

fn kind_label(kind: ParticipantKind) -> &'static str {
    match kind {
        ParticipantKind::Browser => "browser",
        ParticipantKind::Robo => "robo",
    }
}
