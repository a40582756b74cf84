//! A phone whose preset makes it wait.

use std::time::Duration;

use ringbridge::probe::phone::{CallEvent, Dial};
use ringbridge::probe::sound::Voice;
use serde_json::{Value, json};

use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);
const ANN_HZ: f32 = 550.0;
const BEN_HZ: f32 = 950.0;

fn ask(server: &Server, method: &str, path: &str, body: Option<&Value>) -> Value {
    let reply = server.rest(method, path, body);
    assert_eq!(reply.status / 100, 2, "{path}: {}", reply.body);
    reply.json()["data"].clone()
}

/// Sets whether phones wait.
fn phones_wait(server: &Server, kind: &str) {
    let presets = ask(server, "GET", "/presets", None);
    let phone = presets
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "phone");
    let path = format!("/presets/{}", phone.unwrap()["id"].as_str().unwrap());
    let body = json!({ "permissions": { "waiting_room_type": kind } });
    ask(server, "PATCH", &path, Some(&body));
}

/// Who waits, once somebody does.
fn waiter(server: &Server, session: &str) -> Value {
    let mut found = Value::Null;
    wait::until("somebody waits", SOON, || {
        let reply = server.rest("GET", session, None);
        found = reply.json()["data"]["waiting"][0]["id"].clone();
        found.is_string()
    });
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_phone_hears_nothing_until_it_is_let_in_and_is_hung_up_when_denied() {
    let server = Server::start();
    let card = &server.card;
    let dial = Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password);
    let session = format!("/meetings/{}/active-session", card.meeting_id);
    let mut ann = dial.call().await.expect("the call is answered");
    let ann_media = ann.media(Voice::tone(ANN_HZ, 8_000)).unwrap();
    wait::until("ann is in", SOON, || server.participants().len() == 1);

    phones_wait(&server, "SKIP_ON_ACCEPT");
    let mut ben = dial.call().await.expect("who waits is answered too");
    let ben_media = ben.media(Voice::tone(BEN_HZ, 8_000)).unwrap();
    let id = waiter(&server, &session);
    wait::until("the beep", SOON, || ben_media.ear().tone_share(450.0) > 0.5);
    assert!(
        ben_media.ear().tone_share(ANN_HZ) < 0.01,
        "nothing of the meeting"
    );
    assert_eq!(server.participants().len(), 1);
    let whom = json!({ "participant_ids": [id] });
    ask(&server, "POST", &format!("{session}/admit"), Some(&whom));
    ben_media.ear().wait_for_tone(ANN_HZ, SOON).await.unwrap();
    ann_media.ear().wait_for_tone(BEN_HZ, SOON).await.unwrap();

    let mut eve = dial.call().await.expect("who waits is answered too");
    let id = waiter(&server, &session);
    let whom = json!({ "participant_ids": [id] });
    ask(&server, "POST", &format!("{session}/deny"), Some(&whom));
    let event = tokio::time::timeout(SOON, eve.event())
        .await
        .expect("in time");
    assert!(
        matches!(event, Some(CallEvent::RemoteHungUp(_))),
        "{event:?}"
    );
    wait::until("the record", SOON, || {
        let ended = ask(&server, "GET", "/sip/calls?status=ENDED", None);
        ended[0]["reason"] == "denied"
    });
    assert_eq!(ann.hang_up().await.unwrap(), 200);
    assert_eq!(ben.hang_up().await.unwrap(), 200);
}
