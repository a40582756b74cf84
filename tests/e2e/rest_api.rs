//! Phones as the REST API sees and commands them: credentials, presets, calls in progress and
//! their records, sessions and their history.

use std::time::Duration;

use ringbridge::probe::phone::{CallEvent, Dial, DialError, PhoneCall};
use ringbridge::probe::sound::Voice;
use serde_json::{Value, json};

use crate::harness::{Server, wait};

const ANN_HZ: f32 = 550.0;
const BEN_HZ: f32 = 950.0;
const SOON: Duration = Duration::from_secs(10);
/// Below this share of what is heard, a tone is not there.
const ABSENT: f32 = 0.01;

fn dial(server: &Server) -> Dial {
    let card = &server.card;
    Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password)
}

fn get(server: &Server, path: &str) -> Value {
    let reply = server.rest("GET", path, None);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.json()["data"].clone()
}

fn post(server: &Server, path: &str, body: Value) -> Value {
    let reply = server.rest("POST", path, Some(&body));
    assert!(matches!(reply.status, 200 | 201), "{path}: {}", reply.body);
    reply.json()["data"].clone()
}

/// The parts of a list.
fn list(server: &Server, path: &str) -> Vec<Value> {
    let listed = get(server, path);
    listed.as_array().expect("a list").clone()
}

async fn expect_hung_up(call: &mut PhoneCall) {
    let event = tokio::time::timeout(SOON, call.event()).await;
    let event = event.expect("in time");
    assert!(
        matches!(event, Some(CallEvent::RemoteHungUp(_))),
        "{event:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_while_it_lasts_hung_up_and_kept_with_its_quality() {
    let server = Server::start();
    let mut call = dial(&server).call().await.expect("the call is answered");
    let media = call.media(Voice::tone(ANN_HZ, 8_000)).unwrap();
    wait::until("media to flow", SOON, || media.spoken().packets > 25);
    let live = list(&server, "/sip/calls?status=LIVE");
    assert_eq!(live.len(), 1, "{live:?}");
    assert_eq!(live[0]["meeting_id"], server.card.meeting_id.as_str());
    assert!(live[0]["answered_at"].is_string(), "{}", live[0]);
    let path = format!("/meetings/{}/active-session", server.card.meeting_id);
    let session = get(&server, &path);
    let robo = &session["participants"][0];
    assert_eq!(robo["kind"], "robo");
    assert_eq!(robo["id"], live[0]["participant_id"]);

    let one = format!("/sip/calls/{}", live[0]["id"].as_str().unwrap());
    post(&server, &format!("{one}/hang-up"), json!({}));
    expect_hung_up(&mut call).await;
    wait::until("the record", SOON, || {
        get(&server, &one)["status"] == "ENDED"
    });
    let ended = get(&server, &one);
    assert_eq!(ended["outcome"], "success", "{ended}");
    assert_eq!(ended["reason"], "hung_up_by_operator", "{ended}");
    assert_eq!(ended["sip_status"], 200);
    assert_eq!(ended["session_id"], session["id"]);
    assert!(
        ended["quality"]["packets_received"].as_u64() > Some(20),
        "{ended}"
    );
    assert!(list(&server, "/sip/calls?status=LIVE").is_empty());

    let one = format!("/sessions/{}", session["id"].as_str().unwrap());
    wait::until("its end", SOON, || get(&server, &one)["status"] == "ENDED");
    let stays = list(&server, &format!("{one}/participants"));
    assert_eq!(stays.len(), 1);
    assert_eq!(stays[0]["kind"], "robo");
    assert!(stays[0]["left_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_muted_by_the_api_is_not_heard_until_it_is_unmuted() {
    let server = Server::start();
    let mut ann = dial(&server).call().await.expect("the call is answered");
    let ann_media = ann.media(Voice::tone(ANN_HZ, 8_000)).unwrap();
    let mut ben = dial(&server).call().await.expect("the call is answered");
    let ben_media = ben.media(Voice::tone(BEN_HZ, 8_000)).unwrap();
    ben_media.ear().wait_for_tone(ANN_HZ, SOON).await.unwrap();
    ann_media.ear().wait_for_tone(BEN_HZ, SOON).await.unwrap();

    let first = list(&server, "/sip/calls?status=LIVE")
        .pop()
        .expect("a call");
    let mute = format!("/meetings/{}/active-session/mute", server.card.meeting_id);
    let whom = json!({ "participant_ids": [first["participant_id"]] });
    assert_eq!(post(&server, &mute, whom)["action"], "mute");
    wait::until("silence from the muted", SOON, || {
        ben_media.ear().tone_share(ANN_HZ) < ABSENT
    });
    let robos = server.participants();
    let muted = robos
        .iter()
        .find(|robo| robo["id"] == first["participant_id"]);
    assert_eq!(
        muted.expect("it stays")["sources"]["microphone"]["muted"],
        true
    );
    assert!(
        ann_media.ear().tone_share(BEN_HZ) > ABSENT,
        "it still hears"
    );

    let whom = json!({ "participant_ids": [first["participant_id"]], "muted": false });
    assert_eq!(post(&server, &mute, whom)["action"], "unmute");
    ben_media.ear().wait_for_tone(ANN_HZ, SOON).await.unwrap();
    assert_eq!(ann.hang_up().await.unwrap(), 200);
    assert_eq!(ben.hang_up().await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_muted_by_the_api() {
    let server = Server::start();
    let mut ann = dial(&server).call().await.expect("the call is answered");
    let _ann_media = ann.media(Voice::tone(ANN_HZ, 8_000)).unwrap();
    let mut ben = dial(&server).call().await.expect("the call is answered");
    let ben_media = ben.media(Voice::tone(BEN_HZ, 8_000)).unwrap();
    ben_media.ear().wait_for_tone(ANN_HZ, SOON).await.unwrap();
    let first = list(&server, "/sip/calls?status=LIVE")
        .pop()
        .expect("a call");
    let one = format!("/sip/calls/{}", first["id"].as_str().unwrap());
    post(&server, &format!("{one}/mute"), json!({}));
    wait::until("silence from the muted", SOON, || {
        ben_media.ear().tone_share(ANN_HZ) < ABSENT
    });
    post(&server, &format!("{one}/mute"), json!({ "muted": false }));
    ben_media.ear().wait_for_tone(ANN_HZ, SOON).await.unwrap();

    assert_eq!(ann.hang_up().await.unwrap(), 200);
    assert_eq!(ben.hang_up().await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_made_by_the_api_open_what_they_list_until_they_are_deleted() {
    let server = Server::start();
    let other = post(&server, "/meetings", json!({ "title": "Other" }));
    let body = json!({ "name": "Desk", "meetings": [other["id"]] });
    let made = post(&server, "/sip/credentials", body);
    let dial = |uri: &Value| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Dial::new(
            &text(uri),
            &text(&made["username"]),
            &text(&made["password"]),
        )
    };
    let open = dial(&other["sip_uri"]);
    let call = open.call().await.expect("the listed meeting is open");
    assert_eq!(call.hang_up().await.unwrap(), 200);
    let closed = dial(&json!(server.card.sip_uri)).call().await;
    assert!(
        matches!(closed, Err(DialError::Refused { status: 404, .. })),
        "{closed:?}"
    );

    let one = format!("/sip/credentials/{}", made["id"].as_str().unwrap());
    assert_eq!(server.rest("DELETE", &one, None).status, 200);
    let deleted = open.call().await;
    assert!(
        matches!(deleted, Err(DialError::Unauthorized(_))),
        "{deleted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_meeting_takes_no_phone_until_it_is_opened_again() {
    let server = Server::start();
    let path = format!("/meetings/{}", server.card.meeting_id);
    let set = |status: &str| {
        let reply = server.rest("PATCH", &path, Some(&json!({ "status": status })));
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    set("INACTIVE");
    let refused = dial(&server).call().await;
    // To the phone a 403 after its credentials is about them.
    assert!(
        matches!(refused, Err(DialError::Unauthorized(403))),
        "{refused:?}"
    );
    wait::until("the refusal's record", SOON, || {
        !list(&server, "/sip/calls?outcome=client_error").is_empty()
    });
    set("ACTIVE");
    let call = dial(&server).call().await.expect("it is open again");
    assert_eq!(call.hang_up().await.unwrap(), 200);
}
