//! `/v2/sip/calls`: calls that have ended, from their records.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::id;
use super::error::ApiError;
use super::state::ApiState;
use super::types::{Paged, Paging, Search, Success, Time};
use crate::id::{CallId, CredentialId, MeetingId, ParticipantId, SessionId};
use crate::store::call::{CallFilter, CallQuality, StoredCall};

/// A call as replies show it.
#[derive(Serialize)]
pub(super) struct CallView {
    id: CallId,
    meeting_id: Option<MeetingId>,
    session_id: Option<SessionId>,
    participant_id: Option<ParticipantId>,
    credential_id: Option<CredentialId>,
    sip_call_id: String,
    caller: String,
    profile: String,
    status: &'static str,
    outcome: String,
    reason: String,
    sip_status: u16,
    started_at: Time,
    answered_at: Option<Time>,
    ended_at: Time,
    setup_ms: Option<f64>,
    duration_s: f64,
    quality: Option<QualityView>,
}

#[derive(Serialize)]
struct QualityView {
    packets_received: u64,
    packets_sent: u64,
    packets_lost: u64,
    packets_discarded: u64,
    jitter_ms: f64,
    concealed_ms: u64,
    remote_loss: Option<f64>,
    round_trip_ms: Option<f64>,
}

impl From<StoredCall> for CallView {
    fn from(call: StoredCall) -> Self {
        let talked = call.answered_at.map(|answered| call.ended_at - answered);
        Self {
            id: call.id,
            meeting_id: call.meeting,
            session_id: call.session,
            participant_id: call.participant,
            credential_id: call.credential,
            sip_call_id: call.sip_call_id,
            caller: call.caller,
            profile: call.profile,
            status: "ENDED",
            outcome: call.outcome,
            reason: call.reason,
            sip_status: call.sip_status,
            started_at: call.started_at.into(),
            answered_at: call.answered_at.map(Time::from),
            ended_at: call.ended_at.into(),
            setup_ms: call.setup.map(|setup| setup.as_seconds_f64() * 1e3),
            duration_s: talked.map_or(0.0, |talked| talked.as_seconds_f64()),
            quality: call.quality.map(QualityView::from),
        }
    }
}

impl From<CallQuality> for QualityView {
    fn from(quality: CallQuality) -> Self {
        Self {
            packets_received: quality.packets_received,
            packets_sent: quality.packets_sent,
            packets_lost: quality.packets_lost,
            packets_discarded: quality.packets_discarded,
            jitter_ms: quality.jitter_ms,
            concealed_ms: quality.concealed_ms,
            remote_loss: quality.remote_loss,
            round_trip_ms: quality.round_trip_ms,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CallQuery {
    meeting_id: Option<MeetingId>,
    outcome: Option<String>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
    Search(query): Search<CallQuery>,
) -> Result<Paged<CallView>, ApiError> {
    let filter = CallFilter {
        meeting: query.meeting_id,
        outcome: query.outcome,
    };
    let listed = state
        .store()
        .calls(caller.organization, filter, page)
        .await?;
    Ok(Paged::of(page, listed, CallView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Success<CallView>, ApiError> {
    let call = state
        .store()
        .call(caller.organization, id("call", &call)?)
        .await?;
    let call = call.ok_or_else(|| ApiError::not_found("call"))?;
    Ok(Success(call.into()))
}
