//! SIP over WebSocket (RFC 7118), plain and within TLS, on the listeners of the join page.

use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::{authorization, header, status};
use crate::harness::stream_sip::StreamSip;
use crate::harness::{Server, http, wait};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_browser_phone_registers_calls_and_is_hung_up_on_the_socket_it_opened() {
    let server = Server::start();
    let mut phone = StreamSip::ws(server.http());
    let (user, password) = (&server.card.sip_username, &server.card.sip_password);
    let uri = "sip:gateway.invalid";
    let to = format!("<sip:{user}@gateway.invalid>");
    let register = |phone: &StreamSip, cseq, more: &str| {
        let request = phone.request("REGISTER", cseq, &to, more, "");
        request.replacen(
            &format!("REGISTER sip:{user}@gateway.invalid"),
            &format!("REGISTER {uri}"),
            1,
        )
    };
    phone.send(register(&phone, 1, "Expires: 300\r\n"));
    let challenge = phone.final_response();
    assert_eq!(status(&challenge), 401, "{challenge}");
    let line = header(&challenge, "WWW-Authenticate").expect("a challenge");
    let line = authorization(&line, "REGISTER", uri, user, password);
    phone.send(register(&phone, 2, &format!("Expires: 300\r\n{line}")));
    let ok = phone.final_response();
    assert_eq!(status(&ok), 200, "{ok}");
    assert!(
        header(&ok, "Contact").is_some_and(|c| c.contains("df7jal23ls0d.invalid")),
        "{ok}"
    );

    let listed = server.rest("GET", "/sip/registrations", None).json();
    assert_eq!(listed["data"][0]["transport"], json!("WS"), "{listed}");
    assert_eq!(listed["data"][0]["username"], json!(user), "{listed}");

    phone.send("\r\n\r\n");
    assert_eq!(phone.receive_exactly(2), b"\r\n", "a pong");

    let to = phone.call(&server, "");
    wait::until("the phone among the participants", SOON, || {
        server.participants().len() == 1
    });
    let id = server.participants()[0]["id"].clone();
    let path = format!("/meetings/{}/active-session/kick", server.card.meeting_id);
    let reply = server.rest("POST", &path, Some(&json!({ "participant_ids": [id] })));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let bye = phone.receive();
    assert!(
        bye.starts_with("BYE sip:stream@df7jal23ls0d.invalid"),
        "{bye}"
    );
    assert!(
        header(&bye, "Via").is_some_and(|via| via.starts_with("SIP/2.0/WS ")),
        "{bye}"
    );
    assert_eq!(header(&bye, "From").as_deref(), Some(to.as_str()));
    let line = |name: &str| format!("{name}: {}\r\n", header(&bye, name).unwrap_or_default());
    let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"].map(line).concat();
    phone.send(format!(
        "SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"
    ));
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn within_tls_it_is_answered_the_same_and_a_contact_of_ours_says_how_to_reach_us() {
    let server = Server::start();
    let ours = server.folder().join("data/https-self-signed.pem");
    let mut phone = StreamSip::wss(server.https(), &ours);
    phone.send(phone.request("OPTIONS", 1, "<sip:gateway.invalid>", "", ""));
    let ok = phone.final_response();
    assert_eq!(status(&ok), 200, "{ok}");
    let via = header(&ok, "Via").expect("a Via");
    assert!(
        via.starts_with("SIP/2.0/WSS df7jal23ls0d.invalid;"),
        "{via}"
    );
    assert!(via.contains("received=127.0.0.1"), "{via}");
    phone.call(&server, "");
    wait::until("the phone among the participants", SOON, || {
        server.participants().len() == 1
    });
    drop(phone);
    wait::until("the server to notice the close", SOON, || {
        server.metric("ringbridge_sip_connections") == 0.0
    });
}

#[test]
fn who_does_not_ask_for_sip_is_told_to() {
    let server = Server::start();
    let reply = http::request(server.http(), "GET", "/sip", None, None).expect("an answer");
    assert_eq!(reply.status / 100, 4, "{}", reply.body);
}
