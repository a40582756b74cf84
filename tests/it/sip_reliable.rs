//! Reliable provisional responses (RFC 3262): retransmission, PRACK, and giving up.

use ringbridge::sip::endpoint::{Event, TerminationCause};
use ringbridge::sip::flow::Transport;

use super::sip_support::{SDP, Seen, World};

const REQUIRED: &str = "Require: 100rel\r\n";

fn prack(world: &mut World, cseq: u32, reliable: &Seen, rack: &str) {
    let rack = format!("RAck: {rack}\r\n");
    let prack = world.in_dialog("PRACK", cseq, reliable, &rack, "");
    world.feed(prack);
}

/// RSeq of a response.
fn rseq(seen: &Seen) -> u32 {
    assert_eq!(seen.header("Require"), Some("100rel"), "{}", seen.text);
    seen.header("RSeq").unwrap().parse().unwrap()
}

#[test]
fn a_caller_who_requires_it_gets_a_180_again_until_its_prack() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    world.advance_ms(3_500);
    let ringing: Vec<Seen> = world.sent.drain(..).collect();
    assert_eq!(ringing.len(), 4, "at 0, 0.5, 1.5 and 3.5 s");
    assert!(ringing.iter().all(|copy| copy.text == ringing[0].text));
    let rseq = rseq(&ringing[0]);

    prack(
        &mut world,
        3,
        &ringing[0],
        &format!("{} 2 INVITE", rseq + 1),
    );
    prack(&mut world, 4, &ringing[0], &format!("{rseq} 1 INVITE"));
    prack(&mut world, 5, &ringing[0], &format!("{rseq} 2 BYE"));
    assert_eq!(world.statuses(), [481, 481, 481], "it names another");
    prack(&mut world, 6, &ringing[0], &format!("{rseq} 2 INVITE"));
    assert_eq!(world.statuses(), [200]);
    prack(&mut world, 7, &ringing[0], &format!("{rseq} 2 INVITE"));
    assert_eq!(world.statuses(), [481], "it is acknowledged already");
    world.advance_ms(50_000);
    assert!(world.sent.is_empty(), "no more copies");

    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    assert_eq!((ok.status(), ok.header("RSeq")), (200, None));
}

#[test]
fn a_caller_who_merely_supports_it_gets_plain_ones() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with("Supported: 100rel\r\n", SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let ringing = world.next();
    assert_eq!(
        (ringing.header("Require"), ringing.header("RSeq")),
        (None, None)
    );
    world.advance_ms(10_000);
    assert!(world.sent.is_empty());
}

#[test]
fn without_a_prack_the_invite_is_refused_after_32_seconds() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    world.advance_ms(32_000);
    let statuses = world.statuses();
    assert_eq!(statuses, [180, 180, 180, 180, 180, 180, 180, 504]);
    match world.next_event() {
        Event::Terminated { cause, .. } => assert_eq!(cause, TerminationCause::Unacknowledged),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.endpoint.counters().dialogs, 0);
}

#[test]
fn a_200_does_not_wait_for_the_prack_of_a_180_but_for_that_of_a_description() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let ringing = world.next();
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    assert_eq!(world.next().status(), 200);
    // A PRACK that crossed the 200 is answered, and the 180 not repeated.
    let rseq_of_180 = rseq(&ringing);
    prack(&mut world, 3, &ringing, &format!("{rseq_of_180} 2 INVITE"));
    assert_eq!(world.statuses(), [200]);

    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.progress(now, invite.dialog, SDP))
        .unwrap();
    let progress = world.next();
    assert_eq!((progress.status(), progress.body()), (183, SDP));
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    assert!(world.sent.is_empty(), "the 200 waits");
    let rseq_of_183 = rseq(&progress);
    prack(&mut world, 3, &progress, &format!("{rseq_of_183} 2 INVITE"));
    assert_eq!(world.statuses(), [200, 200], "to PRACK, to INVITE");
}

#[test]
fn an_invite_without_an_offer_gets_ours_in_the_200_and_nothing_reliable_before() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, "");
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    assert!(world.sent.is_empty());
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    assert_eq!(world.next().status(), 200);
}

#[test]
fn each_minutes_180_has_a_number_of_its_own() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let first = world.next();
    let number = rseq(&first);
    prack(&mut world, 3, &first, &format!("{number} 2 INVITE"));
    assert_eq!(world.statuses(), [200]);
    world.advance_ms(60_000);
    let second = world.next();
    assert_eq!(rseq(&second), number + 1);
    prack(&mut world, 4, &second, &format!("{} 2 INVITE", number + 1));
    assert_eq!(world.statuses(), [200]);
}

#[test]
fn an_offer_in_a_prack_is_refused_and_the_call_goes_on() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with(REQUIRED, SDP);
    world
        .command(|endpoint, now| endpoint.ring(now, invite.dialog))
        .unwrap();
    let ringing = world.next();
    let rack = format!("RAck: {} 2 INVITE\r\n", rseq(&ringing));
    let offer = world.in_dialog("PRACK", 3, &ringing, &rack, SDP);
    world.feed(offer);
    assert_eq!(world.statuses(), [488]);
    world
        .command(|endpoint, now| endpoint.answer(now, invite.dialog, SDP, &[]))
        .unwrap();
    assert_eq!(world.next().status(), 200);
}
