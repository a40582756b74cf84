//! REFER against the running server: a phone moves itself from meeting to meeting.

use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::{RawCall, RawSip, header, status, to_tag};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(5);

/// A call that is up; with the tag of our peer.
fn call(server: &Server, phone: &RawSip) -> (RawCall, String) {
    let call = phone.new_call(server);
    phone.send(phone.authenticated_invite(server, &call, "call"));
    let ok = phone.final_response("INVITE");
    assert_eq!(status(&ok), 200, "{ok}");
    let tag = to_tag(&ok);
    phone.send(phone.request("ACK", &call, 2, "ack", &tag, "", ""));
    (call, tag)
}

fn who_is_in(server: &Server, meeting: &str) -> usize {
    let reply = server.rest("GET", &format!("/meetings/{meeting}/active-session"), None);
    match reply.status {
        404 => 0,
        _ => reply.json()["data"]["participants"]
            .as_array()
            .map_or(0, Vec::len),
    }
}

/// The next NOTIFY, answered.
fn notified(phone: &RawSip) -> String {
    let notify = wait::until_found("a NOTIFY", SOON, || {
        let message = phone
            .receive(Duration::from_millis(200))
            .unwrap_or_default();
        match message.starts_with("NOTIFY ") {
            true => Ok(message),
            false => Err(message),
        }
    });
    let line = |name: &str| format!("{name}: {}\r\n", header(&notify, name).unwrap_or_default());
    let lines: String = ["Via", "From", "To", "Call-ID", "CSeq"].map(line).concat();
    phone.send(format!(
        "SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"
    ));
    notify
}

#[test]
fn a_phone_moves_itself_to_another_meeting_and_hangs_up_there() {
    let server = Server::start();
    let reply = server.rest("POST", "/meetings", Some(&json!({ "title": "elsewhere" })));
    let elsewhere = reply.json()["data"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let phone = RawSip::new(&server);
    let (call, tag) = call(&server, &phone);
    wait::until("the phone in the first", SOON, || {
        server.participants().len() == 1
    });

    let refer_to = format!("Refer-To: <sip:{elsewhere}@gateway.invalid>\r\n");
    phone.send(phone.request("REFER", &call, 3, "move", &tag, &refer_to, ""));
    let accepted = phone.final_response("REFER");
    assert_eq!(status(&accepted), 202, "{accepted}");
    assert!(notified(&phone).ends_with("SIP/2.0 100 Trying\r\n"));
    let done = notified(&phone);
    assert!(done.ends_with("SIP/2.0 200 OK\r\n"), "{done}");
    wait::until("the phone in the second", SOON, || {
        who_is_in(&server, &elsewhere) == 1
    });
    assert!(server.participants().is_empty());

    // To nowhere: refused, and the call stays where it is.
    let nowhere = "Refer-To: <sip:6f0e1c1e-0000-4000-8000-000000000000@gateway.invalid>\r\n";
    phone.send(phone.request("REFER", &call, 4, "nowhere", &tag, nowhere, ""));
    assert_eq!(status(&phone.final_response("REFER")), 404);
    assert_eq!(who_is_in(&server, &elsewhere), 1);

    phone.send(phone.request("BYE", &call, 5, "bye", &tag, "", ""));
    assert_eq!(status(&phone.final_response("BYE")), 200);
    wait::until("nobody left", SOON, || who_is_in(&server, &elsewhere) == 0);
    let records = server.rest("GET", "/sip/calls", None).json();
    let last = &records["data"][0];
    assert_eq!(last["meeting_id"], json!(elsewhere), "{records}");
}
