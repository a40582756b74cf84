//! Things of an organisation that are kept as one document each: trunks, routing rules, webhooks.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use time::OffsetDateTime;

use super::{Listed, Page, row};
use crate::id::OrganizationId;

/// A document and what is known around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<I, D> {
    /// Its id.
    pub id: I,
    /// Owner.
    pub organization: OrganizationId,
    /// What its owner wrote.
    pub document: D,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// A kind of document: its table and the type of its ids.
pub(super) trait Noun: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    type Id: Display + FromStr<Err: Error + Send + Sync + 'static> + 'static;

    fn draw_id() -> Self::Id;
}

type Kind<D> = Kept<<D as Noun>::Id, D>;

/// Keeps a new one; `None` when the organisation has `most` of them already.
pub(super) fn insert<D: Noun>(
    conn: &Connection,
    organization: OrganizationId,
    document: &D,
    most: usize,
    now: i64,
) -> rusqlite::Result<Option<Kind<D>>> {
    let table = D::TABLE;
    conn.prepare_cached(&format!(
        "INSERT INTO {table} (id, organization_id, document, created_at, updated_at)
         SELECT ?1, ?2, ?3, ?4, ?4
         WHERE (SELECT count(*) FROM {table} WHERE organization_id = ?2) < ?5 RETURNING *"
    ))?
    .query_row(
        params![
            D::draw_id().to_string(),
            organization.to_string(),
            json!(document).to_string(),
            now,
            i64::try_from(most).unwrap_or(i64::MAX),
        ],
        from_row,
    )
    .optional()
}

/// An organisation's, newest first.
pub(super) fn list<D: Noun>(
    conn: &Connection,
    organization: OrganizationId,
    page: Page,
) -> rusqlite::Result<Listed<Kind<D>>> {
    let (table, organization) = (D::TABLE, organization.to_string());
    let total = conn.query_row(
        &format!("SELECT count(*) FROM {table} WHERE organization_id = ?1"),
        [&organization],
        row::count,
    )?;
    let items = conn
        .prepare_cached(&format!(
            "SELECT * FROM {table} WHERE organization_id = ?1
             ORDER BY created_at DESC, id LIMIT ?2 OFFSET ?3"
        ))?
        .query_map(params![organization, page.limit, page.offset], from_row)?
        .collect::<Result<_, _>>()?;
    Ok(Listed { items, total })
}

/// Every organisation's, oldest first.
pub(super) fn all<D: Noun>(conn: &Connection) -> rusqlite::Result<Vec<Kind<D>>> {
    conn.prepare_cached(&format!(
        "SELECT * FROM {} ORDER BY created_at, id",
        D::TABLE
    ))?
    .query_map([], from_row)?
    .collect()
}

/// An organisation's, if it has this one.
pub(super) fn read<D: Noun>(
    conn: &Connection,
    organization: OrganizationId,
    id: &D::Id,
) -> rusqlite::Result<Option<Kind<D>>> {
    conn.prepare_cached(&format!(
        "SELECT * FROM {} WHERE id = ?1 AND organization_id = ?2",
        D::TABLE
    ))?
    .query_row(params![id.to_string(), organization.to_string()], from_row)
    .optional()
}

/// Replaces an organisation's document; `None` when it has none of this id.
pub(super) fn update<D: Noun>(
    conn: &Connection,
    organization: OrganizationId,
    id: &D::Id,
    document: &D,
    now: i64,
) -> rusqlite::Result<Option<Kind<D>>> {
    conn.prepare_cached(&format!(
        "UPDATE {} SET document = ?3, updated_at = ?4
         WHERE id = ?1 AND organization_id = ?2 RETURNING *",
        D::TABLE
    ))?
    .query_row(
        params![
            id.to_string(),
            organization.to_string(),
            json!(document).to_string(),
            now,
        ],
        from_row,
    )
    .optional()
}

/// Forgets an organisation's; `None` when it has none of this id.
pub(super) fn delete<D: Noun>(
    conn: &Connection,
    organization: OrganizationId,
    id: &D::Id,
) -> rusqlite::Result<Option<Kind<D>>> {
    conn.prepare_cached(&format!(
        "DELETE FROM {} WHERE id = ?1 AND organization_id = ?2 RETURNING *",
        D::TABLE
    ))?
    .query_row(params![id.to_string(), organization.to_string()], from_row)
    .optional()
}

fn from_row<D: Noun>(row: &Row<'_>) -> rusqlite::Result<Kind<D>> {
    Ok(Kept {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        document: row::json(row, "document")?,
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}
