//! A phone on a virtual wire: what the SIP tests share.
//!
//! Time stands still unless a test moves it. Everything sent is written down as a ladder.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringbridge::id::CredentialId;
use ringbridge::sip::auth::{
    CredentialSource, DigestAlgorithm, DigestResponse, StoredCredential, ha1,
};
use ringbridge::sip::endpoint::{Endpoint, EndpointConfig, Event, Invite, Output};
use ringbridge::sip::flow::{Flow, FlowId, Transport};

pub const REALM: &str = "ringbridge.test";
pub const USER: &str = "phone-1";
pub const PASSWORD: &str = "a-secret";
pub const MEETING: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
                       m=audio 4000 RTP/AVP 0\r\n";

/// One set of credentials.
pub struct OneUser;

impl CredentialSource for OneUser {
    fn credential(&self, username: &str) -> Option<StoredCredential> {
        (username == USER).then(|| StoredCredential {
            id: CredentialId::from_random(7),
            ha1_md5: ha1(DigestAlgorithm::Md5, USER, REALM, PASSWORD),
            ha1_sha256: ha1(DigestAlgorithm::Sha256, USER, REALM, PASSWORD),
        })
    }
}

/// A message as text, for looking into.
#[derive(Debug, Clone)]
pub struct Seen {
    pub text: String,
    pub flow: Option<Flow>,
}

impl Seen {
    pub fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        let code = self.start().split(' ').nth(1).unwrap_or_default();
        code.parse()
            .unwrap_or_else(|_| panic!("no response: {}", self.start()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).into_iter().next()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    pub fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }

    pub fn to_tag(&self) -> Option<&str> {
        self.header("To")?.split(";tag=").nth(1)
    }
}

/// The endpoint, its clock, and one phone.
pub struct World {
    pub endpoint: Endpoint,
    pub start: Instant,
    pub now: Instant,
    pub flow: Flow,
    pub sent: VecDeque<Seen>,
    pub events: VecDeque<Event>,
    pub ladder: Vec<String>,
    pub nc: u32,
    branches: u32,
}

pub fn flow(transport: Transport, remote: &str) -> Flow {
    Flow {
        id: FlowId(transport as u64),
        transport,
        local: "203.0.113.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
    }
}

pub fn config() -> EndpointConfig {
    let advertise = |flow: &Flow| ("gateway.test".to_owned(), flow.local.port());
    EndpointConfig::new(REALM, Box::new(advertise))
}

impl World {
    pub fn new(transport: Transport) -> Self {
        Self::with_config(transport, config())
    }

    pub fn with_config(transport: Transport, config: EndpointConfig) -> Self {
        let start = Instant::now();
        Self {
            endpoint: Endpoint::new(config, [9; 32], 1),
            start,
            now: start,
            flow: flow(transport, "198.51.100.7:40000"),
            sent: VecDeque::new(),
            events: VecDeque::new(),
            ladder: Vec::new(),
            nc: 0,
            branches: 0,
        }
    }

    /// A branch of the phone's, new each time.
    pub fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK-phone-{}", self.branches)
    }

    /// The branch made last.
    pub fn last_branch(&self) -> String {
        format!("z9hG4bK-phone-{}", self.branches)
    }

    /// The phone sends bytes.
    pub fn feed(&mut self, text: impl AsRef<[u8]>) {
        self.feed_on(self.flow, text);
    }

    pub fn feed_on(&mut self, flow: Flow, text: impl AsRef<[u8]>) {
        let seen = Seen {
            text: String::from_utf8_lossy(text.as_ref()).into_owned(),
            flow: Some(flow),
        };
        self.note("──▶", &seen);
        self.endpoint
            .handle_datagram(self.now, flow, text.as_ref(), &OneUser);
        self.drain();
    }

    /// Time passes; every deadline on the way is met.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.endpoint.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.advance(Duration::from_millis(ms));
    }

    /// Runs a command of the call's owner and drains.
    pub fn command<T>(&mut self, command: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let result = command(&mut self.endpoint, self.now);
        self.drain();
        result
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.saw(Some(flow), bytes),
                Output::Connect {
                    host, port, bytes, ..
                } => {
                    self.ladder.push(format!("        connect {host}:{port}"));
                    self.saw(None, bytes);
                }
                Output::Event(event) => {
                    self.ladder
                        .push(format!("                              ⚑ {}", name(&event)));
                    self.events.push_back(event);
                }
            }
        }
    }

    fn saw(&mut self, flow: Option<Flow>, bytes: bytes::Bytes) {
        let seen = Seen {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            flow,
        };
        self.note("◀──", &seen);
        self.sent.push_back(seen);
    }

    fn note(&mut self, arrow: &str, seen: &Seen) {
        let ms = self.now.duration_since(self.start).as_millis();
        let start = seen.start().trim_start_matches("SIP/2.0 ");
        let what = match seen.start().starts_with("SIP/2.0") {
            true => start.to_owned(),
            false => start.split(' ').next().unwrap_or_default().to_owned(),
        };
        self.ladder.push(format!("{ms:>6} {arrow} {what}"));
    }

    /// The next message the endpoint sent.
    pub fn next(&mut self) -> Seen {
        let ladder = self.ladder.join("\n");
        self.sent
            .pop_front()
            .unwrap_or_else(|| panic!("nothing was sent\n{ladder}"))
    }

    pub fn next_event(&mut self) -> Event {
        let ladder = self.ladder.join("\n");
        self.events
            .pop_front()
            .unwrap_or_else(|| panic!("nothing happened\n{ladder}"))
    }

    pub fn statuses(&mut self) -> Vec<u16> {
        self.sent.drain(..).map(|seen| seen.status()).collect()
    }

    /// A request of the phone outside any dialog.
    pub fn request(&mut self, method: &str, cseq: u32, extra: &str, body: &str) -> String {
        let uri = format!("sip:{MEETING}@gateway.test");
        let to = format!("<{uri}>");
        self.request_to(method, &uri, &to, cseq, extra, body)
    }

    pub fn request_to(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        cseq: u32,
        extra: &str,
        body: &str,
    ) -> String {
        let branch = self.branch();
        let transport = self.flow.transport.via_token();
        let content_type = match body.is_empty() {
            true => "",
            false if extra.contains("Content-Type") => "",
            false => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} 10.0.0.2:5060;branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Ann\" <sip:+14155550100@pstn.test>;tag=ann\r\nTo: {to}\r\n\
             Call-ID: call-1\r\nCSeq: {cseq} {method}\r\nContact: <sip:ann@10.0.0.2:5060>\r\n\
             {extra}{content_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Authorization header answering the challenge of a 401.
    pub fn authorization(&mut self, challenge: &Seen, method: &str, uri: &str) -> String {
        self.nc += 1;
        let nc = format!("{:08x}", self.nc);
        authorization(
            challenge.header("WWW-Authenticate").unwrap(),
            method,
            uri,
            &nc,
            PASSWORD,
        )
    }

    /// INVITE, 401, INVITE with credentials: up to the event.
    pub fn invite(&mut self) -> Box<Invite> {
        self.invite_with("", SDP)
    }

    pub fn invite_with(&mut self, extra: &str, body: &str) -> Box<Invite> {
        let first = self.request("INVITE", 1, extra, body);
        self.feed(first);
        let challenge = self.next();
        assert_eq!(challenge.status(), 401, "{}", challenge.text);
        let ack = self.ack_of(&challenge, 1);
        self.feed(ack);
        let uri = format!("sip:{MEETING}@gateway.test");
        let authorization = self.authorization(&challenge, "INVITE", &uri);
        let second = self.request("INVITE", 2, &format!("{extra}{authorization}"), body);
        self.feed(second);
        assert_eq!(self.next().status(), 100);
        match self.next_event() {
            Event::Invite(invite) => invite,
            other => panic!("{other:?}"),
        }
    }

    /// The ACK of a refusal: the INVITE's own branch.
    pub fn ack_of(&self, refusal: &Seen, cseq: u32) -> String {
        let via = refusal.header("Via").unwrap();
        let to = refusal.header("To").unwrap();
        format!(
            "ACK sip:{MEETING}@gateway.test SIP/2.0\r\nVia: {via}\r\n\
             From: \"Ann\" <sip:+14155550100@pstn.test>;tag=ann\r\nTo: {to}\r\nCall-ID: call-1\r\n\
             CSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// A request of the phone in the dialog of a response of ours.
    pub fn in_dialog(
        &mut self,
        method: &str,
        cseq: u32,
        ok: &Seen,
        extra: &str,
        body: &str,
    ) -> String {
        let to = ok.header("To").unwrap().to_owned();
        self.request_to(method, "sip:x@gateway.test:5060", &to, cseq, extra, body)
    }

    /// A call that is answered and acknowledged; gives its 200.
    pub fn established(&mut self) -> (Box<Invite>, Seen) {
        self.established_with("")
    }

    pub fn established_with(&mut self, extra: &str) -> (Box<Invite>, Seen) {
        let invite = self.invite_with(extra, SDP);
        self.command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
            .unwrap();
        let ok = self.next();
        assert_eq!(ok.status(), 200);
        let ack = self.in_dialog("ACK", 2, &ok, "", "");
        self.feed(ack);
        assert!(matches!(self.next_event(), Event::Acked { .. }));
        (invite, ok)
    }

    /// The phone answers a request of ours.
    pub fn respond(&mut self, request: &Seen, status: u16, extra: &str, body: &str) {
        let via = request.headers("Via").join(", ");
        let field = |name| request.header(name).unwrap();
        let (from, to, call_id, cseq) =
            (field("From"), field("To"), field("Call-ID"), field("CSeq"));
        let text = format!(
            "SIP/2.0 {status} Whatever\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.feed(text);
    }
}

/// An Authorization header for a challenge, computed by an independent route through the parser.
pub fn authorization(challenge: &str, method: &str, uri: &str, nc: &str, password: &str) -> String {
    let field = |name: &str| {
        let at = challenge.find(&format!("{name}=")).unwrap() + name.len() + 1;
        let value = challenge[at..].split(',').next().unwrap();
        value.trim_matches('"').to_owned()
    };
    let (nonce, opaque, algorithm) = (field("nonce"), field("opaque"), field("algorithm"));
    let fields = format!(
        "username=\"{USER}\",realm=\"{REALM}\",nonce=\"{nonce}\",uri=\"{uri}\",cnonce=\"c\",\
         qop=auth,nc={nc},opaque=\"{opaque}\",algorithm={algorithm}"
    );
    let algorithm = match algorithm.as_str() {
        "MD5" => DigestAlgorithm::Md5,
        _ => DigestAlgorithm::Sha256,
    };
    let blank = DigestResponse::parse(&format!("Digest {fields},response=x"))
        .unwrap()
        .unwrap();
    let response = blank.expected(algorithm, &ha1(algorithm, USER, REALM, password), method);
    format!("Authorization: Digest {fields},response=\"{response}\"\r\n")
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn name(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}
