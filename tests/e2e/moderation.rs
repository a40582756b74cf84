//! What a browser may do, and what others may do to it: presets, muting, one seat each.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// Adds a participant and returns its id and its link.
fn invite(server: &Server, name: &str, preset: &str) -> (Value, String) {
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let body = json!({ "name": name, "preset_name": preset });
    let reply = server.rest("POST", &path, Some(&body));
    assert_eq!(reply.status / 100, 2, "{}", reply.body);
    let data = reply.json()["data"].clone();
    let token = data["token"].as_str().expect("a token");
    let url = format!("http://{}/join#token={token}", server.http());
    (data["id"].clone(), url)
}

#[test]
fn who_may_only_listen_is_told_so_and_is_not_heard() {
    let server = Server::start();
    let not_allowed = json!({ "can_produce": "NOT_ALLOWED" });
    let media = json!({ "audio": not_allowed, "video": not_allowed, "screenshare": not_allowed });
    let preset = json!({ "name": "listener", "permissions": { "media": media } });
    let reply = server.rest("POST", "/presets", Some(&preset));
    assert_eq!(reply.status / 100, 2, "{}", reply.body);
    let (_, url) = invite(&server, "Linus", "listener");

    let chromium = Chromium::start();
    let page = chromium.open("Linus", &url, Fakes::tone(440.0));
    page.join();
    page.wait("document.querySelector('#mute').disabled");
    page.wait("document.querySelector('#camera').disabled");
    page.wait("document.querySelector('#screen').disabled");
    page.wait_for_text("Listening");
    page.wait("document.querySelector('#room-notice').hidden");

    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    page.wait_to_hear(&[620.0], HEARD_WITHIN);
    let heard = phone.heard(usize::MAX);
    assert!(heard.lacks_tone(440.0), "{}", heard.describe(&[440.0]));
}

#[test]
fn who_is_muted_by_the_api_is_told_so_and_not_heard_until_unmuted() {
    let server = Server::start();
    let (id, url) = invite(&server, "Ada", "group_call_host");
    let chromium = Chromium::start();
    let ada = chromium.open("Ada", &url, Fakes::tone(440.0));
    ada.join();
    let grace = chromium.join("Grace", &server, Fakes::default());
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);

    let path = format!("/meetings/{}/active-session/mute", server.card.meeting_id);
    let mute = |muted: bool| {
        let body = json!({ "participant_ids": [id], "muted": muted });
        let reply = server.rest("POST", &path, Some(&body));
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    mute(true);
    ada.wait_for_text("You were muted");
    grace.wait("document.querySelector('.tile[data-kind=browser]').dataset.muted === 'true'");
    wait::until("silence", HEARD_WITHIN, || {
        grace.heard(1000).lacks_tone(440.0)
    });
    mute(false);
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    ada.wait("document.querySelector('#room-notice').hidden");
}

#[test]
fn the_same_invitation_in_a_second_window_moves_the_seat_there() {
    let server = Server::start();
    let (_, url) = invite(&server, "Ada", "group_call_host");
    let chromium = Chromium::start();
    let first = chromium.open("first", &url, Fakes::tone(440.0));
    first.join();
    let second = chromium.open("second", &url, Fakes::tone(700.0));
    second.join();
    first.wait_for_text("You joined somewhere else");
    assert_eq!(server.participants().len(), 1);
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    phone.wait_to_hear(&[700.0], HEARD_WITHIN);
    assert!(phone.heard(1000).lacks_tone(440.0));

    // And back, with a click.
    first.click("#again");
    first.wait("!document.querySelector('#lobby').hidden");
    first.join();
    second.wait_for_text("You joined somewhere else");
    phone.wait_to_hear(&[440.0], HEARD_WITHIN);
}
