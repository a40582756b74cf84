//! `GET /v2/signal`: the WebSocket between a browser and its seat in a session.
//!
//! The first message is `join`; `admission` decides it. Then `bridge` passes messages both ways
//! until either side ends. Whatever is refused is said in an `error` message before the close.

pub(super) mod admission;
mod bridge;
mod wire;

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::state::ApiState;
use crate::limits::{SIGNAL_JOIN_TIME_MAX, SIGNAL_MESSAGE_BYTES_MAX, SIGNAL_READ_BYTES};
use crate::meeting::signal::{ByeReason, ClientMessage, ServerMessage};
use wire::{Heard, Wire};

pub(super) async fn open(State(state): State<ApiState>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(permit) = state.signal_sockets().try_acquire_owned() else {
        return ApiError::busy().into_response();
    };
    upgrade
        .read_buffer_size(SIGNAL_READ_BYTES)
        .max_message_size(SIGNAL_MESSAGE_BYTES_MAX)
        .max_frame_size(SIGNAL_MESSAGE_BYTES_MAX)
        .on_upgrade(async move |socket| {
            let sockets = state.metrics().http.signal_sockets.clone();
            sockets.inc();
            converse(&state, socket).await;
            sockets.dec();
            drop(permit);
        })
}

/// One browser's connection, from its opening to its close.
async fn converse(state: &ApiState, socket: WebSocket) {
    let mut wire = Wire::new(socket);
    let Some((token, name)) = first_message(&mut wire).await else {
        return;
    };
    match admission::admit(state, &token, name.as_deref()).await {
        Ok(seat) => {
            state.metrics().http.join("joined");
            bridge::run(state, wire, seat).await;
        }
        Err(refusal) => {
            state.metrics().http.join(refusal.code());
            wire.refuse(refusal.code(), &refusal.to_string(), close_code::POLICY)
                .await;
        }
    }
}

/// The `join`, or nothing after having said what is wrong.
async fn first_message(wire: &mut Wire) -> Option<(String, Option<String>)> {
    let Ok(heard) = tokio::time::timeout(SIGNAL_JOIN_TIME_MAX, wire.hear()).await else {
        let message = format!("no join within {} s", SIGNAL_JOIN_TIME_MAX.as_secs());
        wire.refuse("join_timeout", &message, close_code::POLICY)
            .await;
        return None;
    };
    match heard {
        Heard::Message(ClientMessage::Join { token, name }) => Some((token, name)),
        Heard::Message(ClientMessage::Leave) => {
            let reason = ByeReason::Left;
            // Whether it still listens is its own affair: it asked to go.
            let _told = wire.say(&ServerMessage::Bye { reason }).await;
            wire.close(close_code::NORMAL, "left").await;
            None
        }
        Heard::Message(_) => {
            wire.refuse(
                "join_expected",
                "the first message must be join",
                close_code::POLICY,
            )
            .await;
            None
        }
        Heard::Malformed(why) => {
            wire.refuse("malformed_message", &why, close_code::POLICY)
                .await;
            None
        }
        Heard::TooLarge => {
            wire.refuse(
                "message_too_large",
                "the message is too large",
                close_code::SIZE,
            )
            .await;
            None
        }
        Heard::Alive | Heard::Gone => None,
    }
}
