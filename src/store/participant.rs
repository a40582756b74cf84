//! Participants as the API creates them: a name, a preset and, through their token, a seat. Who is
//! in a session right now is the directory's to say.

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::{Listed, Page, Store, StoreError, row};
use crate::id::{MeetingId, ParticipantId};
use crate::telemetry::metric::store::Operation;

/// Someone invited to a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredParticipant {
    /// Its id, the same in every session it joins.
    pub id: ParticipantId,
    /// The meeting.
    pub meeting: MeetingId,
    /// Shown to everyone.
    pub name: String,
    /// Address of a picture.
    pub picture: Option<String>,
    /// Name of its preset.
    pub preset_name: String,
    /// The API user's own reference.
    pub custom_participant_id: Option<String>,
    /// What its tokens must carry: another number revokes all before.
    pub token_serial: u32,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// A participant to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParticipantDraft {
    /// Shown to everyone.
    pub name: String,
    /// Address of a picture.
    pub picture: Option<String>,
    /// Name of its preset.
    pub preset_name: String,
    /// The API user's own reference.
    pub custom_participant_id: Option<String>,
}

/// What to change of a participant; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParticipantChange {
    /// New name.
    pub name: Option<String>,
    /// New picture.
    pub picture: Option<String>,
    /// New preset.
    pub preset_name: Option<String>,
    /// New reference.
    pub custom_participant_id: Option<String>,
}

impl Store {
    /// Makes a participant of a meeting that exists.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn create_participant(
        &self,
        meeting: MeetingId,
        draft: ParticipantDraft,
    ) -> Result<StoredParticipant, StoreError> {
        self.run(Operation::Write, move |db| {
            let id = ParticipantId::from_random(rand::random());
            Ok(db.conn.query_row(
                "INSERT INTO participants (id, meeting_id, name, picture, preset_name,
                    custom_participant_id, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING *",
                params![
                    id.to_string(),
                    meeting.to_string(),
                    draft.name,
                    draft.picture,
                    draft.preset_name,
                    draft.custom_participant_id,
                    db.unix_ns(),
                ],
                from_row,
            )?)
        })
        .await
    }

    /// A meeting's participant, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn participant(
        &self,
        meeting: MeetingId,
        id: ParticipantId,
    ) -> Result<Option<StoredParticipant>, StoreError> {
        self.run(Operation::Read, move |db| read(&db.conn, meeting, id))
            .await
    }

    /// A meeting's participants, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn participants(
        &self,
        meeting: MeetingId,
        page: Page,
    ) -> Result<Listed<StoredParticipant>, StoreError> {
        self.run(Operation::Read, move |db| {
            let meeting = meeting.to_string();
            let total = db.conn.query_row(
                "SELECT count(*) FROM participants WHERE meeting_id = ?1",
                [&meeting],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(
                    "SELECT * FROM participants WHERE meeting_id = ?1
                     ORDER BY created_at DESC, id LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![meeting, page.limit, page.offset], from_row)?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// Changes a meeting's participant; `None` when it has no such participant.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn update_participant(
        &self,
        meeting: MeetingId,
        id: ParticipantId,
        change: ParticipantChange,
    ) -> Result<Option<StoredParticipant>, StoreError> {
        self.run(Operation::Write, move |db| {
            db.conn.execute(
                "UPDATE participants SET
                    name = coalesce(?3, name),
                    picture = coalesce(?4, picture),
                    preset_name = coalesce(?5, preset_name),
                    custom_participant_id = coalesce(?6, custom_participant_id),
                    updated_at = ?7
                 WHERE id = ?1 AND meeting_id = ?2",
                params![
                    id.to_string(),
                    meeting.to_string(),
                    change.name,
                    change.picture,
                    change.preset_name,
                    change.custom_participant_id,
                    db.unix_ns(),
                ],
            )?;
            read(&db.conn, meeting, id)
        })
        .await
    }

    /// Makes all tokens of a meeting's participant worthless; `None` when it has no such
    /// participant.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn revoke_tokens(
        &self,
        meeting: MeetingId,
        id: ParticipantId,
    ) -> Result<Option<StoredParticipant>, StoreError> {
        self.run(Operation::Write, move |db| {
            Ok(db
                .conn
                .prepare_cached(
                    "UPDATE participants SET token_serial = token_serial + 1, updated_at = ?3
                     WHERE id = ?1 AND meeting_id = ?2 RETURNING *",
                )?
                .query_row(
                    params![id.to_string(), meeting.to_string(), db.unix_ns()],
                    from_row,
                )
                .optional()?)
        })
        .await
    }

    /// Removes a meeting's participant, so that its tokens open nothing; false when there was none.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_participant(
        &self,
        meeting: MeetingId,
        id: ParticipantId,
    ) -> Result<bool, StoreError> {
        self.run(Operation::Write, move |db| {
            let removed = db.conn.execute(
                "DELETE FROM participants WHERE id = ?1 AND meeting_id = ?2",
                params![id.to_string(), meeting.to_string()],
            )?;
            Ok(removed > 0)
        })
        .await
    }
}

fn read(
    conn: &Connection,
    meeting: MeetingId,
    id: ParticipantId,
) -> Result<Option<StoredParticipant>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT * FROM participants WHERE id = ?1 AND meeting_id = ?2")?
        .query_row(params![id.to_string(), meeting.to_string()], from_row)
        .optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredParticipant> {
    Ok(StoredParticipant {
        id: row::id(row, "id")?,
        meeting: row::id(row, "meeting_id")?,
        name: row.get("name")?,
        picture: row.get("picture")?,
        preset_name: row.get("preset_name")?,
        custom_participant_id: row.get("custom_participant_id")?,
        token_serial: row.get("token_serial")?,
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}
