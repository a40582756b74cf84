//! `ringbridge calls`, `meetings`, `users` and `bans` against a running server.

use std::time::Duration;

use ringbridge::probe::phone::Dial;
use serde_json::Value;

use crate::harness::raw_sip::{Digest, RawSip};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);

fn told(server: &Server, arguments: &[&str]) -> String {
    let output = server.operator(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let text = told(server, &arguments);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_a_call_what_happened_in_it_and_ends_it() {
    let server = Server::start();
    let user = json(&server, &["users", "add", "Front desk"]);
    let part = |name: &str| user[name].as_str().expect("text").to_owned();
    let meeting = json(&server, &["meetings", "create", "Standup"]);
    let meeting = meeting["id"].as_str().expect("an id");
    assert!(told(&server, &["meetings", "list"]).contains("Standup"));
    assert!(told(&server, &["users", "list"]).contains("Front desk"));
    let uri = server
        .card
        .sip_uri
        .replace(&server.card.meeting_id, meeting);
    let dial = Dial::new(&uri, &part("username"), &part("password"));
    let mut call = dial.call().await.expect("the call is answered");

    let live = json(&server, &["calls", "list", "--live"]);
    let id = live[0]["id"].as_str().expect("a call").to_owned();
    assert_eq!(live[0]["meeting_id"], meeting);
    let ladder = told(&server, &["calls", "show", &id]);
    assert!(
        ladder.contains(" 200 OK (INVITE) ─") && ladder.contains("meeting found"),
        "{ladder}"
    );
    told(&server, &["calls", "hangup", &id]);
    let ended = call.event();
    assert!(
        tokio::time::timeout(SOON, ended)
            .await
            .expect("in time")
            .is_some()
    );
    wait::until("no live call", SOON, || {
        json(&server, &["calls", "list", "--live"]) == serde_json::json!([])
    });
    let shown = json(&server, &["calls", "show", &id]);
    assert_eq!(shown["reason"], "hung_up_by_operator", "{shown}");
    let refused = server.operator(&["calls", "hangup", &id]);
    assert_eq!(refused.status.code(), Some(1));
    let id = user["id"].as_str().expect("an id");
    told(&server, &["users", "remove", id]);
    assert!(!told(&server, &["users", "list"]).contains("Front desk"));
}

#[test]
fn an_operator_sees_and_lifts_a_ban() {
    let server = Server::start_with(&["--sip-ban-failures", "3"]);
    let guesser = RawSip::from_host(&server, "127.0.0.31");
    let call = guesser.new_call(&server);
    let challenge = guesser.challenge(&call, "first");
    for n in 0..3 {
        let line = Digest::new("nobody", "guess", &call.uri).line(&challenge);
        guesser.send(guesser.invite(&call, 2 + n, &format!("guess{n}"), &line));
    }
    wait::until("the ban", SOON, || {
        told(&server, &["bans", "list"]).contains("127.0.0.31")
    });
    let lifted = json(&server, &["bans", "lift", "127.0.0.31"]);
    assert_eq!(lifted["lifted"], 1);
    assert_eq!(json(&server, &["bans", "list"]), serde_json::json!([]));
    let missing = server.operator(&["bans", "lift", "127.0.0.31"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn without_a_server_or_its_card_it_says_so() {
    let server = Server::start();
    let data = server.folder().join("elsewhere");
    let elsewhere = data.to_str().expect("UTF-8");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .args(["calls", "list", "--data", elsewhere])
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("no first-call.json"), "{stderr}");
}
