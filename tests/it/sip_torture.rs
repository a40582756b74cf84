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

/// The table of an RFC's messages.
fn answers(rfc: &'static str) -> impl Iterator<Item = (&'static str, Answer)> {
    let lines = include_str!("../../fixtures/torture/answers.txt").lines();
    lines.filter_map(move |line| {
        let (name, answer) = line.strip_prefix(rfc)?.strip_prefix('/')?.split_once(' ')?;
        Some((
            name,
            match answer {
                "-" => Nothing,
                "call" => Call,
                "registered" => Registered,
                status => Status(status.parse().unwrap()),
            },
        ))
    })
}

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
fn every_message_has_an_answer() {
    assert_eq!(answers("rfc4475").count(), 49);
    assert_eq!(answers("rfc5118").count(), 12);
}

#[test]
fn every_message_of_rfc_4475_gets_the_answer_the_rfc_names() {
    for (name, expected) in answers("rfc4475") {
        let mut world = World::new(Transport::Udp);
        check(&mut world, &message("rfc4475", name), expected, name);
    }
}

#[test]
fn every_message_of_rfc_5118_gets_the_answer_the_rfc_names() {
    for (name, expected) in answers("rfc5118") {
        let mut world = World::new(Transport::Udp);
        check(&mut world, &message("rfc5118", name), expected, name);
    }
}

#[test]
fn the_messages_do_not_disturb_each_other_in_one_endpoint() {
    let mut world = World::new(Transport::Udp);
    for (name, expected) in answers("rfc4475") {
        check(&mut world, &message("rfc4475", name), expected, name);
    }
}

#[test]
fn over_a_stream_the_same_answers_come_where_the_message_can_be_framed() {
    for (name, expected) in answers("rfc4475") {
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
