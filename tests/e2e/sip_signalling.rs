//! What a SIP peer may send, and what it is answered: mostly sipp, over UDP and TCP.

use std::time::Duration;

use serde_json::json;

use crate::harness::raw_sip::{RawSip, header, status, to_tag};
use crate::harness::sipp::{Sipp, Transport};
use crate::harness::{Server, wait};

/// Long enough for a loaded machine, short enough to notice.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_phone_calls_and_hangs_up_over_udp_and_over_tcp() {
    let server = Server::start();
    for transport in [Transport::Udp, Transport::Tcp] {
        let call = Sipp::new(&server, "call", transport).start();
        wait::until("the phone among the participants", SOON, || {
            let participants = server.participants();
            participants.len() == 1 && participants[0]["name"] == "Ada Phone"
        });
        call.finish();
        wait::until("nobody left", SOON, || server.participants().is_empty());
    }
}

#[test]
fn several_phones_call_at_the_same_time() {
    let server = Server::start();
    let calls: Vec<_> = (0..4)
        .map(|_| Sipp::new(&server, "call", Transport::Udp).start())
        .collect();
    wait::until("four participants", SOON, || {
        server.participants().len() == 4
    });
    for call in calls {
        call.finish();
    }
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_wrong_password_is_challenged_again_and_then_forbidden() {
    let server = Server::start();
    Sipp::new(&server, "wrong-password", Transport::Udp)
        .password("wrong")
        .run();
    assert!(server.participants().is_empty());
}

#[test]
fn an_unknown_meeting_is_not_found() {
    let server = Server::start();
    let nowhere = "6f0e1c1e-0000-4000-8000-000000000000";
    Sipp::new(&server, "unknown-meeting", Transport::Udp)
        .service(nowhere)
        .run();
    Sipp::new(&server, "unknown-meeting", Transport::Tcp)
        .service("not-a-meeting")
        .run();
}

#[test]
fn an_offer_that_cannot_be_met_is_not_acceptable_here() {
    let server = Server::start();
    Sipp::new(&server, "no-common-codec", Transport::Udp).run();
    Sipp::new(&server, "no-audio", Transport::Udp).run();
    assert!(server.participants().is_empty());
}

#[test]
fn every_media_line_of_an_offer_is_answered() {
    let server = Server::start();
    Sipp::new(&server, "every-line-answered", Transport::Udp).run();
}

#[test]
fn an_invite_without_an_offer_gets_ours() {
    let server = Server::start();
    Sipp::new(&server, "late-offer", Transport::Udp).run();
}

#[test]
fn options_are_told_over_udp_and_over_tcp() {
    let server = Server::start();
    Sipp::new(&server, "options", Transport::Udp).run();
    Sipp::new(&server, "options", Transport::Tcp).run();
}

#[test]
fn a_softphone_registers_and_signs_off() {
    let server = Server::start();
    let user = server.card.sip_username.clone();
    Sipp::new(&server, "register", Transport::Udp)
        .service(&user)
        .run();
    Sipp::new(&server, "register", Transport::Tcp)
        .service(&user)
        .run();
}

#[test]
fn an_unknown_method_is_told_which_ones_are_known() {
    let server = Server::start();
    Sipp::new(&server, "unknown-method", Transport::Udp).run();
}

#[test]
fn a_bye_for_no_call_is_told_so() {
    let server = Server::start();
    Sipp::new(&server, "stray-bye", Transport::Udp).run();
}

#[test]
fn a_call_put_on_hold_says_so_to_the_meeting_and_comes_back() {
    let server = Server::start();
    let call = Sipp::new(&server, "hold", Transport::Udp).start();
    let on_hold = |wanted: bool| {
        let participants = server.participants();
        participants.len() == 1 && participants[0]["on_hold"] == json!(wanted)
    };
    wait::until("the phone on hold", SOON, || on_hold(true));
    wait::until("the phone back", SOON, || on_hold(false));
    call.finish();
}

#[test]
fn a_kicked_phone_is_sent_a_bye() {
    let server = Server::start();
    for transport in [Transport::Udp, Transport::Tcp] {
        let call = Sipp::new(&server, "wait-for-bye", transport).start();
        let id = wait::until_found("the phone", SOON, || {
            let participants = server.participants();
            let id = participants
                .first()
                .and_then(|p| p["id"].as_str().map(str::to_owned));
            id.ok_or_else(|| "nobody".to_owned())
        });
        wait::until("the call acknowledged", SOON, || {
            call.messages().contains("ACK sip:")
        });
        let path = format!("/meetings/{}/active-session/kick", server.card.meeting_id);
        let reply = server.rest("POST", &path, Some(&json!({ "participant_ids": [id] })));
        assert_eq!(reply.status, 200, "{}", reply.body);
        call.finish();
        wait::until("nobody left", SOON, || server.participants().is_empty());
    }
}

#[test]
fn a_call_given_up_before_it_is_answered_leaves_nothing() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let invite = phone.authenticated_invite(&server, &call, "gone");
    let cancel = phone.request("CANCEL", &call, 2, "gone", "", "", "");
    phone.send(&invite);
    phone.send(&cancel);
    assert_eq!(status(&phone.final_response("CANCEL")), 200);
    let end = phone.final_response("INVITE");
    // The 200 may have crossed the CANCEL (RFC 3261 §9.1): then the call is up and we hang up.
    let tag = to_tag(&end);
    match status(&end) {
        487 => phone.send(phone.request("ACK", &call, 2, "gone", &tag, "", "")),
        200 => {
            phone.send(phone.request("ACK", &call, 2, "acked", &tag, "", ""));
            phone.send(phone.request("BYE", &call, 3, "bye", &tag, "", ""));
            assert_eq!(status(&phone.final_response("BYE")), 200);
        }
        _ => panic!("{end}"),
    }
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_retransmitted_invite_gets_the_same_answer_and_no_second_call() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let invite = phone.authenticated_invite(&server, &call, "twice");
    phone.send(&invite);
    let first = phone.final_response("INVITE");
    assert_eq!(status(&first), 200, "{first}");
    // The same bytes, nonce count included: a replay check that came first would refuse them.
    phone.send(&invite);
    let again = phone.final_response("INVITE");
    assert_eq!(status(&again), 200, "{again}");
    assert_eq!(to_tag(&again), to_tag(&first));
    assert_eq!(header(&again, "Contact"), header(&first, "Contact"));
    assert_eq!(server.participants().len(), 1);

    let tag = to_tag(&first);
    phone.send(phone.request("ACK", &call, 2, "ack", &tag, "", ""));
    phone.send(phone.request("BYE", &call, 3, "bye", &tag, "", ""));
    assert_eq!(status(&phone.final_response("BYE")), 200);
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn a_200_that_is_never_acknowledged_is_repeated() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    phone.send(phone.authenticated_invite(&server, &call, "silent"));
    let first = phone.final_response("INVITE");
    let again = phone.final_response("INVITE");
    assert_eq!((status(&first), status(&again)), (200, 200));
    assert_eq!(to_tag(&first), to_tag(&again));
}

#[test]
fn replies_go_back_to_where_the_request_came_from() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    // A phone behind NAT writes an address of its own into Via and asks for rport or not.
    for rport in ["", ";rport"] {
        let text = phone.request("OPTIONS", &call, 1, "nat", "", "", "");
        let via = text.lines().nth(1).expect("a Via").to_owned();
        let private = format!("Via: SIP/2.0/UDP 10.11.12.13:5999;branch=z9hG4bKnat{rport}");
        phone.send(text.replace(&via, &private));
        let reply = phone.final_response("OPTIONS");
        assert_eq!(status(&reply), 200, "{reply}");
        let via = header(&reply, "Via").expect("a Via");
        assert!(via.contains("received=127.0.0.1"), "{via}");
    }
}
