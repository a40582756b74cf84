//! `/v2/meetings`.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::state::{ApiState, PublicUrls};
use super::text;
use super::types::{Created, Paged, Paging, Search, Success, Time};
use crate::id::{MeetingId, OrganizationId};
use crate::store::Meeting;
use crate::store::meeting::{MeetingChange, MeetingDraft, MeetingStatus};

/// A meeting as replies show it.
#[derive(Serialize)]
pub(super) struct MeetingView {
    id: MeetingId,
    title: String,
    preferred_region: Option<String>,
    record_on_start: bool,
    live_stream_on_start: bool,
    status: &'static str,
    created_at: Time,
    updated_at: Time,
    /// Ours: what a phone dials.
    sip_uri: String,
}

impl MeetingView {
    fn of(urls: &PublicUrls, meeting: Meeting) -> Self {
        Self {
            id: meeting.id,
            title: meeting.title,
            preferred_region: meeting.preferred_region,
            record_on_start: meeting.record_on_start,
            live_stream_on_start: meeting.live_stream_on_start,
            status: meeting.status.label(),
            created_at: meeting.created_at.into(),
            updated_at: meeting.updated_at.into(),
            sip_uri: urls.sip_uri(meeting.id),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NewMeeting {
    title: Option<String>,
    preferred_region: Option<String>,
    record_on_start: Option<bool>,
    live_stream_on_start: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ChangedMeeting {
    title: Option<String>,
    preferred_region: Option<String>,
    record_on_start: Option<bool>,
    live_stream_on_start: Option<bool>,
    status: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct MeetingQuery {
    search: Option<String>,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<NewMeeting>,
) -> Result<Created<MeetingView>, ApiError> {
    let draft = MeetingDraft {
        title: text::line("title", body.title.unwrap_or_default())?,
        preferred_region: text::line_opt("preferred_region", body.preferred_region)?,
        record_on_start: body.record_on_start.unwrap_or(false),
        live_stream_on_start: body.live_stream_on_start.unwrap_or(false),
    };
    let meeting = state
        .store()
        .create_meeting(caller.organization, draft)
        .await?;
    Ok(Created(MeetingView::of(state.urls(), meeting)))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
    Search(query): Search<MeetingQuery>,
) -> Result<Paged<MeetingView>, ApiError> {
    let listed = state
        .store()
        .meetings(caller.organization, query.search, page)
        .await?;
    Ok(Paged::of(page, listed, |meeting| {
        MeetingView::of(state.urls(), meeting)
    }))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
) -> Result<Success<MeetingView>, ApiError> {
    let meeting = find(&state, caller.organization, &meeting).await?;
    Ok(Success(MeetingView::of(state.urls(), meeting)))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(meeting): Path<String>,
    Body(body): Body<ChangedMeeting>,
) -> Result<Success<MeetingView>, ApiError> {
    let status = body.status.as_deref().map(status).transpose()?;
    let change = MeetingChange {
        title: text::line_opt("title", body.title)?,
        preferred_region: text::line_opt("preferred_region", body.preferred_region)?,
        record_on_start: body.record_on_start,
        live_stream_on_start: body.live_stream_on_start,
        status,
    };
    let changed = state
        .store()
        .update_meeting(caller.organization, id("meeting", &meeting)?, change)
        .await?;
    let meeting = changed.ok_or_else(|| ApiError::not_found("meeting"))?;
    Ok(Success(MeetingView::of(state.urls(), meeting)))
}

/// The organisation's meeting of this id; another's is as absent as none.
pub(super) async fn find(
    state: &ApiState,
    organization: OrganizationId,
    meeting: &str,
) -> Result<Meeting, ApiError> {
    state
        .store()
        .meeting(id("meeting", meeting)?)
        .await?
        .filter(|meeting| meeting.organization == organization)
        .ok_or_else(|| ApiError::not_found("meeting"))
}

fn status(label: &str) -> Result<MeetingStatus, ApiError> {
    MeetingStatus::from_label(label).ok_or_else(|| {
        ApiError::unprocessable("invalid_field", "status must be ACTIVE or INACTIVE")
    })
}
