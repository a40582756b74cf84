//! Calls as ladders: the reader's first look at the SIP endpoint.
//!
//! Numbers are milliseconds; `──▶` comes from the phone, `◀──` goes to it, `⚑` goes to the owner of
//! the call.

use ringbridge::sip::endpoint::{
    CommandError, Event, Info, OfferMethod, Refusal, TerminationCause,
};
use ringbridge::sip::flow::{FlowId, Transport};

use super::sip_support::{SDP, World, addr, flow};

/// Compares the ladder so far, line by line.
#[track_caller]
fn assert_ladder(world: &World, expected: &str) {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let got = world.ladder.join("\n");
    assert_eq!(lines(&got), lines(expected), "the ladder was\n{got}");
}

#[test]
fn a_call_from_challenge_to_hang_up() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    world.advance_ms(1200);
    world.sent.clear();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    world.advance_ms(40);
    let ack = world.in_dialog("ACK", 2, &ok, "", "");
    world.feed(ack);
    world.advance_ms(60_000);
    let bye = world.in_dialog("BYE", 3, &ok, "Reason: Q.850;cause=16\r\n", "");
    world.feed(bye);

    assert_ladder(
        &world,
        "    0 ──▶ INVITE
             0 ◀── 401 Unauthorized
             0 ──▶ ACK
             0 ──▶ INVITE
             0 ◀── 100 Trying
                              ⚑ Invite
             0 ◀── 180 Ringing
          1200 ◀── 200 OK
          1240 ──▶ ACK
                              ⚑ Acked
         61240 ──▶ BYE
         61240 ◀── 200 OK
                              ⚑ Bye",
    );
    world.events.pop_front();
    match world.next_event() {
        Event::Bye { reason, .. } => assert_eq!(reason.as_deref(), Some("Q.850;cause=16")),
        other => panic!("{other:?}"),
    }
    world.advance_ms(40_000);
    let counters = world.endpoint.counters();
    assert_eq!(
        (counters.dialogs, counters.transactions),
        (0, 0),
        "nothing is left"
    );
    assert_eq!(world.endpoint.next_timeout(), None);
}

#[test]
fn a_lost_ack_looks_like_this_on_the_wire() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world.ladder.clear();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    world.advance_ms(33_000);
    assert_ladder(
        &world,
        "    0 ◀── 200 OK
           500 ◀── 200 OK
          1500 ◀── 200 OK
          3500 ◀── 200 OK
          7500 ◀── 200 OK
         11500 ◀── 200 OK
         15500 ◀── 200 OK
         19500 ◀── 200 OK
         23500 ◀── 200 OK
         27500 ◀── 200 OK
         31500 ◀── 200 OK
         32000 ◀── BYE
                              ⚑ AckTimeout
         32500 ◀── BYE",
    );
    let bye = world.sent.back().unwrap().clone();
    world.respond(&bye, 200, "", "");
    world.advance_ms(40_000);
    let counters = world.endpoint.counters();
    assert_eq!((counters.dialogs, counters.transactions), (0, 0));
}

#[test]
fn the_2xx_is_repeated_on_reliable_transports_too() {
    let mut world = World::new(Transport::Tcp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    world.advance_ms(1600);
    assert_eq!(world.statuses(), [200, 200, 200]);
}

#[test]
fn a_caller_who_gives_up_gets_200_for_its_cancel_and_487_for_its_invite() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let ringing = world.next();
    world.ladder.clear();
    let via = ringing.header("Via").unwrap().to_owned();
    let to = format!("<sip:{}@gateway.test>", super::sip_support::MEETING);
    let cancel = world
        .request_to(
            "CANCEL",
            invite.request_uri.as_str(),
            &to,
            2,
            "Reason: SIP;cause=200\r\n",
            "",
        )
        .replace(&own_via(&world), &via);
    world.feed(cancel.clone());
    let ok = world.next();
    let terminated = world.next();
    assert_eq!(ok.to_tag(), ringing.to_tag());
    assert_eq!(terminated.to_tag(), ringing.to_tag());
    let ack = world.ack_of(&terminated, 2);
    world.feed(ack);
    world.feed(cancel);
    world.advance_ms(40_000);
    assert_ladder(
        &world,
        "    0 ──▶ CANCEL
             0 ◀── 200 OK
             0 ◀── 487 Request Terminated
                              ⚑ Cancelled
             0 ──▶ ACK
             0 ──▶ CANCEL
             0 ◀── 200 OK",
    );
    assert_eq!(
        world.command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[])),
        Err(CommandError::UnknownDialog)
    );
    assert_eq!(world.endpoint.counters().transactions, 0);
}

/// The Via value of the last request that `request_to` made.
fn own_via(world: &World) -> String {
    let last = world.last_branch();
    let transport = world.flow.transport.via_token();
    format!("SIP/2.0/{transport} 10.0.0.2:5060;branch={last};rport")
}

#[test]
fn a_cancel_that_comes_after_the_answer_changes_nothing() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    let via = ok.header("Via").unwrap().to_owned();
    let cancel = world
        .request("CANCEL", 2, "", "")
        .replace(&own_via(&world), &via);
    world.feed(cancel);
    assert_eq!(world.statuses(), [200]);
    assert!(world.events.is_empty());
    let ack = world.in_dialog("ACK", 2, &ok, "", "");
    world.feed(ack);
    assert!(matches!(world.next_event(), Event::Acked { .. }));
}

#[test]
fn a_cancel_for_nothing_gets_481() {
    let mut world = World::new(Transport::Udp);
    let cancel = world.request("CANCEL", 2, "", "");
    world.feed(cancel);
    assert_eq!(world.statuses(), [481]);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_and_carries_its_headers() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    let refusal = Refusal {
        headers: vec![("X-Ringbridge-Error".into(), "unknown-meeting".into())],
        ..Refusal::new(404, "No Such Meeting")
    };
    world.ladder.clear();
    world
        .command(|endpoint, now| endpoint.refuse(now, invite.dialog, &refusal))
        .unwrap();
    let refused = world.next();
    assert_eq!(
        refused.header("X-Ringbridge-Error"),
        Some("unknown-meeting")
    );
    world.advance_ms(1600);
    let ack = world.ack_of(&refused, 2);
    world.feed(ack);
    world.advance_ms(40_000);
    assert_ladder(
        &world,
        "    0 ◀── 404 No Such Meeting
           500 ◀── 404 No Such Meeting
          1500 ◀── 404 No Such Meeting
          1600 ──▶ ACK",
    );
    assert_eq!(world.endpoint.counters().transactions, 0);
}

#[test]
fn a_bye_before_the_answer_ends_the_invite_with_487() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let ringing = world.next();
    let bye = world.in_dialog("BYE", 3, &ringing, "", "");
    world.feed(bye);
    assert_eq!(world.statuses(), [200, 487]);
    assert!(matches!(world.next_event(), Event::Bye { .. }));
}

#[test]
fn a_bye_before_the_ack_ends_the_call_and_the_repetitions() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    let bye = world.in_dialog("BYE", 3, &ok, "", "");
    world.feed(bye);
    assert_eq!(world.statuses(), [200]);
    world.advance_ms(60_000);
    assert!(world.sent.is_empty());
    assert!(matches!(world.next_event(), Event::Bye { .. }));
    assert!(world.events.is_empty());
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, Some("Q.850;cause=16")))
        .unwrap();
    assert!(world.sent.is_empty());
    let ack = world.in_dialog("ACK", 2, &ok, "", "");
    world.feed(ack);
    let bye = world.next();
    assert!(bye.start().starts_with("BYE "));
    assert_eq!(bye.header("Reason"), Some("Q.850;cause=16"));
    assert!(world.events.is_empty(), "its owner has left");
    world.respond(&bye, 200, "", "");
    assert_eq!(world.endpoint.counters().dialogs, 0);
}

#[test]
fn a_bye_goes_along_the_route_set_with_the_callers_contact_and_its_answer_ends_all() {
    let mut world = World::new(Transport::Udp);
    let routes = "Record-Route: <sip:54.172.60.0:5061;transport=tls;r2=on;lr>\r\n\
                  Record-Route: <sip:10.1.1.1;r2=on;lr>\r\n";
    let (invite, ok) = world.established_with(routes);
    assert_eq!(
        ok.headers("Record-Route"),
        [
            "<sip:54.172.60.0:5061;transport=tls;r2=on;lr>",
            "<sip:10.1.1.1;r2=on;lr>"
        ]
    );
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    let bye = world.next();
    assert_eq!(bye.start(), "BYE sip:ann@10.0.0.2:5060 SIP/2.0");
    assert_eq!(
        bye.headers("Route"),
        [
            "<sip:54.172.60.0:5061;transport=tls;r2=on;lr>",
            "<sip:10.1.1.1;r2=on;lr>"
        ]
    );
    assert_eq!(bye.header("From"), ok.header("To"));
    assert_eq!(bye.header("To"), ok.header("From"));
    assert_eq!(
        bye.flow.unwrap().remote,
        addr("54.172.60.0:5061"),
        "the top route"
    );
    world.respond(
        &bye,
        401,
        "WWW-Authenticate: Digest realm=\"x\",nonce=\"y\"\r\n",
        "",
    );
    assert!(
        world.sent.is_empty(),
        "a challenge to our BYE is never answered"
    );
    assert_eq!(world.endpoint.counters().dialogs, 0);
}

#[test]
fn a_strict_router_becomes_the_request_uri() {
    let mut world = World::new(Transport::Udp);
    let (invite, _) =
        world.established_with("Record-Route: <sip:old@198.51.100.9>, <sip:198.51.100.8;lr>\r\n");
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    let bye = world.next();
    assert_eq!(bye.start(), "BYE sip:old@198.51.100.9 SIP/2.0");
    assert_eq!(
        bye.headers("Route"),
        ["<sip:198.51.100.8;lr>", "<sip:ann@10.0.0.2:5060>"]
    );
}

#[test]
fn without_routes_a_bye_goes_to_where_the_invite_came_from_not_to_a_private_contact() {
    let mut world = World::new(Transport::Udp);
    let (invite, _) = world.established();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert_eq!(world.next().flow, Some(world.flow));
}

#[test]
fn on_a_closed_connection_a_bye_opens_a_new_one_to_the_route() {
    let mut world = World::new(Transport::Tls);
    let (invite, _) =
        world.established_with("Record-Route: <sip:54.172.60.0;transport=tls;lr>\r\n");
    let id: FlowId = world.flow.id;
    world.command(|endpoint, now| endpoint.handle_flow_closed(now, id));
    world.ladder.clear();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert_ladder(&world, "connect 54.172.60.0:5061\n 0 ◀── BYE");
}

#[test]
fn a_connection_that_was_opened_anew_serves_the_rest_of_the_call() {
    let mut world = World::new(Transport::Tcp);
    let (invite, _) = world.established_with("Record-Route: <sip:54.172.60.0;lr>\r\n");
    let id: FlowId = world.flow.id;
    world.command(|endpoint, now| endpoint.handle_flow_closed(now, id));
    world
        .command(|endpoint, now| endpoint.reinvite(now, invite.dialog, SDP))
        .unwrap();
    let ours = world.next();
    assert_eq!(ours.flow, None, "a new connection");
    let mut opened = flow(Transport::Tcp, "54.172.60.0:5060");
    opened.id = FlowId(77);
    world.flow = opened;
    world.respond(&ours, 200, "", "");
    assert_eq!(world.next().flow, Some(opened), "ACK");
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert_eq!(world.next().flow, Some(opened), "BYE");
}

#[test]
fn a_peer_that_does_not_do_update_after_all_is_refreshed_by_invite() {
    let mut world = World::new(Transport::Udp);
    let timer = "Allow: UPDATE\r\nSupported: timer\r\nSession-Expires: 600;refresher=uas\r\n";
    world.established_with(timer);
    world.advance_ms(300_000);
    let update = world.next();
    world.respond(&update, 501, "", "");
    world.advance_ms(4_000);
    assert!(world.next().start().starts_with("INVITE "));
}

#[test]
fn hold_and_resume_are_offers_that_their_owner_answers() {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    for cseq in [3, 4] {
        let offer = SDP.replace("s=-", "s=hold");
        let hold = world.in_dialog("INVITE", cseq, &ok, "", &offer);
        world.feed(hold);
        assert_eq!(world.next().status(), 100);
        match world.next_event() {
            Event::Reinvite {
                method: OfferMethod::Invite,
                offer: Some(body),
                ..
            } => assert_eq!(body, offer.as_bytes()),
            other => panic!("{other:?}"),
        }
        world
            .command(|endpoint, now| endpoint.accept_reinvite(now, invite.dialog, Some(SDP)))
            .unwrap();
        let answer = world.next();
        assert_eq!((answer.status(), answer.body()), (200, SDP));
        let ack = world.in_dialog("ACK", cseq, &ok, "", "");
        world.feed(ack);
        assert!(matches!(world.next_event(), Event::Acked { .. }));
    }
    world.advance_ms(40_000);
    assert!(world.sent.is_empty(), "nothing is repeated");
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    let offer = world.in_dialog("INVITE", 3, &ok, "", SDP);
    world.feed(offer);
    world
        .command(|endpoint, now| endpoint.refuse_reinvite(now, invite.dialog, 488, ""))
        .unwrap();
    assert_eq!(world.statuses(), [100, 488]);
    let bye = world.in_dialog("BYE", 4, &ok, "", "");
    world.feed(bye);
    assert_eq!(world.statuses(), [200]);
}

#[test]
fn an_update_carries_an_offer_or_merely_refreshes() {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    let refresh = world.in_dialog(
        "UPDATE",
        3,
        &ok,
        "Supported: timer\r\nSession-Expires: 600\r\n",
        "",
    );
    world.feed(refresh);
    let answer = world.next();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("Session-Expires"), Some("600;refresher=uac"));
    assert!(world.events.is_empty());

    let offer = world.in_dialog("UPDATE", 4, &ok, "", SDP);
    world.feed(offer.clone());
    assert!(matches!(
        world.next_event(),
        Event::Reinvite {
            method: OfferMethod::Update,
            ..
        }
    ));
    world
        .command(|endpoint, now| endpoint.accept_reinvite(now, invite.dialog, Some(SDP)))
        .unwrap();
    world.feed(offer);
    assert_eq!(world.statuses(), [200, 200], "a copy gets the same answer");
    world.advance_ms(33_000);
    assert!(world.sent.is_empty(), "no ACK is awaited");
}

#[test]
fn offers_that_cross_get_491_and_a_second_one_500() {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    world
        .command(|endpoint, now| endpoint.reinvite(now, invite.dialog, SDP))
        .unwrap();
    let ours = world.next();
    let theirs = world.in_dialog("INVITE", 3, &ok, "", SDP);
    world.feed(theirs);
    assert_eq!(world.statuses(), [491]);
    world.respond(&ours, 491, "", "");
    assert!(world.next().start().starts_with("ACK "));
    match world.next_event() {
        Event::ReinviteAnswered { status: 491, .. } => {}
        other => panic!("{other:?}"),
    }
    let first = world.in_dialog("INVITE", 4, &ok, "", SDP);
    world.feed(first);
    let second = world.in_dialog("INVITE", 5, &ok, "", SDP);
    world.feed(second);
    assert_eq!(world.statuses(), [100, 500]);
}

#[test]
fn our_own_reinvite_is_acknowledged_again_for_each_copy_of_its_answer() {
    let mut world = World::new(Transport::Udp);
    let (invite, _) = world.established();
    world
        .command(|endpoint, now| endpoint.reinvite(now, invite.dialog, SDP))
        .unwrap();
    let ours = world.next();
    assert!(ours.header("Contact").is_some());
    world.advance_ms(600);
    assert!(
        world.next().start().starts_with("INVITE "),
        "repeated until answered"
    );
    let contact = "Contact: <sip:moved@10.0.0.3>\r\nContent-Type: application/sdp\r\n";
    world.respond(&ours, 200, contact, SDP);
    let ack = world.next();
    assert_eq!(ack.start(), "ACK sip:moved@10.0.0.3 SIP/2.0");
    match world.next_event() {
        Event::ReinviteAnswered {
            status: 200,
            body: Some(body),
            ..
        } => assert_eq!(body, SDP.as_bytes()),
        other => panic!("{other:?}"),
    }
    world.respond(&ours, 200, contact, SDP);
    assert_eq!(world.next().text, ack.text);
    assert!(world.events.is_empty());
}

#[test]
fn a_peer_that_forgot_the_call_ends_it() {
    let mut world = World::new(Transport::Udp);
    let (invite, _) = world.established();
    world
        .command(|endpoint, now| endpoint.reinvite(now, invite.dialog, SDP))
        .unwrap();
    let ours = world.next();
    world.respond(&ours, 481, "", "");
    assert!(world.next().start().starts_with("ACK "));
    assert!(world.next().start().starts_with("BYE "));
    match world.next_event() {
        Event::Terminated { cause, .. } => assert_eq!(cause, TerminationCause::PeerLost),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_arrive_by_info_and_a_transfer_is_declined_without_harm() {
    let mut world = World::new(Transport::Udp);
    let (_, ok) = world.established();
    let body = "Signal=5\r\nDuration=160\r\n";
    let key = world.in_dialog(
        "INFO",
        3,
        &ok,
        "Content-Type: application/dtmf-relay\r\n",
        body,
    );
    world.feed(key);
    assert_eq!(world.statuses(), [200]);
    match world.next_event() {
        Event::Info {
            info: Info::Dtmf { digit, duration },
            ..
        } => assert_eq!((digit, duration.as_millis()), ('5', 160)),
        other => panic!("{other:?}"),
    }
    let refer = world.in_dialog("REFER", 4, &ok, "Refer-To: <mailto:x@y>\r\n", "");
    world.feed(refer);
    assert_eq!(world.statuses(), [603]);
    assert!(matches!(world.next_event(), Event::ReferRefused { .. }));
    for (method, cseq, status) in [
        ("OPTIONS", 5, 200),
        ("NOTIFY", 6, 200),
        ("PRACK", 7, 481),
        ("MESSAGE", 8, 405),
        ("SUBSCRIBE", 9, 489),
        ("PUBLISH", 10, 489),
    ] {
        let request = world.in_dialog(method, cseq, &ok, "", "");
        world.feed(request);
        assert_eq!(world.statuses(), [status], "{method}");
    }
    assert!(world.events.is_empty());
}

#[test]
fn requests_in_a_dialog_come_in_order_and_with_both_tags() {
    let mut world = World::new(Transport::Udp);
    let (_, ok) = world.established();
    let old = world.in_dialog("INFO", 1, &ok, "", "");
    world.feed(old);
    assert_eq!(world.statuses(), [500]);
    let wrong_from = world
        .in_dialog("BYE", 3, &ok, "", "")
        .replace("tag=ann", "tag=eve");
    world.feed(wrong_from);
    let wrong_to = world
        .in_dialog("BYE", 3, &ok, "", "")
        .replace(ok.to_tag().unwrap(), "guess");
    world.feed(wrong_to);
    let wrong_call = world
        .in_dialog("BYE", 3, &ok, "", "")
        .replace("call-1", "call-2");
    world.feed(wrong_call);
    assert_eq!(world.statuses(), [481, 481, 481]);
    assert!(world.events.is_empty());
}

#[test]
fn a_delayed_offer_is_made_in_the_200_and_answered_in_the_ack() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with("", "");
    assert_eq!(invite.offer, None);
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    let ack = world.in_dialog("ACK", 2, &ok, "", SDP);
    world.feed(ack);
    match world.next_event() {
        Event::Acked {
            body: Some(body), ..
        } => assert_eq!(body, SDP.as_bytes()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn early_media_and_the_answer_belong_to_one_dialog() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with("Record-Route: <sip:198.51.100.9;lr>\r\n", SDP);
    world
        .command(|endpoint, now| endpoint.progress(now, invite.dialog, SDP))
        .unwrap();
    let early = world.next();
    assert_eq!((early.status(), early.body()), (183, SDP));
    assert_eq!(early.headers("Record-Route").len(), 1);
    let headers = [("X-Ringbridge-Participant-Id".to_owned(), "p1".to_owned())];
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &headers))
        .unwrap();
    let ok = world.next();
    assert_eq!(ok.to_tag(), early.to_tag());
    assert_eq!(ok.header("Contact"), early.header("Contact"));
    assert_eq!(ok.header("X-Ringbridge-Participant-Id"), Some("p1"));
    assert_eq!(
        ok.header("Contact").unwrap(),
        format!("<sip:{}@gateway.test:5060>", super::sip_support::MEETING)
    );
}

#[test]
fn a_ringing_call_is_refreshed_each_minute_and_given_up_after_three() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    world.advance_ms(170_000);
    assert_eq!(world.statuses(), [180, 180, 180]);
    world.advance_ms(10_000);
    assert_eq!(world.statuses(), [480]);
    match world.next_event() {
        Event::Terminated { cause, .. } => assert_eq!(cause, TerminationCause::Unanswered),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_the_caller_does_not_refresh_ends() {
    let mut world = World::new(Transport::Udp);
    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let (_, ok) = world.established_with(timer);
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(ok.header("Require"), Some("timer"));
    world.advance_ms(50_000);
    let refresh = world.in_dialog("INVITE", 3, &ok, timer, SDP);
    world.feed(refresh);
    let dialog = match world.next_event() {
        Event::Reinvite { dialog, .. } => dialog,
        other => panic!("{other:?}"),
    };
    world
        .command(|endpoint, now| endpoint.accept_reinvite(now, dialog, Some(SDP)))
        .unwrap();
    let ack = world.in_dialog("ACK", 3, &ok, "", "");
    world.feed(ack);
    world.events.clear();
    world.sent.clear();
    world.advance_ms(59_000);
    assert!(world.sent.is_empty(), "the refresh was taken");
    world.advance_ms(1_001);
    assert!(world.next().start().starts_with("BYE "));
    match world.next_event() {
        Event::Terminated { cause, .. } => assert_eq!(cause, TerminationCause::SessionExpired),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_that_is_ours_to_refresh_is_refreshed_by_what_the_caller_allows() {
    for (allow, method) in [
        ("Allow: INVITE, UPDATE\r\n", "UPDATE"),
        ("Allow: INVITE\r\n", "INVITE"),
    ] {
        let mut world = World::new(Transport::Udp);
        let timer = format!("{allow}Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n");
        let (_, ok) = world.established_with(&timer);
        assert_eq!(ok.header("Session-Expires"), Some("600;refresher=uas"));
        for _ in 0..3 {
            world.advance_ms(300_000);
            let refresh = world.next();
            assert!(refresh.start().starts_with(method), "{}", refresh.start());
            assert_eq!(refresh.header("Session-Expires"), Some("600;refresher=uac"));
            let agreed = "Session-Expires: 600;refresher=uac\r\n";
            world.respond(&refresh, 200, agreed, "");
            world.sent.clear();
        }
        assert!(world.events.is_empty(), "{:?}", world.events);
    }
}

#[test]
fn a_media_change_from_a_strange_address_is_challenged() {
    let mut world = World::new(Transport::Udp);
    let (_, ok) = world.established();
    let stranger = flow(Transport::Udp, "192.0.2.66:5060");
    let offer = world.in_dialog("INVITE", 3, &ok, "", SDP);
    world.feed_on(stranger, offer);
    let challenge = world.next();
    assert_eq!(challenge.status(), 401);
    assert!(world.events.is_empty());
    let authorization = world.authorization(&challenge, "INVITE", "sip:x@gateway.test:5060");
    let offer = world.in_dialog("INVITE", 4, &ok, &authorization, SDP);
    world.feed_on(stranger, offer);
    assert_eq!(world.statuses(), [100]);
    assert!(matches!(world.next_event(), Event::Reinvite { .. }));
}
