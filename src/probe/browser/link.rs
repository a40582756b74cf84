//! The signalling connection: JSON messages over a WebSocket, plain or TLS.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::JoinError;
use crate::meeting::signal::{ClientMessage, ServerMessage};
use crate::probe::tls;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The connection.
pub struct Link {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// Address of the server it goes to.
    pub server: std::net::SocketAddr,
}

impl Link {
    /// Connects to `ws[s]://host[:port]/path`.
    pub async fn connect(url: &str, accept_any_certificate: bool) -> Result<Self, JoinError> {
        let bad = || JoinError::BadUrl(url.to_owned());
        let parsed = reqwest::Url::parse(url).map_err(|_| bad())?;
        let tls = match parsed.scheme() {
            "ws" => false,
            "wss" => true,
            _ => return Err(bad()),
        };
        let host = parsed.host_str().ok_or_else(bad)?;
        let port = parsed.port_or_known_default().ok_or_else(bad)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let unreachable = |e: std::io::Error| JoinError::Unreachable(format!("{url}: {e}"));
        let tcp = TcpStream::connect((bare, port))
            .await
            .map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let server = tcp.peer_addr().map_err(unreachable)?;
        let stream: Box<dyn Stream> = if tls {
            let connected = tls::connect(bare, tcp, accept_any_certificate).await;
            Box::new(connected.map_err(unreachable)?)
        } else {
            Box::new(tcp)
        };
        let (socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .map_err(|error| JoinError::Unreachable(format!("{url}: {error}")))?;
        Ok(Self { socket, server })
    }

    /// Sends one message.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), JoinError> {
        let text = serde_json::to_string(message).expect("our own types have a JSON form");
        self.socket
            .send(Message::text(text))
            .await
            .map_err(|error| JoinError::Unreachable(error.to_string()))
    }

    /// The next message we understand; `None` when the server closed. Safe to cancel.
    pub async fn receive(&mut self) -> Option<ServerMessage> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                    Ok(message) => return Some(message),
                    Err(error) => tracing::debug!(%error, "unknown signalling message"),
                },
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Closes our side.
    pub async fn close(mut self) {
        // The other side may have closed already.
        let _already_closed = self.socket.close(None).await;
    }
}
