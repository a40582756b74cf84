//! Registrations over a crash, in the REST API.

use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::{authorization, header, status};
use crate::harness::sipp::{Sipp, Transport};
use crate::harness::stream_sip::StreamSip;
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(5);

fn listed(server: &Server) -> Vec<serde_json::Value> {
    let reply = server.rest("GET", "/sip/registrations", None);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].as_array().cloned().unwrap_or_default()
}

/// Transactions that the store has written.
fn writes(server: &Server) -> f64 {
    let page = server.metrics();
    let counts = page.lines().filter(|line| {
        line.starts_with("ringbridge_store_operation_duration_seconds_count")
            && line.contains("Write")
    });
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn who_is_registered_is_listed_still_after_a_crash_and_no_longer_after_signing_off() {
    let mut server = Server::start();
    let user = server.card.sip_username.clone();
    let writes_before = writes(&server);
    let mut phone = StreamSip::tcp(server.sip());
    let (uri, to) = (
        "sip:gateway.invalid",
        format!("<sip:{user}@gateway.invalid>"),
    );
    let register = |phone: &StreamSip, cseq, more: &str| {
        let request = phone.request("REGISTER", cseq, &to, more, "");
        let line = format!("REGISTER sip:{user}@gateway.invalid");
        request.replacen(&line, &format!("REGISTER {uri}"), 1)
    };
    phone.send(register(&phone, 1, "Expires: 600\r\n"));
    let challenge = phone.final_response();
    let line = header(&challenge, "WWW-Authenticate").expect("a challenge");
    let line = authorization(&line, "REGISTER", uri, &user, &server.card.sip_password);
    phone.send(register(&phone, 2, &format!("Expires: 600\r\n{line}")));
    let ok = phone.final_response();
    assert_eq!(status(&ok), 200, "{ok}");

    let before = listed(&server);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0]["username"], json!(user));
    assert_eq!(before[0]["transport"], json!("TCP"));
    assert_eq!(before[0]["address"], json!(phone.local.to_string()));
    wait::until("it on the disk", SOON, || writes(&server) > writes_before);
    server.crash_and_restart();
    assert_eq!(listed(&server), before);
    // sipp registers a phone of its own and signs it off; the other stays.
    Sipp::new(&server, "register", Transport::Udp)
        .service(&user)
        .run();
    wait::until("the other alone", SOON, || listed(&server) == before);
}
