//! Real phones (baresip) in a meeting, with and without a browser: who hears whom, found by the
//! frequency of a tone.

use std::time::Duration;

use serde_json::json;

use crate::harness::baresip::Options;
use crate::harness::sipp::{Sipp, Transport};
use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

/// How long sound may take from one end to be found at the other.
const HEARD_WITHIN: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(5);

/// Tones none of which is a harmonic of another.
const PHONE_HZ: f64 = 620.0;
const SECOND_PHONE_HZ: f64 = 1130.0;
const BROWSER_HZ: f64 = 440.0;

#[test]
fn a_phone_and_a_browser_hear_each_other_and_neither_hears_itself() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    page.wait_for_tiles("robo", 1);

    let in_browser = page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    assert!(
        in_browser.lacks_tone(BROWSER_HZ),
        "{}",
        in_browser.describe(&[PHONE_HZ, BROWSER_HZ])
    );
    let in_phone = phone.wait_to_hear(&[BROWSER_HZ], HEARD_WITHIN);
    assert!(
        in_phone.lacks_tone(PHONE_HZ),
        "{}",
        in_phone.describe(&[PHONE_HZ, BROWSER_HZ])
    );

    // The page's own meters move: the phone's and one's own.
    page.wait("parseFloat(document.querySelector('.tile[data-kind=robo]').style.getPropertyValue('--level')) > 0.3");
    page.wait("parseFloat(document.querySelector('.tile[data-kind=self]').style.getPropertyValue('--level')) > 0.3");

    phone.hang_up();
    page.wait_for_tiles("robo", 0);
    page.click("#leave");
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_second_phone_hears_the_first_and_the_browser() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut first = Baresip::start(&server, PHONE_HZ);
    first.call();
    let options = Options {
        transport: Transport::Tcp,
        codec: "PCMA",
        name: "Front Desk",
        ..Options::default()
    };
    let mut second = Baresip::start_with(&server, SECOND_PHONE_HZ, &options);
    second.call();
    page.wait_for_tiles("robo", 2);

    let all = [PHONE_HZ, SECOND_PHONE_HZ, BROWSER_HZ];
    let heard = second.wait_to_hear(&[PHONE_HZ, BROWSER_HZ], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(SECOND_PHONE_HZ),
        "{}",
        heard.describe(&all)
    );
    let heard = first.wait_to_hear(&[SECOND_PHONE_HZ, BROWSER_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(PHONE_HZ), "{}", heard.describe(&all));
    let heard = page.wait_to_hear(&[PHONE_HZ, SECOND_PHONE_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(BROWSER_HZ), "{}", heard.describe(&all));

    first.hang_up();
    page.wait_for_tiles("robo", 1);
    let tiles = page.tiles();
    let names: Vec<_> = tiles.iter().filter_map(|t| t["name"].as_str()).collect();
    assert!(names.contains(&"Front Desk"), "{names:?}");
}

#[test]
fn two_phones_hear_each_other_without_any_browser() {
    let server = Server::start();
    let mut first = Baresip::start(&server, PHONE_HZ);
    let mut second = Baresip::start(&server, SECOND_PHONE_HZ);
    first.call();
    second.call();
    let heard = first.wait_to_hear(&[SECOND_PHONE_HZ], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(PHONE_HZ),
        "{}",
        heard.describe(&[PHONE_HZ, SECOND_PHONE_HZ])
    );
    let heard = second.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(SECOND_PHONE_HZ),
        "{}",
        heard.describe(&[PHONE_HZ, SECOND_PHONE_HZ])
    );
}

#[test]
fn a_phone_over_tls_with_srtp_and_a_plain_one_hear_each_other() {
    let server = Server::start();
    let options = Options {
        transport: Transport::Tls,
        srtp: true,
        ..Options::default()
    };
    let mut secure = Baresip::start_with(&server, PHONE_HZ, &options);
    let mut plain = Baresip::start(&server, SECOND_PHONE_HZ);
    secure.call();
    plain.call();
    secure.wait_to_hear(&[SECOND_PHONE_HZ], HEARD_WITHIN);
    plain.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    // The hang-up finds its way over TLS too, from either side.
    secure.hang_up();
    wait::until("one phone left", SOON, || server.participants().len() == 1);
    secure.call();
    secure.wait_to_hear(&[SECOND_PHONE_HZ], HEARD_WITHIN);
    let kick_all = format!(
        "/meetings/{}/active-session/kick-all",
        server.card.meeting_id
    );
    assert_eq!(server.rest("POST", &kick_all, None).status, 200);
    secure.expect_hung_up();
}

#[test]
fn a_phone_alone_is_sent_silence_and_not_nothing() {
    let server = Server::start();
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    // Phones hang up when no packets come.
    wait::until("two seconds of received sound", HEARD_WITHIN, || {
        phone.heard(usize::MAX).duration_ms() > 2000
    });
    let heard = phone.heard(usize::MAX);
    assert!(
        heard.lacks_tone(PHONE_HZ),
        "{}",
        heard.describe(&[PHONE_HZ])
    );
}

#[test]
fn a_pressed_key_is_shown_in_the_browser() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    page.wait_for_tiles("robo", 1);
    page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    for digit in ['5', '#'] {
        phone.press(digit);
        page.wait(&format!(
            "document.querySelector('[data-digit=\"{digit}\"]') !== null"
        ));
    }
    // Once each, though an event is many packets.
    let said = "[...document.querySelectorAll('#announcer p')].filter((p) => p.textContent.includes('pressed')).length";
    assert_eq!(page.evaluate(said), json!(2));
}

#[test]
fn keys_asked_for_by_rest_are_pressed_in_the_phones_ear() {
    let server = Server::start();
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    let calls = server.rest("GET", "/sip/calls?status=LIVE", None).body;
    let calls: serde_json::Value = serde_json::from_str(&calls).expect("JSON");
    let id = calls["data"][0]["id"]
        .as_str()
        .expect("one call")
        .to_owned();
    let path = format!("/sip/calls/{id}/dtmf");
    let reply = server.rest("POST", &path, Some(&json!({ "digits": "42#" })));
    assert_eq!(reply.status, 200, "{}", reply.body);
    for digit in ['4', '2', '#'] {
        wait::until("the phone to hear the key", SOON, || {
            phone
                .log()
                .contains(&format!("received event: '{digit}' (end=1)"))
        });
    }
    let reply = server.rest("POST", &path, Some(&json!({ "digits": "4x" })));
    assert_eq!(reply.status, 422, "{}", reply.body);
    phone.hang_up();
    wait::until("no such call any more", SOON, || {
        let reply = server.rest("POST", &path, Some(&json!({ "digits": "1" })));
        reply.status == 404
    });
}

#[test]
fn a_phone_on_hold_is_marked_and_not_heard_until_it_resumes() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    phone.hold();
    page.wait("document.querySelector('.tile[data-kind=robo]').dataset.hold === 'true'");
    wait::until("silence from the phone", HEARD_WITHIN, || {
        page.heard(1000).lacks_tone(PHONE_HZ)
    });
    phone.resume();
    page.wait("document.querySelector('.tile[data-kind=robo]').dataset.hold === 'false'");
    page.wait_to_hear(&[PHONE_HZ], HEARD_WITHIN);
    phone.wait_to_hear(&[BROWSER_HZ], HEARD_WITHIN);
}

#[test]
fn a_muted_browser_is_not_heard_by_the_phone_until_it_unmutes() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut phone = Baresip::start(&server, PHONE_HZ);
    phone.call();
    phone.wait_to_hear(&[BROWSER_HZ], HEARD_WITHIN);
    page.press("m");
    wait::until("silence from the browser", HEARD_WITHIN, || {
        phone.heard(1000).lacks_tone(BROWSER_HZ)
    });
    page.press("m");
    phone.wait_to_hear(&[BROWSER_HZ], HEARD_WITHIN);
}

#[test]
fn hang_ups_from_either_side_leave_nothing_behind() {
    let server = Server::start();
    let chromium = Chromium::start();
    // The first round opens what stays open: the store's files, the browser's keep-alives.
    one_round(&server, &chromium);
    wait::until("nothing left of the first round", HEARD_WITHIN, || {
        is_clean(&server)
    });
    let open_before = server.open_files();
    one_round(&server, &chromium);
    wait::until("nothing left of the second round", HEARD_WITHIN, || {
        is_clean(&server)
    });
    wait::until_found("every socket to be closed", HEARD_WITHIN, || {
        let open = server.open_files();
        if open <= open_before {
            Ok(())
        } else {
            Err(format!("{open}, before {open_before}"))
        }
    });
    let session = format!("/meetings/{}/active-session", server.card.meeting_id);
    assert_eq!(
        server.rest("GET", &session, None).status,
        404,
        "the session has ended"
    );
}

#[test]
fn fifty_calls_in_quick_succession_leave_nothing_behind() {
    let server = Server::start();
    Sipp::new(&server, "call", Transport::Udp).run();
    wait::until("nothing left of the first", HEARD_WITHIN, || {
        is_clean(&server)
    });
    let open_before = server.open_files();
    Sipp::new(&server, "call", Transport::Udp).times(50).run();
    wait::until("nothing left of the others", HEARD_WITHIN, || {
        is_clean(&server)
    });
    wait::until_found("every socket to be closed", HEARD_WITHIN, || {
        let open = server.open_files();
        if open <= open_before {
            Ok(())
        } else {
            Err(format!("{open}, before {open_before}"))
        }
    });
}

/// Two phones and a browser: one phone hangs up, one is kicked, the browser's tab is closed.
fn one_round(server: &Server, chromium: &Chromium) {
    let page = chromium.join("Grace", server, Fakes::tone(BROWSER_HZ));
    let mut leaves = Baresip::start(server, PHONE_HZ);
    let mut kicked = Baresip::start(server, SECOND_PHONE_HZ);
    leaves.call();
    kicked.call();
    page.wait_for_tiles("robo", 2);
    kicked.wait_to_hear(&[BROWSER_HZ, PHONE_HZ], HEARD_WITHIN);
    leaves.hang_up();
    page.wait_for_tiles("robo", 1);
    let phone = page
        .tiles()
        .into_iter()
        .find(|t| t["kind"] == "robo")
        .expect("one is left");
    let path = format!("/meetings/{}/active-session/kick", server.card.meeting_id);
    let reply = server.rest(
        "POST",
        &path,
        Some(&json!({ "participant_ids": [phone["id"]] })),
    );
    assert_eq!(reply.status, 200, "{}", reply.body);
    kicked.expect_hung_up();
    page.wait_for_tiles("robo", 0);
    page.close();
}

fn is_clean(server: &Server) -> bool {
    let gauges = [
        "ringbridge_calls",
        "ringbridge_media_sessions",
        "ringbridge_media_peers",
        "ringbridge_media_legs",
        "ringbridge_signal_sockets",
        "ringbridge_sip_connections",
    ];
    server.participants().is_empty() && gauges.iter().all(|name| server.metric(name) == 0.0)
}
