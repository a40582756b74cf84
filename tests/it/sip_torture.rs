//! The torture messages of RFC 4475 and RFC 5118 (`fixtures/torture`): what the endpoint answers to
//! each, past the challenge where there is one.

use std::path::Path;

use ringbridge::sip::endpoint::Event;
use ringbridge::sip::flow::Transport;
use ringbridge::sip::framing::{Frame, StreamFramer};

use super::sip_support::{PASSWORD, World, authorization};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// Swallowed.
    Nothing,
    /// This status at once.
    Status(u16),
    /// Challenged; a call once it has credentials.
    Call,
    /// Challenged; registered once it has credentials.
    Registered,
}

use Answer::{Call, Nothing, Registered, Status};

/// Where RFC 4475 leaves a choice, the comment says which one this is.
const RFC_4475: [(&str, Answer); 49] = [
    // §3.1.1: valid.
    // Well read, and then: its To tag names a dialog that is not ours.
    ("wsinv", Status(481)),
    ("intmeth", Status(405)),
    ("esc01", Call),
    ("escnull", Registered),
    ("esc02", Status(405)),
    ("lwsdisp", Status(200)),
    ("longreq", Call),
    ("dblreq", Registered),
    ("semiuri", Status(200)),
    ("transports", Status(200)),
    ("mpart01", Status(405)),
    ("unreason", Nothing),
    ("noreason", Nothing),
    // §3.1.2: invalid.
    ("badinv01", Status(400)),
    ("clerr", Status(400)),
    ("ncl", Status(400)),
    ("scalar02", Status(400)),
    ("scalarlg", Nothing),
    ("quotbal", Status(400)),
    ("ltgtruri", Status(400)),
    ("lwsruri", Status(400)),
    ("lwsstart", Status(400)),
    ("trws", Status(400)),
    ("escruri", Status(400)),
    // Liberal: what no one reads may be wrong.
    ("baddate", Call),
    ("regbadct", Status(400)),
    // Liberal: the spaces within the brackets are ignored.
    ("badaspec", Status(200)),
    // Liberal: phones put commas into names without quotes.
    ("baddn", Status(200)),
    ("badvers", Status(505)),
    ("mismatch01", Status(400)),
    ("mismatch02", Status(501)),
    ("bigcode", Nothing),
    // §3.2: transaction layer.
    ("badbranch", Status(200)),
    // §3.3: application layer.
    ("insuf", Status(400)),
    ("unkscm", Status(416)),
    ("novelsc", Status(416)),
    ("unksm2", Status(400)),
    ("bext01", Status(420)),
    ("invut", Status(415)),
    ("regaut01", Registered),
    ("multi01", Status(400)),
    ("mcl01", Status(400)),
    ("bcast", Nothing),
    // An endpoint answers as if it were above zero.
    ("zeromf", Status(200)),
    ("cparam01", Registered),
    ("cparam02", Registered),
    ("regescrt", Registered),
    ("sdp01", Status(406)),
    // §3.4: RFC 2543.
    ("inv2543", Call),
];

const RFC_5118: [(&str, Answer); 12] = [
    ("ipv6-good", Registered),
    ("ipv6-bad", Status(400)),
    ("port-ambiguous", Registered),
    ("port-unambiguous", Registered),
    ("via-received-param-with-delim", Status(481)),
    ("via-received-param-no-delim", Status(200)),
    ("ipv6-in-sdp", Call),
    ("mult-ip-in-header", Status(481)),
    ("mult-ip-in-sdp", Call),
    ("ipv4-mapped-ipv6", Call),
    // Liberal: the third colon is the mistake of RFC 3261's own grammar.
    ("ipv6-bug-abnf-3-colons", Status(200)),
    ("ipv6-correct-abnf-2-colons", Status(200)),
];

fn message(rfc: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/torture")
        .join(rfc)
        .join(format!("{name}.dat"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts an Authorization header behind the start line.
fn with_credentials(message: &[u8], challenge: &str) -> Vec<u8> {
    let end = message.iter().position(|&b| b == b'\n').unwrap() + 1;
    let line = String::from_utf8_lossy(&message[..end]).into_owned();
    let mut words = line.split_whitespace();
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let header = authorization(challenge, method, uri, "00000001", PASSWORD);
    [&message[..end], header.as_bytes(), &message[end..]].concat()
}

fn check(world: &mut World, bytes: &[u8], expected: Answer, name: &str) {
    world.feed(bytes);
    match expected {
        Nothing => {}
        Status(status) => {
            assert_eq!(world.next().status(), status, "{name}");
        }
        Call | Registered => {
            let challenge = world.next();
            assert_eq!(challenge.status(), 401, "{name}: {}", challenge.text);
            let challenge = challenge.header("WWW-Authenticate").unwrap().to_owned();
            world.feed(with_credentials(bytes, &challenge));
            let answer = world.next();
            let event = match expected {
                Call => {
                    assert_eq!(answer.status(), 100, "{name}: {}", answer.text);
                    Some(world.next_event())
                }
                _ => {
                    assert_eq!(answer.status(), 200, "{name}: {}", answer.text);
                    world.events.clear();
                    None
                }
            };
            assert!(matches!(event, None | Some(Event::Invite(_))), "{name}");
        }
    }
    assert!(world.sent.is_empty(), "{name}: answered twice");
    assert!(world.events.is_empty(), "{name}: {:?}", world.events);
}

#[test]
fn every_message_of_rfc_4475_gets_the_answer_the_rfc_names() {
    for (name, expected) in RFC_4475 {
        let mut world = World::new(Transport::Udp);
        check(&mut world, &message("rfc4475", name), expected, name);
    }
}

#[test]
fn every_message_of_rfc_5118_gets_the_answer_the_rfc_names() {
    for (name, expected) in RFC_5118 {
        let mut world = World::new(Transport::Udp);
        check(&mut world, &message("rfc5118", name), expected, name);
    }
}

#[test]
fn the_messages_do_not_disturb_each_other_in_one_endpoint() {
    let mut world = World::new(Transport::Udp);
    for (name, expected) in RFC_4475 {
        check(&mut world, &message("rfc4475", name), expected, name);
    }
}

#[test]
fn over_a_stream_the_same_answers_come_where_the_message_can_be_framed() {
    for (name, expected) in RFC_4475 {
        let bytes = message("rfc4475", name);
        let mut framer = StreamFramer::new();
        framer.handle_bytes(&bytes);
        let mut world = World::new(Transport::Tcp);
        let expected = match (name, expected) {
            // No Content-Length.
            ("inv2543", _) => Status(400),
            // The head never ends, or the body never comes.
            ("baddn" | "clerr", _) => {
                assert_eq!(framer.poll_frame(), None, "{name}");
                continue;
            }
            (_, expected) => expected,
        };
        match framer.poll_frame() {
            Some(Frame::Message(bytes)) => check(&mut world, &bytes, expected, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn reasons_name_the_fault() {
    for (name, reason) in [
        ("badinv01", "Missing or Malformed Via"),
        ("clerr", "Body Shorter Than Content-Length"),
        ("ncl", "Malformed Content-Length"),
        ("scalar02", "Missing or Malformed CSeq"),
        ("quotbal", "Missing or Malformed To"),
        ("ltgtruri", "Malformed Request-URI"),
        ("lwsstart", "Malformed Request-Line"),
        ("escruri", "Malformed Request-URI"),
        ("regbadct", "Malformed Contact"),
        ("mismatch01", "CSeq Method Does Not Match"),
        ("insuf", "Missing or Malformed From"),
        ("unksm2", "Malformed To"),
        ("mcl01", "Malformed Content-Length"),
    ] {
        let mut world = World::new(Transport::Udp);
        world.feed(message("rfc4475", name));
        assert_eq!(
            world.next().start(),
            format!("SIP/2.0 400 {reason}"),
            "{name}"
        );
    }
    let mut world = World::new(Transport::Udp);
    world.feed(message("rfc4475", "bext01"));
    assert_eq!(
        world.next().header("Unsupported"),
        Some("nothingSupportsThis, nothingSupportsThisEither")
    );
}
