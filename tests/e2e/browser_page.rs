//! The join page as people use it: choosing devices, looking at others, finding out who is there,
//! with a keyboard, a screen reader or a small screen.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Baresip, Chromium, Fakes, Server};

const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// What the fake headset's tone lies above the desk microphone's.
const HEADSET_OFFSET_HZ: f64 = 210.0;

const ADA: Fakes = Fakes {
    tone_hz: Some(440.0),
    colour: Some("rgb(200,30,30)"),
    large: false,
    microphone_error: None,
    sound_held_back: false,
};

fn assert_no_barriers(page: &crate::harness::Page<'_>, where_: &str) {
    let found = page.barriers();
    assert!(found.is_empty(), "{where_}:\n{}", found.join("\n"));
}

#[test]
fn devices_chosen_before_joining_are_used_and_can_be_changed_in_the_meeting() {
    let server = Server::start();
    let chromium = Chromium::start();
    let grace = chromium.join("Grace", &server, Fakes::tone(1490.0));
    let ada = chromium.open("Ada", &server.card.join_url, ADA);
    ada.wait("document.querySelector('#devices-audio').options.length === 2");
    ada.select("#devices-audio", "headset");
    ada.select("#devices-speaker", "phones");
    ada.click("#preview-camera");
    ada.wait_to_see("#preview-video", [200, 30, 30]);
    ada.join();
    let heard = grace.wait_to_hear(&[440.0 + HEADSET_OFFSET_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(440.0), "{}", heard.describe(&[440.0]));
    grace.wait_to_see(".tile[data-kind=browser] video", [200, 30, 30]);
    ada.wait_to_hear(&[1490.0], HEARD_WITHIN);
    assert_eq!(ada.evaluate("window.e2eSpeakers()"), json!(["phones"]));

    ada.click("#settings");
    ada.wait("document.querySelector('#room-devices-audio').value === 'headset'");
    ada.select("#room-devices-audio", "desk");
    grace.wait_to_hear(&[440.0], HEARD_WITHIN);
    ada.select("#room-devices-speaker", "default");
    ada.wait("window.e2eSpeakers().every((id) => id === 'default')");
}

#[test]
fn the_speaker_or_who_is_pinned_stands_in_front_and_the_people_list_marks_phones() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.join("Ada", &server, ADA);
    let _mute = chromium.join("Mute", &server, Fakes::default());
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    ada.wait_for_tiles("robo", 1);
    ada.wait("document.querySelector('#spotlight').hidden");

    // Only the phone speaks, so it comes in front; the one who is pinned stays there instead.
    ada.press("g");
    ada.wait("document.querySelector('#spotlight .tile')?.dataset.kind === 'robo'");
    assert_eq!(
        ada.evaluate("document.querySelectorAll('#spotlight .tile').length"),
        json!(1)
    );
    ada.evaluate("document.querySelector('.tile[data-kind=browser] .tile-pin').click()");
    ada.wait("document.querySelector('#spotlight .tile').dataset.kind === 'browser'");
    ada.press("g");
    ada.wait("document.querySelector('#spotlight .tile').dataset.kind === 'browser'");
    ada.evaluate("document.querySelector('#spotlight .tile-pin').click()");
    ada.wait("document.querySelector('#spotlight').hidden");

    ada.press("p");
    ada.wait("document.querySelectorAll('#people-list .person').length === 3");
    let row = |kind: &str| {
        format!(
            "[...document.querySelectorAll('#people-list .person')].find((p) => p.innerText.includes('{kind}'))?.innerText ?? ''"
        )
    };
    ada.wait(&format!(
        "({}).includes('microphone on')",
        row("Desk Phone")
    ));
    ada.wait(&format!("({}).includes('muted')", row("Mute")));
    ada.wait(&format!("({}).includes('you')", row("Ada")));
    phone.hold();
    ada.wait(&format!(
        "({}).includes('phone, on hold')",
        row("Desk Phone")
    ));
    phone.hang_up();
    ada.wait("document.querySelectorAll('#people-list .person').length === 2");
}

#[test]
fn a_small_tile_is_sent_the_small_picture() {
    let server = Server::start();
    let chromium = Chromium::start();
    let large = Fakes { large: true, ..ADA };
    let grace = chromium.join("Grace", &server, large);
    grace.click("#camera");
    let ada = chromium.join("Ada", &server, Fakes::default());
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    ada.wait_for_tiles("robo", 1);
    let pin = |kind: &str| {
        ada.evaluate(&format!(
            "document.querySelector('.tile[data-kind={kind}] .tile-pin').click()"
        ));
    };
    let width = "document.querySelector('.tile[data-kind=browser] video')?.videoWidth";
    let patience = Duration::from_secs(30);
    pin("browser");
    ada.wait_within(&format!("{width} === 1280"), patience);
    pin("browser");
    pin("robo");
    ada.wait_within(&format!("{width} === 320"), patience);
}

#[test]
fn the_page_tells_how_good_the_connection_is() {
    let server = Server::start();
    let chromium = Chromium::start();
    let _grace = chromium.join("Grace", &server, Fakes::tone(1490.0));
    let ada = chromium.join("Ada", &server, ADA);
    ada.wait("document.querySelector('#quality-label').textContent === 'Network quality: good'");
    ada.click("#quality");
    ada.wait("/Round trip\\s+\\d+ ms/.test(document.querySelector('#quality-panel').innerText)");
    ada.wait(
        "/Receiving\\s+[1-9]\\d* kbit/.test(document.querySelector('#quality-panel').innerText)",
    );
    ada.press("Escape");
    ada.wait("document.querySelector('#quality-panel').hidden");
}

#[test]
fn panels_open_by_key_take_the_focus_and_give_it_back() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Ada", &server, ADA);
    for (key, panel) in [("p", "people"), ("d", "dial-in")] {
        page.press(key);
        page.wait(&format!("!document.querySelector('#{panel}-panel').hidden"));
        page.wait(&format!(
            "document.querySelector('#{panel}-panel').contains(document.activeElement)"
        ));
        page.press("Escape");
        page.wait(&format!("document.querySelector('#{panel}-panel').hidden"));
        page.wait(&format!("document.activeElement.id === '{panel}'"));
    }
    page.click("#captions-toggle");
    page.wait_for_text("this server does not turn speech into text");
    page.press("v");
    page.wait_to_see(".tile[data-kind=self] video", [200, 30, 30]);
}

#[test]
fn no_view_has_a_barrier_that_the_accessibility_checker_knows() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ended = chromium.open("none", &format!("http://{}/join", server.http()), ADA);
    ended.wait_for_text("This link is incomplete");
    assert_no_barriers(&ended, "the end");
    let page = chromium.open("Ada", &server.card.join_url, ADA);
    page.wait("document.querySelector('#devices-video').options.length === 1");
    assert_no_barriers(&page, "the lobby");
    page.click("#preview-camera");
    page.join();
    let _grace = chromium.join("Grace", &server, Fakes::tone(1490.0));
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    page.wait_for_tiles("robo", 1);
    assert_no_barriers(&page, "the room");
    for panel in ["people", "dial-in", "settings"] {
        page.click(&format!("#{panel}"));
        assert_no_barriers(&page, panel);
    }
    page.click("#view");
    page.click("#captions-toggle");
    page.click("#quality");
    assert_no_barriers(&page, "speaker view with captions and figures");
    page.resize(360, 640);
    assert_no_barriers(&page, "a small screen");
}

/// Tiles that are outside the window, overlap, or are not all of one size.
const MISPLACED: &str = "(() => { \
    const boxes = [...document.querySelectorAll('#stage > .tile')] \
        .map((tile) => tile.getBoundingClientRect()); \
    const inside = (b) => b.left >= 0 && b.top >= 0 && b.right <= innerWidth \
        && b.bottom <= innerHeight && b.width >= 80 && b.height >= 60; \
    const apart = (a, b) => a.right <= b.left || b.right <= a.left \
        || a.bottom <= b.top || b.bottom <= a.top; \
    const alike = (b) => Math.abs(b.width - boxes[0].width) < 2; \
    return boxes.filter((b) => !inside(b) || !alike(b) \
        || boxes.some((other) => other !== b && !apart(b, other))).length; \
    })()";

#[test]
fn up_to_twelve_tiles_fit_into_the_window() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Ada", &server, ADA);
    for (width, height) in [(1280, 720), (1920, 900), (800, 1000)] {
        page.resize(width, height);
        page.evaluate(
            "document.querySelectorAll('#stage > .copy').forEach((copy) => copy.remove())",
        );
        for count in 1..=12 {
            // A copy of a tile takes as much room as a participant's.
            if count > 1 {
                page.evaluate(
                    "(() => { const stage = document.querySelector('#stage'); \
                    const copy = stage.querySelector('.tile').cloneNode(true); \
                    copy.classList.add('copy'); copy.style.animation = 'none'; \
                    stage.append(copy); })()",
                );
            }
            let shown = "document.querySelectorAll('#stage > .tile').length";
            page.wait(&format!(
                "innerWidth === {width} && {shown} === {count} && {MISPLACED} === 0"
            ));
            // And they use it: half of the stage at least is covered.
            let covered = "(() => { \
                const frame = document.querySelector('#stage-frame').getBoundingClientRect(); \
                const tiles = [...document.querySelectorAll('#stage > .tile')]; \
                const area = (node) => node.clientWidth * node.clientHeight; \
                return tiles.map(area).reduce((a, b) => a + b) / (frame.width * frame.height); \
                })()";
            let share = page.evaluate(covered).as_f64().expect("a number");
            assert!(
                share > 0.5,
                "{count} tiles cover {share} of {width}×{height}"
            );
        }
    }
}

#[test]
fn on_a_small_screen_nothing_is_cut_off() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.open("Ada", &server.card.join_url, ADA);
    page.resize(360, 640);
    page.wait("document.querySelector('#devices-video').options.length === 1");
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(page.evaluate(wide), json!(false), "the lobby");
    page.join();
    let _grace = chromium.join("Grace", &server, Fakes::tone(1490.0));
    page.wait_for_tiles("browser", 1);
    let outside = "[...document.querySelectorAll('#room button, #room .tile')].filter((node) => { \
        const box = node.getBoundingClientRect(); \
        return box.width && (box.left < 0 || box.top < 0 || box.right > innerWidth \
        || box.bottom > innerHeight); \
        }).map((node) => node.id || node.className)";
    for (width, height) in [(360, 640), (640, 360), (320, 568)] {
        page.resize(width, height);
        for panel in [None, Some("people"), Some("dial-in")] {
            if let Some(panel) = panel {
                page.click(&format!("#{panel}"));
            }
            page.wait(&format!(
                "innerWidth === {width} && ({outside}).length === 0"
            ));
            assert_eq!(
                page.evaluate(wide),
                json!(false),
                "{width}×{height} {panel:?}"
            );
        }
        page.press("Escape");
    }
}
