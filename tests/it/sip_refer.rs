//! REFER in a call (RFC 3515): the owner decides, NOTIFY tells, and the call never suffers.

use ringbridge::sip::endpoint::{CommandError, DialogId, Event};
use ringbridge::sip::flow::Transport;

use super::sip_support::{Seen, World};

/// An established call whose phone has sent a REFER with these headers.
fn refer(headers: &str) -> (World, DialogId, Seen) {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    let refer = world.in_dialog("REFER", 3, &ok, headers, "");
    world.feed(refer);
    (world, invite.dialog, ok)
}

fn refer_to(uri: &str) -> String {
    format!("Refer-To: <{uri}>\r\n")
}

fn asked(world: &mut World) -> String {
    match world.next_event() {
        Event::Refer { target, .. } => target.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refer_is_its_owners_to_take_and_its_outcome_is_told() {
    let (mut world, dialog, _) = refer(&refer_to("sip:other@gateway.test"));
    assert_eq!(asked(&mut world), "sip:other@gateway.test");
    world
        .command(|endpoint, now| endpoint.accept_refer(now, dialog))
        .unwrap();
    assert_eq!(world.next().status(), 202);
    let trying = world.next();
    assert!(trying.start().starts_with("NOTIFY "), "{}", trying.text);
    assert_eq!(trying.header("Event"), Some("refer"));
    assert_eq!(
        trying.header("Content-Type"),
        Some("message/sipfrag;version=2.0")
    );
    assert_eq!(trying.body(), "SIP/2.0 100 Trying\r\n");
    // The outcome waits for the answer, so that it cannot overtake.
    world
        .command(|endpoint, now| endpoint.finish_refer(now, dialog, 200))
        .unwrap();
    assert!(world.sent.is_empty());
    world.respond(&trying, 200, "", "");
    let done = world.next();
    assert_eq!(done.body(), "SIP/2.0 200 OK\r\n");
    let state = done.header("Subscription-State");
    assert_eq!(state, Some("terminated;reason=noresource"));
    // A phone that has forgotten its subscription still has its call.
    world.respond(&done, 481, "", "");
    assert!(world.events.is_empty());
    assert_eq!(world.endpoint.counters().dialogs, 1);
}

#[test]
fn who_wants_no_notify_gets_none() {
    let headers = format!(
        "Require: norefersub\r\nRefer-Sub: false\r\n{}",
        refer_to("sip:other@gateway.test")
    );
    let (mut world, dialog, _) = refer(&headers);
    asked(&mut world);
    world
        .command(|endpoint, now| endpoint.accept_refer(now, dialog))
        .unwrap();
    world
        .command(|endpoint, now| endpoint.finish_refer(now, dialog, 200))
        .unwrap();
    let accepted = world.next();
    assert_eq!(
        (accepted.status(), accepted.header("Refer-Sub")),
        (202, Some("false"))
    );
    assert!(world.sent.is_empty());
}

#[test]
fn what_no_meeting_can_honour_is_refused_and_the_call_goes_on() {
    for (headers, status) in [
        (String::new(), 400),
        (refer_to("sip:a@b") + &refer_to("sip:c@d"), 400),
        (refer_to("nonsense"), 400),
        (refer_to("https://example.org"), 603),
        (refer_to("sip:a@b;method=BYE"), 603),
        // Attended: join the call that this one replaces.
        (
            refer_to("sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2"),
            603,
        ),
    ] {
        let (mut world, dialog, ok) = refer(&headers);
        assert_eq!(world.statuses(), [status], "{headers}");
        assert!(matches!(world.next_event(), Event::ReferRefused { .. }));
        let accepted = world.command(|endpoint, now| endpoint.accept_refer(now, dialog));
        assert_eq!(accepted, Err(CommandError::WrongState));
        let bye = world.in_dialog("BYE", 4, &ok, "", "");
        world.feed(bye);
        assert_eq!(world.statuses(), [200]);
    }
}

#[test]
fn an_owner_may_refuse_and_one_who_does_not_answer_has_refused() {
    let (mut world, dialog, ok) = refer(&refer_to("sip:other@gateway.test"));
    asked(&mut world);
    let second = world.in_dialog("REFER", 4, &ok, &refer_to("sip:third@gateway.test"), "");
    world.feed(second);
    assert_eq!(world.statuses(), [491], "one at a time");
    world
        .command(|endpoint, now| endpoint.refuse_refer(now, dialog, 404, "No such meeting"))
        .unwrap();
    assert_eq!(world.next().start(), "SIP/2.0 404 No such meeting");

    let again = world.in_dialog("REFER", 5, &ok, &refer_to("sip:other@gateway.test"), "");
    world.feed(again);
    asked(&mut world);
    world.advance_ms(20_000);
    assert_eq!(world.statuses(), [603]);
}

#[test]
fn a_stranger_cannot_move_a_call() {
    let mut world = World::new(Transport::Udp);
    let (_, ok) = world.established();
    let refer = world.in_dialog("REFER", 3, &ok, &refer_to("sip:other@gateway.test"), "");
    let stranger = super::sip_support::flow(Transport::Udp, "192.0.2.66:5060");
    world.feed_on(stranger, refer);
    assert_eq!(world.statuses(), [401]);
    assert!(world.events.is_empty());
}

#[test]
fn outside_a_call_there_is_nothing_to_move() {
    let mut world = World::new(Transport::Udp);
    let refer = world.request("REFER", 1, &refer_to("sip:other@gateway.test"), "");
    world.feed(refer);
    assert_eq!(world.statuses(), [603]);
}
