//! HTTP: the REST API in the shape Dyte's users know, the signalling WebSocket, the join page,
//! health, and the admin listener. One file per noun.
//!
//! Every handler has the same flow: authenticate, parse into types, ask the store or the
//! directory, and answer with a typed reply or one [`error::ApiError`].

pub mod error;
pub mod health;
pub mod serve;
pub mod state;
pub mod token;

mod active_session;
mod admin;
mod analytics;
mod auth;
mod bans;
mod body;
mod call_keys;
mod calls;
mod console;
mod kept;
mod meetings;
mod observe;
mod openapi;
mod participants;
mod presets;
mod rates;
mod routing_rules;
mod sessions;
mod signal_ws;
mod sip_credentials;
mod sip_registrations;
mod sip_ws;
mod text;
mod trunks;
mod types;
mod version;
mod web;
mod webhooks;
mod whip;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, patch, post};

use crate::limits::API_BODY_BYTES_MAX;
use error::ApiError;

pub use health::Readiness;
pub use state::{ApiParts, ApiState, PublicUrls};

/// What the public listeners serve: pages, REST, signalling, health.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .nest("/v2", rest())
        .route("/sip", get(sip_ws::open))
        .merge(web::routes())
        .merge(health::routes())
        .merge(version::routes())
        .merge(openapi::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            observe::observe,
        ))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .with_state(state)
}

/// What the admin listener serves: metrics, bans and health, the operator's console and the REST
/// API that it calls.
pub fn admin_router(state: ApiState) -> Router {
    let rest = rest().layer(middleware::from_fn_with_state(
        state.clone(),
        console::recognise,
    ));
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/console") }))
        .nest("/v2", rest)
        .merge(admin::routes())
        .merge(bans::routes())
        .merge(console::routes())
        .merge(web::assets())
        .merge(health::routes())
        .merge(version::routes())
        .merge(openapi::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            observe::observe,
        ))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .with_state(state)
}

fn rest() -> Router<ApiState> {
    Router::new()
        .route("/signal", get(signal_ws::open))
        .route("/whip", post(whip::publish).options(whip::options))
        .route(
            "/whip/{session}",
            patch(whip::patch_publisher)
                .delete(whip::unpublish)
                .options(whip::options),
        )
        .route("/whep", post(whip::play).options(whip::options))
        .route(
            "/whep/{session}",
            patch(whip::patch_player)
                .delete(whip::stop_playing)
                .options(whip::options),
        )
        .route("/meetings", post(meetings::create).get(meetings::list))
        .route(
            "/meetings/{meeting}",
            get(meetings::show).patch(meetings::change),
        )
        .route(
            "/meetings/{meeting}/participants",
            post(participants::create).get(participants::list),
        )
        .route(
            "/meetings/{meeting}/participants/{participant}",
            get(participants::show)
                .patch(participants::change)
                .delete(participants::remove),
        )
        .route(
            "/meetings/{meeting}/participants/{participant}/token",
            post(participants::renew_token).delete(participants::revoke_tokens),
        )
        .route(
            "/meetings/{meeting}/active-session",
            get(active_session::show),
        )
        .route(
            "/meetings/{meeting}/active-session/kick",
            post(active_session::kick),
        )
        .route(
            "/meetings/{meeting}/active-session/kick-all",
            post(active_session::kick_all),
        )
        .route(
            "/meetings/{meeting}/active-session/mute",
            post(active_session::mute),
        )
        .route(
            "/meetings/{meeting}/active-session/mute-all",
            post(active_session::mute_all),
        )
        .route(
            "/meetings/{meeting}/active-session/admit",
            post(active_session::admit),
        )
        .route(
            "/meetings/{meeting}/active-session/deny",
            post(active_session::deny),
        )
        .route("/presets", post(presets::create).get(presets::list))
        .route(
            "/presets/{preset}",
            get(presets::show)
                .patch(presets::change)
                .delete(presets::remove),
        )
        .route("/sessions", get(sessions::list))
        .route("/sessions/{session}", get(sessions::show))
        .route(
            "/sessions/{session}/participants",
            get(sessions::participants),
        )
        .route("/analytics/daywise", get(analytics::daywise))
        .route("/webhooks", post(webhooks::create).get(webhooks::list))
        .route(
            "/webhooks/{webhook}",
            get(webhooks::show)
                .patch(webhooks::change)
                .delete(webhooks::remove),
        )
        .route("/webhooks/{webhook}/deliveries", get(webhooks::deliveries))
        .route(
            "/webhooks/{webhook}/deliveries/{delivery}/replay",
            post(webhooks::replay),
        )
        .route(
            "/sip/credentials",
            post(sip_credentials::create).get(sip_credentials::list),
        )
        .route(
            "/sip/credentials/{credential}",
            get(sip_credentials::show).delete(sip_credentials::remove),
        )
        .route("/sip/trunks", post(trunks::create).get(trunks::list))
        .route(
            "/sip/trunks/{trunk}",
            get(trunks::show)
                .patch(trunks::change)
                .delete(trunks::remove),
        )
        .route(
            "/sip/routing-rules",
            post(routing_rules::create).get(routing_rules::list),
        )
        .route(
            "/sip/routing-rules/{rule}",
            get(routing_rules::show)
                .patch(routing_rules::change)
                .delete(routing_rules::remove),
        )
        .route("/sip/registrations", get(sip_registrations::list))
        .route("/sip/calls", get(calls::list))
        .route("/sip/calls/{call}", get(calls::show))
        .route("/sip/calls/{call}/hang-up", post(calls::hang_up))
        .route("/sip/calls/{call}/mute", post(calls::mute))
        .route("/sip/calls/{call}/dtmf", post(call_keys::send))
}

async fn not_found() -> ApiError {
    ApiError::not_found("path")
}

async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}
