//! `/v2/sip/calls`: calls in progress, and those that have ended, from their records.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::state::ApiState;
use super::types::{Paged, Paging, Search, Success, Time};
use crate::call::end::EndReason;
use crate::call::trace::Timeline;
use crate::id::{CallId, CredentialId, MeetingId, ParticipantId, SessionId, TrunkId};
use crate::meeting::quality::{DirectionReport, QualityPoint};
use crate::meeting::signal::Source;
use crate::run::calls::LiveCall;
use crate::run::clock;
use crate::store::call::{CallFilter, CallQuality, StoredCall};
use crate::store::{Listed, Page};

/// A call as replies show it; what only its end tells is null while it lasts.
#[derive(Serialize)]
pub(super) struct CallView {
    id: CallId,
    meeting_id: Option<MeetingId>,
    session_id: Option<SessionId>,
    participant_id: Option<ParticipantId>,
    credential_id: Option<CredentialId>,
    /// The trunk it came by, while it lasts.
    trunk_id: Option<TrunkId>,
    sip_call_id: Option<String>,
    caller: String,
    profile: String,
    status: &'static str,
    on_hold: bool,
    outcome: Option<String>,
    reason: Option<String>,
    sip_status: Option<u16>,
    started_at: Time,
    answered_at: Option<Time>,
    ended_at: Option<Time>,
    setup_ms: Option<f64>,
    duration_s: f64,
    quality: Option<QualityView>,
    /// Of one call only: a list of them would be long.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Timeline>,
}

impl CallView {
    /// As lists show it: a hundred curves are more than anybody reads.
    fn without_curve(mut self) -> Self {
        if let Some(quality) = &mut self.quality {
            quality.curve.clear();
        }
        self
    }
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
    received: DirectionReport,
    sent: DirectionReport,
    curve: Vec<QualityPoint>,
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
            trunk_id: None,
            sip_call_id: Some(call.sip_call_id),
            caller: call.caller,
            profile: call.profile,
            status: "ENDED",
            on_hold: false,
            outcome: Some(call.outcome),
            reason: Some(call.reason),
            sip_status: Some(call.sip_status),
            started_at: call.started_at.into(),
            answered_at: call.answered_at.map(Time::from),
            ended_at: Some(call.ended_at.into()),
            setup_ms: call.setup.map(|setup| setup.as_seconds_f64() * 1e3),
            duration_s: talked.map_or(0.0, |talked| talked.as_seconds_f64()),
            quality: call.quality.map(QualityView::from),
            timeline: None,
        }
    }
}

impl From<LiveCall> for CallView {
    fn from(call: LiveCall) -> Self {
        let now = clock::now();
        let wall = |instant| Time::at_unix_ns(clock::unix_ns_at(instant));
        let talked = call
            .answered
            .map(|answered| now.saturating_duration_since(answered));
        let setup = call
            .answered
            .map(|answered| answered.saturating_duration_since(call.started));
        Self {
            id: call.id,
            meeting_id: call.meeting,
            session_id: None,
            participant_id: Some(call.participant),
            credential_id: None,
            trunk_id: call.trunk,
            sip_call_id: None,
            caller: call.caller,
            profile: call.profile,
            status: "LIVE",
            on_hold: call.on_hold,
            outcome: None,
            reason: None,
            sip_status: None,
            started_at: wall(call.started),
            answered_at: call.answered.map(wall),
            ended_at: None,
            setup_ms: setup.map(|setup| setup.as_secs_f64() * 1e3),
            duration_s: talked.map_or(0.0, |talked| talked.as_secs_f64()),
            quality: None,
            timeline: None,
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
            received: quality.ways.received,
            sent: quality.ways.sent,
            curve: quality.ways.curve,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CallQuery {
    meeting_id: Option<MeetingId>,
    outcome: Option<String>,
    status: Option<Status>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Live,
    Ended,
}

/// The calls in progress, then those that ended, newest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
    Search(query): Search<CallQuery>,
) -> Result<Paged<CallView>, ApiError> {
    let live = live(&state, caller, &query);
    let mut listed = if query.status == Some(Status::Live) {
        Listed {
            items: Vec::new(),
            total: 0,
        }
    } else {
        let filter = CallFilter {
            meeting: query.meeting_id,
            outcome: query.outcome,
        };
        let before = u32::try_from(live.len()).unwrap_or(u32::MAX);
        let rest = Page {
            offset: page.offset.saturating_sub(before),
            limit: page.limit - page.limit.min(before.saturating_sub(page.offset)),
        };
        let ended = state
            .store()
            .calls(caller.organization, filter, rest)
            .await?;
        Listed {
            items: ended
                .items
                .into_iter()
                .map(|call| CallView::from(call).without_curve())
                .collect(),
            total: ended.total,
        }
    };
    listed.total += live.len() as u64;
    let shown = live
        .into_iter()
        .skip(page.offset as usize)
        .take(page.limit as usize)
        .map(CallView::from);
    listed.items.splice(0..0, shown);
    Ok(Paged::of(page, listed, |call| call))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Success<CallView>, ApiError> {
    let id = id("call", &call)?;
    if let Some(call) = state.calls().find(caller.organization, id) {
        let timeline = state.calls().timeline(caller.organization, id);
        let quality = live_quality(&state, &call).await;
        return Ok(Success(CallView {
            timeline,
            quality,
            ..CallView::from(call)
        }));
    }
    let call = state.store().call(caller.organization, id).await?;
    let call = call.ok_or_else(|| ApiError::not_found("call"))?;
    let timeline = Some(call.timeline.clone());
    Ok(Success(CallView {
        timeline,
        ..CallView::from(call)
    }))
}

/// Figures until now; `None` while there is no leg.
async fn live_quality(state: &ApiState, call: &LiveCall) -> Option<QualityView> {
    let directory = state.directory();
    let report = directory
        .leg_report(call.meeting?, call.participant)
        .await?;
    Some(CallQuality::from(&report).into())
}

/// Ends a call in progress; the reply shows it as it was.
pub(super) async fn hang_up(
    State(state): State<ApiState>,
    caller: Caller,
    Path(call): Path<String>,
) -> Result<Success<CallView>, ApiError> {
    let id = id("call", &call)?;
    let call = state.calls().find(caller.organization, id);
    let call = call.ok_or_else(|| ApiError::not_found("call in progress"))?;
    let reason = EndReason::HungUpByOperator;
    if !state.calls().hang_up(caller.organization, id, reason) {
        return Err(ApiError::not_found("call in progress"));
    }
    Ok(Success(call.into()))
}

/// Whether the call is muted.
#[derive(Deserialize)]
pub(super) struct Mute {
    #[serde(default = "yes")]
    muted: bool,
}

fn yes() -> bool {
    true
}

/// Mutes or unmutes a phone in its meeting, at the server.
pub(super) async fn mute(
    State(state): State<ApiState>,
    caller: Caller,
    Path(call): Path<String>,
    Body(body): Body<Mute>,
) -> Result<Success<CallView>, ApiError> {
    let (call, meeting) = seated(&state, caller, &call)?;
    let source = Source::Microphone;
    let directory = state.directory();
    let found = directory
        .mute(meeting, call.participant, source, body.muted)
        .await;
    match found {
        true => Ok(Success(call.into())),
        false => Err(not_seated()),
    }
}

/// A call in progress and the meeting it is in.
fn seated(state: &ApiState, caller: Caller, call: &str) -> Result<(LiveCall, MeetingId), ApiError> {
    let call = state.calls().find(caller.organization, id("call", call)?);
    let call = call.ok_or_else(|| ApiError::not_found("call in progress"))?;
    let meeting = call.meeting.ok_or_else(not_seated)?;
    Ok((call, meeting))
}

fn not_seated() -> ApiError {
    ApiError::conflict(
        "not_in_meeting",
        "the call is not in its meeting, or has no voice there",
    )
}

/// Those in progress that the query wants, newest first. They have no outcome yet.
fn live(state: &ApiState, caller: Caller, query: &CallQuery) -> Vec<LiveCall> {
    if query.status == Some(Status::Ended) || query.outcome.is_some() {
        return Vec::new();
    }
    let mut calls = state.calls().list(caller.organization);
    calls.retain(|call| query.meeting_id.is_none() || call.meeting == query.meeting_id);
    calls.reverse();
    calls
}
