//! Publishing and playing without our page: WHIP and WHEP with a foreign client.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Aiortc, Baresip, Chromium, Fakes, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(5);

/// A participant's token.
fn token(server: &Server, name: &str, preset: &str) -> String {
    let path = format!("/meetings/{}/participants", server.card.meeting_id);
    let body = json!({ "name": name, "preset_name": preset });
    let reply = server.rest("POST", &path, Some(&body));
    assert_eq!(reply.status, 201, "{}", reply.body);
    let data = reply.json()["data"].clone();
    data["token"].as_str().expect("a token").to_owned()
}

#[test]
fn what_whip_publishes_browsers_and_phones_hear_and_browsers_see() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, Fakes::tone(440.0));
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();

    let token = token(&server, "Studio", "group_call_host");
    let mut studio = Aiortc::publish(&server, &token, 880.0);
    studio.expect_connected();
    ada.wait_for_tiles("browser", 1);
    let heard = ada.wait_to_hear(&[880.0, 620.0], HEARD_WITHIN);
    assert!(heard.lacks_tone(440.0), "{}", heard.describe(&[440.0]));
    phone.wait_to_hear(&[880.0, 440.0], HEARD_WITHIN);
    ada.wait_to_see(".tile[data-kind=browser] video", [0, 180, 33]);

    assert_eq!(studio.leave()["status"], 200);
    ada.wait_for_tiles("browser", 0);
    wait::until("silence", SOON, || ada.heard(500).lacks_tone(880.0));
}

#[test]
fn a_whep_player_hears_the_phone_sees_the_camera_and_follows_who_speaks() {
    let server = Server::start();
    let token = token(&server, "Screen in the hall", "webinar_viewer");
    let mut hall = Aiortc::play(&server, &token);
    hall.expect_connected();
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    hall.wait_to_hear(620.0, HEARD_WITHIN);

    let chromium = Chromium::start();
    let camera = Fakes {
        colour: Some("rgb(200,30,30)"),
        ..Fakes::default()
    };
    let ada = chromium.join("Ada", &server, camera);
    ada.click("#camera");
    let picture = hall.expect("picture");
    assert!(picture["width"].as_u64() > Some(0), "{picture}");

    // It has one line for voices: the next speaker gets it.
    ada.close();
    phone.hang_up();
    let bob = chromium.join("Bob", &server, Fakes::tone(1000.0));
    hall.wait_to_hear(1000.0, HEARD_WITHIN);
    wait::until("the phone's last word to be over", SOON, || {
        hall.heard(1000).lacks_tone(620.0)
    });
    bob.wait_for_tiles("browser", 1);

    assert_eq!(server.participants().len(), 2);
    assert_eq!(hall.leave()["status"], 200);
    assert_eq!(server.participants().len(), 1);
}
