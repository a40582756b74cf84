//! What a host does in the browser: letting people in, muting, removing, letting them speak.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// Makes a preset with these permissions and invites somebody with it; returns the link.
fn invite(server: &Server, name: &str, permissions: &Value) -> String {
    let preset = json!({ "name": format!("of {name}"), "permissions": permissions });
    let reply = server.rest("POST", "/presets", Some(&preset));
    assert_eq!(reply.status / 100, 2, "{}", reply.body);
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let body = json!({ "name": name, "preset_name": format!("of {name}") });
    let reply = server.rest("POST", &path, Some(&body));
    assert_eq!(reply.status / 100, 2, "{}", reply.body);
    let token = reply.json()["data"]["token"].clone();
    let token = token.as_str().expect("a token");
    format!("http://{}/join#token={token}", server.http())
}

#[test]
fn who_waits_is_let_in_or_sent_away_by_the_host() {
    let server = Server::start();
    let chromium = Chromium::start();
    let host = chromium.join("Host", &server, Fakes::tone(440.0));
    let waits = json!({ "waiting_room_type": "SKIP_ON_ACCEPT" });
    let ann = chromium.open("Ann", &invite(&server, "Ann", &waits), Fakes::tone(700.0));
    ann.fill("#name", "Ann");
    ann.click("#join");
    ann.wait_for_text("You are in the waiting room");
    let found = ann.barriers();
    assert!(found.is_empty(), "{}", found.join("\n"));
    host.wait("document.querySelector('#people-badge').textContent === '1'");
    assert_eq!(server.participants().len(), 1);
    assert!(host.heard(1000).lacks_tone(700.0));
    host.click("#people");
    let found = host.barriers();
    assert!(found.is_empty(), "{}", found.join("\n"));
    host.click("[data-admit]");
    ann.wait("document.querySelector('#connection').textContent === 'Connected'");
    host.wait_to_hear(&[700.0], HEARD_WITHIN);
    host.wait("document.querySelector('#waiting-section').hidden");

    let eve = chromium.open("Eve", &invite(&server, "Eve", &waits), Fakes::default());
    eve.fill("#name", "Eve");
    eve.click("#join");
    eve.wait_for_text("You are in the waiting room");
    host.click("[data-deny]");
    eve.wait_for_text("You were not let in");
    assert_eq!(server.participants().len(), 2);

    // Who gives up waiting is no longer on the host's list.
    let guy = chromium.open("Guy", &invite(&server, "Guy", &waits), Fakes::default());
    guy.fill("#name", "Guy");
    guy.click("#join");
    host.wait("document.querySelector('[data-admit]')");
    guy.click("#waiting-leave");
    guy.wait_for_text("You left the meeting");
    host.wait("document.querySelector('#waiting-section').hidden");
}

#[test]
fn a_host_mutes_and_removes_and_who_is_no_host_cannot() {
    let server = Server::start();
    let chromium = Chromium::start();
    let host = chromium.join("Host", &server, Fakes::tone(440.0));
    let ann = chromium.open(
        "Ann",
        &invite(&server, "Ann", &json!({})),
        Fakes::tone(700.0),
    );
    ann.join();
    let mut phone = Baresip::start(&server, 1000.0);
    phone.call();
    host.wait_to_hear(&[700.0, 1000.0], HEARD_WITHIN);

    ann.click("#people");
    ann.wait("document.querySelectorAll('#people-list .person').length === 3");
    let actions = "document.querySelectorAll('.person-action, #mute-all:not([hidden])').length";
    assert_eq!(ann.evaluate(actions), json!(0));

    host.click("#people");
    host.click("[aria-label='Mute Ann']");
    ann.wait_for_text("Host muted you");
    ann.wait("document.querySelector('#mute').textContent.includes('Unmute')");
    wait::until("silence of Ann", HEARD_WITHIN, || {
        let heard = host.heard(1000);
        heard.lacks_tone(700.0) && heard.has_tone(1000.0)
    });
    ann.click("#mute");
    host.wait_to_hear(&[700.0], HEARD_WITHIN);

    // A phone has no button to unmute itself, so the host does.
    host.click("#people-list [data-kind=robo] [data-mute]");
    wait::until("silence of the phone", HEARD_WITHIN, || {
        host.heard(1000).lacks_tone(1000.0)
    });
    host.click("#people-list [data-kind=robo] [data-unmute]");
    host.wait_to_hear(&[1000.0], HEARD_WITHIN);

    host.click("#mute-all");
    wait::until("silence of all", HEARD_WITHIN, || {
        let heard = host.heard(1000);
        heard.lacks_tone(700.0) && heard.lacks_tone(1000.0)
    });

    host.click("[aria-label='Remove Ann from the meeting']");
    ann.wait_for_text("You were removed from the meeting");
    host.click("#people-list [data-kind=robo] [data-kick]");
    phone.expect_hung_up();
    host.wait("document.querySelectorAll('#people-list .person').length === 1");
    assert_eq!(server.participants().len(), 1);
}

#[test]
fn who_may_speak_on_request_asks_and_is_heard_once_the_host_allows_it() {
    let server = Server::start();
    let chromium = Chromium::start();
    let host = chromium.join("Host", &server, Fakes::tone(440.0));
    let asks = json!({ "media": {
        "audio": { "can_produce": "CAN_REQUEST" },
        "video": { "can_produce": "NOT_ALLOWED" },
    } });
    let ann = chromium.open("Ann", &invite(&server, "Ann", &asks), Fakes::tone(700.0));
    ann.join();
    ann.wait("document.querySelector('#mute').textContent.includes('Ask to speak')");
    ann.wait("document.querySelector('#camera').disabled");
    assert!(host.heard(1000).lacks_tone(700.0));

    ann.click("#mute");
    ann.wait("document.querySelector('#mute').textContent.includes('Asked to speak')");
    host.wait("document.querySelector('#people-badge').textContent === '1'");
    host.click("#people");
    host.click("[data-refuse]");
    ann.wait_for_text("Not now");
    ann.wait("document.querySelector('#mute').textContent.includes('Ask to speak')");

    ann.press("m");
    host.wait("document.querySelector('[data-grant]')");
    host.click("[data-grant]");
    ann.wait_for_text("You may speak now");
    host.wait_to_hear(&[700.0], HEARD_WITHIN);
    host.wait("document.querySelector('#requests-section').hidden");
}
