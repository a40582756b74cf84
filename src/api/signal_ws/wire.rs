//! Messages on a WebSocket: text frames in and out, with the limits on each.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};

use crate::limits::SIGNAL_WRITE_TIME_MAX;
use crate::meeting::signal::{ClientMessage, ServerMessage};

/// Longest reason in a close frame (RFC 6455 §5.5: 125 bytes with the code).
const CLOSE_REASON_BYTES_MAX: usize = 120;

/// A browser answers a close at once; one that does not is not waited for.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// The socket.
pub(super) struct Wire {
    socket: WebSocket,
}

/// What came in.
pub(super) enum Heard {
    /// A message we know.
    Message(ClientMessage),
    /// A frame that says nothing but that the browser is there: ping, pong.
    Alive,
    /// Not a message; why.
    Malformed(String),
    /// Over the limit; nothing more can be read.
    TooLarge,
    /// The socket is closed or broken.
    Gone,
}

/// The socket does not take what is written to it.
pub(super) struct Broken;

impl Wire {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket }
    }

    /// The next thing heard. Cancel-safe: nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Heard {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(text.as_str()) {
                Ok(message) => Heard::Message(message),
                Err(error) => Heard::Malformed(error.to_string()),
            },
            Some(Ok(Message::Binary(_))) => {
                Heard::Malformed("messages are JSON in text frames".to_owned())
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Alive,
            Some(Ok(Message::Close(_))) | None => Heard::Gone,
            Some(Err(error)) if is_capacity(&error) => Heard::TooLarge,
            Some(Err(_)) => Heard::Gone,
        }
    }

    /// Writes a message, within [`SIGNAL_WRITE_TIME_MAX`].
    pub(super) async fn say(&mut self, message: &ServerMessage) -> Result<(), Broken> {
        let text = serde_json::to_string(message).map_err(|error| {
            tracing::error!(%error, "a message could not be written as JSON");
            Broken
        })?;
        self.write(Message::Text(text.into())).await
    }

    /// Says an error.
    pub(super) async fn complain(&mut self, code: &str, message: &str) -> Result<(), Broken> {
        self.say(&ServerMessage::Error {
            code: code.to_owned(),
            message: message.to_owned(),
        })
        .await
    }

    /// Asks whether the browser is there.
    pub(super) async fn ping(&mut self) -> Result<(), Broken> {
        self.write(Message::Ping(Default::default())).await
    }

    /// Says an error and closes with its code as the reason.
    pub(super) async fn refuse(&mut self, code: &str, message: &str, close_code: u16) {
        if self.complain(code, message).await.is_ok() {
            self.close(close_code, code).await;
        }
    }

    /// Closes; the browser may be gone already.
    pub(super) async fn close(&mut self, code: u16, reason: &str) {
        debug_assert!(reason.len() <= CLOSE_REASON_BYTES_MAX);
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(reason),
        };
        if self.write(Message::Close(Some(frame))).await.is_ok() {
            // Until it has answered, or the connection would be reset with our words unread.
            let farewell = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _in_time = tokio::time::timeout(CLOSE_TIME_MAX, farewell).await;
        }
    }

    async fn write(&mut self, message: Message) -> Result<(), Broken> {
        match tokio::time::timeout(SIGNAL_WRITE_TIME_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Broken),
        }
    }
}

/// Is this tungstenite's "message too long"? Axum hides the type but passes it as the source.
fn is_capacity(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(tokio_tungstenite::tungstenite::Error::Capacity(_)) = error.downcast_ref() {
            return true;
        }
        source = error.source();
    }
    false
}
