//! `/v2/presets`.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::state::ApiState;
use super::text;
use super::types::{Created, Paged, Paging, Success, Time};
use crate::id::PresetId;
use crate::run::directory::Holders;
use crate::store::preset::{PresetDocument, StoredPreset};

/// A preset as replies show it.
#[derive(Serialize)]
pub(super) struct PresetView {
    id: PresetId,
    name: String,
    #[serde(flatten)]
    document: PresetDocument,
    created_at: Time,
    updated_at: Time,
}

impl From<StoredPreset> for PresetView {
    fn from(stored: StoredPreset) -> Self {
        Self {
            id: stored.id,
            name: stored.name,
            document: stored.document,
            created_at: stored.created_at.into(),
            updated_at: stored.updated_at.into(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NewPreset {
    name: String,
    #[serde(flatten)]
    document: PresetDocument,
}

/// What to change: given members replace, inside `config`, `permissions` and `ui` too; others stay.
#[derive(Deserialize)]
pub(super) struct ChangedPreset {
    name: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    permissions: Map<String, Value>,
    #[serde(default)]
    ui: Map<String, Value>,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<NewPreset>,
) -> Result<Created<PresetView>, ApiError> {
    let name = name(body.name)?;
    let preset = state
        .store()
        .create_preset(caller.organization, name, body.document)
        .await?;
    Ok(Created(preset.into()))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<PresetView>, ApiError> {
    let listed = state.store().presets(caller.organization, page).await?;
    Ok(Paged::of(page, listed, PresetView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(preset): Path<String>,
) -> Result<Success<PresetView>, ApiError> {
    Ok(Success(find(&state, caller, &preset).await?.into()))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(preset): Path<String>,
    Body(body): Body<ChangedPreset>,
) -> Result<Success<PresetView>, ApiError> {
    let before = find(&state, caller, &preset).await?;
    let name = body.name.map(name).transpose()?;
    let mut document = json!(before.document);
    merge(
        &mut document,
        json!({ "config": body.config, "permissions": body.permissions, "ui": body.ui }),
    );
    let document = serde_json::from_value(document)
        .map_err(|error| ApiError::unprocessable("invalid_body", error.to_string()))?;
    let changed = state
        .store()
        .update_preset(caller.organization, before.id, name, document)
        .await?;
    let changed = changed.ok_or_else(|| ApiError::not_found("preset"))?;
    let rules = changed.document.rules(&changed.name);
    state
        .directory()
        .apply_preset(
            caller.organization,
            None,
            Holders::Preset(before.name),
            rules,
        )
        .await;
    Ok(Success(changed.into()))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(preset): Path<String>,
) -> Result<Success<PresetView>, ApiError> {
    let removed = state
        .store()
        .delete_preset(caller.organization, id("preset", &preset)?)
        .await?;
    let removed = removed.ok_or_else(|| ApiError::not_found("preset"))?;
    Ok(Success(removed.into()))
}

async fn find(state: &ApiState, caller: Caller, preset: &str) -> Result<StoredPreset, ApiError> {
    state
        .store()
        .stored_preset(caller.organization, id("preset", preset)?)
        .await?
        .ok_or_else(|| ApiError::not_found("preset"))
}

fn name(raw: String) -> Result<String, ApiError> {
    let name = text::line("name", raw)?;
    if name.is_empty() {
        return Err(ApiError::unprocessable(
            "invalid_field",
            "name must not be empty",
        ));
    }
    Ok(name)
}

/// Puts `patch` into `document`, objects member by member.
fn merge(document: &mut Value, patch: Value) {
    match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(document.entry(key).or_insert(Value::Null), value);
            }
        }
        (document, patch) => *document = patch,
    }
}
