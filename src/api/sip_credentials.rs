//! `/v2/sip/credentials`: user names and passwords for phones. The password is in the reply that
//! makes it, and never again.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::state::ApiState;
use super::text;
use super::types::{Created, Paged, Paging, Success, Time};
use crate::id::{CredentialId, MeetingId, OrganizationId};
use crate::limits::CREDENTIAL_MEETINGS_MAX;
use crate::store::credential::{Login, MeetingScope, SipCredential};

/// A credential as replies show it.
#[derive(Serialize)]
pub(super) struct CredentialView {
    id: CredentialId,
    name: String,
    username: String,
    realm: String,
    /// The meetings it opens; null for all of the organisation.
    meetings: Option<BTreeSet<MeetingId>>,
    created_at: Time,
}

impl CredentialView {
    fn of(state: &ApiState, credential: SipCredential) -> Self {
        Self {
            id: credential.id,
            name: credential.name,
            username: credential.username,
            realm: state.store().settings().realm.clone(),
            meetings: match credential.scope {
                MeetingScope::Organization => None,
                MeetingScope::Listed(meetings) => Some(meetings),
            },
            created_at: credential.created_at.into(),
        }
    }
}

/// A new credential with its password.
#[derive(Serialize)]
pub(super) struct NewCredentialView {
    #[serde(flatten)]
    credential: CredentialView,
    password: String,
}

#[derive(Deserialize)]
pub(super) struct NewCredential {
    name: Option<String>,
    username: Option<String>,
    password: Option<String>,
    meetings: Option<BTreeSet<MeetingId>>,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<NewCredential>,
) -> Result<Created<NewCredentialView>, ApiError> {
    let name = text::line("name", body.name.unwrap_or_default())?;
    let login = Login {
        username: match body.username {
            Some(username) => checked_username(username)?,
            None => Login::draw_username(),
        },
        password: match body.password {
            Some(password) => checked_password(password)?,
            None => Login::draw_password(),
        },
    };
    let scope = match body.meetings {
        None => MeetingScope::Organization,
        Some(meetings) => {
            own_meetings(&state, caller.organization, &meetings).await?;
            MeetingScope::Listed(meetings)
        }
    };
    let credential = state
        .store()
        .create_sip_credential(caller.organization, name, login.clone(), scope)
        .await?;
    Ok(Created(NewCredentialView {
        credential: CredentialView::of(&state, credential),
        password: login.password,
    }))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<CredentialView>, ApiError> {
    let listed = state
        .store()
        .sip_credentials(caller.organization, page)
        .await?;
    Ok(Paged::of(page, listed, |credential| {
        CredentialView::of(&state, credential)
    }))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(credential): Path<String>,
) -> Result<Success<CredentialView>, ApiError> {
    let found = find(&state, caller, &credential).await?;
    Ok(Success(CredentialView::of(&state, found)))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(credential): Path<String>,
) -> Result<Success<CredentialView>, ApiError> {
    let found = find(&state, caller, &credential).await?;
    let removed = state
        .store()
        .delete_sip_credential(caller.organization, found.id)
        .await?;
    if !removed {
        return Err(ApiError::not_found("SIP credential"));
    }
    Ok(Success(CredentialView::of(&state, found)))
}

async fn find(
    state: &ApiState,
    caller: Caller,
    credential: &str,
) -> Result<SipCredential, ApiError> {
    state
        .store()
        .sip_credential(caller.organization, id("SIP credential", credential)?)
        .await?
        .ok_or_else(|| ApiError::not_found("SIP credential"))
}

async fn own_meetings(
    state: &ApiState,
    organization: OrganizationId,
    meetings: &BTreeSet<MeetingId>,
) -> Result<(), ApiError> {
    if meetings.len() > CREDENTIAL_MEETINGS_MAX {
        return Err(ApiError::unprocessable(
            "invalid_field",
            format!("meetings may list at most {CREDENTIAL_MEETINGS_MAX}"),
        ));
    }
    for &id in meetings {
        let meeting = state.store().meeting(id).await?;
        if meeting.is_none_or(|meeting| meeting.organization != organization) {
            return Err(ApiError::unprocessable(
                "unknown_meeting",
                format!("there is no meeting {id}"),
            ));
        }
    }
    Ok(())
}

/// Characters that need no quoting in SIP, so that every phone sends them alike.
fn checked_username(username: String) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (3..=64).contains(&username.len()) && username.chars().all(plain) {
        return Ok(username);
    }
    Err(ApiError::unprocessable(
        "invalid_field",
        "username must be 3 to 64 of a-z A-Z 0-9 - _ .",
    ))
}

fn checked_password(password: String) -> Result<String, ApiError> {
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    if (12..=128).contains(&password.len()) && password.chars().all(printable) {
        return Ok(password);
    }
    Err(ApiError::unprocessable(
        "invalid_field",
        "password must be 12 to 128 printable ASCII characters",
    ))
}
