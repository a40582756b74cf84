//! SIGTERM with calls up: new ones are turned away, those in progress may end by themselves, and
//! what is left at the limit is hung up; no record is lost.

use std::time::Duration;

use ringbridge::probe::phone::{CallEvent, Dial, PhoneCall};
use ringbridge::probe::sound::Voice;

use crate::harness::raw_sip::{RawSip, header, status};
use crate::harness::{Server, http, wait};

const SOON: Duration = Duration::from_secs(10);
const CALLS: usize = 12;
/// Long enough for every step of the test on a loaded machine.
const LIMIT: Duration = Duration::from_secs(8);

async fn calls(server: &Server) -> Vec<PhoneCall> {
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(dial.call().await.expect("the call is answered"));
    }
    calls
}

/// The reasons of all ended calls, sorted.
fn reasons(server: &Server) -> Vec<String> {
    let listed = server.rest("GET", "/sip/calls?status=ENDED&per_page=100", None);
    let listed = listed.json()["data"].as_array().expect("a list").clone();
    let mut reasons: Vec<String> = listed
        .iter()
        .map(|call| call["reason"].as_str().expect("a reason").to_owned())
        .collect();
    reasons.sort();
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_turns_new_calls_away_lets_old_ones_end_and_hangs_up_the_rest() {
    let limit = format!("{}s", LIMIT.as_secs());
    let mut server = Server::start_with(&["--drain-timeout", &limit]);
    let mut up = calls(&server).await;
    let mut media = Vec::new();
    for call in &mut up {
        media.push(call.media(Voice::tone(550.0, 8_000)).expect("media"));
    }
    let phone = RawSip::new(&server);
    let asked = phone.new_call(&server);
    let invite = phone.authenticated_invite(&server, &asked, "late");
    server.signal("TERM");
    let ready = wait::until_found("/readyz to flip", SOON, || {
        let reply = http::request(server.http(), "GET", "/readyz", None, None);
        let reply = reply.map_err(|e| e.to_string())?;
        if reply.status == 503 {
            Ok(reply)
        } else {
            Err(reply.body)
        }
    });
    assert!(ready.body.contains("draining"), "{}", ready.body);
    phone.send(phone.request("OPTIONS", &asked, 3, "ping", "", "", ""));
    assert_eq!(status(&phone.final_response("OPTIONS")), 503);
    phone.send(&invite);
    let refusal = phone.final_response("INVITE");
    assert_eq!(status(&refusal), 503, "{refusal}");
    assert!(header(&refusal, "Retry-After").is_some(), "{refusal}");
    // Half of the calls end by themselves, as if nothing were the matter.
    let rest = up.split_off(CALLS / 2);
    for call in up {
        assert_eq!(call.hang_up().await.expect("an answer"), 200);
    }
    for mut call in rest {
        let event = tokio::time::timeout(LIMIT + SOON, call.event()).await;
        let event = event.expect("the server hangs up");
        assert!(
            matches!(event, Some(CallEvent::RemoteHungUp(_))),
            "{event:?}"
        );
    }
    assert!(server.wait_end(SOON).success());
    let log = server.log();
    assert!(log.contains(&format!("draining calls={CALLS} ")), "{log}");
    assert!(
        log.contains(&format!("stopped calls_ended={}", CALLS / 2)),
        "{log}"
    );

    server.crash_and_restart();
    let kept = reasons(&server);
    let of = |reason: &str| kept.iter().filter(|kept| *kept == reason).count();
    assert_eq!(
        (of("caller_hung_up"), of("shutdown")),
        (CALLS / 2, CALLS / 2),
        "{kept:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_as_soon_as_the_last_call_has() {
    let mut server = Server::start_with(&["--drain-timeout", "10m"]);
    let up = calls(&server).await;
    server.signal("TERM");
    wait::until("the drain", SOON, || server.log().contains("draining"));
    for call in up {
        assert_eq!(call.hang_up().await.expect("an answer"), 200);
    }
    assert!(server.wait_end(SOON).success());
    server.crash_and_restart();
    assert_eq!(reasons(&server), vec!["caller_hung_up"; CALLS]);
}
