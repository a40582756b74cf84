//! The signalling connection: JSON messages over a WebSocket, plain or TLS.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::JoinError;
use crate::meeting::signal::{ClientMessage, ServerMessage};

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
            let name = ServerName::try_from(bare.to_owned()).map_err(|_| bad())?;
            let connector = TlsConnector::from(Arc::new(tls_config(accept_any_certificate)?));
            Box::new(connector.connect(name, tcp).await.map_err(unreachable)?)
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

fn tls_config(accept_any_certificate: bool) -> Result<ClientConfig, JoinError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let refused = |error: rustls::Error| JoinError::Unreachable(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let verifier: Arc<dyn ServerCertVerifier> = match accept_any_certificate {
        true => Arc::new(AnyCertificate(provider)),
        false => Arc::new(rustls_platform_verifier::Verifier::new(provider).map_err(refused)?),
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Believes everybody: only behind an explicit flag, for a server's self-signed certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
