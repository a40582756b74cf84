//! Browsers among themselves, through the join page that a person would use.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(5);

const ADA: Fakes = Fakes {
    tone_hz: Some(440.0),
    colour: Some("rgb(200,30,30)"),
    large: false,
    microphone_error: None,
    sound_held_back: false,
};
const GRACE: Fakes = Fakes {
    tone_hz: Some(1490.0),
    colour: Some("rgb(30,60,200)"),
    ..ADA
};

#[test]
fn two_browsers_hear_and_see_each_other() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let grace = chromium.join("Grace", &server, GRACE);
    ada.wait_for_tiles("browser", 1);
    grace.wait_for_tiles("browser", 1);

    let heard = ada.wait_to_hear(&[1490.0], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(440.0),
        "{}",
        heard.describe(&[440.0, 1490.0])
    );
    let heard = grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(1490.0),
        "{}",
        heard.describe(&[440.0, 1490.0])
    );

    ada.click("#camera");
    grace.wait_to_see(".tile[data-kind=browser] video", [200, 30, 30]);
    grace.click("#camera");
    ada.wait_to_see(".tile[data-kind=browser] video", [30, 60, 200]);
    ada.click("#camera");
    grace.wait("document.querySelector('.tile[data-kind=browser] video') === null");
    ada.click("#camera");
    grace.wait_to_see(".tile[data-kind=browser] video", [200, 30, 30]);

    ada.click("#leave");
    grace.wait_for_tiles("browser", 0);
    assert_eq!(server.participants().len(), 1);
    grace.close();
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_shared_screen_is_seen_beside_the_camera_until_it_is_stopped() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let grace = chromium.join("Grace", &server, GRACE);
    ada.click("#camera");
    ada.click("#screen");
    grace.wait_to_see(".tile[data-kind=screen] video", [20, 160, 60]);
    grace.wait_to_see(".tile[data-kind=browser] video", [200, 30, 30]);
    // Who comes later sees both, too.
    let late = chromium.join("Late", &server, Fakes::default());
    late.wait_to_see(".tile[data-kind=screen] video", [20, 160, 60]);
    late.wait("document.querySelectorAll('.tile[data-kind=browser] video').length === 1");
    ada.click("#screen");
    grace.wait_for_tiles("screen", 0);
    late.wait_for_tiles("screen", 0);
    grace.wait_to_see(".tile[data-kind=browser] video", [200, 30, 30]);
}

#[test]
fn browsers_come_and_go_and_those_who_stay_keep_hearing_the_right_ones() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    for (name, hz) in [("Bob", 700.0), ("Cleo", 1000.0), ("Dora", 1250.0)] {
        let guest = chromium.join(name, &server, Fakes::tone(hz));
        ada.wait_for_tiles("browser", 1);
        ada.wait_to_hear(&[hz], HEARD_WITHIN);
        guest.wait_to_hear(&[440.0], HEARD_WITHIN);
        guest.close();
        ada.wait_for_tiles("browser", 0);
        let heard = ada.heard(500);
        assert!(heard.duration_ms() == 500);
        wait::until("silence after they left", SOON, || {
            ada.heard(500).lacks_tone(hz)
        });
    }
}

#[test]
fn a_muted_person_is_shown_as_muted_and_not_heard() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let grace = chromium.join("Grace", &server, GRACE);
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    ada.click("#mute");
    grace.wait("document.querySelector('.tile[data-kind=browser]').dataset.muted === 'true'");
    wait::until("silence", SOON, || grace.heard(500).lacks_tone(440.0));
    ada.click("#mute");
    grace.wait("document.querySelector('.tile[data-kind=browser]').dataset.muted === 'false'");
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
}

#[test]
fn without_a_microphone_one_joins_and_listens() {
    let server = Server::start();
    let chromium = Chromium::start();
    let denied = Fakes {
        microphone_error: Some("NotAllowedError"),
        ..Fakes::default()
    };
    let listener = chromium.open("Linus", &server.card.join_url, denied);
    listener.wait_for_text("The microphone is blocked for this page");
    listener.wait_for_text("You can still join and listen.");
    listener.join();
    let _ada = chromium.join("Ada", &server, ADA);
    listener.wait_to_hear(&[440.0], HEARD_WITHIN);
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    listener.wait_to_hear(&[440.0, 620.0], HEARD_WITHIN);
}

#[test]
fn sound_that_the_browser_holds_back_comes_with_a_click() {
    let server = Server::start();
    let chromium = Chromium::start();
    let _ada = chromium.join("Ada", &server, ADA);
    let grace = chromium.join(
        "Grace",
        &server,
        Fakes {
            sound_held_back: true,
            ..GRACE
        },
    );
    grace.wait_for_text("Click to hear the others");
    assert!(grace.heard(1000).lacks_tone(440.0));
    grace.click("#hear");
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    grace.wait("document.querySelector('#hear').hidden");
}

#[test]
fn after_the_server_comes_back_everyone_is_back_by_themselves() {
    let mut server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let grace = chromium.join("Grace", &server, GRACE);
    ada.wait_to_hear(&[1490.0], HEARD_WITHIN);
    server.crash_and_restart();
    ada.wait_for_text("The connection to the server was lost");
    let connected = "document.querySelector('#connection').textContent === 'Connected'";
    let back = Duration::from_secs(30);
    ada.wait_within(connected, back);
    grace.wait_within(connected, back);
    ada.wait_for_tiles("browser", 1);
    ada.wait_to_hear(&[1490.0], HEARD_WITHIN);
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    assert_eq!(server.participants().len(), 2);
}

#[test]
fn everyone_may_be_removed_by_the_api_and_is_told() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    ada.wait_for_tiles("robo", 1);
    let path = format!(
        "/meetings/{}/active-session/kick-all",
        server.card.meeting_id
    );
    let reply = server.rest("POST", &path, Some(&json!({})));
    assert_eq!(reply.status, 200, "{}", reply.body);
    phone.expect_hung_up();
    ada.wait("document.querySelector('#ended').hidden === false");
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_participant_added_by_the_api_joins_under_its_own_name() {
    let server = Server::start();
    let chromium = Chromium::start();
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let body = json!({ "name": "Invited Ida", "preset_name": "group_call_host" });
    let reply = server.rest("POST", &path, Some(&body));
    assert!(
        [200, 201].contains(&reply.status),
        "{} {}",
        reply.status,
        reply.body
    );
    let data = reply.json()["data"].clone();
    let token = data["token"].as_str().expect("a token").to_owned();
    let url = format!("http://{}/join#token={token}", server.http());
    let ida = chromium.open("Ida", &url, Fakes::tone(440.0));
    ida.join();
    wait::until("the participant by its id", SOON, || {
        let participants = server.participants();
        participants.len() == 1 && participants[0]["id"] == data["id"]
    });
}
