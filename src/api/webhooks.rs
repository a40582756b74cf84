//! `/v2/webhooks`: where events are posted, and what became of each.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::kept::invalid;
use super::state::ApiState;
use super::text;
use super::types::{Created, Paged, Paging, Search, Success, Time};
use crate::id::{DeliveryId, WebhookId};
use crate::run::webhook::EVENTS;
use crate::run::webhook::deliver::SECRET_PREFIX;
use crate::store::webhook::{Delivery, DeliveryStatus, Webhook, WebhookDocument};

/// A webhook as replies show it; its secret is told when it is made and when it is replaced.
#[derive(Serialize)]
pub(super) struct WebhookView {
    id: WebhookId,
    name: String,
    url: String,
    events: BTreeSet<String>,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created_at: Time,
    updated_at: Time,
}

impl WebhookView {
    fn of(webhook: Webhook, tell_secret: bool) -> Self {
        let document = webhook.document;
        Self {
            id: webhook.id,
            name: document.name,
            url: document.url,
            events: document.events,
            enabled: document.enabled,
            secret: tell_secret.then_some(document.secret),
            created_at: webhook.created_at.into(),
            updated_at: webhook.updated_at.into(),
        }
    }

    fn quiet(webhook: Webhook) -> Self {
        Self::of(webhook, false)
    }
}

/// A delivery as replies show it.
#[derive(Serialize)]
pub(super) struct DeliveryView {
    id: DeliveryId,
    event: String,
    status: DeliveryStatus,
    attempts: u32,
    next_at: Option<Time>,
    finished_at: Option<Time>,
    last_status: Option<u16>,
    last_error: Option<String>,
    payload: Value,
    created_at: Time,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event: delivery.event,
            status: delivery.status,
            attempts: delivery.attempts,
            next_at: delivery.next_at.map(Time::from),
            finished_at: delivery.finished_at.map(Time::from),
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            payload: serde_json::from_str(&delivery.payload).unwrap_or_default(),
            created_at: delivery.created_at.into(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NewWebhook {
    name: String,
    url: String,
    events: BTreeSet<String>,
    enabled: Option<bool>,
    secret: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ChangedWebhook {
    name: Option<String>,
    url: Option<String>,
    events: Option<BTreeSet<String>>,
    enabled: Option<bool>,
    secret: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeliveryQuery {
    status: Option<DeliveryStatus>,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<NewWebhook>,
) -> Result<Created<WebhookView>, ApiError> {
    let document = checked(WebhookDocument {
        name: body.name,
        url: body.url,
        events: body.events,
        enabled: body.enabled.unwrap_or(true),
        secret: body.secret.unwrap_or_else(draw_secret),
    })?;
    let made = state
        .store()
        .create_webhook(caller.organization, document)
        .await?;
    Ok(Created(WebhookView::of(made, true)))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<WebhookView>, ApiError> {
    let listed = state.store().webhooks(caller.organization, page).await?;
    Ok(Paged::of(page, listed, WebhookView::quiet))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(webhook): Path<String>,
) -> Result<Success<WebhookView>, ApiError> {
    Ok(Success(WebhookView::quiet(
        find(&state, caller, &webhook).await?,
    )))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(webhook): Path<String>,
    Body(body): Body<ChangedWebhook>,
) -> Result<Success<WebhookView>, ApiError> {
    let Webhook { id, document, .. } = find(&state, caller, &webhook).await?;
    let tell_secret = body.secret.is_some();
    let document = checked(WebhookDocument {
        name: body.name.unwrap_or(document.name),
        url: body.url.unwrap_or(document.url),
        events: body.events.unwrap_or(document.events),
        enabled: body.enabled.unwrap_or(document.enabled),
        secret: body.secret.unwrap_or(document.secret),
    })?;
    let store = state.store();
    let changed = store
        .update_webhook(caller.organization, id, document)
        .await?;
    // What waited while it was disabled is due now.
    state.webhooks().wake().notify_one();
    Ok(Success(WebhookView::of(
        changed.ok_or_else(missing)?,
        tell_secret,
    )))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(webhook): Path<String>,
) -> Result<Success<WebhookView>, ApiError> {
    let (store, webhook) = (state.store(), id("webhook", &webhook)?);
    let removed = store.delete_webhook(caller.organization, webhook).await?;
    Ok(Success(WebhookView::quiet(removed.ok_or_else(missing)?)))
}

pub(super) async fn deliveries(
    State(state): State<ApiState>,
    caller: Caller,
    Path(webhook): Path<String>,
    Search(query): Search<DeliveryQuery>,
    Paging(page): Paging,
) -> Result<Paged<DeliveryView>, ApiError> {
    let webhook = find(&state, caller, &webhook).await?;
    let listed = state
        .store()
        .deliveries(webhook.id, query.status, page)
        .await?;
    Ok(Paged::of(page, listed, DeliveryView::from))
}

pub(super) async fn replay(
    State(state): State<ApiState>,
    caller: Caller,
    Path((webhook, delivery)): Path<(String, String)>,
) -> Result<Success<DeliveryView>, ApiError> {
    let webhook = find(&state, caller, &webhook).await?;
    let delivery = id("delivery", &delivery)?;
    let replayed = state.store().replay_delivery(webhook.id, delivery).await?;
    let replayed = replayed.ok_or_else(|| ApiError::not_found("delivery"))?;
    state.webhooks().wake().notify_one();
    Ok(Success(replayed.into()))
}

fn missing() -> ApiError {
    ApiError::not_found("webhook")
}

async fn find(state: &ApiState, caller: Caller, webhook: &str) -> Result<Webhook, ApiError> {
    let found = state
        .store()
        .webhook(caller.organization, id("webhook", webhook)?)
        .await?;
    found.ok_or_else(missing)
}

/// 256 random bits.
fn draw_secret() -> String {
    format!(
        "{SECRET_PREFIX}{}",
        STANDARD.encode(rand::random::<[u8; 32]>())
    )
}

fn checked(mut webhook: WebhookDocument) -> Result<WebhookDocument, ApiError> {
    webhook.name = text::line("name", webhook.name)?;
    let url = Url::parse(&webhook.url).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && webhook.url.len() <= 2_048
    });
    let Some(url) = url else {
        return Err(invalid(
            "url must be an http or https address of at most 2048 characters",
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "url must not hold a user name; check the signature instead",
        ));
    }
    if let Some(unknown) = webhook
        .events
        .iter()
        .find(|name| !EVENTS.contains(&name.as_str()))
    {
        let shown: String = unknown.chars().take(64).collect();
        let known = EVENTS.join(", ");
        return Err(invalid(format!("events: {shown:?} is none of {known}")));
    }
    let key = webhook.secret.strip_prefix(SECRET_PREFIX);
    let key = key.and_then(|key| STANDARD.decode(key).ok());
    if !key.is_some_and(|key| (24..=64).contains(&key.len())) {
        return Err(invalid(
            "secret must be whsec_ and 24 to 64 octets in base64",
        ));
    }
    Ok(webhook)
}
