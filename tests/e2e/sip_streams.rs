//! SIP over stream connections: what happens when they close within a call.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::header;
use crate::harness::server::Folder;
use crate::harness::stream_sip::{Certificate, StreamSip};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(5);

/// Removes the only participant of the demo meeting.
fn kick(server: &Server) {
    let id = wait::until_found("the phone", SOON, || {
        let participants = server.participants();
        let id = participants
            .first()
            .and_then(|p| p["id"].as_str().map(str::to_owned));
        id.ok_or_else(|| "nobody".to_owned())
    });
    let path = format!("/meetings/{}/active-session/kick", server.card.meeting_id);
    let reply = server.rest("POST", &path, Some(&json!({ "participant_ids": [id] })));
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Carriers close idle connections within a call (Twilio after two minutes): the BYE must open a
/// new one to the Route.
fn bye_after_close(
    server: &Server,
    call: StreamSip,
    to: &str,
    called_back: impl Fn() -> StreamSip,
) {
    let call_id = format!("stream-{}", call.local);
    drop(call);
    let closed = || server.metric("ringbridge_sip_connections") == 0.0;
    wait::until("the server to notice the close", SOON, closed);
    kick(server);
    let mut carrier = called_back();
    let bye = carrier.receive();
    assert!(bye.starts_with("BYE sip:stream@"), "{bye}");
    assert_eq!(header(&bye, "Call-ID"), Some(call_id));
    assert!(header(&bye, "Route").is_some(), "{bye}");
    assert_eq!(
        header(&bye, "From").as_deref(),
        Some(to),
        "our To is its From"
    );
    let line = |name: &str| format!("{name}: {}\r\n", header(&bye, name).unwrap_or_default());
    let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"].map(line).concat();
    carrier.send(format!(
        "SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"
    ));
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_bye_after_the_carrier_closed_its_connection_opens_a_new_one_to_the_route() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let route = listener.local_addr().expect("it is bound");
    let mut call = StreamSip::tcp(server.sip());
    let route = format!("Record-Route: <sip:{route};transport=tcp;lr>\r\n");
    let to = call.call(&server, &route);
    bye_after_close(&server, call, &to, || StreamSip::accept_tcp(&listener));
}

#[test]
fn a_bye_over_tls_does_too_to_whom_the_machines_roots_vouch_for() {
    let folder = Folder::new();
    let pem = folder.path.join("carrier.pem");
    let certificate = Certificate::new(&pem);
    let pem = pem.to_str().expect("a path");
    let server = Server::start_in(&[], &[("SSL_CERT_FILE", pem)]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let route = listener.local_addr().expect("it is bound");
    let ours = server.folder().join("data/https-self-signed.pem");
    let mut call = StreamSip::tls(server.sips(), &ours);
    let route = format!("Record-Route: <sip:{route};transport=tls;lr>\r\n");
    let to = call.call(&server, &route);
    bye_after_close(&server, call, &to, || {
        StreamSip::accept_tls(&listener, &certificate)
    });
}
