//! Presets: what participants may do, as the document API users write, and the rules the session
//! enforces derived from it. Parts of a document that no rule is made of yet are kept as given.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use time::OffsetDateTime;

pub use super::preset_document::PresetDocument;
use super::preset_document::{host, participant, phone, viewer};
use super::thread::Database;
use super::{Conflict, Listed, Page, Store, StoreError, row};
use crate::id::{OrganizationId, PresetId};
use crate::meeting::preset::Preset;
use crate::telemetry::metric::store::Operation;

/// Default preset of hosts.
pub const PRESET_HOST: &str = "group_call_host";
/// Default preset of everybody else.
pub const PRESET_PARTICIPANT: &str = "group_call_participant";
/// Default preset of those who only hear and see.
pub const PRESET_VIEWER: &str = "webinar_viewer";
/// Default preset of phones.
pub const PRESET_PHONE: &str = "phone";

/// A preset as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPreset {
    /// Its id.
    pub id: PresetId,
    /// Owner.
    pub organization: OrganizationId,
    /// Unique within the organisation.
    pub name: String,
    /// What its author wrote.
    pub document: PresetDocument,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

impl Store {
    /// The rules of an organisation's preset, if it has one of this name; from memory if it was
    /// used lately.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn preset(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<Preset>, StoreError> {
        let key = (organization, name.to_owned());
        if let Some(preset) = self.published.presets.get(&key) {
            return Ok(Some(preset));
        }
        self.run(Operation::Read, move |db| {
            let stored = db
                .conn
                .prepare_cached("SELECT * FROM presets WHERE organization_id = ?1 AND name = ?2")?
                .query_row(params![key.0.to_string(), key.1], from_row)
                .optional()?;
            Ok(stored.map(|stored| {
                let rules = stored.document.rules(&stored.name);
                db.published.presets.put(key, rules.clone());
                rules
            }))
        })
        .await
    }

    /// An organisation's presets by name.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn presets(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<StoredPreset>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let total = db.conn.query_row(
                "SELECT count(*) FROM presets WHERE organization_id = ?1",
                [&organization],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(
                    "SELECT * FROM presets WHERE organization_id = ?1
                     ORDER BY name LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![organization, page.limit, page.offset], from_row)?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// An organisation's preset, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn stored_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Read, move |db| read(&db.conn, organization, id))
            .await
    }

    /// Makes a preset.
    ///
    /// # Errors
    /// [`Conflict::PresetNameTaken`], and as any store operation.
    pub async fn create_preset(
        &self,
        organization: OrganizationId,
        name: String,
        document: PresetDocument,
    ) -> Result<StoredPreset, StoreError> {
        self.run(Operation::Write, move |db| {
            insert(&db.conn, organization, &name, &document, db.unix_ns())
                .map_err(|error| StoreError::or_conflict(error, Conflict::PresetNameTaken))
        })
        .await
    }

    /// Changes an organisation's preset; `None` when it has no such preset. Whoever calls tells
    /// the live sessions.
    ///
    /// # Errors
    /// [`Conflict::PresetNameTaken`], and as any store operation.
    pub async fn update_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
        name: Option<String>,
        document: PresetDocument,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Write, move |db| {
            let Some(before) = read(&db.conn, organization, id)? else {
                return Ok(None);
            };
            db.conn
                .execute(
                    "UPDATE presets SET name = coalesce(?3, name), document = ?4, updated_at = ?5
                     WHERE id = ?1 AND organization_id = ?2",
                    params![
                        id.to_string(),
                        organization.to_string(),
                        name,
                        text(&document),
                        db.unix_ns(),
                    ],
                )
                .map_err(|error| StoreError::or_conflict(error, Conflict::PresetNameTaken))?;
            forget(db, before);
            read(&db.conn, organization, id)
        })
        .await
    }

    /// Removes an organisation's preset; `None` when it has no such preset.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Write, move |db| {
            let Some(before) = read(&db.conn, organization, id)? else {
                return Ok(None);
            };
            db.conn
                .execute("DELETE FROM presets WHERE id = ?1", [id.to_string()])?;
            forget(db, before.clone());
            Ok(Some(before))
        })
        .await
    }
}

/// Gives a new organisation the presets every user of such services expects.
pub(super) fn insert_defaults(
    conn: &Connection,
    organization: OrganizationId,
    now: i64,
) -> rusqlite::Result<()> {
    for (name, document) in [
        (PRESET_HOST, host()),
        (PRESET_PARTICIPANT, participant()),
        (PRESET_VIEWER, viewer()),
        (PRESET_PHONE, phone()),
    ] {
        insert(conn, organization, name, &document, now)?;
    }
    Ok(())
}

fn insert(
    conn: &Connection,
    organization: OrganizationId,
    name: &str,
    document: &PresetDocument,
    now: i64,
) -> rusqlite::Result<StoredPreset> {
    conn.query_row(
        "INSERT INTO presets (id, organization_id, name, document, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING *",
        params![
            PresetId::from_random(rand::random()).to_string(),
            organization.to_string(),
            name,
            text(document),
            now,
        ],
        from_row,
    )
}

fn read(
    conn: &Connection,
    organization: OrganizationId,
    id: PresetId,
) -> Result<Option<StoredPreset>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT * FROM presets WHERE id = ?1 AND organization_id = ?2")?
        .query_row(params![id.to_string(), organization.to_string()], from_row)
        .optional()?)
}

fn forget(db: &Database, preset: StoredPreset) {
    db.published
        .presets
        .forget(&(preset.organization, preset.name));
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredPreset> {
    Ok(StoredPreset {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        name: row.get("name")?,
        document: row::json(row, "document")?,
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}

fn text(document: &PresetDocument) -> String {
    json!(document).to_string()
}
