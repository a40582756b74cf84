//! The operator's console, on the admin listener only: `/console` is the page, `/console/session`
//! its login. The page then calls `/v2` as the organisation whose API key was shown.
//!
//! The login is a bearer token and not a cookie: cookies are shared by all ports of a host and sent
//! unasked, so that another service or page of the same machine could use one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::state::ApiState;
use super::types::Success;
use super::web;
use crate::id::OrganizationId;
use crate::limits::{CONSOLE_SESSION_LIFE, CONSOLE_SESSIONS_MAX};
use crate::run::clock;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(
            "/console",
            get(|headers: HeaderMap| async move { web::serve("console.html", &headers) }),
        )
        .route("/console/session", post(log_in).get(show).delete(log_out))
}

/// Logins by the SHA-256 of their tokens: the tokens themselves are nowhere kept. They end with the
/// process.
#[derive(Default)]
pub struct ConsoleSessions {
    sessions: Mutex<HashMap<[u8; 32], Login>>,
}

#[derive(Clone, Copy)]
struct Login {
    organization: OrganizationId,
    since: Instant,
}

impl Login {
    fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < CONSOLE_SESSION_LIFE
    }
}

impl ConsoleSessions {
    /// Makes a token for `organization`. When there are too many, the oldest login ends.
    fn begin(&self, now: Instant, organization: OrganizationId) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut sessions = self.lock();
        sessions.retain(|_, login| login.holds(now));
        if sessions.len() >= CONSOLE_SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, login)| login.since);
            if let Some(oldest) = oldest.map(|(hash, _)| *hash) {
                sessions.remove(&oldest);
            }
        }
        let since = now;
        sessions.insert(
            hash(&token),
            Login {
                organization,
                since,
            },
        );
        token
    }

    /// Whose login the token is, if it still holds.
    fn organization(&self, now: Instant, token: &str) -> Option<OrganizationId> {
        let login = self.lock().get(&hash(token)).copied();
        login
            .filter(|login| login.holds(now))
            .map(|login| login.organization)
    }

    fn end(&self, token: &str) {
        self.lock().remove(&hash(token));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Login>> {
        // Each change is one call of the map: after a panic it is as whole as before.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Around the REST API on the admin listener: a console's token makes its caller the organisation.
/// HTTP Basic works there as it does elsewhere.
pub(super) async fn recognise(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = bearer(request.headers())
        .and_then(|token| state.console().organization(clock::now(), token));
    if let Some(organization) = known {
        request.extensions_mut().insert(Caller { organization });
    }
    next.run(request).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    organization_id: OrganizationId,
    api_key: String,
}

#[derive(Serialize)]
struct SessionView {
    organization_id: OrganizationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// No limit on attempts of its own: a key is 256 random bits.
async fn log_in(
    State(state): State<ApiState>,
    Body(login): Body<LogIn>,
) -> Result<Success<SessionView>, ApiError> {
    let organization_id = login.organization_id;
    let keys = state.store().api_keys();
    if !keys.authenticate(organization_id, &login.api_key) {
        return Err(ApiError::unauthorized());
    }
    let token = Some(state.console().begin(clock::now(), organization_id));
    Ok(Success(SessionView {
        organization_id,
        token,
    }))
}

async fn show(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Result<Success<SessionView>, ApiError> {
    let known =
        bearer(&headers).and_then(|token| state.console().organization(clock::now(), token));
    let organization_id = known.ok_or_else(ApiError::unauthorized)?;
    Ok(Success(SessionView {
        organization_id,
        token: None,
    }))
}

/// Also of a login that has ended already.
async fn log_out(State(state): State<ApiState>, headers: HeaderMap) -> StatusCode {
    if let Some(token) = bearer(&headers) {
        state.console().end(token);
    }
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_login_holds_for_its_time_and_until_it_is_ended() {
        let sessions = ConsoleSessions::default();
        let (now, ours) = (clock::now(), OrganizationId::from_random(1));
        let token = sessions.begin(now, ours);
        let late = now + CONSOLE_SESSION_LIFE;
        let in_time = late.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(sessions.organization(in_time, &token), Some(ours));
        assert_eq!(sessions.organization(late, &token), None);
        assert_eq!(sessions.organization(now, "another"), None);
        sessions.end(&token);
        assert_eq!(sessions.organization(now, &token), None);
    }

    #[test]
    fn one_login_too_many_ends_the_oldest() {
        let sessions = ConsoleSessions::default();
        let start = clock::now();
        let tokens: Vec<String> = (0..=CONSOLE_SESSIONS_MAX)
            .map(|n| {
                let later = Duration::from_millis(n as u64);
                sessions.begin(start + later, OrganizationId::from_random(n as u128))
            })
            .collect();
        let known = |token: &String| sessions.organization(start, token).is_some();
        assert!(!known(&tokens[0]));
        assert!(tokens[1..].iter().all(known));
    }
}
