//! Who calls the REST API: HTTP Basic (RFC 7617), organisation id and API key.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;
use super::rates::Who;
use super::state::ApiState;
use crate::id::OrganizationId;
use crate::run::clock;

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
        let known = read(&parts.headers).filter(|(organization, key)| {
            let keys = state.store().api_keys();
            keys.authenticate(*organization, key)
        });
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let who = match (&known, from) {
            (Some((organization, _)), _) => Some(Who::Organization(*organization)),
            (None, from) => from.map(|from| Who::Stranger(from.0.ip().to_canonical())),
        };
        if let Some(who) = who {
            let taken = state.rates().take(who, clock::now());
            taken.map_err(ApiError::too_many_requests)?;
        }
        match known {
            Some((organization, _)) => Ok(Self { organization }),
            None => Err(ApiError::unauthorized()),
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
