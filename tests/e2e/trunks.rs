//! Carriers: known by their networks, dialling numbers that rules lead to meetings.

use std::net::UdpSocket;
use std::time::Duration;

use ringbridge::probe::phone::Dial;
use ringbridge::probe::sound::Voice;
use serde_json::{Value, json};

use crate::harness::sipp::{Sipp, Transport};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);
const CARRIER: &str = "127.0.0.5";
const NUMBER: &str = "+15550100";

fn make(server: &Server, path: &str, body: Value) -> Value {
    let reply = server.rest("POST", path, Some(&body));
    assert_eq!(reply.status, 201, "{path}: {}", reply.body);
    reply.json()["data"].clone()
}

fn trunk(server: &Server, more: Value) -> Value {
    let mut body = json!({ "name": "Carrier", "cidrs": [format!("{CARRIER}/32")] });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    make(server, "/sip/trunks", body)
}

fn rule(server: &Server, more: Value) -> Value {
    let mut body = json!({ "name": "Dial-in", "meeting_id": server.card.meeting_id });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    make(server, "/sip/routing-rules", body)
}

/// The final status of an INVITE from `source` to `user`.
fn invite(server: &Server, source: &str, user: &str, headers: &str) -> u16 {
    let socket = UdpSocket::bind((source, 0)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let own = socket.local_addr().unwrap();
    let branch: u64 = own.port().into();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 0\r\n",
        own.ip()
    );
    let request = format!(
        "INVITE sip:{user}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch};rport\r\n\
         From: <sip:+15550199@{own}>;tag={branch}\r\nTo: <sip:{user}@{}>\r\n\
         Call-ID: {branch}@{own}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
         Contact: <sip:{own}>\r\n{headers}Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        server.sip(),
        server.sip(),
        sdp.len()
    );
    socket.send_to(request.as_bytes(), server.sip()).unwrap();
    let mut buffer = [0; 65_536];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer in time");
        let text = String::from_utf8_lossy(&buffer[..length]);
        let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
        if status >= 200 {
            return status;
        }
    }
}

#[test]
fn a_carrier_dials_a_number_into_a_meeting() {
    let server = Server::start();
    let trunk = trunk(&server, json!({}));
    rule(&server, json!({ "number": "+1 (555) 0100" }));
    let playing = Sipp::new(&server, "trunk", Transport::Udp)
        .service(NUMBER)
        .from(CARRIER)
        .start();
    wait::until("the call", SOON, || {
        let calls = server.rest("GET", "/sip/calls?status=LIVE", None).json();
        calls["data"][0]["trunk_id"] == trunk["id"]
    });
    wait::until("the caller is in the meeting", SOON, || {
        let robos = server.participants();
        robos.len() == 1 && robos[0]["name"] == "Ada Phone"
    });
    playing.finish();
    // Numbers come in many forms; a stranger's address is asked for credentials.
    Sipp::new(&server, "trunk", Transport::Tcp)
        .service("0015550100")
        .from(CARRIER)
        .run();
    assert_eq!(invite(&server, "127.0.0.6", NUMBER, ""), 401);
}

#[test]
fn a_trunk_reaches_what_rules_name_and_nothing_else() {
    let server = Server::start();
    let made = trunk(&server, json!({}));
    let meeting = server.card.meeting_id.clone();
    rule(&server, json!({ "prefix": "+4930" }));
    rule(&server, json!({ "header": "X-Room", "value": "blue" }));
    rule(
        &server,
        json!({ "header": "X-Meeting-Id", "meeting_id": null }),
    );
    rule(&server, json!({ "uri_parameter": "room", "value": "red" }));
    let call = |user: &str, headers: &str| invite(&server, CARRIER, user, headers);
    assert_eq!(call("+493012345", ""), 200);
    assert_eq!(call("+493", ""), 404);
    assert_eq!(call("x", "X-Room: blue\r\n"), 200);
    assert_eq!(call("x", "X-Room: green\r\n"), 404);
    assert_eq!(call("x", &format!("X-Meeting-Id: {meeting}\r\n")), 200);
    assert_eq!(
        call(
            "x",
            "X-Meeting-Id: 11111111-1111-4111-8111-111111111111\r\n"
        ),
        404
    );
    assert_eq!(call(&meeting, ""), 404, "a carrier does not dial ids");

    let path = format!("/sip/trunks/{}", made["id"].as_str().unwrap());
    let set = |body: Value| {
        let reply = server.rest("PATCH", &path, Some(&body));
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    set(json!({ "allow_meeting_ids": true }));
    assert_eq!(call(&meeting, ""), 200, "unless it may");
    set(json!({ "enabled": false }));
    assert_eq!(call("+493012345", ""), 401);
    set(json!({ "enabled": true, "concurrent_calls_max": 1 }));
    assert_eq!(
        call("+493012345", ""),
        503,
        "the calls above are not hung up"
    );
    set(json!({ "concurrent_calls_max": null, "calls_per_second_max": 1 }));
    let statuses: Vec<u16> = (0..4).map(|_| call("+493012345", "")).collect();
    assert!(
        statuses.contains(&200) && statuses.contains(&503),
        "{statuses:?}"
    );
    assert_eq!(server.rest("DELETE", &path, None).status, 200);
    assert_eq!(call("+493012345", ""), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_with_credentials_is_held_to_its_networks_and_a_pin_opens_the_meeting() {
    let server = Server::start();
    let login = make(&server, "/sip/credentials", json!({ "name": "Trunk" }));
    let id = &login["id"];
    let body = json!({ "name": "T", "credential_id": id, "cidrs": ["127.0.0.9/32"] });
    let made = make(&server, "/sip/trunks", body);
    rule(
        &server,
        json!({ "number": NUMBER, "trunk_id": made["id"], "pin": "2468" }),
    );
    let uri = format!("sip:{NUMBER}@{}", server.sip());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dial = Dial::new(&uri, &text(&login["username"]), &text(&login["password"]));
    let refused = dial.call().await;
    assert!(refused.is_err(), "not from this address: {refused:?}");
    let path = format!("/sip/trunks/{}", text(&made["id"]));
    let open = json!({ "cidrs": ["127.0.0.0/8"] });
    assert_eq!(server.rest("PATCH", &path, Some(&open)).status, 200);

    let mut call = dial.call().await.expect("answered, to take the PIN");
    let media = call.media(Voice::tone(440.0, 8_000)).unwrap();
    wait::until("sound", SOON, || media.spoken().packets > 10);
    assert!(server.participants().is_empty());
    for key in ['1', '1', '1', '1', '2', '4', '6', '8'] {
        assert!(server.participants().is_empty());
        media.press(key, Duration::from_millis(100)).await;
    }
    wait::until("the caller is in", SOON, || {
        server.participants().len() == 1
    });
    assert_eq!(call.hang_up().await.unwrap(), 200);
}
