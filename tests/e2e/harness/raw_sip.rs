//! SIP by hand over UDP, for what a well-behaved client would not send.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::server::Server;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// One UDP socket that speaks whatever it is given.
pub struct RawSip {
    socket: UdpSocket,
    server: SocketAddr,
}

/// What identifies one call.
pub struct RawCall {
    pub call_id: String,
    pub uri: String,
}

impl RawSip {
    /// Binds a socket.
    pub fn new(server: &Server) -> RawSip {
        RawSip::from_host(server, "127.0.0.1")
    }

    /// Binds a socket of another host: all of 127.0.0.0/8 is this machine's.
    pub fn from_host(server: &Server, host: &str) -> RawSip {
        let socket = UdpSocket::bind((host, 0)).expect("a loopback socket");
        RawSip {
            socket,
            server: server.sip(),
        }
    }

    /// A call to the demo meeting, not yet placed.
    pub fn new_call(&self, server: &Server) -> RawCall {
        let port = self.local().port();
        let call_id = format!("raw-{port}-{}", std::process::id());
        RawCall {
            call_id,
            uri: format!("sip:{}@{}", server.card.meeting_id, self.server),
        }
    }

    /// Where it sends from.
    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Sends these bytes as one datagram.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.socket
            .send_to(bytes.as_ref(), self.server)
            .expect("it can be sent");
    }

    /// The next datagram, if one comes within `within`.
    pub fn receive(&self, within: Duration) -> Option<String> {
        self.socket
            .set_read_timeout(Some(within))
            .expect("a timeout can be set");
        let mut buffer = [0; 65_536];
        match self.socket.recv_from(&mut buffer) {
            Ok((length, _)) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("receiving: {e}"),
        }
    }

    /// The next final response to `method`; provisional ones and others are passed over.
    pub fn final_response(&self, method: &str) -> String {
        let start = Instant::now();
        let mut passed = Vec::new();
        while start.elapsed() < ANSWER_TIMEOUT {
            let Some(message) = self.receive(Duration::from_millis(200)) else {
                continue;
            };
            let cseq = header(&message, "CSeq").unwrap_or_default();
            if status(&message) >= 200 && cseq.ends_with(method) {
                return message;
            }
            passed.push(message);
        }
        panic!("no final response to {method}; got {passed:#?}")
    }

    /// An INVITE with a G.711 offer.
    pub fn invite(&self, call: &RawCall, cseq: u32, branch: &str, authorization: &str) -> String {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0\r\n",
            self.local().port() ^ 1
        );
        let more = format!(
            "Contact: <sip:raw@{}>\r\n{authorization}Content-Type: application/sdp\r\n",
            self.local()
        );
        self.request("INVITE", call, cseq, branch, "", &more, &sdp)
    }

    /// Any request of a call; `more` is whole header lines.
    #[allow(clippy::too_many_arguments, reason = "they are the parts of a message")]
    pub fn request(
        &self,
        method: &str,
        call: &RawCall,
        cseq: u32,
        branch: &str,
        to_tag: &str,
        more: &str,
        body: &str,
    ) -> String {
        let local = self.local();
        let tag = if to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={to_tag}")
        };
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{branch};rport\r\n\
             From: <sip:raw@{local}>;tag=raw\r\n\
             To: <{uri}>{tag}\r\n\
             Call-ID: {id}\r\n\
             CSeq: {cseq} {method}\r\n\
             Max-Forwards: 70\r\n\
             {more}Content-Length: {length}\r\n\r\n{body}",
            uri = call.uri,
            id = call.call_id,
            length = body.len(),
        )
    }

    /// Places the call up to the authenticated INVITE: returns its text, not yet sent.
    pub fn authenticated_invite(&self, server: &Server, call: &RawCall, branch: &str) -> String {
        let first = format!("{branch}-first");
        self.send(self.invite(call, 1, &first, ""));
        let challenge = self.final_response("INVITE");
        assert_eq!(status(&challenge), 401, "{challenge}");
        let to_tag = to_tag(&challenge);
        self.send(self.request("ACK", call, 1, &first, &to_tag, "", ""));
        let line = header(&challenge, "WWW-Authenticate").expect("a 401 has a challenge");
        let card = &server.card;
        let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&line);
        self.invite(call, 2, branch, &line)
    }

    /// A challenge for an INVITE of this call, acknowledged.
    pub fn challenge(&self, call: &RawCall, branch: &str) -> String {
        self.send(self.invite(call, 1, branch, ""));
        let challenge = self.final_response("INVITE");
        assert_eq!(status(&challenge), 401, "{challenge}");
        let tag = to_tag(&challenge);
        self.send(self.request("ACK", call, 1, branch, &tag, "", ""));
        header(&challenge, "WWW-Authenticate").expect("a 401 has a challenge")
    }
}

/// The status of a response; 0 for a request.
pub fn status(message: &str) -> u16 {
    message
        .strip_prefix("SIP/2.0 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// The value of the first header of this name.
pub fn header(message: &str, name: &str) -> Option<String> {
    message
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
}

/// The tag that the server gave.
pub fn to_tag(message: &str) -> String {
    let to = header(message, "To").unwrap_or_default();
    to.split(";tag=").nth(1).unwrap_or_default().to_owned()
}

/// An Authorization header line that answers an MD5 challenge with qop=auth (RFC 2617 §3.2.2).
pub fn authorization(
    challenge: &str,
    method: &str,
    uri: &str,
    user: &str,
    password: &str,
) -> String {
    let digest = Digest {
        method,
        ..Digest::new(user, password, uri)
    };
    digest.line(challenge)
}

/// How a challenge is answered; each part can be false.
#[derive(Clone)]
pub struct Digest<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub method: &'a str,
    pub uri: &'a str,
    /// As written and hashed; the hash itself is always MD5.
    pub realm: Option<&'a str>,
    pub algorithm: &'a str,
    pub count: u32,
}

impl<'a> Digest<'a> {
    /// As a phone would answer for an INVITE.
    pub fn new(user: &'a str, password: &'a str, uri: &'a str) -> Self {
        Self {
            user,
            password,
            method: "INVITE",
            uri,
            realm: None,
            algorithm: "MD5",
            count: 1,
        }
    }

    /// An Authorization header line that answers an MD5 challenge with qop=auth (RFC 2617 §3.2.2).
    pub fn line(&self, challenge: &str) -> String {
        let realm = self.realm.map_or(field(challenge, "realm"), str::to_owned);
        let nonce = field(challenge, "nonce");
        let md5 = |text: String| format!("{:x}", md5::compute(text));
        let (user, uri, algorithm, count) = (self.user, self.uri, self.algorithm, self.count);
        let ha1 = md5(format!("{user}:{realm}:{}", self.password));
        let ha2 = md5(format!("{}:{uri}", self.method));
        let response = md5(format!("{ha1}:{nonce}:{count:08x}:c0ffee:auth:{ha2}"));
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm={algorithm}, cnonce=\"c0ffee\", \
             qop=auth, nc={count:08x}\r\n"
        )
    }
}

/// A quoted parameter of a challenge.
pub fn field(challenge: &str, name: &str) -> String {
    let from = challenge
        .find(&format!("{name}=\""))
        .map(|at| at + name.len() + 2);
    let rest = from.map(|at| &challenge[at..]).unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
}
