//! `/v2/sessions`: the live instances of meetings, running and ended.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::id;
use super::error::ApiError;
use super::state::ApiState;
use super::types::{Paged, Paging, Search, Success, Time};
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::participant::ParticipantKind;
use crate::store::session::{SessionFilter, SessionParticipant, StoredSession};

/// A session as replies show it.
#[derive(Serialize)]
pub(super) struct SessionView {
    pub id: SessionId,
    /// The meeting.
    pub associated_id: MeetingId,
    pub organization_id: OrganizationId,
    pub meeting_display_name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub status: &'static str,
    pub live_participants: u32,
    pub max_concurrent_participants: u32,
    pub minutes_consumed: f64,
    pub started_at: Time,
    pub ended_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
    /// Ours: the server died during the session; `ended_at` is its next start.
    pub interrupted: bool,
}

impl From<StoredSession> for SessionView {
    fn from(session: StoredSession) -> Self {
        Self {
            id: session.id,
            associated_id: session.meeting,
            organization_id: session.organization,
            meeting_display_name: session.meeting_title,
            kind: "meeting",
            status: match session.ended_at {
                None => "LIVE",
                Some(_) => "ENDED",
            },
            live_participants: session.live_participants,
            max_concurrent_participants: session.max_concurrent_participants,
            minutes_consumed: session.time_consumed.as_seconds_f64() / 60.0,
            started_at: session.started_at.into(),
            ended_at: session.ended_at.map(Time::from),
            created_at: session.started_at.into(),
            updated_at: session.ended_at.unwrap_or(session.started_at).into(),
            interrupted: session.interrupted,
        }
    }
}

/// One stay in a session as replies show it.
#[derive(Serialize)]
pub(super) struct StayView {
    id: ParticipantId,
    display_name: String,
    custom_participant_id: Option<String>,
    /// Ours: `browser`, or `robo` for a phone.
    kind: ParticipantKind,
    joined_at: Time,
    left_at: Option<Time>,
    duration: f64,
}

impl From<SessionParticipant> for StayView {
    fn from(stay: SessionParticipant) -> Self {
        let end = stay.left_at.map_or_else(Time::now, Time::from);
        Self {
            id: stay.participant,
            display_name: stay.name,
            custom_participant_id: stay.custom_participant_id,
            kind: stay.kind,
            joined_at: stay.joined_at.into(),
            left_at: stay.left_at.map(Time::from),
            duration: (end.0 - stay.joined_at).as_seconds_f64() / 60.0,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SessionQuery {
    associated_id: Option<MeetingId>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Live,
    Ended,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
    Search(query): Search<SessionQuery>,
) -> Result<Paged<SessionView>, ApiError> {
    let filter = SessionFilter {
        meeting: query.associated_id,
        live: query.status.map(|status| matches!(status, Status::Live)),
    };
    let listed = state
        .store()
        .sessions(caller.organization, filter, page)
        .await?;
    Ok(Paged::of(page, listed, SessionView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(session): Path<String>,
) -> Result<Success<SessionView>, ApiError> {
    Ok(Success(find(&state, caller, &session).await?.into()))
}

pub(super) async fn participants(
    State(state): State<ApiState>,
    caller: Caller,
    Path(session): Path<String>,
    Paging(page): Paging,
) -> Result<Paged<StayView>, ApiError> {
    let session = find(&state, caller, &session).await?;
    let listed = state.store().session_participants(session.id, page).await?;
    Ok(Paged::of(page, listed, StayView::from))
}

async fn find(state: &ApiState, caller: Caller, session: &str) -> Result<StoredSession, ApiError> {
    state
        .store()
        .session(caller.organization, id("session", session)?)
        .await?
        .ok_or_else(|| ApiError::not_found("session"))
}
