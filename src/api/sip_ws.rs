//! `GET /sip`: SIP over WebSocket (RFC 7118), as browser phones speak it. One frame is one message;
//! answers and requests go back on the socket that the phone opened.

use std::net::SocketAddr;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Extension, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};

use super::error::ApiError;
use super::serve::Arrival;
use super::state::ApiState;
use crate::limits::{
    SIGNAL_PING_INTERVAL, SIGNAL_READ_BYTES, SIGNAL_SILENCE_MAX, SIP_MESSAGE_BYTES_MAX,
    STREAM_FIRST_MESSAGE_MAX, STREAM_WRITE_MAX, STREAM_WRITES_MAX,
};
use crate::net::stream::StreamEvent;
use crate::run::clock;
use crate::sip::flow::{Flow, Transport};

/// The subprotocol (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";

pub(super) async fn open(
    State(state): State<ApiState>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    Extension(arrival): Extension<Arrival>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let message = "Sec-WebSocket-Protocol must offer `sip`";
        return ApiError::bad_request("subprotocol_required", message).into_response();
    }
    let door = state.sip_door().clone();
    let Some(seat) = door.seat(remote.ip()) else {
        return ApiError::busy().into_response();
    };
    let transport = match arrival.is_tls {
        true => Transport::Wss,
        false => Transport::Ws,
    };
    let flow = door.flow(transport, arrival.local, remote);
    upgrade
        .read_buffer_size(SIGNAL_READ_BYTES)
        .max_message_size(SIP_MESSAGE_BYTES_MAX)
        .max_frame_size(SIP_MESSAGE_BYTES_MAX)
        .on_upgrade(async move |socket| {
            converse(socket, flow, door.events()).await;
            drop(seat);
        })
}

/// One phone's connection, from its opening to its end, which is always reported.
async fn converse(socket: WebSocket, flow: Flow, events: mpsc::Sender<StreamEvent>) {
    let (writer, queue) = mpsc::channel(STREAM_WRITES_MAX);
    let opened = StreamEvent::Opened { flow, writer };
    if events.send(opened).await.is_err() {
        return;
    }
    pass(socket, flow, &events, queue).await;
    // The receiver is gone only when the process ends.
    let _ = events.send(StreamEvent::Closed { flow: flow.id }).await;
}

/// Passes messages both ways until either side ends.
async fn pass(
    mut socket: WebSocket,
    flow: Flow,
    events: &mpsc::Sender<StreamEvent>,
    mut queue: mpsc::Receiver<Bytes>,
) {
    let begun = Instant::from_std(clock::now());
    let mut pings = interval_at(begun + SIGNAL_PING_INTERVAL, SIGNAL_PING_INTERVAL);
    let mut gone_at = begun + STREAM_FIRST_MESSAGE_MAX;
    let mut has_spoken = false;
    loop {
        let outgoing = tokio::select! {
            heard = socket.recv() => match read(heard) {
                Heard::Message(bytes) => {
                    has_spoken = true;
                    if events.send(StreamEvent::Message { flow, bytes }).await.is_err() {
                        return;
                    }
                    None
                }
                Heard::KeepAlive => Some(Message::Text("\r\n".into())),
                Heard::Alive => None,
                Heard::Gone => return,
            },
            Some(bytes) = queue.recv() => Some(frame(bytes)),
            _ = pings.tick() => Some(Message::Ping(Bytes::new())),
            () = tokio::time::sleep_until(gone_at) => return,
        };
        match outgoing {
            Some(message) => {
                let sent = timeout(STREAM_WRITE_MAX, socket.send(message)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            // Pongs count as life, but not instead of the first message.
            None if has_spoken => {
                gone_at = Instant::from_std(clock::now()) + SIGNAL_SILENCE_MAX;
            }
            None => {}
        }
    }
}

/// What came in.
enum Heard {
    Message(Vec<u8>),
    /// A double line end, which SIP.js sends as keep-alive (RFC 5626 §3.5.1): a single one answers.
    KeepAlive,
    /// Ping, pong, a single line end.
    Alive,
    Gone,
}

fn read(heard: Option<Result<Message, axum::Error>>) -> Heard {
    let bytes = match heard {
        Some(Ok(Message::Text(text))) => Bytes::from(text),
        Some(Ok(Message::Binary(bytes))) => bytes,
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Heard::Alive,
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Heard::Gone,
    };
    match &bytes[..] {
        b"\r\n\r\n" => Heard::KeepAlive,
        b"" | b"\r\n" => Heard::Alive,
        message => Heard::Message(message.to_vec()),
    }
}

/// Text where it is text: browsers hand binary frames to pages as blobs.
fn frame(bytes: Bytes) -> Message {
    match axum::extract::ws::Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}
