//! The operator's console in a real browser: what it shows of calls and meetings, what it changes,
//! and that nothing a caller says becomes part of the page.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::raw_sip::RawSip;
use crate::harness::{Baresip, Chromium, Fakes, Page, Server, wait};

const SOON: Duration = Duration::from_secs(10);
/// What a caller may call itself to take over the page that shows it.
const HARM: &str = "<img src=x onerror=harmed=1>";

/// Opens the console and logs in with the card's key.
fn log_in<'a>(chromium: &'a Chromium, server: &Server) -> Page<'a> {
    let url = format!("http://{}/console", server.admin());
    let page = chromium.open("console", &url, Fakes::default());
    page.wait("!document.querySelector('#login').hidden");
    page.fill("#organization", &server.card.organization_id);
    page.fill("#api-key", &server.card.api_key);
    page.click("#log-in");
    page.wait("document.querySelector('#view h1')?.textContent === 'Overview'");
    page
}

fn go(page: &Page<'_>, place: &str, title: &str) {
    page.click(&format!("#nav a[href='#/{place}']"));
    page.wait(&format!(
        "document.querySelector('#view h1')?.textContent === {}",
        json!(title)
    ));
}

fn assert_no_barriers(page: &Page<'_>, place: &str) {
    let found = page.barriers();
    assert!(found.is_empty(), "{place}:\n{}", found.join("\n"));
}

#[test]
fn the_console_opens_with_the_api_key_and_closes_for_good() {
    let server = Server::start();
    let chromium = Chromium::start();
    let url = format!("http://{}/console", server.admin());
    let page = chromium.open("console", &url, Fakes::default());
    page.fill("#organization", &server.card.organization_id);
    page.fill("#api-key", "not the key");
    page.click("#log-in");
    page.wait_for_text("The organisation id or the API key is wrong.");
    assert_no_barriers(&page, "login");
    page.fill("#api-key", &server.card.api_key);
    page.press("Enter");
    page.wait_for_text("Nobody is in a meeting.");
    // The key itself is kept nowhere; the login outlives a reload, not a logout.
    let kept = "JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie])";
    let kept = page.evaluate(kept);
    assert!(!kept.as_str().unwrap().contains(&server.card.api_key));
    page.evaluate("location.reload()");
    page.wait("document.querySelector('#view h1')?.textContent === 'Overview'");
    page.click("#log-out");
    page.wait("!document.querySelector('#login').hidden");
    page.evaluate("location.reload()");
    page.wait("document.querySelector('#login')?.hidden === false");
    assert_eq!(
        server.get("/console").status,
        404,
        "not where the public is"
    );
}

#[test]
fn a_callers_name_stays_a_name() {
    let server = Server::start();
    let title = format!("\"><script>harmed=1</script>{HARM}");
    let path = format!("/meetings/{}", server.card.meeting_id);
    let reply = server.rest("PATCH", &path, Some(&json!({ "title": title })));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let invite = phone
        .authenticated_invite(&server, &call, "xss")
        .replace("From: <", &format!("From: \"{HARM}\" <"))
        .replace(
            "Max-Forwards",
            "User-Agent: <script>harmed=1</script>\r\nMax-Forwards",
        );
    phone.send(&invite);
    wait::until("the call", SOON, || {
        server.rest("GET", "/sip/calls?status=LIVE", None).json()["data"][0]["caller"] == HARM
    });

    let chromium = Chromium::start();
    let page = log_in(&chromium, &server);
    page.wait_for_text(HARM);
    page.wait_for_text(&title);
    page.click("#view a[href^='#/calls/']");
    page.wait(&format!(
        "document.querySelector('#view h1')?.textContent === {}",
        json!(HARM)
    ));
    go(&page, "meetings", "Meetings");
    page.click("#view a[href^='#/meetings/']");
    page.wait(&format!(
        "document.querySelector('#view h1')?.textContent === {}",
        json!(title)
    ));
    page.wait("[...document.querySelectorAll('td')].some((cell) => cell.textContent === 'phone')");
    page.wait_for_text(HARM);
    assert_eq!(
        page.evaluate("window.harmed ?? 'unharmed'"),
        json!("unharmed")
    );
    let foreign = "document.querySelectorAll('#view img, #view script').length";
    assert_eq!(page.evaluate(foreign), json!(0));

    // The browsers' page is told the same names.
    let ada = chromium.join("Ada", &server, Fakes::default());
    ada.wait_for_tiles("robo", 1);
    ada.wait_for_text(HARM);
    assert_eq!(
        ada.evaluate("window.harmed ?? 'unharmed'"),
        json!("unharmed")
    );
}

#[test]
fn a_call_is_watched_and_hung_up() {
    let server = Server::start();
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    let chromium = Chromium::start();
    let page = log_in(&chromium, &server);
    page.wait("document.querySelector('.number').textContent === '1Live meetings'");
    go(&page, "calls", "Calls");
    page.wait_for_text("talking");
    assert_no_barriers(&page, "calls");
    phone.hold();
    page.wait_for_text("on hold");
    phone.resume();
    page.click("#view a[href^='#/calls/']");
    page.wait("document.querySelector('#view h1')?.textContent === 'Desk Phone'");
    assert_no_barriers(&page, "a call");
    page.click("text=Hang up");
    page.wait("document.querySelector('#dialog').open");
    assert_no_barriers(&page, "a question");
    page.click("#dialog-buttons [type=submit]");
    phone.expect_hung_up();
    page.wait_for_text("hung_up_by_operator");
    page.wait("/Packets\\s+[1-9]/.test(document.querySelector('#view').innerText)");
    go(&page, "calls", "Calls");
    page.select("#call-status", "LIVE");
    page.wait_for_text("No call fits.");
    page.select("#call-status", "ENDED");
    page.wait("document.querySelectorAll('#view tbody tr').length === 1");
}

#[test]
fn meetings_credentials_presets_trunks_and_rules_are_made_changed_and_removed() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = log_in(&chromium, &server);
    let rows = |count: usize| {
        page.wait(&format!(
            "document.querySelectorAll('#view tbody tr').length === {count}"
        ));
    };
    let save = || page.click("#dialog-buttons [type=submit]");
    let count = |path: &str| {
        let reply = server.rest("GET", path, None).json();
        reply["paging"]["total_count"].as_u64().expect("a count")
    };

    go(&page, "meetings", "Meetings");
    page.click("#new");
    page.fill("#field-title", "Standup");
    save();
    page.wait("document.querySelector('#view h1')?.textContent === 'Standup'");
    page.click("text=Invite");
    page.wait("document.querySelector('#field-preset_name')?.options.length > 3");
    page.fill("#field-name", "Grace");
    save();
    page.wait("document.querySelector('#dialog code')?.textContent.includes('/join#token=')");
    page.click("#dialog-buttons button");
    assert_eq!(count("/meetings"), 2);

    go(&page, "credentials", "SIP credentials");
    rows(1);
    page.click("#new");
    page.fill("#field-name", "Front desk");
    save();
    page.wait("document.querySelectorAll('#dialog code').length === 2");
    let password = page.evaluate("document.querySelectorAll('#dialog code')[1].textContent");
    assert!(password.as_str().is_some_and(|text| text.len() > 12));
    page.click("#dialog-buttons button");
    rows(2);
    page.click("text=Delete >> nth=0");
    save();
    rows(1);

    go(&page, "presets", "Presets");
    let before = count("/presets");
    page.click("#new");
    page.fill("#field-name", "listener");
    page.fill("#field-permissions", "{ \"media\": ");
    save();
    page.wait_for_text("Permissions is not JSON");
    let permissions = "{ \"media\": { \"audio\": { \"can_produce\": \"NOT_ALLOWED\" } } }";
    page.fill("#field-permissions", permissions);
    save();
    page.wait_for_text("listener");
    assert_eq!(count("/presets"), before + 1);

    go(&page, "trunks", "Trunks");
    page.click("#new");
    page.fill("#field-name", "Carrier");
    page.fill("#field-cidrs", "203.0.113.0/33");
    save();
    page.wait("!document.querySelector('#dialog-notice').hidden");
    page.fill("#field-cidrs", "203.0.113.0/24");
    save();
    rows(1);
    page.wait_for_text("203.0.113.0/24");
    page.click(".row-actions button >> text=Change");
    page.fill("#field-concurrent_calls_max", "30");
    save();
    page.wait("document.querySelector('#view tbody').innerText.includes('30')");

    go(&page, "routing", "Routing");
    page.click("#new");
    page.fill("#field-number", "+493012345");
    page.select("#field-meeting_id", &server.card.meeting_id);
    save();
    rows(1);
    page.wait_for_text("+493012345");
    let rule = server.rest("GET", "/sip/routing-rules", None).json()["data"][0].clone();
    assert_eq!(
        rule["meeting_id"],
        Value::from(server.card.meeting_id.clone())
    );
    go(&page, "webhooks", "Webhooks");
    page.click("#new");
    page.fill("#field-name", "Ours");
    page.fill("#field-url", "https://hooks.example.com/ringbridge");
    page.fill("#field-events", "call.ended\nmeeting.started");
    save();
    page.wait("document.querySelectorAll('#dialog code').length === 1");
    page.click("#dialog-buttons button");
    rows(1);
    page.click("#view tbody a");
    page.wait_for_text("Nothing has been sent yet.");
    for place in [
        "",
        "webhooks",
        "presets",
        "credentials",
        "trunks",
        "routing",
        "meetings",
    ] {
        page.click(&format!("#nav a[href='#/{place}']"));
        page.wait(&format!(
            "document.querySelector('#nav [aria-current]').hash === '#/{place}'"
        ));
        assert_no_barriers(&page, place);
    }
}
