//! What the log tells, at its loudest: no password, key, token or digest, and no caller's name or
//! number unless the operator asked for them.

use std::time::Duration;

use base64::Engine;
use ringbridge::probe::browser::{Browser, Join};
use ringbridge::probe::phone::Dial;
use ringbridge::probe::sound::Voice;
use serde_json::json;

use crate::harness::Server;

const SOON: Duration = Duration::from_secs(10);

/// The log without the first-call card, whose purpose is to tell secrets once.
fn log_without_card(server: &Server) -> String {
    let path = server.folder().join("server.log");
    let log = std::fs::read_to_string(path).expect("a log");
    let start = log.find("── Your first call").expect("the card");
    let below = start + log[start..].find('\n').expect("its first rule");
    let end = below + log[below..].find("────\n").expect("its last rule");
    assert!(log[start..end].contains(&server.card.api_key));
    format!("{}{}", &log[..start], &log[end..])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loudest_log_tells_no_secret_and_no_name() {
    let server = Server::start_with(&["--log-filter", "trace"]);
    let card = &server.card;
    let path = format!("/meetings/{}/participants", card.meeting_id);
    let body = json!({ "name": "Gracepriv Hopperpriv" });
    let token = server.rest("POST", &path, Some(&body)).json()["data"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let url = format!("ws://{}/v2/signal", server.http());
    let join = Join::new(&url, &token, "Gracepriv Hopperpriv");
    let browser = Browser::join(&join, Voice::tone(950.0, 48_000));
    let browser = browser.await.expect("the browser joins");
    let credential = server.rest("POST", "/sip/credentials", Some(&json!({})));
    let credential = credential.json()["data"].clone();
    let [username, password] =
        ["username", "password"].map(|member| credential[member].as_str().expect("text"));
    let wrong = Dial::new(&card.sip_uri, &card.sip_username, "not-the-password");
    assert!(wrong.call().await.is_err());
    let dial = Dial::new(&card.sip_uri, username, password);
    let mut call = dial.call().await.expect("the call is answered");
    let media = call.media(Voice::tone(550.0, 8_000)).unwrap();
    media.ear().wait_for_tone(950.0, SOON).await.unwrap();
    assert_eq!(call.hang_up().await.unwrap(), 200);
    browser.leave().await;

    let log = log_without_card(&server);
    assert!(log.contains("TRACE"), "it is not at its loudest");
    let basic = base64::engine::general_purpose::STANDARD
        .encode(format!("{}:{}", card.organization_id, card.api_key));
    let ha1 = format!(
        "{:x}",
        md5::compute(format!("{username}:ringbridge:{password}"))
    );
    let signature = token.rsplit('.').next().expect("three parts");
    for (what, secret) in [
        ("the API key", card.api_key.as_str()),
        ("the Authorization header", &basic),
        ("a SIP password", password),
        ("the first SIP password", &card.sip_password),
        ("a wrong password", "not-the-password"),
        ("HA1", &ha1),
        ("a digest", "response=\""),
        ("a join token", signature),
        ("a person's name", "Gracepriv"),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{what} is in the log: {line:?}");
    }
}
