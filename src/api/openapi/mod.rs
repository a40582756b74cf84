//! `GET /openapi.json`: the REST API as an OpenAPI 3.1 document, kept by hand beside the handlers
//! and held to them by a test.

mod media;
mod paths;
mod schemas;
mod schemas_sip;
mod shape;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::state::ApiState;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

pub(super) fn routes() -> Router<ApiState> {
    Router::new().route("/openapi.json", get(show))
}

async fn show() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, DOCUMENT.as_str()).into_response()
}

/// The whole document.
pub(super) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringbridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Meetings that phones can join. REST in the shape of Dyte v2; \
                browsers join over the WebSocket at /v2/signal with a participant's token.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "basic": [] }],
        "tags": [
            { "name": "meetings" },
            { "name": "participants" },
            { "name": "active session" },
            { "name": "presets" },
            { "name": "sessions" },
            { "name": "webhooks" },
            { "name": "analytics" },
            { "name": "sip" },
            { "name": "media" },
            { "name": "server" },
        ],
        "paths": paths::all(),
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "User: organisation id. Password: API key.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A participant's or a meeting's join token.",
                },
            },
            "schemas": all_schemas(),
            "responses": schemas::responses(),
        },
    })
}

fn all_schemas() -> Value {
    let mut schemas = schemas::all();
    for (name, schema) in schemas_sip::all() {
        schemas[name] = schema;
    }
    schemas
}
