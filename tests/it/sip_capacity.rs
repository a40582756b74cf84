//! What answered requests cost: room of their own, and nothing of what calls need.

use ringbridge::limits::SIP_TRANSACTIONS_MAX;
use ringbridge::sip::flow::Transport;

use super::sip_support::World;

#[test]
fn what_is_answered_takes_no_room_from_what_is_not() {
    let mut world = World::new(Transport::Udp);
    let (_, ok) = world.established();
    let mut last = String::new();
    for cseq in 0..=SIP_TRANSACTIONS_MAX as u32 {
        last = world.in_dialog("INFO", 3 + cseq, &ok, "", "");
        world.feed(&last);
        assert_eq!(world.next().status(), 200);
        world.ladder.clear();
    }
    assert!(world.endpoint.counters().transactions > SIP_TRANSACTIONS_MAX);
    let events = world.events.len();
    // A copy gets its answer again and is no second key.
    world.feed(&last);
    assert_eq!(world.next().status(), 200);
    assert_eq!(world.events.len(), events);
    // And another call is taken.
    let options = world.request("OPTIONS", 1, "", "");
    world.feed(options.replace("call-1", "call-2"));
    assert_eq!(world.next().status(), 200);
    let invite = world.request("INVITE", 1, "", super::sip_support::SDP);
    world.feed(invite.replace("call-1", "call-2"));
    let challenge = world.next();
    let uri = format!("sip:{}@gateway.test", super::sip_support::MEETING);
    let digest = world.authorization(&challenge, "INVITE", &uri);
    let invite = world.request("INVITE", 2, &digest, super::sip_support::SDP);
    world.feed(invite.replace("call-1", "call-2"));
    assert_eq!(world.next().status(), 100);

    world.advance_ms(33_000);
    assert!(
        world.endpoint.counters().transactions < 10,
        "they are forgotten"
    );
}
