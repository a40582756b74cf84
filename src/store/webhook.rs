//! Webhooks and their deliveries: a queue that a crash does not empty, and its log.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::document::{self, Kept, Noun};
use super::thread::Database;
use super::{Conflict, Listed, Page, Store, StoreError, row};
use crate::id::{DeliveryId, OrganizationId, WebhookId};
use crate::limits::{
    WEBHOOK_DELIVERIES_KEPT_MAX, WEBHOOK_DELIVERIES_PENDING_MAX, WEBHOOK_SENDS_AT_ONCE_MAX,
    WEBHOOKS_PER_ORGANIZATION_MAX,
};
use crate::telemetry::metric::store::Operation;

/// A webhook as its owner writes it, and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDocument {
    /// What its owner calls it.
    pub name: String,
    /// Where events are posted.
    pub url: String,
    /// Which events.
    pub events: BTreeSet<String>,
    /// False: nothing is posted; what waits goes on waiting.
    pub enabled: bool,
    /// Key of the signatures: `whsec_` and base64.
    pub secret: String,
}

impl std::fmt::Debug for WebhookDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookDocument")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Noun for WebhookDocument {
    const TABLE: &'static str = "webhooks";
    type Id = WebhookId;

    fn draw_id() -> WebhookId {
        WebhookId::from_random(rand::random())
    }
}

/// A webhook as stored.
pub type Webhook = Kept<WebhookId, WebhookDocument>;

/// Every enabled webhook of the process, in memory.
#[derive(Debug, Default)]
pub struct WebhookBook(HashMap<OrganizationId, Vec<Arc<Webhook>>>);

impl WebhookBook {
    /// The organisation's webhooks that want this event.
    pub fn wanting<'a>(
        &'a self,
        organization: OrganizationId,
        event: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Webhook>> {
        let all = self.0.get(&organization).map_or(&[][..], Vec::as_slice);
        all.iter()
            .filter(move |webhook| webhook.document.events.contains(event))
    }

    /// One webhook.
    pub fn find(&self, organization: OrganizationId, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.0
            .get(&organization)?
            .iter()
            .find(|webhook| webhook.id == id)
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// To be tried at `next_at`.
    Pending,
    /// The receiver has answered 2xx.
    Delivered,
    /// Given up; replay it.
    Failed,
}

impl DeliveryStatus {
    fn text(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
        }
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same at every try: the `webhook-id` header.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook: WebhookId,
    /// Whose.
    pub organization: OrganizationId,
    /// Name of the event.
    pub event: String,
    /// The body.
    pub payload: String,
    /// When it happened.
    pub created_at: OffsetDateTime,
    /// How it stands.
    pub status: DeliveryStatus,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried next, while it is pending.
    pub next_at: Option<OffsetDateTime>,
    /// When it was delivered or given up.
    pub finished_at: Option<OffsetDateTime>,
    /// HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// Why there was none.
    pub last_error: Option<String>,
}

/// What a try has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// How it stands now.
    pub status: DeliveryStatus,
    /// When to try again, nanoseconds since the Unix epoch, if it is pending.
    pub next_at_unix_ns: Option<i128>,
    /// HTTP status of the answer.
    pub answer: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
}

impl Store {
    /// The webhooks as of now.
    pub fn webhook_book(&self) -> Arc<WebhookBook> {
        self.published.webhooks.load_full()
    }

    /// Makes a webhook.
    ///
    /// # Errors
    /// [`Conflict::TooMany`], and as any store operation.
    pub async fn create_webhook(
        &self,
        organization: OrganizationId,
        document: WebhookDocument,
    ) -> Result<Webhook, StoreError> {
        self.run(Operation::Write, move |db| {
            let (most, now) = (WEBHOOKS_PER_ORGANIZATION_MAX, db.unix_ns());
            let made = document::insert(&db.conn, organization, &document, most, now)?;
            db.publish_webhooks()?;
            made.ok_or(StoreError::Conflict(Conflict::TooMany))
        })
        .await
    }

    /// An organisation's webhooks, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn webhooks(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<Webhook>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::list(&db.conn, organization, page)?)
        })
        .await
    }

    /// An organisation's webhook, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::read(&db.conn, organization, &id)?)
        })
        .await
    }

    /// Changes an organisation's webhook; `None` when it has no such webhook.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn update_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        document: WebhookDocument,
    ) -> Result<Option<Webhook>, StoreError> {
        self.run(Operation::Write, move |db| {
            let changed = document::update(&db.conn, organization, &id, &document, db.unix_ns())?;
            db.publish_webhooks()?;
            Ok(changed)
        })
        .await
    }

    /// Removes an organisation's webhook and its deliveries; `None` when it has no such webhook.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        self.run(Operation::Write, move |db| {
            let removed = document::delete(&db.conn, organization, &id)?;
            db.publish_webhooks()?;
            Ok(removed)
        })
        .await
    }

    // ── the queue ─────────────────────────────────────────────────────────────────────────────

    /// Queues an event for every webhook that wants it; on the disk when this returns. How many
    /// webhooks had no room left for it.
    ///
    /// # Errors
    /// As any store operation; once queued for the store it is written even if the caller gives up.
    pub async fn queue_event(
        &self,
        organization: OrganizationId,
        event: &'static str,
        payload: String,
    ) -> Result<usize, StoreError> {
        self.run_always(Operation::Write, move |db| {
            let book = db.published.webhooks.load_full();
            let mut full = 0;
            for webhook in book.wanting(organization, event) {
                full += usize::from(!db.queue(webhook, event, &payload)?);
            }
            Ok(full)
        })
        .await
    }

    /// Deliveries that are due, the most overdue first and of each webhook only as many as may be
    /// on their way at once; and when the next one is due.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn due_deliveries(
        &self,
        most: u32,
    ) -> Result<(Vec<Delivery>, Option<OffsetDateTime>), StoreError> {
        self.run(Operation::Read, move |db| {
            let now = db.unix_ns();
            let enabled = "status = 'PENDING' AND webhook_id IN
                (SELECT id FROM webhooks WHERE json_extract(document, '$.enabled'))";
            let due = db
                .conn
                .prepare_cached(&format!(
                    "SELECT * FROM (SELECT *, row_number()
                        OVER (PARTITION BY webhook_id ORDER BY next_at, id) AS place
                        FROM webhook_deliveries WHERE {enabled} AND next_at <= ?1)
                     WHERE place <= ?2 ORDER BY next_at, id LIMIT ?3"
                ))?
                .query_map(params![now, WEBHOOK_SENDS_AT_ONCE_MAX, most], from_row)?
                .collect::<Result<_, _>>()?;
            let next = db
                .conn
                .prepare_cached(&format!(
                    "SELECT min(next_at) AS next_at FROM webhook_deliveries
                     WHERE {enabled} AND next_at > ?1"
                ))?
                .query_row([now], |row| row::time_opt(row, "next_at"))?;
            Ok((due, next))
        })
        .await
    }

    /// Writes what a try has led to.
    ///
    /// # Errors
    /// As any store operation; then it is tried again.
    pub async fn delivery_tried(&self, id: DeliveryId, tried: Tried) -> Result<(), StoreError> {
        self.run_always(Operation::Write, move |db| {
            let now = db.unix_ns();
            let finished = (tried.status != DeliveryStatus::Pending).then_some(now);
            let webhook: Option<String> = db
                .conn
                .prepare_cached(
                    "UPDATE webhook_deliveries SET status = ?2, attempts = attempts + 1,
                        next_at = ?3, finished_at = ?4, last_status = ?5, last_error = ?6
                     WHERE id = ?1 RETURNING webhook_id",
                )?
                .query_row(
                    params![
                        id.to_string(),
                        tried.status.text(),
                        tried.next_at_unix_ns.map(row::ns),
                        finished,
                        tried.answer,
                        tried.error,
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(webhook) = webhook
                && finished.is_some()
            {
                forget_old(&db.conn, &webhook)?;
            }
            Ok(())
        })
        .await
    }

    /// A webhook's deliveries, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn deliveries(
        &self,
        webhook: WebhookId,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        self.run(Operation::Read, move |db| {
            let (webhook, status) = (webhook.to_string(), status.map(DeliveryStatus::text));
            let matching = "webhook_id = ?1 AND (?2 IS NULL OR status = ?2)";
            let total = db.conn.query_row(
                &format!("SELECT count(*) FROM webhook_deliveries WHERE {matching}"),
                params![webhook, status],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(&format!(
                    "SELECT * FROM webhook_deliveries WHERE {matching}
                     ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4"
                ))?
                .query_map(params![webhook, status, page.limit, page.offset], from_row)?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// Queues a delivery again, whatever became of it; `None` when the webhook has none of this id.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn replay_delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        self.run(Operation::Write, move |db| {
            Ok(db
                .conn
                .prepare_cached(
                    "UPDATE webhook_deliveries SET status = 'PENDING', attempts = 0,
                        next_at = ?3, finished_at = NULL
                     WHERE id = ?1 AND webhook_id = ?2 RETURNING *",
                )?
                .query_row(
                    params![id.to_string(), webhook.to_string(), db.unix_ns()],
                    from_row,
                )
                .optional()?)
        })
        .await
    }
}

impl Database {
    /// Queues an event for one webhook; false when it has no room.
    fn queue(&self, webhook: &Webhook, event: &str, payload: &str) -> rusqlite::Result<bool> {
        let pending = i64::try_from(WEBHOOK_DELIVERIES_PENDING_MAX).unwrap_or(i64::MAX);
        let queued = self
            .conn
            .prepare_cached(
                "INSERT INTO webhook_deliveries (id, webhook_id, organization_id, event, payload,
                    created_at, status, attempts, next_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'PENDING', 0, ?6
                 WHERE (SELECT count(*) FROM webhook_deliveries
                    WHERE webhook_id = ?2 AND status = 'PENDING') < ?7",
            )?
            .execute(params![
                DeliveryId::from_random(rand::random()).to_string(),
                webhook.id.to_string(),
                webhook.organization.to_string(),
                event,
                payload,
                self.unix_ns(),
                pending,
            ])?;
        Ok(queued > 0)
    }
}

fn forget_old(conn: &Connection, webhook: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries
            WHERE webhook_id = ?1 AND status <> 'PENDING'
            ORDER BY created_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![webhook, WEBHOOK_DELIVERIES_KEPT_MAX])?;
    Ok(())
}

pub(super) fn load_book(conn: &Connection) -> rusqlite::Result<WebhookBook> {
    let mut book = WebhookBook::default();
    for webhook in document::all::<WebhookDocument>(conn)? {
        if webhook.document.enabled {
            book.0
                .entry(webhook.organization)
                .or_default()
                .push(Arc::new(webhook));
        }
    }
    Ok(book)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let status: String = row.get("status")?;
    Ok(Delivery {
        id: row::id(row, "id")?,
        webhook: row::id(row, "webhook_id")?,
        organization: row::id(row, "organization_id")?,
        event: row.get("event")?,
        payload: row.get("payload")?,
        created_at: row::time(row, "created_at")?,
        status: match status.as_str() {
            "PENDING" => DeliveryStatus::Pending,
            "DELIVERED" => DeliveryStatus::Delivered,
            _ => DeliveryStatus::Failed,
        },
        attempts: row.get("attempts")?,
        next_at: row::time_opt(row, "next_at")?,
        finished_at: row::time_opt(row, "finished_at")?,
        last_status: row.get("last_status")?,
        last_error: row.get("last_error")?,
    })
}
