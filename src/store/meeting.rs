//! Meetings: the durable rooms that tokens and `sip:<meetingId>@host` name.

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::thread::Database;
use super::{Listed, Page, Store, StoreError, row};
use crate::id::{MeetingId, OrganizationId};
use crate::telemetry::metric::store::Operation;

/// Whether a meeting may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeetingStatus {
    /// It may.
    #[default]
    Active,
    /// Its owner closed it.
    Inactive,
}

impl MeetingStatus {
    /// As the API and the database spell it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }

    /// Reads [`Self::label`].
    pub fn from_label(label: &str) -> Option<Self> {
        match label {
            "ACTIVE" => Some(Self::Active),
            "INACTIVE" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// A durable meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Its id.
    pub id: MeetingId,
    /// Owner.
    pub organization: OrganizationId,
    /// Shown to people.
    pub title: String,
    /// Where its owner would like it to run.
    pub preferred_region: Option<String>,
    /// Start a recording with each session.
    pub record_on_start: bool,
    /// Start a livestream with each session.
    pub live_stream_on_start: bool,
    /// May it be joined.
    pub status: MeetingStatus,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// A meeting to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeetingDraft {
    /// Shown to people.
    pub title: String,
    /// Where its owner would like it to run.
    pub preferred_region: Option<String>,
    /// Start a recording with each session.
    pub record_on_start: bool,
    /// Start a livestream with each session.
    pub live_stream_on_start: bool,
}

/// What to change of a meeting; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeetingChange {
    /// New title.
    pub title: Option<String>,
    /// New region.
    pub preferred_region: Option<String>,
    /// New choice.
    pub record_on_start: Option<bool>,
    /// New choice.
    pub live_stream_on_start: Option<bool>,
    /// New status.
    pub status: Option<MeetingStatus>,
}

impl Store {
    /// The meeting of this id, whoever owns it; from memory if it was used lately.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn meeting(&self, id: MeetingId) -> Result<Option<Meeting>, StoreError> {
        if let Some(meeting) = self.published.meetings.get(&id) {
            return Ok(Some(meeting));
        }
        self.run(Operation::Read, move |db| read(db, id)).await
    }

    /// Makes a meeting.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn create_meeting(
        &self,
        organization: OrganizationId,
        draft: MeetingDraft,
    ) -> Result<Meeting, StoreError> {
        self.run(Operation::Write, move |db| {
            let meeting = insert(&db.conn, organization, draft, db.unix_ns())?;
            db.published.meetings.put(meeting.id, meeting.clone());
            Ok(meeting)
        })
        .await
    }

    /// An organisation's meetings, newest first; `search` narrows to titles and ids holding it.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn meetings(
        &self,
        organization: OrganizationId,
        search: Option<String>,
        page: Page,
    ) -> Result<Listed<Meeting>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let search = search.unwrap_or_default();
            let filter = "organization_id = ?1
                AND (?2 = '' OR instr(lower(title), lower(?2)) > 0 OR instr(id, lower(?2)) > 0)";
            let total = db.conn.query_row(
                &format!("SELECT count(*) FROM meetings WHERE {filter}"),
                params![organization, search],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(&format!(
                    "SELECT * FROM meetings WHERE {filter}
                     ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4"
                ))?
                .query_map(
                    params![organization, search, page.limit, page.offset],
                    from_row,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// Changes an organisation's meeting; `None` when it has no such meeting.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn update_meeting(
        &self,
        organization: OrganizationId,
        id: MeetingId,
        change: MeetingChange,
    ) -> Result<Option<Meeting>, StoreError> {
        self.run(Operation::Write, move |db| {
            let changed = db.conn.execute(
                "UPDATE meetings SET
                    title = coalesce(?3, title),
                    preferred_region = coalesce(?4, preferred_region),
                    record_on_start = coalesce(?5, record_on_start),
                    live_stream_on_start = coalesce(?6, live_stream_on_start),
                    status = coalesce(?7, status),
                    updated_at = ?8
                 WHERE id = ?1 AND organization_id = ?2",
                params![
                    id.to_string(),
                    organization.to_string(),
                    change.title,
                    change.preferred_region,
                    change.record_on_start,
                    change.live_stream_on_start,
                    change.status.map(MeetingStatus::label),
                    db.unix_ns(),
                ],
            )?;
            if changed == 0 {
                return Ok(None);
            }
            db.published.meetings.forget(&id);
            read(db, id)
        })
        .await
    }
}

pub(super) fn insert(
    conn: &Connection,
    organization: OrganizationId,
    draft: MeetingDraft,
    now: i64,
) -> rusqlite::Result<Meeting> {
    let id = MeetingId::from_random(rand::random());
    conn.query_row(
        "INSERT INTO meetings (id, organization_id, title, preferred_region, record_on_start,
            live_stream_on_start, status, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) RETURNING *",
        params![
            id.to_string(),
            organization.to_string(),
            draft.title,
            draft.preferred_region,
            draft.record_on_start,
            draft.live_stream_on_start,
            MeetingStatus::Active.label(),
            now,
        ],
        from_row,
    )
}

/// Reads a meeting and remembers it.
fn read(db: &Database, id: MeetingId) -> Result<Option<Meeting>, StoreError> {
    let meeting = db
        .conn
        .prepare_cached("SELECT * FROM meetings WHERE id = ?1")?
        .query_row([id.to_string()], from_row)
        .optional()?;
    if let Some(meeting) = &meeting {
        db.published.meetings.put(id, meeting.clone());
    }
    Ok(meeting)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Meeting> {
    let status: String = row.get("status")?;
    Ok(Meeting {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        title: row.get("title")?,
        preferred_region: row.get("preferred_region")?,
        record_on_start: row.get("record_on_start")?,
        live_stream_on_start: row.get("live_stream_on_start")?,
        // An unknown status can only come from a newer version: closed is the safe reading.
        status: MeetingStatus::from_label(&status).unwrap_or(MeetingStatus::Inactive),
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}
