//! `/v2/meetings/{id}/participants`: who may join, each with a token.

use std::time::Duration;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::state::ApiState;
use super::token::Claims;
use super::types::{Created, Paged, Paging, Search, Success, Time};
use super::{meetings, text};
use crate::id::{OrganizationId, ParticipantId};
use crate::limits::{INVITE_TOKEN_LIFE, PARTICIPANT_TOKEN_LIFE};
use crate::run::directory::Holders;
use crate::store::participant::{ParticipantChange, ParticipantDraft, StoredParticipant};
use crate::store::preset::PRESET_PARTICIPANT;

/// A participant as replies show it.
#[derive(Serialize)]
pub(super) struct ParticipantView {
    id: ParticipantId,
    name: String,
    picture: Option<String>,
    custom_participant_id: Option<String>,
    preset_name: String,
    created_at: Time,
    updated_at: Time,
}

impl From<StoredParticipant> for ParticipantView {
    fn from(stored: StoredParticipant) -> Self {
        Self {
            id: stored.id,
            name: stored.name,
            picture: stored.picture,
            custom_participant_id: stored.custom_participant_id,
            preset_name: stored.preset_name,
            created_at: stored.created_at.into(),
            updated_at: stored.updated_at.into(),
        }
    }
}

/// A participant with the token that opens the meeting.
#[derive(Serialize)]
pub(super) struct Invited {
    #[serde(flatten)]
    participant: ParticipantView,
    token: String,
    /// Ours: a page that joins with the token.
    join_url: String,
}

#[derive(Deserialize)]
pub(super) struct ParticipantBody {
    name: Option<String>,
    picture: Option<String>,
    preset_name: Option<String>,
    custom_participant_id: Option<String>,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(body): Body<ParticipantBody>,
) -> Result<Created<Invited>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let preset_name = body
        .preset_name
        .unwrap_or_else(|| PRESET_PARTICIPANT.to_owned());
    known_preset(&state, caller.organization, &preset_name).await?;
    let draft = ParticipantDraft {
        name: text::display_name(&body.name.unwrap_or_default()),
        picture: text::picture(body.picture)?,
        preset_name,
        custom_participant_id: text::line_opt("custom_participant_id", body.custom_participant_id)?,
    };
    let participant = state.store().create_participant(meeting.id, draft).await?;
    let token = token(&state, caller.organization, &participant)?;
    Ok(Created(Invited {
        join_url: state.urls().join_url(&token),
        token,
        participant: participant.into(),
    }))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Paging(page): Paging,
) -> Result<Paged<ParticipantView>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let listed = state.store().participants(meeting.id, page).await?;
    Ok(Paged::of(page, listed, ParticipantView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path((meeting, participant)): Path<(String, String)>,
) -> Result<Success<ParticipantView>, ApiError> {
    let found = find(&state, caller.organization, &meeting, &participant).await?;
    Ok(Success(found.into()))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path((meeting, participant)): Path<(String, String)>,
    Body(body): Body<ParticipantBody>,
) -> Result<Success<ParticipantView>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    if let Some(preset_name) = &body.preset_name {
        known_preset(&state, caller.organization, preset_name).await?;
    }
    let given_preset = body.preset_name.is_some();
    let change = ParticipantChange {
        name: body.name.as_deref().map(text::display_name),
        picture: text::picture(body.picture)?,
        preset_name: body.preset_name,
        custom_participant_id: text::line_opt("custom_participant_id", body.custom_participant_id)?,
    };
    let changed = state
        .store()
        .update_participant(meeting.id, id("participant", &participant)?, change)
        .await?;
    let changed = changed.ok_or_else(|| ApiError::not_found("participant"))?;
    if given_preset {
        tell_session(&state, caller.organization, &changed).await?;
    }
    Ok(Success(changed.into()))
}

/// A participant's new preset holds at once, if it is in a session.
async fn tell_session(
    state: &ApiState,
    organization: OrganizationId,
    participant: &StoredParticipant,
) -> Result<(), ApiError> {
    let name = &participant.preset_name;
    if let Some(preset) = state.store().preset(organization, name).await? {
        let (meeting, holder) = (participant.meeting, Holders::Participant(participant.id));
        let directory = state.directory();
        directory
            .apply_preset(organization, Some(meeting), holder, preset)
            .await;
    }
    Ok(())
}

/// Removes the participant, from its session too; tokens made for it open nothing from now on.
pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path((meeting, participant)): Path<(String, String)>,
) -> Result<Success<ParticipantView>, ApiError> {
    let found = find(&state, caller.organization, &meeting, &participant).await?;
    let removed = state
        .store()
        .delete_participant(found.meeting, found.id)
        .await?;
    if !removed {
        return Err(ApiError::not_found("participant"));
    }
    state.directory().kick(found.meeting, &[found.id]).await;
    Ok(Success(found.into()))
}

/// What a fresh token is.
#[derive(Deserialize)]
pub(super) struct TokenQuery {
    /// How long it opens the meeting.
    expires_in_s: Option<u64>,
    /// Whether it is the only one from now on.
    revoke_others: Option<bool>,
}

pub(super) async fn renew_token(
    State(state): State<ApiState>,
    caller: Caller,
    Path((meeting, participant)): Path<(String, String)>,
    Search(query): Search<TokenQuery>,
) -> Result<Success<Value>, ApiError> {
    let life = match query.expires_in_s {
        None => PARTICIPANT_TOKEN_LIFE,
        Some(seconds) if (60..=INVITE_TOKEN_LIFE.as_secs()).contains(&seconds) => {
            Duration::from_secs(seconds)
        }
        Some(_) => {
            let most = INVITE_TOKEN_LIFE.as_secs();
            let message = format!("expires_in_s must be 60 to {most}");
            return Err(ApiError::bad_request("invalid_query", message));
        }
    };
    let mut found = find(&state, caller.organization, &meeting, &participant).await?;
    if query.revoke_others == Some(true) {
        found = revoke(&state, &found).await?;
    }
    let claims = Claims::participant(caller.organization, &found).lasting(life);
    let token = mint(&state, &claims)?;
    Ok(Success(json!({ "token": token })))
}

/// Makes the participant's tokens worthless and ends its seat.
pub(super) async fn revoke_tokens(
    State(state): State<ApiState>,
    caller: Caller,
    Path((meeting, participant)): Path<(String, String)>,
) -> Result<Success<ParticipantView>, ApiError> {
    let found = find(&state, caller.organization, &meeting, &participant).await?;
    Ok(Success(revoke(&state, &found).await?.into()))
}

async fn revoke(
    state: &ApiState,
    participant: &StoredParticipant,
) -> Result<StoredParticipant, ApiError> {
    let (meeting, id) = (participant.meeting, participant.id);
    let revoked = state.store().revoke_tokens(meeting, id).await?;
    let revoked = revoked.ok_or_else(|| ApiError::not_found("participant"))?;
    state.directory().kick(meeting, &[id]).await;
    Ok(revoked)
}

async fn find(
    state: &ApiState,
    organization: OrganizationId,
    meeting: &str,
    participant: &str,
) -> Result<StoredParticipant, ApiError> {
    let meeting = meetings::find(state, organization, meeting).await?;
    state
        .store()
        .participant(meeting.id, id("participant", participant)?)
        .await?
        .ok_or_else(|| ApiError::not_found("participant"))
}

async fn known_preset(
    state: &ApiState,
    organization: OrganizationId,
    name: &str,
) -> Result<(), ApiError> {
    match state.store().preset(organization, name).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::unprocessable(
            "unknown_preset",
            "preset_name names no preset of this organisation",
        )),
    }
}

fn token(
    state: &ApiState,
    organization: OrganizationId,
    participant: &StoredParticipant,
) -> Result<String, ApiError> {
    mint(state, &Claims::participant(organization, participant))
}

fn mint(state: &ApiState, claims: &Claims) -> Result<String, ApiError> {
    state.tokens().mint(claims).map_err(|error| {
        tracing::error!(%error, "no token for a participant");
        ApiError::internal()
    })
}
