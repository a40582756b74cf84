//! Who calls the REST API: HTTP Basic (RFC 7617), organisation id and API key.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;
use super::state::ApiState;
use crate::id::OrganizationId;

/// An organisation that has proved its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub organization: OrganizationId,
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        // The console's login, recognised on the admin listener.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        let (organization, key) = read(&parts.headers).ok_or_else(ApiError::unauthorized)?;
        if state.store().api_keys().authenticate(organization, &key) {
            Ok(Self { organization })
        } else {
            Err(ApiError::unauthorized())
        }
    }
}

fn read(headers: &HeaderMap) -> Option<(OrganizationId, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (organization, key) = decoded.split_once(':')?;
    Some((organization.parse().ok()?, key.to_owned()))
}
