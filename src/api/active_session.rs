//! `/v2/meetings/{id}/active-session`: who is in a meeting now; removing and muting them.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::meetings;
use super::sessions::SessionView;
use super::state::ApiState;
use super::types::{Success, Time};
use crate::id::{MeetingId, ParticipantId};
use crate::meeting::signal::{ParticipantView, Source};
use crate::meeting::snapshot::SessionSnapshot;
use crate::run::clock;
use crate::store::Meeting;

/// The live session with everyone in it.
#[derive(Serialize)]
pub(super) struct ActiveSessionView {
    #[serde(flatten)]
    session: SessionView,
    /// Ours: who is there, phones included.
    participants: Vec<ParticipantView>,
    /// Ours: who waits to be let in.
    waiting: Vec<ParticipantView>,
}

/// Whom a command concerns.
#[derive(Deserialize)]
pub(super) struct Whom {
    #[serde(default)]
    participant_ids: Vec<ParticipantId>,
    #[serde(default)]
    custom_participant_ids: Vec<String>,
    /// Ours: false unmutes, which a phone cannot do for itself.
    #[serde(default = "yes")]
    muted: bool,
}

/// Whether everyone is muted or unmuted. `allow_unmute` is accepted for its callers' sake: a
/// participant muted here is unmuted here.
#[derive(Deserialize)]
pub(super) struct MuteAll {
    #[serde(default = "yes")]
    muted: bool,
}

/// What was done to whom.
#[derive(Serialize)]
pub(super) struct Done {
    action: &'static str,
    participants: Vec<ParticipantView>,
}

fn yes() -> bool {
    true
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
) -> Result<Success<ActiveSessionView>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let snapshot = live(&state, meeting.id).await?;
    let stored = state
        .store()
        .session(caller.organization, snapshot.session_id)
        .await?;
    let mut session = match stored {
        Some(stored) => SessionView::from(stored),
        None => unrecorded(meeting, &snapshot),
    };
    session.live_participants = u32::try_from(snapshot.participants.len()).unwrap_or(u32::MAX);
    session.max_concurrent_participants = session
        .max_concurrent_participants
        .max(session.live_participants);
    Ok(Success(ActiveSessionView {
        session,
        participants: snapshot.participants,
        waiting: snapshot.waiting,
    }))
}

pub(super) async fn kick(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(whom): Body<Whom>,
) -> Result<Success<Done>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let chosen = chosen(live(&state, meeting.id).await?.participants, &whom)?;
    let ids: Vec<ParticipantId> = chosen.iter().map(|participant| participant.id).collect();
    state.directory().kick(meeting.id, &ids).await;
    Ok(Success(done("kick", chosen)))
}

pub(super) async fn kick_all(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
) -> Result<Success<Done>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let snapshot = live(&state, meeting.id).await?;
    state.directory().kick_all(meeting.id).await;
    Ok(Success(done("kick", snapshot.participants)))
}

pub(super) async fn admit(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(whom): Body<Whom>,
) -> Result<Success<Done>, ApiError> {
    decide(&state, caller, &meeting, &whom, true).await
}

pub(super) async fn deny(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(whom): Body<Whom>,
) -> Result<Success<Done>, ApiError> {
    decide(&state, caller, &meeting, &whom, false).await
}

/// Lets in or sends away who waits.
async fn decide(
    state: &ApiState,
    caller: Caller,
    meeting: &str,
    whom: &Whom,
    admitted: bool,
) -> Result<Success<Done>, ApiError> {
    let meeting = meetings::find(state, caller.organization, meeting).await?;
    let chosen = chosen(live(state, meeting.id).await?.waiting, whom)?;
    let ids: Vec<ParticipantId> = chosen.iter().map(|participant| participant.id).collect();
    state.directory().decide(meeting.id, &ids, admitted).await;
    Ok(Success(done(
        if admitted { "admit" } else { "deny" },
        chosen,
    )))
}

pub(super) async fn mute(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(whom): Body<Whom>,
) -> Result<Success<Done>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let chosen = chosen(live(&state, meeting.id).await?.participants, &whom)?;
    mute_each(&state, meeting.id, &chosen, whom.muted).await;
    Ok(Success(done(mute_label(whom.muted), chosen)))
}

pub(super) async fn mute_all(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(body): Body<MuteAll>,
) -> Result<Success<Done>, ApiError> {
    let meeting = meetings::find(&state, caller.organization, &meeting).await?;
    let everyone = live(&state, meeting.id).await?.participants;
    mute_each(&state, meeting.id, &everyone, body.muted).await;
    Ok(Success(done(mute_label(body.muted), everyone)))
}

async fn live(state: &ApiState, meeting: MeetingId) -> Result<SessionSnapshot, ApiError> {
    state
        .directory()
        .snapshot(meeting)
        .await
        .ok_or_else(|| ApiError::not_found("active session"))
}

async fn mute_each(
    state: &ApiState,
    meeting: MeetingId,
    participants: &[ParticipantView],
    muted: bool,
) {
    for participant in participants {
        // False means that it has no microphone or has just left: nothing is left to mute.
        let _had_one = state
            .directory()
            .mute(meeting, participant.id, Source::Microphone, muted)
            .await;
    }
}

/// Those of `present` that `whom` names; naming nobody who is there is an error.
fn chosen(present: Vec<ParticipantView>, whom: &Whom) -> Result<Vec<ParticipantView>, ApiError> {
    let named = |participant: &ParticipantView| {
        whom.participant_ids.contains(&participant.id)
            || participant
                .custom_participant_id
                .as_ref()
                .is_some_and(|id| whom.custom_participant_ids.contains(id))
    };
    let chosen: Vec<_> = present.into_iter().filter(named).collect();
    if chosen.is_empty() {
        return Err(ApiError::not_found("participant in the active session"));
    }
    Ok(chosen)
}

fn done(action: &'static str, participants: Vec<ParticipantView>) -> Done {
    Done {
        action,
        participants,
    }
}

fn mute_label(muted: bool) -> &'static str {
    if muted { "mute" } else { "unmute" }
}

/// A session so new that its row is not written yet.
fn unrecorded(meeting: Meeting, snapshot: &SessionSnapshot) -> SessionView {
    let started_at = Time::at_unix_ns(clock::unix_ns_at(snapshot.started_at));
    SessionView {
        id: snapshot.session_id,
        associated_id: meeting.id,
        organization_id: meeting.organization,
        meeting_display_name: meeting.title,
        kind: "meeting",
        status: "LIVE",
        live_participants: 0,
        max_concurrent_participants: 0,
        minutes_consumed: 0.0,
        started_at,
        ended_at: None,
        created_at: started_at,
        updated_at: started_at,
        interrupted: false,
    }
}
