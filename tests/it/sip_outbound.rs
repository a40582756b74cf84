//! Registration as phones behind NATs do it (RFC 5626), and over a restart.

use std::time::Duration;

use ringbridge::sip::endpoint::{Event, Registration};
use ringbridge::sip::flow::Transport;

use super::sip_support::{Seen, USER, World};

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"";

/// Registers with this Contact and these headers; the final answer.
fn register(world: &mut World, cseq: u32, contact: &str, extra: &str) -> Seen {
    let uri = "sip:gateway.test";
    let to = format!("<sip:{USER}@gateway.test>");
    let send = |world: &mut World, cseq, digest: &str| {
        let extra = format!("{extra}{digest}");
        let request = world.request_to("REGISTER", uri, &to, cseq, &extra, "");
        world.feed(request.replace(
            "Contact: <sip:ann@10.0.0.2:5060>",
            &format!("Contact: {contact}"),
        ));
        world.next()
    };
    let challenge = send(world, cseq, "");
    if challenge.status() != 401 {
        return challenge;
    }
    let digest = world.authorization(&challenge, "REGISTER", uri);
    send(world, cseq + 1, &digest)
}

fn registered(world: &mut World) -> Registration {
    match world.next_event() {
        Event::Registered(registration) => registration,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_numbers_its_flows_is_told_that_we_do_outbound_and_how_often_to_speak() {
    for (transport, seconds) in [(Transport::Udp, "25"), (Transport::Tls, "110")] {
        let mut world = World::new(transport);
        let contact = format!("<sip:ann@10.0.0.2;ob>;reg-id=1;{INSTANCE}");
        let ok = register(&mut world, 1, &contact, "Supported: path, outbound\r\n");
        assert_eq!(ok.status(), 200, "{}", ok.text);
        assert_eq!(ok.header("Require"), Some("outbound"));
        assert_eq!(ok.header("Flow-Timer"), Some(seconds));
        let echoed = ok.header("Contact").unwrap();
        assert!(
            echoed.starts_with("<sip:ann@10.0.0.2;ob>;reg-id=1;+sip.instance="),
            "{echoed}"
        );
    }
    // Without a number or the option it is a plain registration.
    for (contact, extra) in [
        (
            format!("<sip:ann@10.0.0.2>;{INSTANCE}"),
            "Supported: outbound\r\n",
        ),
        (format!("<sip:ann@10.0.0.2>;reg-id=1;{INSTANCE}"), ""),
    ] {
        let mut world = World::new(Transport::Udp);
        let ok = register(&mut world, 1, &contact, extra);
        assert_eq!(
            (ok.status(), ok.header("Require"), ok.header("Flow-Timer")),
            (200, None, None)
        );
    }
}

#[test]
fn outbound_may_be_required_of_a_registrar_but_not_of_a_call() {
    let mut world = World::new(Transport::Udp);
    let contact = format!("<sip:ann@10.0.0.2>;reg-id=1;{INSTANCE}");
    let ok = register(&mut world, 1, &contact, "Require: outbound\r\n");
    assert_eq!((ok.status(), ok.header("Require")), (200, Some("outbound")));
    let invite = world.request(
        "INVITE",
        9,
        "Require: outbound\r\n",
        super::sip_support::SDP,
    );
    world.feed(invite);
    assert_eq!(world.next().status(), 420);
}

#[test]
fn two_flows_of_one_phone_are_two_bindings_and_each_replaces_itself_alone() {
    let mut world = World::new(Transport::Udp);
    let contact = |host: &str, reg_id: u32| format!("<sip:ann@{host}>;reg-id={reg_id};{INSTANCE}");
    let supported = "Supported: outbound\r\n";
    register(&mut world, 1, &contact("10.0.0.2", 1), supported);
    register(&mut world, 3, &contact("10.0.0.2", 2), supported);
    let ok = register(&mut world, 5, &contact("10.0.0.9", 1), supported);
    let contacts = ok.headers("Contact");
    assert_eq!(contacts.len(), 2, "{}", ok.text);
    assert!(
        contacts
            .iter()
            .any(|c| c.contains("10.0.0.9") && c.contains("reg-id=1"))
    );
    assert!(
        contacts
            .iter()
            .any(|c| c.contains("10.0.0.2") && c.contains("reg-id=2"))
    );
}

#[test]
fn a_registration_survives_a_restart_with_what_is_left_of_its_time() {
    let mut world = World::new(Transport::Udp);
    let contact = format!("<sip:ann@10.0.0.2:5060>;reg-id=1;{INSTANCE}");
    register(
        &mut world,
        1,
        &contact,
        "Expires: 300\r\nSupported: outbound\r\n",
    );
    let kept = registered(&mut world);
    assert_eq!(kept.expires, Duration::from_secs(300));

    let mut after = World::new(Transport::Udp);
    let left = Registration {
        expires: Duration::from_secs(100),
        ..kept
    };
    after.endpoint.restore_registration(after.now, left);
    assert_eq!(after.endpoint.counters().bindings, 1);
    // Its refresh is the same phone's, however old its CSeq.
    let ok = register(
        &mut after,
        7,
        &contact,
        "Expires: 300\r\nSupported: outbound\r\n",
    );
    assert_eq!(ok.headers("Contact").len(), 1, "{}", ok.text);
    assert_eq!(after.endpoint.counters().bindings, 1);
    after.events.clear();
    after.advance(Duration::from_secs(301));
    assert!(matches!(after.next_event(), Event::Unregistered(_)));
    assert_eq!(after.endpoint.counters().bindings, 0);
}
