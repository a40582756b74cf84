//! What set-up costs the SIP endpoint alone, without sockets: INVITE, 401, ACK, INVITE with digest,
//! 100, 180, 200, ACK, BYE, 200, at a steady rate of virtual time, so that finished transactions
//! fill the tables as they would in an hour.
//!
//!     cargo bench --bench sip [-- CALLS [RATE]]

use std::time::{Duration, Instant};

use ringbridge::id::CredentialId;
use ringbridge::sip::auth::{
    CredentialSource, DigestAlgorithm, DigestResponse, StoredCredential, ha1,
};
use ringbridge::sip::endpoint::{Endpoint, EndpointConfig, Event, Output};
use ringbridge::sip::flow::{Flow, FlowId, Transport};

const USER: &str = "phone-1";
const REALM: &str = "ringbridge";
const URI: &str = "sip:6f9619ff-8b86-4d01-b42d-00cf4fc964ff@gateway.test";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n\
                   a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                   a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

struct OneUser {
    stored: StoredCredential,
}

impl CredentialSource for OneUser {
    fn credential(&self, username: &str) -> Option<StoredCredential> {
        (username == USER).then(|| self.stored.clone())
    }
}

/// The caller's side of one call; its time is not counted.
struct Caller {
    number: usize,
}

impl Caller {
    fn request(&self, method: &str, cseq: u32, to: &str, more: &str, body: &str) -> String {
        let number = self.number;
        format!(
            "{method} {URI} SIP/2.0\r\n\
             Record-Route: <sip:54.172.60.1:5060;lr;ftag=31945052_6772d868>\r\n\
             Via: SIP/2.0/UDP 54.172.60.1:5060;branch=z9hG4bK{number}.{cseq}{method}\r\n\
             Via: SIP/2.0/UDP 172.25.1.2:5060;rport=5060;received=172.25.1.2;branch=z9hG4bK1\r\n\
             Max-Forwards: 66\r\nTo: <{URI}>{to}\r\n\
             From: \"+14155550100\" <sip:+14155550100@pstn.test>;tag=31945052_6772d868_{number}\r\n\
             Call-ID: {number:032x}@0.0.0.0\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:+14155550100@172.25.1.2:5060;transport=udp>\r\n\
             Allow: INVITE,ACK,CANCEL,OPTIONS,BYE,REFER,NOTIFY\r\nUser-Agent: Twilio Gateway\r\n\
             X-Twilio-AccountSid: AC00000000000000000000000000000000\r\n\
             X-Twilio-CallSid: CA00000000000000000000000000000000\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Feeds messages and keeps count of the time within.
struct Gateway {
    endpoint: Endpoint,
    user: OneUser,
    flow: Flow,
    spent: Duration,
}

impl Gateway {
    fn timed<T>(&mut self, work: impl FnOnce(&mut Endpoint, &OneUser, Flow) -> T) -> Vec<Output> {
        let begun = Instant::now();
        work(&mut self.endpoint, &self.user, self.flow);
        let outputs = std::iter::from_fn(|| self.endpoint.poll_output()).collect();
        self.spent += begun.elapsed();
        outputs
    }

    fn feed(&mut self, now: Instant, text: &str) -> Vec<Output> {
        self.timed(|endpoint, user, flow| {
            endpoint.handle_datagram(now, flow, text.as_bytes(), user);
        })
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let (calls, rate) = (
        numbers.next().unwrap_or(300_000),
        numbers.next().unwrap_or(4_000),
    );
    let config = EndpointConfig::new(REALM, Box::new(|_| ("203.0.113.1".to_owned(), 5060)));
    let stored = StoredCredential {
        id: CredentialId::from_random(7),
        ha1_md5: ha1(DigestAlgorithm::Md5, USER, REALM, "secret"),
        ha1_sha256: ha1(DigestAlgorithm::Sha256, USER, REALM, "secret"),
    };
    let mut gateway = Gateway {
        endpoint: Endpoint::new(config, [9; 32], 1),
        user: OneUser { stored },
        flow: Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local: "203.0.113.1:5060".parse().expect("an address"),
            remote: "54.172.60.1:5060".parse().expect("an address"),
        },
        spent: Duration::ZERO,
    };
    let start = Instant::now();
    let mut held_max = 0;
    for number in 0..calls {
        let now = start + Duration::from_micros(number * 1_000_000 / rate);
        gateway.timed(|endpoint, _, _| {
            while endpoint.next_timeout().is_some_and(|at| at <= now) {
                endpoint.handle_timeout(now);
            }
        });
        call(&mut gateway, now, number as usize);
        held_max = held_max.max(gateway.endpoint.counters().transactions);
    }
    let each = gateway.spent.as_secs_f64() * 1e6 / calls as f64;
    println!(
        "{calls} set-ups at {rate}/s of virtual time: {each:.1} µs each in the endpoint \
         ({:.0}/s per core), {held_max} transactions held at most",
        1e6 / each
    );
}

fn call(gateway: &mut Gateway, now: Instant, number: usize) {
    let caller = Caller { number };
    let sdp_type = "Content-Type: application/sdp\r\n";
    let refused = gateway.feed(now, &caller.request("INVITE", 1, "", sdp_type, SDP));
    let challenge = text(&refused);
    let tag = to_tag(&challenge);
    gateway.feed(now, &caller.request("ACK", 1, &tag, "", ""));
    let digest = format!("{}{sdp_type}", authorization(&challenge));
    let trying = gateway.feed(now, &caller.request("INVITE", 2, "", &digest, SDP));
    let dialog = trying
        .iter()
        .find_map(|output| match output {
            Output::Event(Event::Invite(invite)) => Some(invite.dialog),
            _ => None,
        })
        .unwrap_or_else(|| panic!("call {number} is not taken: {}", text(&trying)));
    gateway.timed(|endpoint, _, _| endpoint.ring(now, dialog));
    let ok = gateway.timed(|endpoint, _, _| endpoint.answer(now, dialog, SDP, &[]));
    let tag = to_tag(&text(&ok));
    gateway.feed(now, &caller.request("ACK", 2, &tag, "", ""));
    let ended = text(&gateway.feed(now, &caller.request("BYE", 3, &tag, "", "")));
    assert!(ended.starts_with("SIP/2.0 200"), "{ended}");
}

fn text(outputs: &[Output]) -> String {
    let sent = outputs.iter().find_map(|output| match output {
        Output::Transmit { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    sent.unwrap_or_default()
}

fn to_tag(response: &str) -> String {
    let to = response.lines().find(|line| line.starts_with("To: "));
    let tag = to
        .and_then(|to| to.split(";tag=").nth(1))
        .unwrap_or_default();
    format!(";tag={tag}")
}

fn authorization(challenge: &str) -> String {
    let line = challenge
        .lines()
        .find(|line| line.starts_with("WWW-Authenticate"))
        .unwrap_or_else(|| panic!("no challenge in {challenge}"));
    let field = |name: &str| {
        let at = line
            .find(&format!("{name}=\""))
            .map(|at| at + name.len() + 2);
        let rest = at.map(|at| &line[at..]).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let (nonce, opaque) = (field("nonce"), field("opaque"));
    let fields = format!(
        "username=\"{USER}\",realm=\"{REALM}\",nonce=\"{nonce}\",uri=\"{URI}\",cnonce=\"c\",\
         qop=auth,nc=00000002,opaque=\"{opaque}\",algorithm=MD5"
    );
    let blank = DigestResponse::parse(&format!("Digest {fields},response=x"));
    let blank = blank.expect("well-formed").expect("Digest");
    let ha1 = ha1(DigestAlgorithm::Md5, USER, REALM, "secret");
    let response = blank.expected(DigestAlgorithm::Md5, &ha1, "INVITE");
    format!("Authorization: Digest {fields},response=\"{response}\"\r\n")
}
