//! SIP by hand over TCP and TLS, as a client and as the one who is called back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

use super::raw_sip::{authorization, header, status, to_tag};
use super::server::Server;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What both kinds of connection are.
trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// One stream connection that speaks whole messages.
pub struct StreamSip {
    connection: Box<dyn Connection>,
    received: Vec<u8>,
    transport: &'static str,
    /// What our end calls itself.
    host: String,
    /// Of our end.
    pub local: SocketAddr,
}

/// A certificate for 127.0.0.1 that vouches for itself.
pub struct Certificate {
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Makes one; `pem` is written for whoever shall believe it.
    pub fn new(pem: &Path) -> Certificate {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(pem, made.cert.pem()).expect("it can be written");
        Certificate {
            chain: made.cert.der().clone(),
            key: PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes())
                .expect("its key"),
        }
    }
}

impl StreamSip {
    /// Connects over TCP.
    pub fn tcp(to: SocketAddr) -> StreamSip {
        let socket = TcpStream::connect(to).expect("it accepts");
        Self::over(socket, "TCP", |socket| Box::new(socket))
    }

    /// Connects over TLS, believing the certificate in this PEM file.
    pub fn tls(to: SocketAddr, trusted: &Path) -> StreamSip {
        let session = session(to, trusted);
        let socket = TcpStream::connect(to).expect("it accepts");
        Self::over(socket, "TLS", |socket| {
            Box::new(rustls::StreamOwned::new(session, socket))
        })
    }

    /// Connects over WebSocket, as a browser does.
    pub fn ws(to: SocketAddr) -> StreamSip {
        let socket = TcpStream::connect(to).expect("it accepts");
        Self::over(socket, "WS", |socket| Self::upgrade(to, "ws", socket)).nameless()
    }

    /// Connects over WebSocket within TLS, believing the certificate in this PEM file.
    pub fn wss(to: SocketAddr, trusted: &Path) -> StreamSip {
        let session = session(to, trusted);
        let socket = TcpStream::connect(to).expect("it accepts");
        Self::over(socket, "WSS", |socket| {
            Self::upgrade(to, "wss", rustls::StreamOwned::new(session, socket))
        })
        .nameless()
    }

    fn upgrade<S: Read + Write + 'static>(
        to: SocketAddr,
        scheme: &str,
        socket: S,
    ) -> Box<dyn Connection> {
        let mut request = format!("{scheme}://{to}/sip")
            .into_client_request()
            .expect("a request");
        let protocol = "sip".parse().expect("a header's value");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let (socket, reply) = tungstenite::client(request, socket).expect("it is upgraded");
        assert_eq!(reply.headers()["Sec-WebSocket-Protocol"], "sip");
        Box::new(Frames {
            socket,
            rest: Vec::new(),
        })
    }

    /// A browser does not know its own address (RFC 7118 §5).
    fn nameless(self) -> StreamSip {
        let host = "df7jal23ls0d.invalid".to_owned();
        StreamSip { host, ..self }
    }

    /// Waits for a connection over TCP.
    pub fn accept_tcp(listener: &TcpListener) -> StreamSip {
        Self::over(accept(listener), "TCP", |socket| Box::new(socket))
    }

    /// Waits for a connection over TLS.
    pub fn accept_tls(listener: &TcpListener, who: &Certificate) -> StreamSip {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![who.chain.clone()], who.key.clone_key())
            .expect("a certificate");
        let session = rustls::ServerConnection::new(Arc::new(config)).expect("a session");
        Self::over(accept(listener), "TLS", |socket| {
            Box::new(rustls::StreamOwned::new(session, socket))
        })
    }

    fn over(
        socket: TcpStream,
        transport: &'static str,
        wrap: impl FnOnce(TcpStream) -> Box<dyn Connection>,
    ) -> StreamSip {
        let local = socket.local_addr().expect("it is connected");
        socket
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .expect("a timeout can be set");
        StreamSip {
            connection: wrap(socket),
            received: Vec::new(),
            transport,
            host: local.to_string(),
            local,
        }
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection
            .write_all(bytes.as_ref())
            .expect("it takes them");
        self.connection.flush().expect("it takes them");
    }

    /// The next whole message.
    pub fn receive(&mut self) -> String {
        loop {
            if let Some(message) = self.cut() {
                return message;
            }
            let mut chunk = [0; 4096];
            let length = self.connection.read(&mut chunk).unwrap_or_else(|error| {
                let so_far = String::from_utf8_lossy(&self.received);
                panic!("no whole message: {error}; so far {so_far:?}")
            });
            assert!(
                length > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.received)
            );
            self.received.extend_from_slice(&chunk[..length]);
        }
    }

    fn cut(&mut self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.received).into_owned();
        let head = text.find("\r\n\r\n")? + 4;
        let body: usize = header(&text[..head], "Content-Length")?.parse().ok()?;
        let whole = (self.received.len() >= head + body).then(|| text[..head + body].to_owned())?;
        self.received.drain(..head + body);
        Some(whole)
    }

    /// So many bytes, whatever they are.
    pub fn receive_exactly(&mut self, length: usize) -> Vec<u8> {
        assert!(self.received.is_empty(), "there is more");
        let mut bytes = vec![0; length];
        self.connection.read_exact(&mut bytes).expect("they come");
        bytes
    }

    /// The next final response.
    pub fn final_response(&mut self) -> String {
        loop {
            let message = self.receive();
            if status(&message) >= 200 {
                return message;
            }
        }
    }

    /// Any request; `more` is whole header lines.
    pub fn request(&self, method: &str, cseq: u32, to: &str, more: &str, body: &str) -> String {
        let (local, transport, host) = (self.local, self.transport, &self.host);
        let uri = to
            .split_once('>')
            .map_or(to, |(uri, _)| uri)
            .trim_start_matches('<');
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {host};branch=z9hG4bK{method}{cseq};rport\r\n\
             From: <sip:stream@{local}>;tag=stream\r\nTo: {to}\r\n\
             Call-ID: stream-{local}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:stream@{host};transport={transport}>\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Calls the demo meeting up to the ACK; gives the To header with our peer's tag. `more` goes
    /// on the INVITE.
    pub fn call(&mut self, server: &Server, more: &str) -> String {
        let uri = format!("sip:{}@gateway.invalid", server.card.meeting_id);
        let to = format!("<{uri}>");
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0\r\n";
        let sdp_type = "Content-Type: application/sdp\r\n";
        self.send(self.request("INVITE", 1, &to, &format!("{more}{sdp_type}"), sdp));
        let challenge = self.final_response();
        assert_eq!(status(&challenge), 401, "{challenge}");
        let tagged = |message: &str| format!("{to};tag={}", to_tag(message));
        let refused = self.request("ACK", 1, &tagged(&challenge), "", "");
        self.send(refused.replace("z9hG4bKACK1", "z9hG4bKINVITE1"));
        let card = &server.card;
        let line = header(&challenge, "WWW-Authenticate").expect("a challenge");
        let line = authorization(
            &line,
            "INVITE",
            &uri,
            &card.sip_username,
            &card.sip_password,
        );
        self.send(self.request("INVITE", 2, &to, &format!("{more}{line}{sdp_type}"), sdp));
        let ok = self.final_response();
        assert_eq!(status(&ok), 200, "{ok}");
        self.send(self.request("ACK", 2, &tagged(&ok), "", ""));
        tagged(&ok)
    }
}

/// A session with whoever has the certificate in this PEM file.
fn session(to: SocketAddr, trusted: &Path) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).expect("a PEM file") {
        roots
            .add(certificate.expect("a certificate"))
            .expect("a root");
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::from(to.ip());
    rustls::ClientConnection::new(Arc::new(config), name).expect("a session")
}

/// A WebSocket as a stream: one write is one frame.
struct Frames<S> {
    socket: tungstenite::WebSocket<S>,
    rest: Vec<u8>,
}

impl<S: Read + Write> Read for Frames<S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.socket.read().map_err(std::io::Error::other)? {
                tungstenite::Message::Text(text) => self.rest = text.as_bytes().to_vec(),
                tungstenite::Message::Close(_) => return Ok(0),
                _ => {}
            }
        }
        let length = self.rest.len().min(into.len());
        into[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

impl<S: Read + Write> Write for Frames<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        self.socket
            .send(tungstenite::Message::text(text))
            .map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush().map_err(std::io::Error::other)
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("it can be asked");
    let socket = super::wait::until_found("a connection to us", ANSWER_TIMEOUT, || {
        listener.accept().map_err(|error| error.to_string())
    });
    socket.0.set_nonblocking(false).expect("it can be read");
    socket.0
}
