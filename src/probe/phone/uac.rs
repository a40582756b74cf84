//! One outgoing call as a machine without sockets or clock (RFC 3261 §13, §17.1), so that one
//! task can drive a single phone and the load generator thousands.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::digest::Challenge;
use super::message::{Message, StartLine, uri_of};
pub use super::plan::{Transport, UacConfig, UacEvent, UacOutput};
use super::session::{self, Direction};
use super::transaction::{Due, Pending};

/// Challenges answered for one request before we believe that the password is wrong.
const AUTH_TRIES_MAX: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inviting,
    Established,
    Ended,
}

/// One outgoing call.
#[derive(Debug)]
pub struct Uac {
    config: UacConfig,
    state: State,
    call_id: String,
    from: String,
    to: String,
    cseq: u32,
    remote_target: String,
    route_set: Vec<String>,
    challenge: Option<(Challenge, u32)>,
    sdp_session: u64,
    sdp_version: u64,
    direction: Direction,
    pending: Option<Pending>,
    /// ACK of the last 2xx, repeated for each of its retransmissions.
    ack: Option<(u32, Vec<u8>)>,
    heard_anything: bool,
    outputs: VecDeque<UacOutput>,
}

impl Uac {
    /// A call about to be dialled; [`Uac::start`] sends the INVITE.
    pub fn new(config: UacConfig) -> Self {
        let name = match config.display_name.as_str() {
            "" => String::new(),
            name => format!("\"{}\" ", name.replace(['"', '\\'], "")),
        };
        let host = config.local.ip();
        let from = format!(
            "{name}<sip:{}@{}>;tag={:016x}",
            config.from_user,
            bracketed(&config.local),
            rand::random::<u64>()
        );
        Self {
            state: State::Inviting,
            call_id: format!("{:032x}@{host}", rand::random::<u128>()),
            from,
            to: format!("<{}>", config.uri),
            cseq: 0,
            remote_target: config.uri.clone(),
            route_set: Vec::new(),
            challenge: None,
            sdp_session: u64::from(rand::random::<u32>()),
            sdp_version: 1,
            direction: Direction::SendRecv,
            pending: None,
            ack: None,
            heard_anything: false,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// The Call-ID header, by which messages find their call.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// URI that requests in the dialog go to: the first route, else the server's Contact. A
    /// Contact nobody can reach is the commonest reason why an ACK never arrives, so we follow it
    /// as phones do.
    pub fn next_hop(&self) -> &str {
        self.route_set
            .first()
            .map_or(&self.remote_target, |route| route)
    }

    /// Nothing more will happen.
    pub fn is_over(&self) -> bool {
        self.state == State::Ended && self.pending.is_none()
    }

    /// Sends the INVITE.
    pub fn start(&mut self, now: Instant) {
        let body = (!self.config.delayed_offer).then(|| self.description());
        self.begin(now, "INVITE", body);
    }

    /// Changes the direction in mid-call: hold and resume.
    pub fn reinvite(&mut self, now: Instant, direction: Direction) {
        self.direction = direction;
        self.sdp_version += 1;
        let body = self.description();
        self.begin(now, "INVITE", Some(body));
    }

    /// Presses a key by SIP INFO (`application/dtmf-relay`).
    pub fn info_dtmf(&mut self, now: Instant, digit: char) {
        let body = format!("Signal={digit}\r\nDuration=160\r\n");
        self.begin(now, "INFO", Some(body));
    }

    /// Gives up before an answer; the INVITE ends with 487.
    pub fn cancel(&mut self, now: Instant) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if self.state != State::Inviting || pending.method != "INVITE" {
            return;
        }
        pending.extend(now);
        let (cseq, branch) = (pending.cseq, pending.branch.clone());
        let uri = self.config.uri.clone();
        let cancel = self.request("CANCEL", &uri, cseq, &branch, None, None);
        self.send(cancel);
    }

    /// Ends the call: BYE when established, CANCEL before.
    pub fn hang_up(&mut self, now: Instant) {
        match self.state {
            State::Inviting => self.cancel(now),
            State::Established => {
                self.state = State::Ended;
                self.begin(now, "BYE", None);
            }
            State::Ended => {}
        }
    }

    /// Feeds a message of this call.
    pub fn handle_message(&mut self, now: Instant, message: &Message) {
        self.heard_anything = true;
        match &message.start {
            StartLine::Response { status, reason } => {
                self.handle_response(now, message, *status, reason)
            }
            StartLine::Request { method, .. } => self.handle_request(message, method),
        }
    }

    /// Feeds the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        match pending.handle_timeout(now) {
            Due::Nothing => {}
            Due::Resend(bytes) => self.outputs.push_back(UacOutput::Send(bytes)),
            Due::GivenUp => {
                let method = pending.method;
                self.pending = None;
                self.state = State::Ended;
                self.event(UacEvent::TimedOut {
                    method,
                    heard_anything: self.heard_anything,
                });
            }
        }
    }

    /// When [`Uac::handle_timeout`] is due next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.pending.as_ref().map(Pending::next_timeout)
    }

    /// What to do next; drain after every other call.
    pub fn poll_output(&mut self) -> Option<UacOutput> {
        self.outputs.pop_front()
    }

    fn handle_response(&mut self, now: Instant, message: &Message, status: u16, reason: &str) {
        let Some((cseq, method)) = message.cseq() else {
            return;
        };
        if let Some((acked, ack)) = &self.ack
            && method == "INVITE"
            && *acked == cseq
        {
            if (200..300).contains(&status) {
                let ack = ack.clone();
                self.outputs.push_back(UacOutput::Send(ack));
            }
            return;
        }
        let Some(pending) = &mut self.pending else {
            return;
        };
        if pending.cseq != cseq || pending.method != method {
            return; // A CANCEL's 200, or an answer that came twice.
        }
        if status < 200 {
            pending.handle_provisional(now);
            self.event(UacEvent::Progress(status));
            return;
        }
        let pending = self.pending.take().expect("checked above");
        let in_dialog = self.state != State::Inviting;
        if pending.method == "INVITE" && status >= 300 {
            self.acknowledge_refusal(message, &pending, in_dialog);
        }
        if matches!(status, 401 | 407) && self.try_again(now, message, &pending) {
            return;
        }
        match pending.method {
            "INVITE" if status < 300 => self.accept_answer(message, cseq, in_dialog),
            "INVITE" if !in_dialog => {
                self.state = State::Ended;
                self.event(UacEvent::Refused {
                    status,
                    reason: reason.to_owned(),
                });
            }
            "BYE" => self.event(UacEvent::HungUp(status)),
            _ => self.event(UacEvent::RequestDone {
                status,
                media: None,
            }),
        }
    }

    /// ACK of a 3xx–6xx: part of the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn acknowledge_refusal(&mut self, message: &Message, pending: &Pending, in_dialog: bool) {
        let uri = match in_dialog {
            true => self.remote_target.clone(),
            false => self.config.uri.clone(),
        };
        let to = message.header("To").unwrap_or(&self.to).to_owned();
        let ours = std::mem::replace(&mut self.to, to);
        let ack = self.request("ACK", &uri, pending.cseq, &pending.branch, None, None);
        self.to = ours;
        self.send(ack);
    }

    /// Answers a challenge by sending the request again; false when that is pointless.
    fn try_again(&mut self, now: Instant, message: &Message, pending: &Pending) -> bool {
        let header = match message.status() {
            Some(407) => "Proxy-Authenticate",
            _ => "WWW-Authenticate",
        };
        let Some(challenge) = message.headers(header).find_map(Challenge::parse) else {
            return false;
        };
        let refused_for_good = pending.auth_tries > 0 && !challenge.stale;
        if refused_for_good
            || pending.auth_tries >= AUTH_TRIES_MAX
            || self.config.credentials.is_none()
        {
            return false;
        }
        self.challenge = Some((challenge, 0));
        self.event(UacEvent::Challenged);
        let body = Message::parse(&pending.bytes)
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .filter(|body| !body.is_empty());
        self.begin(now, pending.method, body);
        if let Some(again) = &mut self.pending {
            again.auth_tries = pending.auth_tries + 1;
        }
        true
    }

    fn accept_answer(&mut self, message: &Message, cseq: u32, in_dialog: bool) {
        if !in_dialog {
            self.state = State::Established;
            self.to = message.header("To").unwrap_or(&self.to).to_owned();
            self.route_set = message
                .headers("Record-Route")
                .flat_map(|value| value.split(','))
                .map(|route| route.trim().to_owned())
                .collect();
            self.route_set.reverse();
        }
        if let Some(contact) = message.header("Contact") {
            self.remote_target = uri_of(contact).to_owned();
        }
        let body = (self.config.delayed_offer && !in_dialog).then(|| self.description());
        let (uri, branch) = (self.remote_target.clone(), new_branch());
        let ack = self.request("ACK", &uri, cseq, &branch, None, body);
        self.ack = Some((cseq, ack.clone()));
        let media = session::read(&message.body);
        // The event first: on it the shell learns where the ACK goes.
        self.event(match in_dialog {
            false => UacEvent::Answered(media),
            true => UacEvent::RequestDone {
                status: message.status().unwrap_or(200),
                media,
            },
        });
        self.send(ack);
    }

    fn handle_request(&mut self, message: &Message, method: &str) {
        if method == "ACK" {
            return;
        }
        if self.state == State::Inviting {
            self.send(message.reply(481, "Call Does Not Exist").to_bytes());
            return;
        }
        let mut reply = message.reply(200, "OK");
        match method {
            "BYE" => {
                let first = self.state == State::Established;
                self.state = State::Ended;
                if first {
                    self.event(UacEvent::RemoteHungUp {
                        reason: message.header("Reason").map(str::to_owned),
                    });
                }
            }
            "INVITE" | "UPDATE" => {
                self.sdp_version += 1;
                reply.headers.push(("Contact".to_owned(), self.contact()));
                if method == "INVITE" || !message.body.is_empty() {
                    let sdp_type = ("Content-Type".to_owned(), "application/sdp".to_owned());
                    reply.headers.push(sdp_type);
                    reply.body = self.description().into_bytes();
                }
                self.event(UacEvent::Reinvited(session::read(&message.body)));
            }
            "OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE" => {}
            _ => reply = message.reply(405, "Method Not Allowed"),
        }
        self.send(reply.to_bytes());
    }

    /// Starts a client transaction.
    fn begin(&mut self, now: Instant, method: &'static str, body: Option<String>) {
        self.cseq += 1;
        let (cseq, branch) = (self.cseq, new_branch());
        let uri = self.remote_target.clone();
        let credentials = self.config.credentials.clone();
        let authorization = match (&mut self.challenge, credentials) {
            (Some((challenge, count)), Some(who)) => {
                *count += 1;
                let cnonce = format!("{:016x}", rand::random::<u64>());
                Some(challenge.authorize(&who, method, &uri, *count, &cnonce))
            }
            _ => None,
        };
        let bytes = self.request(method, &uri, cseq, &branch, authorization, body);
        let unreliable = self.config.transport == Transport::Udp;
        let pending = Pending::new(now, method, cseq, branch, bytes.clone(), unreliable);
        self.pending = Some(pending);
        self.send(bytes);
    }

    fn request(
        &self,
        method: &str,
        uri: &str,
        cseq: u32,
        branch: &str,
        authorization: Option<String>,
        body: Option<String>,
    ) -> Vec<u8> {
        let config = &self.config;
        let via = format!(
            "SIP/2.0/{} {};branch={branch};rport",
            config.transport.via(),
            config.local
        );
        let mut headers = vec![
            ("Via", via),
            ("Max-Forwards", "70".to_owned()),
            ("From", self.from.clone()),
            ("To", self.to.clone()),
            ("Call-ID", self.call_id.clone()),
            ("CSeq", format!("{cseq} {method}")),
            ("User-Agent", "ringbridge-probe".to_owned()),
        ];
        headers.extend(self.route_set.iter().map(|route| ("Route", route.clone())));
        if method == "INVITE" {
            headers.push(("Contact", self.contact()));
            headers.push((
                "Allow",
                "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE".to_owned(),
            ));
        }
        if let Some(value) = authorization {
            headers.push(("Authorization", value));
        }
        if body.is_some() {
            let media_type = match method {
                "INFO" => "application/dtmf-relay",
                _ => "application/sdp",
            };
            headers.push(("Content-Type", media_type.to_owned()));
        }
        let mut headers: Vec<(String, String)> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        if method == "INVITE" && self.state == State::Inviting {
            headers.extend(config.headers.iter().cloned());
        }
        Message {
            start: StartLine::Request {
                method: method.to_owned(),
                uri: uri.to_owned(),
            },
            headers,
            body: body.unwrap_or_default().into_bytes(),
        }
        .to_bytes()
    }

    fn contact(&self) -> String {
        let transport = match self.config.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        format!(
            "<sip:{}@{}{transport}>",
            self.config.from_user, self.config.local
        )
    }

    fn description(&self) -> String {
        session::describe(
            self.config.rtp,
            &self.config.codecs,
            self.direction,
            self.sdp_session,
            self.sdp_version,
        )
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.outputs.push_back(UacOutput::Send(bytes));
    }

    fn event(&mut self, event: UacEvent) {
        self.outputs.push_back(UacOutput::Event(event));
    }
}

fn new_branch() -> String {
    format!("z9hG4bK{:016x}", rand::random::<u64>())
}

/// The host of an address as a URI writes it.
fn bracketed(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Credentials;
    use super::super::message::parameter;
    use super::super::transaction::T1;
    use super::*;
    use crate::meeting::leg::PhoneCodec;

    fn uac(transport: Transport) -> Uac {
        Uac::new(UacConfig {
            uri: "sip:room@192.0.2.1:5060".to_owned(),
            local: "192.0.2.9:6000".parse().unwrap(),
            transport,
            from_user: "alice".to_owned(),
            display_name: "Alice".to_owned(),
            credentials: Some(Credentials {
                username: "alice".to_owned(),
                password: "secret".to_owned(),
            }),
            headers: Vec::new(),
            codecs: vec![PhoneCodec::Pcmu],
            rtp: "192.0.2.9:7000".parse().unwrap(),
            delayed_offer: false,
        })
    }

    fn sent(uac: &mut Uac) -> Vec<Message> {
        std::iter::from_fn(|| uac.poll_output())
            .filter_map(|output| match output {
                UacOutput::Send(bytes) => Message::parse(&bytes),
                UacOutput::Event(_) => None,
            })
            .collect()
    }

    fn method(message: &Message) -> &str {
        match &message.start {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => "",
        }
    }

    fn answer(invite: &Message) -> Message {
        let mut ok = invite.reply(200, "OK");
        let contact = "<sip:room@192.0.2.1:5099>".to_owned();
        ok.headers.push(("Contact".to_owned(), contact));
        ok.body = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9000 RTP/AVP 0\r\n".to_vec();
        ok
    }

    #[test]
    fn a_challenged_call_acknowledges_authorises_and_is_answered() {
        let now = Instant::now();
        let mut uac = uac(Transport::Udp);
        uac.start(now);
        let invite = sent(&mut uac).remove(0);
        let mut challenge = invite.reply(401, "Unauthorized");
        let value = "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"".to_owned();
        challenge
            .headers
            .push(("WWW-Authenticate".to_owned(), value));
        uac.handle_message(now, &challenge);
        let again = sent(&mut uac);
        assert_eq!(method(&again[0]), "ACK");
        assert_eq!(again[0].branch(), invite.branch());
        assert_eq!(method(&again[1]), "INVITE");
        assert_eq!(again[1].cseq(), Some((2, "INVITE")));
        assert_eq!(again[1].header("Call-ID"), invite.header("Call-ID"));
        assert!(again[1].header("Authorization").is_some());

        let ok = answer(&again[1]);
        uac.handle_message(now, &ok);
        let ack = sent(&mut uac).remove(0);
        assert_eq!(ack.cseq(), Some((2, "ACK")));
        assert_ne!(ack.branch(), again[1].branch());
        uac.handle_message(now, &ok);
        assert_eq!(
            sent(&mut uac),
            vec![ack],
            "a repeated 200 gets the same ACK"
        );
    }

    #[test]
    fn a_wrong_password_ends_the_call_instead_of_asking_for_ever() {
        let now = Instant::now();
        let mut uac = uac(Transport::Tcp);
        uac.start(now);
        for _ in 0..2 {
            let invite = sent(&mut uac).pop().unwrap();
            let mut challenge = invite.reply(401, "Unauthorized");
            let value = "Digest realm=\"r\", nonce=\"n\"".to_owned();
            challenge
                .headers
                .push(("WWW-Authenticate".to_owned(), value));
            uac.handle_message(now, &challenge);
        }
        let refused = std::iter::from_fn(|| uac.poll_output())
            .any(|o| matches!(o, UacOutput::Event(UacEvent::Refused { status: 401, .. })));
        assert!(refused && uac.is_over());
    }

    #[test]
    fn an_unanswered_invite_is_repeated_over_udp_and_given_up_after_timer_b() {
        let start = Instant::now();
        let mut uac = uac(Transport::Udp);
        uac.start(start);
        sent(&mut uac);
        let mut copies = 0;
        while let Some(at) = uac.next_timeout() {
            uac.handle_timeout(at);
            copies += sent(&mut uac).len();
            assert!(at <= start + 64 * T1);
        }
        assert_eq!(copies, 6, "at 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s");
    }

    #[test]
    fn the_servers_bye_is_answered_and_ends_the_call_once() {
        let now = Instant::now();
        let mut uac = uac(Transport::Udp);
        uac.start(now);
        let invite = sent(&mut uac).remove(0);
        uac.handle_message(now, &answer(&invite));
        while uac.poll_output().is_some() {}
        let bye = Message::parse(
            b"BYE sip:alice@192.0.2.9:6000 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\
              From: <sip:r@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\
              Reason: Q.850;cause=16\r\n\r\n",
        )
        .unwrap();
        uac.handle_message(now, &bye);
        uac.handle_message(now, &bye);
        let outputs: Vec<_> = std::iter::from_fn(|| uac.poll_output()).collect();
        let hang_ups = outputs
            .iter()
            .filter(|o| matches!(o, UacOutput::Event(UacEvent::RemoteHungUp { .. })))
            .count();
        assert_eq!((hang_ups, outputs.len() - hang_ups), (1, 2));
        assert!(uac.is_over());
        assert!(parameter(bye.header("From").unwrap(), "tag").is_some());
    }
}
