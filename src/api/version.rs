//! `GET /version`.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::state::ApiState;

pub(super) fn routes() -> Router<ApiState> {
    Router::new().route("/version", get(version))
}

async fn version() -> Json<Value> {
    Json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}
