//! `/v2/sip/registrations`: the phones that are registered now.

use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;

use super::auth::Caller;
use super::error::ApiError;
use super::state::ApiState;
use super::types::{Paged, Paging, Time};
use crate::id::CredentialId;
use crate::store::Listed;
use crate::store::registration::StoredRegistration;

/// A registered phone as replies show it.
#[derive(Serialize)]
pub(super) struct RegistrationView {
    credential_id: CredentialId,
    username: String,
    contact: String,
    instance: Option<String>,
    user_agent: Option<String>,
    transport: &'static str,
    address: String,
    expires_at: Time,
}

impl From<StoredRegistration> for RegistrationView {
    fn from(stored: StoredRegistration) -> Self {
        let registration = stored.registration;
        let expires_at = OffsetDateTime::from_unix_timestamp_nanos(stored.expires_at_unix_ns);
        Self {
            credential_id: registration.credential,
            username: registration.username,
            contact: registration.contact,
            instance: registration.instance,
            user_agent: registration.user_agent,
            transport: registration.flow.transport.via_token(),
            address: registration.flow.remote.to_string(),
            // Beyond the year 9999 there are no registrations.
            expires_at: Time::from(expires_at.unwrap_or(OffsetDateTime::UNIX_EPOCH)),
        }
    }
}

/// The organisation's, by credential.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<RegistrationView>, ApiError> {
    let credentials = state.store().credentials();
    let is_ours = |id| {
        let grant = credentials.grant(id);
        grant.is_some_and(|grant| grant.organization == caller.organization)
    };
    let all = state.registrations().list(is_ours);
    let total = all.len() as u64;
    let items = all
        .into_iter()
        .skip(page.offset as usize)
        .take(page.limit as usize)
        .collect();
    Ok(Paged::of(
        page,
        Listed { items, total },
        RegistrationView::from,
    ))
}
