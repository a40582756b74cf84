//! What is sent when the stream it belongs on has closed.

use ringbridge::sip::flow::{FlowId, Transport};

use super::sip_support::{SDP, World, flow};

fn close(world: &mut World) {
    let id = world.flow.id;
    world.command(|endpoint, now| endpoint.handle_flow_closed(now, id));
    world.ladder.clear();
}

#[test]
fn a_response_whose_connection_has_closed_opens_one_to_the_port_of_its_via() {
    for (transport, port) in [(Transport::Tcp, 5060), (Transport::Tls, 5060)] {
        let mut world = World::new(transport);
        let invite = world.invite();
        close(&mut world);
        world
            .command(|endpoint, now| endpoint.ring(now, invite.dialog))
            .unwrap();
        assert_eq!(world.next().flow, None);
        world
            .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
            .unwrap();
        assert_eq!(world.next().flow, None);
        // Where it came from, not what a phone behind a NAT writes into its Via.
        let connect = format!("        connect 198.51.100.7:{port}");
        assert_eq!(world.ladder[0], connect);
        assert_eq!(world.ladder[1], "     0 ◀── 180 Ringing");
        assert_eq!(world.ladder[2], connect);
    }
}

#[test]
fn a_via_without_a_port_means_the_transports_own() {
    let mut world = World::new(Transport::Tls);
    let first = world.request("INVITE", 1, "", SDP);
    world.feed(first.replace("10.0.0.2:5060;branch", "10.0.0.2;branch"));
    let challenge = world.next();
    let uri = format!("sip:{}@gateway.test", super::sip_support::MEETING);
    let authorization = world.authorization(&challenge, "INVITE", &uri);
    let second = world.request("INVITE", 2, &authorization, SDP);
    world.feed(second.replace("10.0.0.2:5060;branch", "10.0.0.2;branch"));
    assert_eq!(world.next().status(), 100);
    world.events.clear();
    close(&mut world);
    world.advance_ms(180_000);
    assert!(
        world
            .ladder
            .iter()
            .any(|line| line.trim() == "connect 198.51.100.7:5061"),
        "{:#?}",
        world.ladder
    );
    assert_eq!(world.sent.back().unwrap().status(), 480);
}

#[test]
fn copies_of_a_200_go_over_the_new_connection_too_and_its_ack_brings_the_call_there() {
    let mut world = World::new(Transport::Tcp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    assert_eq!(ok.flow, Some(world.flow));
    close(&mut world);
    world.advance_ms(500);
    assert_eq!(world.next().flow, None, "the copy");
    world.flow = flow(Transport::Tcp, "198.51.100.7:5060");
    world.flow.id = FlowId(77);
    let ack = world.in_dialog("ACK", 2, &ok, "", "");
    world.feed(ack);
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert_eq!(world.next().flow, Some(world.flow));
}

#[test]
fn over_websocket_nobody_can_be_called_back() {
    let mut world = World::new(Transport::Ws);
    let (invite, _) = world.established();
    close(&mut world);
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert!(world.sent.is_empty());
    world.advance_ms(32_000);
    assert_eq!(world.endpoint.counters().dialogs, 0);
}
