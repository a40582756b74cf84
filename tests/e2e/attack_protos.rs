//! A suite in the manner of PROTOS c07-sip: INVITEs with one field broken at a time, by every
//! anomaly there is for it, without and with a right password. The cases are the same in every run.
//! After each batch the server must answer as if nothing had happened.

use std::time::Duration;

use crate::harness::raw_sip::{Digest, RawCall, RawSip, status};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(20);
/// PROTOS c07-sip has 4,527.
const CASES_MIN: usize = 4_600;
/// What tables, buffers and the allocator may hold after all of it.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// Where a case is broken: a text of the message, and what stands in its place; # is the anomaly.
const FIELDS: &[(&str, &str)] = &[
    ("INVITE sip:", "# sip:"),
    (" SIP/2.0\r\nVia", " #\r\nVia"),
    ("SIP/2.0\r\nVia", "SIP/#\r\nVia"),
    ("SIP/2.0\r\nVia", "SIP/2.#\r\nVia"),
    ("INVITE sip:MEETING@", "INVITE #:MEETING@"),
    ("INVITE sip:MEETING@", "INVITE sip:#@"),
    ("INVITE sip:MEETING@SERVER", "INVITE sip:MEETING@#"),
    (
        "INVITE sip:MEETING@SERVER",
        "INVITE sip:MEETING@127.0.0.1:#",
    ),
    ("INVITE sip:MEETING@SERVER", "INVITE sip:MEETING@SERVER;#"),
    ("INVITE sip:MEETING@SERVER", "INVITE sip:MEETING@SERVER?#"),
    ("Via: SIP/2.0/UDP LOCAL", "Via: # LOCAL"),
    ("Via: SIP/2.0/UDP LOCAL", "Via: SIP/2.0/# LOCAL"),
    ("Via: SIP/2.0/UDP LOCAL", "Via: SIP/2.0/UDP #"),
    ("Via: SIP/2.0/UDP LOCAL", "Via: SIP/2.0/UDP 127.0.0.1:#"),
    ("branch=z9hG4bK", "branch=#"),
    (";rport", ";#"),
    (";rport", ";rport=#"),
    (";rport", ";ttl=#;rport"),
    (";rport", ";maddr=#;rport"),
    ("From: <sip:raw@LOCAL>;tag=raw", "From: #"),
    ("From: <sip:raw@LOCAL>", "From: \"#\" <sip:raw@LOCAL>"),
    ("From: <sip:raw@LOCAL>", "From: <sip:#@LOCAL>"),
    (";tag=raw", ";tag=#"),
    ("To: <sip:MEETING@SERVER>", "To: #"),
    ("To: <sip:MEETING@SERVER>", "To: <#>"),
    ("To: <sip:MEETING@SERVER>", "To: <sip:MEETING@SERVER>;tag=#"),
    ("Call-ID: CALL", "Call-ID: #"),
    ("Call-ID: CALL", "#: CALL"),
    ("CSeq: 2 INVITE", "CSeq: # INVITE"),
    ("CSeq: 2 INVITE", "CSeq: 2 #"),
    ("Max-Forwards: 70", "Max-Forwards: #"),
    ("Contact: <sip:raw@LOCAL>", "Contact: #"),
    (
        "Contact: <sip:raw@LOCAL>",
        "Contact: <sip:raw@LOCAL>;expires=#",
    ),
    (
        "Contact: <sip:raw@LOCAL>",
        "Record-Route: <#>\r\nContact: <sip:raw@LOCAL>",
    ),
    ("Content-Type: application/sdp", "Content-Type: #"),
    (
        "Content-Type: application/sdp",
        "Content-Type: application/sdp;#",
    ),
    ("Content-Length: LENGTH", "Content-Length: #"),
    ("Max-Forwards: 70", "Max-Forwards: 70\r\nAccept: #"),
    ("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: #"),
    ("Max-Forwards: 70", "Max-Forwards: 70\r\nSession-Expires: #"),
    (
        "Max-Forwards: 70",
        "Max-Forwards: 70\r\nP-Asserted-Identity: #",
    ),
    ("Max-Forwards: 70", "Max-Forwards: 70\r\nUser-Agent: #"),
    (
        "Max-Forwards: 70",
        "Max-Forwards: 70\r\nContent-Encoding: #",
    ),
    ("v=0\r\n", "v=#\r\n"),
    ("o=- 1 1 IN IP4 127.0.0.1", "o=#"),
    ("o=- 1 1 IN IP4", "o=- # 1 IN IP4"),
    ("c=IN IP4 127.0.0.1", "c=IN IP4 #"),
    ("t=0 0", "t=# 0"),
    ("m=audio PORT RTP/AVP 0", "m=# PORT RTP/AVP 0"),
    ("m=audio PORT RTP/AVP 0", "m=audio # RTP/AVP 0"),
    ("m=audio PORT RTP/AVP 0", "m=audio PORT # 0"),
    ("m=audio PORT RTP/AVP 0", "m=audio PORT RTP/AVP #"),
    ("a=ptime:20", "a=ptime:#"),
    ("a=ptime:20", "a=rtpmap:#"),
    ("a=ptime:20", "a=fmtp:0 #"),
    ("a=ptime:20", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:#"),
    ("a=ptime:20", "#"),
];

/// Everything a field may be broken with.
fn anomalies() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let lengths = [
        1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 257, 1_024, 4_096, 16_384, 50_000,
    ];
    for length in lengths {
        all.push(vec![b'a'; length]);
    }
    for (part, count) in [
        ("%s", 1),
        ("%n", 64),
        ("%00", 8),
        ("%", 1),
        ("%zz", 1),
        ("%2e%2e/", 16),
        ("../", 64),
        ("sip:", 200),
        ("\\", 1),
        ("\"", 1),
        ("\"\"", 500),
        ("<", 300),
        (">", 300),
        ("<>", 1),
        ("()", 200),
        ("((((", 500),
        (";", 500),
        (",", 500),
        ("=", 300),
        ("?", 100),
        ("&", 100),
        (":", 300),
        ("@", 300),
        ("[", 100),
        ("]", 100),
        ("[::", 1),
        ("[::1]", 1),
        ("[1:2:3:4:5:6:7:8:9]", 1),
        ("0.0.0.0", 1),
        ("255.255.255.255", 1),
        ("256.1.1.1", 1),
        ("1.2.3", 1),
        ("127.0.0.1.1", 1),
        ("localhost", 1),
        ("a.", 120),
        (".", 100),
        ("-", 1),
        (" ", 1),
        (" ", 300),
        ("\t", 50),
        ("\r\n ", 100),
        ("\r\n\t", 1),
        ("\n", 1),
        ("\r", 1),
        ("\r\n", 1),
        ("\r\n\r\n", 1),
    ] {
        all.push(part.repeat(count).into_bytes());
    }
    for number in [
        "0",
        "-1",
        "00",
        "1",
        "255",
        "256",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483648",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "1e9",
        "0x10",
        "1.5",
        "+1",
    ] {
        all.push(number.as_bytes().to_vec());
    }
    for bytes in [
        &b"\0"[..],
        b"\0\0\0\0",
        b"\xff",
        b"\xfe\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\x80\x00\x00\x01",
        b"\x16\x03\x01",
        b"\x1b[2J",
        b"\x7f",
        b"",
    ] {
        all.push(bytes.to_vec());
    }
    all
}

fn replace(text: &[u8], from: &str, to: &[u8]) -> Vec<u8> {
    let from = from.as_bytes();
    match text.windows(from.len()).position(|window| window == from) {
        None => text.to_vec(),
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
    }
}

/// The message with its field broken, its names filled in.
fn case(
    phone: &RawSip,
    call: &RawCall,
    server: &Server,
    n: usize,
    auth: &str,
    field: (&str, &str),
    anomaly: &[u8],
) -> Vec<u8> {
    let local = phone.local().to_string();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio PORT RTP/AVP 0\r\na=ptime:20\r\n";
    let head = format!(
        "INVITE sip:MEETING@SERVER SIP/2.0\r\n\
         Via: SIP/2.0/UDP LOCAL;branch=z9hG4bK{n};rport\r\n\
         From: <sip:raw@LOCAL>;tag=raw\r\n\
         To: <sip:MEETING@SERVER>\r\n\
         Call-ID: CALL\r\n\
         CSeq: 2 INVITE\r\n\
         Max-Forwards: 70\r\n\
         Contact: <sip:raw@LOCAL>\r\n\
         {auth}Content-Type: application/sdp\r\n\
         Content-Length: LENGTH\r\n\r\n{sdp}"
    );
    let (from, to) = field;
    assert!(
        head.contains(from),
        "{from:?} does not stand in the message"
    );
    let (before, after) = to.split_once('#').expect("a place for the anomaly");
    let broken = [before.as_bytes(), anomaly, after.as_bytes()].concat();
    let mut text = replace(head.as_bytes(), from, &broken);
    let port = (phone.local().port() ^ 1).to_string();
    let length = (sdp.len() + port.len() - "PORT".len()).to_string();
    for (name, value) in [
        ("MEETING", server.card.meeting_id.as_str()),
        ("MEETING", server.card.meeting_id.as_str()),
        ("SERVER", &server.sip().to_string()),
        ("SERVER", &server.sip().to_string()),
        ("LOCAL", &local),
        ("LOCAL", &local),
        ("LOCAL", &local),
        ("CALL", &format!("{}-{n}", call.call_id)),
        ("LENGTH", &length),
        ("PORT", &port),
    ] {
        text = replace(&text, name, value.as_bytes());
    }
    text
}

#[test]
fn thousands_of_broken_invites_with_and_without_a_password_kill_nothing() {
    let server = Server::start_with(&[
        "--sip-rate",
        "0",
        "--sip-rate-strangers",
        "0",
        "--sip-rate-known",
        "0",
        "--sip-ban-failures",
        "0",
        "--rtp-ports",
        "0-0",
        "--log-filter",
        "warn",
    ]);
    let anomalies = anomalies();
    assert!(
        FIELDS.len() * anomalies.len() >= CASES_MIN,
        "{}",
        FIELDS.len() * anomalies.len()
    );
    let before = server.memory();
    let asker = RawSip::from_host(&server, "127.0.0.41");
    let asked = asker.new_call(&server);
    let card = &server.card;
    let kick = format!("/meetings/{}/active-session/kick-all", card.meeting_id);
    let (mut n, mut answers) = (0, 0);
    for (index, field) in FIELDS.iter().enumerate() {
        let phone = RawSip::from_host(&server, "127.0.0.42");
        let call = phone.new_call(&server);
        let challenge = phone.challenge(&call, &format!("batch{index}"));
        for (count, anomaly) in (1..).zip(&anomalies) {
            let digest = Digest {
                count,
                ..Digest::new(&card.sip_username, &card.sip_password, &call.uri)
            };
            for auth in [String::new(), digest.line(&challenge)] {
                n += 1;
                let text = case(&phone, &call, &server, n, &auth, *field, anomaly);
                phone.send(&text[..text.len().min(65_000)]);
            }
            // What waits is read, so that answers are counted and buffers do not fill.
            answers += std::iter::from_fn(|| phone.receive(Duration::from_micros(1))).count();
        }
        let branch = format!("alive{index}");
        asker.send(asker.request("OPTIONS", &asked, 1, &branch, "", "", ""));
        assert_eq!(
            status(&asker.final_response("OPTIONS")),
            200,
            "after {field:?}"
        );
        if !server.participants().is_empty() {
            server.rest("POST", &kick, None);
        }
    }
    assert!(
        n >= 2 * CASES_MIN && answers > CASES_MIN / 2,
        "{n} sent, {answers} answers"
    );
    assert!(!server.log().contains("panicked"), "{}", server.log());
    wait::until("nobody left", SOON, || server.participants().is_empty());
    let grown = server.memory().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} octets more");
    // It still takes calls.
    let phone = RawSip::from_host(&server, "127.0.0.43");
    let call = phone.new_call(&server);
    phone.send(phone.authenticated_invite(&server, &call, "after"));
    assert_eq!(status(&phone.final_response("INVITE")), 200);
}
