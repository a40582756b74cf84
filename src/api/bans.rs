//! `/bans` of the admin listener: who is shut out of SIP for wrong passwords, and lifting it.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use serde::Serialize;

use super::error::ApiError;
use super::state::ApiState;
use super::types::{Success, Time};
use crate::run::bans::ShutOut;
use crate::run::clock;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/bans", get(list))
        .route("/bans/{source}", delete(lift_source))
        .route("/bans/{source}/{username}", delete(lift_username))
}

/// One entry as replies show it.
#[derive(Serialize)]
struct ShutOutView {
    source: IpAddr,
    /// Null: the whole source is not heard.
    username: Option<String>,
    until: Time,
    seconds_left: u64,
    count: u32,
}

impl From<ShutOut> for ShutOutView {
    fn from(shut_out: ShutOut) -> Self {
        let left = shut_out.until.saturating_duration_since(clock::now());
        Self {
            source: shut_out.source,
            username: shut_out.username,
            until: Time::at_unix_ns(clock::unix_ns_at(shut_out.until)),
            seconds_left: left.as_secs(),
            count: shut_out.count,
        }
    }
}

/// How many were lifted.
#[derive(Serialize)]
struct Lifted {
    lifted: usize,
}

async fn list(State(state): State<ApiState>) -> Success<Vec<ShutOutView>> {
    let shut_out = state.bans().list().await;
    Success(shut_out.into_iter().map(ShutOutView::from).collect())
}

async fn lift_source(
    State(state): State<ApiState>,
    Path(source): Path<String>,
) -> Result<Success<Lifted>, ApiError> {
    lift(&state, &source, None).await
}

async fn lift_username(
    State(state): State<ApiState>,
    Path((source, username)): Path<(String, String)>,
) -> Result<Success<Lifted>, ApiError> {
    lift(&state, &source, Some(username)).await
}

async fn lift(
    state: &ApiState,
    source: &str,
    username: Option<String>,
) -> Result<Success<Lifted>, ApiError> {
    let source: IpAddr = source
        .parse()
        .map_err(|_| ApiError::bad_request("invalid_source", "a source is an IP address"))?;
    match state.bans().lift(source, username).await {
        0 => Err(ApiError::not_found("ban")),
        lifted => Ok(Success(Lifted { lifted })),
    }
}
