//! What happens within a call, seen by our own phone and our own WebRTC participant: hold and
//! resume, late offers, cancelling, keys, being removed.

use std::time::Duration;

use ringbridge::meeting::leg::PhoneCodec;
use ringbridge::probe::browser::{Browser, Join};
use ringbridge::probe::phone::session::Direction;
use ringbridge::probe::phone::{CallEvent, Dial};
use ringbridge::probe::sound::Voice;
use serde_json::json;

use crate::harness::Server;

const PHONE_HZ: f32 = 550.0;
const BROWSER_HZ: f32 = 950.0;
const SOON: Duration = Duration::from_secs(10);

fn dial(server: &Server) -> Dial {
    let card = &server.card;
    Dial::new(&card.sip_uri, &card.sip_username, &card.sip_password)
}

async fn join(server: &Server) -> Browser {
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let reply = server
        .rest("POST", &path, Some(&json!({ "name": "Grace" })))
        .json();
    let token = reply["data"]["token"].as_str().expect("a token");
    let url = format!("ws://{}/v2/signal", server.http());
    Browser::join(
        &Join::new(&url, token, "Grace"),
        Voice::tone(BROWSER_HZ, 48_000),
    )
    .await
    .expect("the browser joins")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_on_hold_hears_nothing_and_comes_back() {
    let server = Server::start();
    let browser = join(&server).await;
    let mut call = dial(&server).call().await.expect("the call is answered");
    let media = call.media(Voice::tone(PHONE_HZ, 8_000)).unwrap();
    media.ear().wait_for_tone(BROWSER_HZ, SOON).await.unwrap();
    let phone = browser
        .wait_for_phone(SOON)
        .await
        .expect("the phone is shown");

    let held = call
        .reinvite(Direction::Inactive)
        .await
        .unwrap()
        .expect("an answer");
    assert_eq!(held.direction, Direction::Inactive, "RFC 3264 §6.1");
    let on_hold = browser
        .wait_for_participant(SOON, |p| p.id == phone.id && p.on_hold)
        .await;
    assert!(on_hold.is_some(), "the browser is told");
    // Nothing to wait for: silence is heard by listening for a while.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(media.ear().tone_share(BROWSER_HZ) < 0.01);

    let back = call
        .reinvite(Direction::SendRecv)
        .await
        .unwrap()
        .expect("an answer");
    assert_eq!(back.direction, Direction::SendRecv);
    let resumed = browser
        .wait_for_participant(SOON, |p| p.id == phone.id && !p.on_hold)
        .await;
    assert!(resumed.is_some());
    media.ear().wait_for_tone(BROWSER_HZ, SOON).await.unwrap();
    let ear = browser
        .wait_for_voice(phone.id, SOON)
        .await
        .expect("its voice");
    ear.wait_for_tone(PHONE_HZ, SOON).await.unwrap();
    assert_eq!(call.hang_up().await.unwrap(), 200);
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_offer_comes_late_is_heard_both_ways() {
    let server = Server::start();
    let browser = join(&server).await;
    let dial = Dial {
        delayed_offer: true,
        codecs: vec![PhoneCodec::Pcma],
        ..dial(&server)
    };
    let mut call = dial.call().await.expect("the call is answered");
    // The server offers every codec it has; the phone's answer in the ACK names one.
    call.remote.codec = PhoneCodec::Pcma;
    let media = call.media(Voice::tone(PHONE_HZ, 8_000)).unwrap();
    media.ear().wait_for_tone(BROWSER_HZ, SOON).await.unwrap();
    let phone = browser
        .wait_for_phone(SOON)
        .await
        .expect("the phone is shown");
    let ear = browser
        .wait_for_voice(phone.id, SOON)
        .await
        .expect("its voice");
    ear.wait_for_tone(PHONE_HZ, SOON).await.unwrap();
    assert_eq!(call.hang_up().await.unwrap(), 200);
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_reach_the_browser_once_each_by_event_and_by_info() {
    let server = Server::start();
    let browser = join(&server).await;
    let mut call = dial(&server).call().await.expect("the call is answered");
    let media = call.media(Voice::tone(PHONE_HZ, 8_000)).unwrap();
    let phone = browser
        .wait_for_phone(SOON)
        .await
        .expect("the phone is shown");
    media.press('1', Duration::from_millis(100)).await;
    media.press('#', Duration::from_millis(100)).await;
    let pressed = |keys: &'static str| {
        move |room: &ringbridge::probe::browser::Room| {
            let heard: String = room.keys().iter().map(|(_, key)| *key).collect();
            (heard == keys).then_some(())
        }
    };
    let came = browser.room().wait_until(SOON, pressed("1#")).await;
    assert!(came.is_some(), "{:?}", browser.room().keys());
    call.info_dtmf('9').await.expect("INFO is accepted");
    let came = browser.room().wait_until(SOON, pressed("1#9")).await;
    assert!(came.is_some(), "{:?}", browser.room().keys());
    assert!(browser.room().keys().iter().all(|(id, _)| *id == phone.id));
    assert_eq!(call.hang_up().await.unwrap(), 200);
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_of_unlike_codecs_hear_each_other_and_not_themselves() {
    let server = Server::start();
    let mut first = dial(&server).call().await.expect("the call is answered");
    let other = Dial {
        codecs: vec![PhoneCodec::Pcma],
        ..dial(&server)
    };
    let mut second = other.call().await.expect("the call is answered");
    let first_media = first.media(Voice::tone(550.0, 8_000)).unwrap();
    let second_media = second.media(Voice::tone(950.0, 8_000)).unwrap();
    first_media.ear().wait_for_tone(950.0, SOON).await.unwrap();
    second_media.ear().wait_for_tone(550.0, SOON).await.unwrap();
    assert!(first_media.ear().tone_share(550.0) < 0.01);
    assert!(second_media.ear().tone_share(950.0) < 0.01);
    assert_eq!(first.hang_up().await.unwrap(), 200);
    assert_eq!(second.hang_up().await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_removed_by_the_api_is_hung_up() {
    let server = Server::start();
    let mut call = dial(&server).call().await.expect("the call is answered");
    let _media = call.media(Voice::tone(PHONE_HZ, 8_000)).unwrap();
    let path = format!(
        "/meetings/{}/active-session/kick-all",
        server.card.meeting_id
    );
    let reply = server.rest("POST", &path, None);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let event = tokio::time::timeout(SOON, call.event())
        .await
        .expect("in time");
    assert!(
        matches!(event, Some(CallEvent::RemoteHungUp(_))),
        "{event:?}"
    );
}
