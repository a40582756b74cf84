//! What the join page says when something is wrong, and that it needs nothing but itself.

use base64::Engine;
use serde_json::json;

use crate::harness::{Chromium, Fakes, Server};

#[test]
fn a_link_that_is_no_good_says_why() {
    let server = Server::start();
    let chromium = Chromium::start();
    let base = format!("http://{}/join", server.http());
    let fakes = Fakes::tone(440.0);

    chromium
        .open("none", &base, fakes)
        .wait_for_text("This link is incomplete");
    let cut_off = format!("{base}#token=abc");
    chromium
        .open("cut-off", &cut_off, fakes)
        .wait_for_text("This link is not valid");

    let part = |value: serde_json::Value| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let forged = |exp: u64| {
        let claims = json!({ "org": "x", "meeting": server.card.meeting_id, "exp": exp });
        format!(
            "{base}#token={}.{}.AAAA",
            part(json!({ "alg": "HS256" })),
            part(claims)
        )
    };
    chromium
        .open("expired", &forged(1_000_000), fakes)
        .wait_for_text("This link has expired");
    let page = chromium.open("forged", &forged(4_000_000_000), fakes);
    page.fill("#name", "Mallory");
    page.click("#join");
    page.wait_for_text("This link is not valid");
    assert!(server.participants().is_empty());
}

#[test]
fn the_page_works_under_its_own_content_security_policy() {
    let server = Server::start();
    let reply = server.get("/join");
    assert_eq!(reply.status, 200);
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");

    let chromium = Chromium::start();
    let page = chromium.join("Ada", &server, Fakes::tone(440.0));
    let console = page.console();
    let complaints: Vec<_> = console
        .iter()
        .filter(|line| line.starts_with("error") || line.starts_with("uncaught"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn other_peoples_pages_may_import_the_sdk_and_nothing_else() {
    let server = Server::start();
    let allowed = |path: &str| {
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path}");
        reply
            .header("access-control-allow-origin")
            .map(str::to_owned)
    };
    for file in ["ringbridge", "client", "signal", "media"] {
        let path = format!("/assets/sdk/{file}.js");
        assert_eq!(allowed(&path).as_deref(), Some("*"), "{path}");
    }
    assert_eq!(allowed("/join"), None);
    assert_eq!(allowed("/assets/page/main.js"), None);
}

#[test]
fn the_page_can_be_used_from_the_keyboard_alone() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.open("Ada", &server.card.join_url, Fakes::tone(440.0));
    page.wait("document.querySelector('#preview-mic').getAttribute('aria-pressed') === 'true'");
    page.evaluate("document.querySelector('#name').focus()");
    page.fill("#name", "Ada");
    page.press("Enter");
    page.wait("document.querySelector('#connection').textContent === 'Connected'");
    page.press("m");
    page.wait("document.querySelector('#mute').textContent.includes('Unmute')");
    // Every control has a name that a screen reader can say.
    let nameless = "[...document.querySelectorAll('button')].filter((b) => !b.textContent.trim() && b.id !== 'again').length";
    assert_eq!(page.evaluate(nameless), json!(0));
}

#[test]
fn a_name_is_asked_for_before_joining() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.open("nameless", &server.card.join_url, Fakes::tone(440.0));
    page.click("#join");
    page.wait_for_text("What is your name?");
    assert!(server.participants().is_empty());
}

#[test]
fn over_plain_http_from_elsewhere_one_is_told_why_there_is_no_microphone() {
    let server = Server::start();
    let chromium = Chromium::start();
    let elsewhere = server.card.join_url.replace("127.0.0.1", "ringbridge.test");
    let page = chromium.open("Ada", &elsewhere, Fakes::default());
    page.wait_for_text("No microphone on an insecure page");
    page.wait_for_text("You can still join and listen.");
    page.join();
    page.click("#mute");
    page.wait_for_text("No microphone on an insecure page");
}

#[test]
fn the_https_link_works_with_the_certificate_the_server_made() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.open("Ada", &server.card.https_join_url, Fakes::tone(440.0));
    page.join();
    assert_eq!(page.evaluate("location.protocol"), json!("https:"));
}

#[test]
fn the_page_tells_what_a_phone_dials() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Ada", &server, Fakes::tone(440.0));
    page.click("#dial-in");
    page.wait_for_text(&server.card.sip_uri);
}
