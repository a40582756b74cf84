// What the fuzzers call, one function a parser: octets in, no panic and no broken promise out.
// Included by the libFuzzer binaries beside it (any length of time, `scripts/fuzz`) and by
// `tests/it/fuzz.rs` (seeded, bounded, stable compiler, part of every test run).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ringbridge::api::token::TokenKey;
use ringbridge::limits::SDP_BYTES_MAX;
use ringbridge::meeting::leg::{LegTaste, PhoneCodec};
use ringbridge::meeting::signal::{ClientMessage, ServerMessage};
use ringbridge::rtp::dtmf::{DtmfReceiver, EventPayload};
use ringbridge::rtp::latch::Latch;
use ringbridge::rtp::packet::{Packet, classify};
use ringbridge::rtp::rtcp::RtcpSession;
use ringbridge::rtp::srtp::{SrtpKeys, SrtpSession, SrtpSuite};
use ringbridge::run::worker::stun_ufrag;
use ringbridge::sdp::crypto::LocalSecurity;
use ringbridge::sdp::description::Description;
use ringbridge::sdp::negotiate::{LocalMedia, accept_answer, answer, offer, offered_rtp_address};
use ringbridge::sip::auth::{
    CredentialSource, DigestAlgorithm, DigestResponse, StoredCredential,
};
use ringbridge::sip::endpoint::{Endpoint, EndpointConfig, Event, Output};
use ringbridge::sip::flow::{Flow, FlowId, Transport};
use ringbridge::sip::framing::{Frame, StreamFramer};

/// Takes octets; panics when they break a promise.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("sip_message", sip_message),
    ("sip_stream", sip_stream),
    ("digest_header", digest_header),
    ("sdp", sdp),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("dtmf", dtmf),
    ("srtp", srtp),
    ("stun_door", stun_door),
    ("signal_json", signal_json),
    ("token", token),
];

struct Nobody;

impl CredentialSource for Nobody {
    fn credential(&self, _username: &str) -> Option<StoredCredential> {
        None
    }
}

/// One datagram through the whole endpoint, as a stranger and as a trusted trunk; then time passes.
pub fn sip_message(data: &[u8]) {
    for is_trusted in [false, true] {
        let mut config = EndpointConfig::new("fuzz", Box::new(|_| ("gateway.test".into(), 5060)));
        config.trunk = Box::new(move |_| is_trusted.then(|| "trunk".into()));
        let mut endpoint = Endpoint::new(config, [1; 32], 1);
        let flow = Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: ([198, 51, 100, 1], 5060).into(),
        };
        let mut now = Instant::now();
        endpoint.handle_datagram(now, flow, data, &Nobody);
        for _ in 0..64 {
            while let Some(output) = endpoint.poll_output() {
                if let Output::Event(Event::Invite(invite)) = output {
                    let _ = endpoint.answer(now, invite.dialog, "v=0\r\n", &[]);
                }
            }
            now += Duration::from_secs(5);
            endpoint.handle_timeout(now);
        }
        assert_eq!(endpoint.counters().dialogs, 0, "a dialog nobody refreshes is given up");
    }
}

/// A byte stream in pieces, whose length is the first octet: the same frames however they arrive.
pub fn sip_stream(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let frames = |framer: &mut StreamFramer| -> Vec<Frame> {
        std::iter::from_fn(|| framer.poll_frame()).collect()
    };
    let mut whole = StreamFramer::new();
    whole.handle_bytes(data);
    let expected = frames(&mut whole);
    let mut pieces = StreamFramer::new();
    let mut found = Vec::new();
    for piece in data.chunks(usize::from(size).max(1)) {
        pieces.handle_bytes(piece);
        found.extend(frames(&mut pieces));
    }
    assert_eq!(found, expected);
}

/// Authorization headers, and the hash over whatever they hold.
pub fn digest_header(data: &[u8]) {
    let value = String::from_utf8_lossy(data);
    if let Ok(Some(response)) = DigestResponse::parse(&value) {
        for algorithm in [DigestAlgorithm::Md5, DigestAlgorithm::Sha256] {
            let expected = response.expected(algorithm, "ha1", "INVITE");
            assert!(expected.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([203, 0, 113, 5]),
        rtp_port: 20_000,
        rtcp_port: 20_001,
        session_id: 7,
        version: 1,
        codecs: vec![PhoneCodec::Pcma, PhoneCodec::Pcmu],
        dtmf: true,
        taste: LegTaste::default(),
        rtcp_mux: false,
        security: LocalSecurity::OFF,
    }
}

/// Session descriptions as offers and as answers. What we answer we can read ourselves.
pub fn sdp(data: &[u8]) {
    let _ = offered_rtp_address(data);
    let parsed = Description::parse(data);
    assert!(parsed.is_err() || data.len() <= SDP_BYTES_MAX);
    if let Ok(negotiated) = answer(data, &local()) {
        assert!(Description::parse(negotiated.sdp.as_bytes()).is_ok());
    }
    let _ = accept_answer(&offer(&local()), data, &local());
}

/// RTP as it comes to a leg's socket.
pub fn rtp(data: &[u8]) {
    let _ = classify(data);
    let Ok(packet) = Packet::parse(data) else {
        return;
    };
    assert!(packet.payload_type < 128 && packet.payload.len() <= data.len());
    let announced = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let mut latch = Latch::new(announced);
    let stranger = SocketAddr::from(([198, 51, 100, 1], 4_000));
    let now = Instant::now();
    let _ = latch.handle_packet(now, stranger, &packet);
    assert_eq!(latch.destination(), announced, "one packet moves nothing");
}

/// RTCP as it comes to a leg's socket.
pub fn rtcp(data: &[u8]) {
    let mut session = RtcpSession::new(7, "fuzz");
    let now = Instant::now();
    let _ = session.handle_datagram(now, 0, data);
    let _ = session.handle_datagram(now, u64::MAX, data);
    if let Some(loss) = session.remote_loss() {
        assert!((0.0..=1.0).contains(&loss), "{loss}");
    }
}

/// Telephone events: the payload alone, and packet after packet.
pub fn dtmf(data: &[u8]) {
    let _ = EventPayload::parse(data);
    let mut receiver = DtmfReceiver::new();
    let mut now = Instant::now();
    for (sequence, payload) in (0u16..).zip(data.chunks(4)) {
        let packet = Packet {
            sequence,
            timestamp: u32::from(sequence / 4) * 160,
            ssrc: 7,
            marker: false,
            payload_type: 101,
            payload,
        };
        let _ = receiver.handle_packet(now, &packet);
        now += Duration::from_millis(20);
        let _ = receiver.handle_timeout(now);
    }
}

/// SRTP and SRTCP of a stranger: nothing without the key is let through.
pub fn srtp(data: &[u8]) {
    for suite in SrtpSuite::ALL {
        let keys = SrtpKeys {
            suite,
            local: vec![1; suite.keying_bytes()],
            remote: vec![2; suite.keying_bytes()],
        };
        let Some(mut session) = SrtpSession::new(keys) else {
            panic!("keys of the suite's length");
        };
        assert!(session.unprotect_rtp(data).is_err());
        assert!(session.unprotect_rtcp(data).is_err());
    }
}

/// Who a STUN check on the browsers' socket says it is for.
pub fn stun_door(data: &[u8]) {
    if let Some(ufrag) = stun_ufrag(data) {
        assert!(ufrag.len() <= data.len() && !ufrag.contains(':'));
    }
}

/// What a browser sends over signalling: what can be read can be written and read again.
pub fn signal_json(data: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<ClientMessage>(data) {
        let text = serde_json::to_string(&message).expect("it was read from JSON");
        assert_eq!(serde_json::from_str::<ClientMessage>(&text).ok(), Some(message));
    }
    let _ = serde_json::from_slice::<ServerMessage>(data);
}

/// Join tokens that were not signed by us.
pub fn token(data: &[u8]) {
    let key = TokenKey::new(&[3; 32]);
    assert!(key.verify(&String::from_utf8_lossy(data)).is_err());
}
