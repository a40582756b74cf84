//! Browsers that have joined: signalling, the active session and its history, with real workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::signal::{Browser, PATIENCE, invite, join_as};
use super::{Server, assert_error, ready};
use crate::api::Readiness;
use crate::limits::{SIGNAL_MESSAGES_BURST_MAX, SIGNAL_MESSAGES_PER_SECOND};

/// A browser that has joined with the demo meeting's invitation, and its `joined` message.
pub(super) async fn join(server: &Server, name: &str) -> (Browser, Value) {
    let token = server.state.tokens().mint(&invite(server)).unwrap();
    join_with(server, &token, name).await
}

async fn join_with(server: &Server, token: &str, name: &str) -> (Browser, Value) {
    let mut browser = Browser::open(server).await;
    browser.say(join_as(token, name)).await;
    let joined = browser.hear().await;
    assert_eq!(joined["type"], "joined", "{joined}");
    (browser, joined)
}

pub(super) fn active(server: &Server) -> String {
    format!("/v2/meetings/{}/active-session", server.first.meeting_id)
}

/// Asks until the answer is as wanted.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, answer) = server.get(path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "still {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_joins_is_told_who_is_there_and_everyone_else_hears_of_it() {
    let server = Server::start().await;
    let (mut ann, joined) = join(&server, "Ann").await;
    assert_eq!(joined["title"], "Demo meeting");
    assert_eq!(joined["meeting_id"], server.first.meeting_id.to_string());
    assert_eq!(joined["participant"]["name"], "Ann");
    assert_eq!(joined["participant"]["kind"], "browser");
    assert_eq!(joined["participants"], json!([]));
    let (ben, second) = join(&server, "Ben").await;
    assert_eq!(second["session_id"], joined["session_id"]);
    assert_eq!(second["participants"][0]["name"], "Ann");
    let news = ann.hear_of("participant_joined").await;
    assert_eq!(news["participant"]["id"], second["participant"]["id"]);

    let (status, session) = server.get(&active(&server)).await;
    assert_eq!(status, StatusCode::OK);
    let session = &session["data"];
    assert_eq!(session["id"], joined["session_id"]);
    assert_eq!(session["associated_id"], joined["meeting_id"]);
    assert_eq!(session["status"], "LIVE");
    assert_eq!(session["live_participants"], 2);
    let names: Vec<_> = session["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|participant| &participant["name"])
        .collect();
    assert_eq!(names, ["Ann", "Ben"]);

    drop(ben);
    let news = ann.hear_of("participant_left").await;
    assert_eq!(news["participant_id"], second["participant"]["id"]);
}

#[tokio::test]
async fn a_session_leaves_its_history_when_it_has_ended() {
    let server = Server::start().await;
    let (mut ann, joined) = join(&server, "Ann").await;
    let path = format!("/v2/sessions/{}", joined["session_id"].as_str().unwrap());
    let live = until(&server, &path, |answer| {
        answer["data"]["live_participants"] == 1
    })
    .await;
    assert_eq!(live["data"]["meeting_display_name"], "Demo meeting");
    ann.say(r#"{"type":"leave"}"#).await;
    assert_eq!(ann.hear_of("bye").await["reason"], "left");
    assert_eq!(ann.hear().await["reason"], "left");
    let ended = until(&server, &path, |answer| answer["data"]["status"] == "ENDED").await;
    assert_eq!(ended["data"]["max_concurrent_participants"], 1);
    let (_, stays) = server.get(&format!("{path}/participants")).await;
    assert_eq!(stays["data"][0]["display_name"], "Ann");
    assert!(stays["data"][0]["left_at"].is_string());
    assert_error(&server.get(&active(&server)).await, 404, "not_found");
}

#[tokio::test]
async fn the_api_removes_one_or_everyone() {
    let server = Server::start().await;
    let (mut ann, joined) = join(&server, "Ann").await;
    let (mut ben, _) = join(&server, "Ben").await;
    let (mut eve, _) = join(&server, "Eve").await;
    let path = format!("{}/kick", active(&server));
    let whom = json!({ "participant_ids": [joined["participant"]["id"]] });
    let (status, done) = server.post(&path, whom.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(done["data"]["action"], "kick");
    assert_eq!(done["data"]["participants"][0]["name"], "Ann");
    assert_eq!(ann.hear_of("bye").await["reason"], "kicked");
    let left = ben.hear_of("participant_left").await;
    assert_eq!(left["participant_id"], joined["participant"]["id"]);
    assert_error(&server.post(&path, whom).await, 404, "not_found");

    let (status, done) = server
        .post(&format!("{}/kick-all", active(&server)), json!({}))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(done["data"]["participants"].as_array().unwrap().len(), 2);
    for browser in [&mut ben, &mut eve] {
        assert_eq!(browser.hear_of("bye").await["reason"], "session_ended");
    }
}

#[tokio::test]
async fn the_resume_token_brings_a_guest_back_to_its_seat() {
    let server = Server::start().await;
    let (mut first, joined) = join(&server, "Ann").await;
    let resume = joined["resume_token"].as_str().unwrap();
    let (_second, again) = join_with(&server, resume, "").await;
    assert_eq!(again["participant"]["id"], joined["participant"]["id"]);
    assert_eq!(again["participant"]["name"], "Ann");
    assert_eq!(first.hear_of("bye").await["reason"], "replaced");
    let (_, session) = server.get(&active(&server)).await;
    assert_eq!(session["data"]["live_participants"], 1);
}

#[tokio::test]
async fn a_participant_joins_as_the_api_has_it_now() {
    let server = Server::start().await;
    let path = format!("/v2/meetings/{}/participants", server.first.meeting_id);
    let body = json!({ "name": "Ann", "custom_participant_id": "a-1" });
    let (_, made) = server.post(&path, body).await;
    let token = made["data"]["token"].as_str().unwrap();
    let one = format!("{path}/{}", made["data"]["id"].as_str().unwrap());
    let picture = "https://example.com/a.png";
    server
        .patch(&one, json!({ "name": "Ann B.", "picture": picture }))
        .await;
    let (browser, joined) = join_with(&server, token, "").await;
    let participant = &joined["participant"];
    assert_eq!(participant["id"], made["data"]["id"]);
    assert_eq!(participant["name"], "Ann B.");
    assert_eq!(participant["picture"], picture);
    assert_eq!(participant["custom_participant_id"], "a-1");
    let whom = json!({ "custom_participant_ids": ["a-1"] });
    let (_, done) = server
        .post(&format!("{}/kick", active(&server)), whom)
        .await;
    assert_eq!(done["data"]["participants"][0]["id"], made["data"]["id"]);
    drop(browser);

    server.delete(&one).await;
    let resume = joined["resume_token"].as_str().unwrap();
    for token in [token, resume] {
        let mut removed = Browser::open(&server).await;
        removed.say(join_as(token, "Ann")).await;
        removed.expect_refusal("participant_removed").await;
    }
}

#[tokio::test]
async fn mistakes_after_the_join_are_told_and_forgiven_a_flood_is_not() {
    let server = Server::start().await;
    let (mut ann, joined) = join(&server, "Ann").await;
    ann.say(r#"{"type":"ping"}"#).await;
    assert_eq!(ann.hear().await, json!({ "type": "pong" }));
    for (message, code) in [
        ("nonsense", "malformed_message"),
        (
            r#"{"type":"mute","source":"nose","muted":true}"#,
            "malformed_message",
        ),
        (r#"{"type":"join","token":"x"}"#, "already_joined"),
    ] {
        ann.say(message).await;
        let error = ann.hear().await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code))
        );
    }
    let (mut ben, _) = join(&server, "Ben").await;
    for _ in 0..SIGNAL_MESSAGES_BURST_MAX + 5 * SIGNAL_MESSAGES_PER_SECOND {
        if ann.try_say(r#"{"type":"ping"}"#).await.is_err() {
            break;
        }
    }
    let error = ann.hear_of("error").await;
    assert_eq!(error["code"], "too_many_messages");
    let left = ben.hear_of("participant_left").await;
    assert_eq!(left["participant_id"], joined["participant"]["id"]);
}

#[tokio::test]
async fn while_draining_only_who_is_there_may_come_back() {
    let draining = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&draining);
    let server = Server::start_with(Readiness {
        draining: Box::new(move || flag.load(Ordering::Relaxed)),
        ..ready()
    })
    .await;
    let (_ann, joined) = join(&server, "Ann").await;
    draining.store(true, Ordering::Relaxed);
    let resume = joined["resume_token"].as_str().unwrap();
    let (_again, again) = join_with(&server, resume, "Ann").await;
    assert_eq!(again["participant"]["id"], joined["participant"]["id"]);
    let token = server.state.tokens().mint(&invite(&server)).unwrap();
    let mut late = Browser::open(&server).await;
    late.say(join_as(&token, "Late")).await;
    late.expect_refusal("draining").await;
}

#[tokio::test]
async fn a_shutdown_says_goodbye_to_everyone() {
    let server = Server::start().await;
    let (mut ann, _) = join(&server, "Ann").await;
    server.state.directory().clone().shutdown().await;
    assert_eq!(ann.hear_of("bye").await["reason"], "shutdown");
    let token = server.state.tokens().mint(&invite(&server)).unwrap();
    let mut late = Browser::open(&server).await;
    late.say(join_as(&token, "Late")).await;
    late.expect_refusal("draining").await;
}
