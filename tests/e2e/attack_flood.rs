//! Floods and scanners (rows 1, 10 and 33 of docs/SECURITY.md): nothing is kept for strangers, and
//! who has proved itself is served as if there were no flood.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use ringbridge::probe::phone::Dial;

use crate::harness::raw_sip::{RawSip, header, status};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);
/// Forged sources of the flood; each sends one datagram of each kind in turn.
const SOURCES: u32 = 1_500;
const ROUNDS: usize = 8;
/// What the server may grow by under the flood: its tables are bounded, the allocator's slack is
/// not ours.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

/// Sockets of as many hosts as there are, all of them this machine.
fn sources() -> Vec<UdpSocket> {
    (0..SOURCES)
        .map(|n| {
            let [_, high, low, _] = (n << 8).to_be_bytes();
            UdpSocket::bind((Ipv4Addr::new(127, 77 + high, low, 1), 0)).expect("a loopback socket")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_forged_sources_keeps_nothing_and_holds_up_no_known_phone() {
    let server = Server::start_with(&["--sip-rate-strangers", "200"]);
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    // Its right password makes this host known.
    let first = dial.call().await.expect("the call is answered");

    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let invite = phone.invite(&call, 1, "flood", "");
    let options = phone.request("OPTIONS", &call, 1, "flood", "", "", "");
    let more = "Contact: <sip:raw@192.0.2.1>\r\n";
    let register = phone.request("REGISTER", &call, 1, "flood", "", more, "");
    let sockets = sources();
    let before = server.memory();
    for round in 0..ROUNDS {
        let text = [&invite, &options, &register][round % 3];
        for socket in &sockets {
            // A full socket buffer is part of a flood.
            let _ = socket.send_to(text.as_bytes(), server.sip());
        }
    }
    let asked = Instant::now();
    let second = dial.call().await.expect("answered under the flood");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    wait::until("the flood to be dropped", SOON, || {
        server.metric("ringbridge_sip_messages_dropped") > f64::from(SOURCES)
    });
    // Two calls, and nothing of thousands of strangers.
    assert_eq!(server.metric("ringbridge_sip_dialogs"), 2.0);
    assert!(server.metric("ringbridge_sip_transactions") <= 4.0);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} octets more");
    assert_eq!(first.hang_up().await.unwrap(), 200);
    assert_eq!(second.hang_up().await.unwrap(), 200);
}

#[test]
fn one_source_too_many_messages_gets_503_a_few_times_and_then_silence() {
    let server = Server::start_with(&["--sip-rate", "4"]);
    let scanner = RawSip::from_host(&server, "127.0.0.9");
    let call = scanner.new_call(&server);
    let send = |n: usize| {
        let branch = format!("scan{n}");
        scanner.send(scanner.request("OPTIONS", &call, 1, &branch, "", "", ""));
    };
    // Five seconds' worth at once.
    for n in 0..20 {
        send(n);
        assert_eq!(status(&scanner.final_response("OPTIONS")), 200);
    }
    for n in 20..100 {
        send(n);
    }
    let refusal = std::iter::from_fn(|| scanner.receive(Duration::from_secs(1)))
        .find(|message| status(message) == 503)
        .expect("a 503");
    let after = header(&refusal, "Retry-After").expect("it says when to come back");
    assert!(
        after.parse::<u32>().is_ok_and(|seconds| seconds > 0),
        "{after}"
    );
    let more = std::iter::from_fn(|| scanner.receive(Duration::from_millis(500)))
        .filter(|message| status(message) == 503)
        .count();
    assert!(more <= 2, "{more} more 503");
    let dropped = server.metric("ringbridge_sip_messages_dropped");
    assert!(dropped >= 60.0, "{dropped} dropped");
    // Others are not held up by it.
    let other = RawSip::from_host(&server, "127.0.0.10");
    let call = other.new_call(&server);
    other.send(other.request("OPTIONS", &call, 1, "other", "", "", ""));
    assert_eq!(status(&other.final_response("OPTIONS")), 200);
}

#[test]
fn a_stranger_gets_one_small_answer_for_an_invite_and_never_a_200() {
    let server = Server::start();
    let forged = RawSip::from_host(&server, "127.0.0.11");
    let call = forged.new_call(&server);
    let invite = forged.invite(&call, 1, "amplify", "");
    forged.send(&invite);
    let answers: Vec<String> =
        std::iter::from_fn(|| forged.receive(Duration::from_millis(1_500))).collect();
    // Nothing is repeated without an ACK: a stateless answer has no timer.
    let [challenge] = &answers[..] else {
        panic!("{answers:#?}");
    };
    assert_eq!(status(challenge), 401);
    assert!(
        challenge.len() < 2 * invite.len(),
        "{} octets",
        challenge.len()
    );
    assert_eq!(server.metric("ringbridge_sip_transactions"), 0.0);
}
