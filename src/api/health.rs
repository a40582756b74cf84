//! `GET /healthz`: the process answers. `GET /readyz`: it takes new calls, or the reasons why not.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::state::ApiState;
use crate::run::clock;
use crate::run::directory::WorkerHealth;

/// A worker whose last tick is older is not ready: five ticks were missed.
pub const WORKER_TICK_AGE_MAX: Duration = Duration::from_millis(100);
/// A write of the store is tried again after this time: the check is public, the disk is not.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How readiness is found out: each part by a closure, so that a test can break each alone.
pub struct Readiness {
    /// Are all listeners bound? Else what is missing.
    pub listeners: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// State of every worker.
    pub workers: Box<dyn Fn() -> Vec<WorkerHealth> + Send + Sync>,
    /// Does the store take a write? Else why not.
    pub store: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
    /// RTP port pairs that a new call could have.
    pub rtp_ports_free: Box<dyn Fn() -> usize + Send + Sync>,
    /// Is the server going down?
    pub draining: Box<dyn Fn() -> bool + Send + Sync>,
    /// The last answer of `store` and when it was given; start with `Default::default()`.
    pub store_checked: Mutex<Option<(Instant, Result<(), String>)>>,
}

/// One reason why new calls are not welcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Readiness {
    /// Is the server going down?
    pub fn is_draining(&self) -> bool {
        (self.draining)()
    }

    /// Everything that stands against new calls; none when ready.
    pub async fn reasons(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        let mut against = |code, message| reasons.push(NotReady { code, message });
        if self.is_draining() {
            against("draining", "the server is shutting down".to_owned());
        }
        if let Err(missing) = (self.listeners)() {
            against("listener_not_bound", missing);
        }
        let workers = (self.workers)();
        if workers.is_empty() {
            against("no_worker", "there is no media worker".to_owned());
        }
        for worker in workers {
            let WorkerHealth {
                index,
                last_tick_age,
                ..
            } = worker;
            if !worker.running {
                against("worker_ended", format!("media worker {index} has ended"));
            } else if last_tick_age > WORKER_TICK_AGE_MAX {
                let age_ms = last_tick_age.as_millis();
                against(
                    "worker_late",
                    format!("media worker {index} last ticked {age_ms} ms ago"),
                );
            }
        }
        if (self.rtp_ports_free)() == 0 {
            against("no_rtp_ports", "no RTP ports are free".to_owned());
        }
        if let Err(why) = self.store_writable().await {
            against("store_not_writable", why);
        }
        reasons
    }

    async fn store_writable(&self) -> Result<(), String> {
        let mut checked = self.store_checked.lock().await;
        let now = clock::now();
        if let Some((at, result)) = checked.as_ref()
            && now.saturating_duration_since(*at) < STORE_CHECK_INTERVAL
        {
            return result.clone();
        }
        let result = (self.store)().await;
        *checked = Some((now, result.clone()));
        result
    }
}

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

async fn alive() -> Response {
    Json(json!({ "alive": true })).into_response()
}

async fn ready(State(state): State<ApiState>) -> Response {
    let reasons = state.readiness().reasons().await;
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, Json(body)).into_response()
}
