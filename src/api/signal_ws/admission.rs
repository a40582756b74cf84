//! From a join token to a seat, or the reason why not.

use crate::api::state::ApiState;
use crate::api::text;
use crate::api::token::{Claims, TokenError};
use crate::id::{MeetingId, ParticipantId};
use crate::meeting::participant::{Joining, ParticipantKind};
use crate::meeting::preset::Preset;
use crate::run::directory::{BrowserSeat, JoinRefusal, MeetingInfo};
use crate::store::meeting::MeetingStatus;
use crate::store::{Meeting, StoreError};

/// Shown for who gives no name.
const NAMELESS: &str = "Guest";

/// Why a browser was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum Refusal {
    #[error("the token is not valid")]
    TokenInvalid,
    #[error("the token has expired")]
    TokenExpired,
    #[error("there is no such meeting")]
    UnknownMeeting,
    #[error("the meeting is closed")]
    MeetingInactive,
    #[error("the token's preset no longer exists")]
    UnknownPreset,
    #[error("the token was revoked")]
    TokenRevoked,
    #[error("the participant was removed")]
    ParticipantRemoved,
    #[error("the meeting is full")]
    MeetingFull,
    #[error("the server is shutting down")]
    Draining,
    #[error("the server has no room left; try again soon")]
    Overloaded,
    #[error("the server failed; try again")]
    Internal,
}

impl Refusal {
    /// Stable, for programs.
    pub(in crate::api) fn code(self) -> &'static str {
        match self {
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::UnknownMeeting => "unknown_meeting",
            Self::MeetingInactive => "meeting_inactive",
            Self::UnknownPreset => "unknown_preset",
            Self::TokenRevoked => "token_revoked",
            Self::ParticipantRemoved => "participant_removed",
            Self::MeetingFull => "meeting_full",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::TokenInvalid,
            TokenError::Expired => Self::TokenExpired,
            TokenError::Unsigned => Self::Internal,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a join failed in the store");
        match error {
            StoreError::Busy => Self::Overloaded,
            StoreError::Closed | StoreError::Conflict(_) | StoreError::Database(_) => {
                Self::Internal
            }
        }
    }
}

impl From<JoinRefusal> for Refusal {
    fn from(refusal: JoinRefusal) -> Self {
        match refusal {
            JoinRefusal::MeetingFull => Self::MeetingFull,
            JoinRefusal::Overloaded | JoinRefusal::Busy { .. } => Self::Overloaded,
            JoinRefusal::Draining => Self::Draining,
            // Only phones are asked for that permission.
            JoinRefusal::WorkerFailed
            | JoinRefusal::PresetForbidsPhone
            | JoinRefusal::UnusableOffer => Self::Internal,
        }
    }
}

/// Checks the token and takes the seat it promises.
pub(in crate::api) async fn admit(
    state: &ApiState,
    token: &str,
    name: Option<&str>,
) -> Result<BrowserSeat, Refusal> {
    let claims = state.tokens().verify(token)?;
    let meeting = open_meeting(state, &claims).await?;
    let joining = joining(state, &claims, name).await?;
    if state.readiness().is_draining() && !is_there(state, meeting.id, joining.id).await {
        return Err(Refusal::Draining);
    }
    let resume = claims.resume(joining.id, &joining.name);
    let resume_token = state.tokens().mint(&resume)?;
    let info = MeetingInfo {
        id: meeting.id,
        organization: meeting.organization,
        title: meeting.title,
    };
    Ok(state
        .directory()
        .join_browser(&info, joining, resume_token)
        .await?)
}

async fn open_meeting(state: &ApiState, claims: &Claims) -> Result<Meeting, Refusal> {
    let meeting = state
        .store()
        .meeting(claims.meeting)
        .await?
        .filter(|meeting| meeting.organization == claims.org)
        .ok_or(Refusal::UnknownMeeting)?;
    match meeting.status {
        MeetingStatus::Active => Ok(meeting),
        MeetingStatus::Inactive => Err(Refusal::MeetingInactive),
    }
}

/// Who joins: a participant as the store has it now, or a guest as its token says.
async fn joining(
    state: &ApiState,
    claims: &Claims,
    wished: Option<&str>,
) -> Result<Joining, Refusal> {
    let wished = wished
        .map(text::display_name)
        .filter(|name| !name.is_empty());
    let stored = match claims.participant {
        Some(id) if !claims.guest => Some(
            state
                .store()
                .participant(claims.meeting, id)
                .await?
                .ok_or(Refusal::ParticipantRemoved)?,
        ),
        _ => None,
    };
    if stored
        .as_ref()
        .is_some_and(|stored| stored.token_serial != claims.serial)
    {
        return Err(Refusal::TokenRevoked);
    }
    let preset_name = stored
        .as_ref()
        .map_or(&claims.preset, |stored| &stored.preset_name);
    let preset = preset(state, claims, preset_name).await?;
    let (id, known_name, picture, custom_participant_id) = match stored {
        Some(stored) => (
            stored.id,
            Some(stored.name),
            stored.picture,
            stored.custom_participant_id,
        ),
        None => (
            claims
                .participant
                .unwrap_or_else(|| ParticipantId::from_random(rand::random())),
            claims.name.clone(),
            None,
            None,
        ),
    };
    let name = wished
        .or(known_name.filter(|name| !name.is_empty()))
        .unwrap_or_else(|| NAMELESS.to_owned());
    Ok(Joining {
        id,
        custom_participant_id,
        name,
        picture,
        kind: ParticipantKind::Browser,
        preset,
        pin: None,
        attributes: Default::default(),
    })
}

async fn preset(state: &ApiState, claims: &Claims, name: &str) -> Result<Preset, Refusal> {
    state
        .store()
        .preset(claims.org, name)
        .await?
        .ok_or(Refusal::UnknownPreset)
}

/// While draining, who is in a meeting may come back to it after a cut.
async fn is_there(state: &ApiState, meeting: MeetingId, participant: ParticipantId) -> bool {
    match state.directory().snapshot(meeting).await {
        Some(session) => session.participants.iter().any(|p| p.id == participant),
        None => false,
    }
}
