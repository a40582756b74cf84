//! Wrong input gets a clear error in the right place, and calls in progress are not disturbed.
//! Bad arguments, files and ports at start: `tests/cli.rs`.

use std::net::UdpSocket;
use std::time::Duration;

use crate::harness::raw_sip::{RawSip, status};
use crate::harness::{Baresip, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn rubbish_on_the_sip_port_disturbs_no_call() {
    let server = Server::start();
    let mut first = Baresip::start(&server, 620.0);
    let mut second = Baresip::start(&server, 1130.0);
    first.call();
    second.call();
    first.wait_to_hear(&[1130.0], HEARD_WITHIN);

    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let good = phone.request("OPTIONS", &call, 1, "x", "", "", "");
    phone.send(b"");
    phone.send(b"\r\n\r\n");
    phone.send([0u8; 4]);
    phone.send([0xff; 1400]);
    phone.send(b"\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x00");
    phone.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    phone.send(b"INVITE sip:x SIP/2.0\r\n\r\n");
    phone.send("INVITE \u{0} SIP/9.9\r\nVia: ;;;\r\nCSeq: -1 X\r\n\r\n");
    phone.send(good.replace("Content-Length: 0", "Content-Length: 99999"));
    phone.send(good.replace("Max-Forwards: 70", "Max-Forwards: many"));
    phone.send(&good[..good.len() / 2]);
    phone.send(format!("{good}{}", "A".repeat(60_000)));
    for cut in (1..good.len()).step_by(17) {
        phone.send(&good[..cut]);
    }
    // It still answers, and the two still hear each other, now and not from before.
    let asker = RawSip::new(&server);
    let call = asker.new_call(&server);
    asker.send(asker.request("OPTIONS", &call, 7, "after", "", "", ""));
    assert_eq!(status(&asker.final_response("OPTIONS")), 200);
    let heard = first.heard(usize::MAX).duration_ms();
    wait::until("two more seconds of sound", HEARD_WITHIN, || {
        first.heard(usize::MAX).duration_ms() > heard + 2000
    });
    assert!(
        first.heard(1000).has_tone(1130.0),
        "{}",
        first.heard(1000).describe(&[1130.0])
    );
    assert!(
        second.heard(1000).has_tone(620.0),
        "{}",
        second.heard(1000).describe(&[620.0])
    );
    assert_eq!(server.participants().len(), 2);
}

#[test]
fn a_full_port_range_refuses_the_next_call_and_keeps_the_first() {
    // One pair of ports: one call.
    let low = free_pair();
    let server = Server::start_with(&["--rtp-ports", &format!("{low}-{}", low + 1)]);
    let mut first = Baresip::start(&server, 620.0);
    first.call();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    phone.send(phone.authenticated_invite(&server, &call, "full"));
    let refusal = phone.final_response("INVITE");
    assert_eq!(status(&refusal), 503, "{refusal}");
    assert!(refusal.contains("Retry-After:"), "{refusal}");
    assert_eq!(server.participants().len(), 1);
    let ready = server.get("/readyz");
    assert_eq!(ready.status, 503, "no ports are left: {}", ready.body);
    first.hang_up();
}

#[test]
fn a_wrong_api_key_is_unauthorised_and_a_wrong_body_is_explained() {
    let server = Server::start();
    let meetings = "/v2/meetings";
    let wrong = crate::harness::http::request(
        server.http(),
        "GET",
        meetings,
        Some((&server.card.organization_id, "wrong")),
        None,
    )
    .expect("an answer");
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["success"], false);
    assert_eq!(server.get(meetings).status, 401);
    let reply = server.rest(
        "POST",
        "/meetings",
        Some(&serde_json::json!({ "title": 7 })),
    );
    assert!(
        [400, 422].contains(&reply.status),
        "{} {}",
        reply.status,
        reply.body
    );
    assert!(
        reply.json()["error"]["message"].is_string(),
        "{}",
        reply.body
    );
    assert_eq!(
        server.rest("GET", "/meetings/not-a-uuid", None).status / 100,
        4
    );
}

#[test]
fn asked_to_stop_it_ends_calls_properly_and_itself() {
    let server = Server::start_with(&["--drain-timeout", "1s"]);
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    let (status, _) = server.terminate(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    phone.expect_hung_up();
}

/// An even port that was free a moment ago, and so was the next.
fn free_pair() -> u16 {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        if port.is_multiple_of(2) && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
