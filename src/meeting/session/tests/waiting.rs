//! The waiting room.

use super::*;
use crate::limits::WAITING_TIME_MAX;
use crate::meeting::preset::{HostRights, WaitingRoom};

fn waits(waiting_room: WaitingRoom) -> Preset {
    Preset {
        name: "visitor".to_owned(),
        host: HostRights::default(),
        waiting_room,
        ..Preset::host()
    }
}

/// The last list of who waits that a browser was told.
fn list(world: &World, seat: SeatId) -> Vec<ParticipantId> {
    let told = world
        .messages(seat)
        .iter()
        .rev()
        .find_map(|message| match message {
            ServerMessage::WaitingList { participants } => {
                Some(participants.iter().map(|view| view.id).collect())
            }
            _ => None,
        });
    told.unwrap_or_default()
}

#[test]
fn who_waits_is_told_so_unseen_and_let_in_by_a_host() {
    let mut world = World::new();
    let host = world.browser(None);
    let other = world.browser_with(
        Preset {
            host: HostRights::default(),
            ..Preset::host()
        },
        None,
    );
    world.all_connected();
    let (seat, mut joining) = world.joining(ParticipantKind::Browser);
    joining.preset = waits(WaitingRoom::SkipOnAccept);
    let id = joining.id;
    world
        .session
        .join_browser(world.now, seat, joining.clone(), "resume".to_owned())
        .unwrap();
    let first = world.session.poll_output();
    let waiting = |message: &ServerMessage| matches!(message, ServerMessage::Waiting { .. });
    assert!(
        matches!(&first, Some(SessionOutput::Signal { message, .. }) if waiting(message)),
        "{first:?}"
    );
    world.deliver();
    assert_eq!(list(&world, host), [id]);
    assert!(
        list(&world, other).is_empty(),
        "it may not decide, so it is not told"
    );
    let snapshot = world.session.snapshot();
    assert_eq!(
        (snapshot.participants.len(), snapshot.waiting.len()),
        (2, 1)
    );

    let double = BrowserDouble::new(world.now, "198.51.100.7:9".parse().unwrap(), 9);
    let side = BrowserSide {
        id,
        double,
        messages: Vec::new(),
        voice: None,
        gone: false,
    };
    world.browsers.insert(seat, side);
    let hello = ClientMessage::ChatSend {
        text: "Hello".to_owned(),
        to: Vec::new(),
    };
    world.say(seat, hello);
    assert_eq!(world.refusal(seat), "waiting");
    world.say(
        host,
        ClientMessage::Admit {
            participant_ids: vec![id],
        },
    );
    let said = world.read(seat);
    assert!(
        matches!(&said[0], ServerMessage::Joined { resume_token, .. } if resume_token == "resume")
    );
    assert!(list(&world, host).is_empty());
    let came = |message: &ServerMessage| match message {
        ServerMessage::ParticipantJoined { participant } => participant.id == id,
        _ => false,
    };
    assert!(world.messages(other).iter().any(came));

    // Once accepted it comes back without waiting, unless it was removed.
    world.say(seat, ClientMessage::Leave);
    let again = world.browser_as(SeatId(500), joining.clone(), None);
    assert!(matches!(
        world.messages(again)[0],
        ServerMessage::Joined { .. }
    ));
    world.say(
        host,
        ClientMessage::Kick {
            participant_ids: vec![id],
        },
    );
    let kicked = world.browser_as(SeatId(501), joining, None);
    assert!(matches!(
        world.messages(kicked)[0],
        ServerMessage::Waiting { .. }
    ));
}

#[test]
fn who_is_denied_hears_so_and_is_gone() {
    let mut world = World::new();
    let host = world.browser(None);
    let visitor = world.browser_with(waits(WaitingRoom::SkipOnAccept), None);
    let participant_ids = vec![world.id(visitor)];
    world.say(
        host,
        ClientMessage::Deny {
            participant_ids: participant_ids.clone(),
        },
    );
    let denied = ServerMessage::Bye {
        reason: ByeReason::Denied,
    };
    assert_eq!(world.messages(visitor).last(), Some(&denied));
    assert!(world.browsers[&visitor].gone);
    assert!(list(&world, host).is_empty());
    world.say(host, ClientMessage::Deny { participant_ids });
    assert_eq!(world.refusal(host), "unknown_participant");
    let left = |change: &&SessionChange| matches!(change, SessionChange::ParticipantLeft(_));
    assert_eq!(
        world.changes.iter().filter(left).count(),
        0,
        "it was never in"
    );
}

#[test]
fn a_waiting_phone_hears_a_beep_and_nothing_else_and_is_heard_when_let_in() {
    let mut world = World::new();
    let host = world.browser(Some(700.0));
    world.all_connected();
    let (seat, mut joining) = world.joining(ParticipantKind::Robo);
    joining.preset = waits(WaitingRoom::SkipOnAccept);
    let phone = world.phone_as(seat, joining, PhoneCodec::Pcma, Some(900.0));
    world.run(Duration::from_millis(4_100));
    let heard = &world.phones[&phone].heard;
    assert!(world.phones[&phone].packets >= 200, "always sent");
    assert!(!holds_tone(heard, 700.0), "nothing of the meeting");
    let loud = heard.iter().filter(|sample| sample.abs() > 500).count();
    assert!((1_000..3_000).contains(&loud), "{loud} samples of a beep");
    let id = world.id(phone);
    assert!(world.browser_hears(host, id).is_empty());
    assert_eq!(list(&world, host), [id]);
    world.session.press(phone, '5');
    world.deliver();
    let key = |message: &ServerMessage| matches!(message, ServerMessage::Dtmf { .. });
    assert!(!world.messages(host).iter().any(key));

    world.say(
        host,
        ClientMessage::Admit {
            participant_ids: vec![id],
        },
    );
    world.listen_anew();
    world.run(Duration::from_secs(2));
    assert!(holds_tone(&world.phones[&phone].heard, 700.0));
    assert!(holds_tone(&world.browser_hears(host, id), 900.0));
    assert_eq!(world.session.population(), (1, 1));
}

#[test]
fn a_denied_phone_is_told_to_end_its_call() {
    let mut world = World::new();
    let host = world.browser(None);
    let (seat, mut joining) = world.joining(ParticipantKind::Robo);
    joining.preset = waits(WaitingRoom::SkipOnAccept);
    let phone = world.phone_as(seat, joining, PhoneCodec::Pcmu, None);
    let participant_ids = vec![world.id(phone)];
    world.say(host, ClientMessage::Deny { participant_ids });
    let removed = LegEvent::Removed(LegRemoval::Denied);
    assert_eq!(world.phones[&phone].events.last(), Some(&removed));
    assert!(world.phones[&phone].report.is_some());
    assert_eq!(world.session.population(), (1, 0));
}

#[test]
fn some_wait_only_until_a_host_is_there() {
    let mut world = World::new();
    let early = world.browser_with(waits(WaitingRoom::OnPrivilegedUserEntry), None);
    let strict = world.browser_with(waits(WaitingRoom::SkipOnAccept), None);
    assert!(!world.session.has_started());
    assert!(world.session.empty_since().is_none(), "it is waited for");
    let host = world.browser(None);
    let joined = |message: &ServerMessage| matches!(message, ServerMessage::Joined { .. });
    assert!(world.messages(early).iter().any(joined));
    assert!(!world.messages(strict).iter().any(joined));
    assert_eq!(list(&world, host), [world.id(strict)]);
    let late = world.browser_with(waits(WaitingRoom::OnPrivilegedUserEntry), None);
    assert!(matches!(
        world.messages(late)[0],
        ServerMessage::Joined { .. }
    ));
}

#[test]
fn nobody_waits_for_ever() {
    let mut world = World::new();
    let visitor = world.browser_with(waits(WaitingRoom::SkipOnAccept), None);
    world.now += WAITING_TIME_MAX;
    world.run(Duration::from_secs(2));
    let denied = ServerMessage::Bye {
        reason: ByeReason::Denied,
    };
    assert_eq!(world.messages(visitor).last(), Some(&denied));
    assert!(world.session.empty_since().is_some());
}

#[test]
fn a_preset_that_no_longer_makes_wait_opens_the_door() {
    let mut world = World::new();
    let visitor = world.browser_with(waits(WaitingRoom::SkipOnAccept), None);
    let holders = Holders::Preset("visitor".to_owned());
    world
        .session
        .apply_preset(world.now, &holders, &waits(WaitingRoom::Skip));
    world.deliver();
    assert!(matches!(
        world.messages(visitor).last(),
        Some(ServerMessage::Joined { .. })
    ));
}

#[test]
fn a_pin_lets_in_and_three_wrong_ones_send_away() {
    let mut world = World::new();
    let host = world.browser(None);
    let with_pin = |world: &mut World| {
        let (seat, mut joining) = world.joining(ParticipantKind::Robo);
        joining.pin = Some("2468".to_owned());
        world.phone_as(seat, joining, PhoneCodec::Pcmu, None)
    };
    let press = |world: &mut World, phone: SeatId, keys: &str| {
        for key in keys.chars() {
            world.session.press(phone, key);
            world.run(Duration::from_millis(40));
        }
    };
    let ann = with_pin(&mut world);
    press(&mut world, ann, "12*24#");
    assert_eq!(
        list(&world, host),
        [world.id(ann)],
        "one wrong, none complete"
    );
    press(&mut world, ann, "2468");
    assert!(list(&world, host).is_empty());
    assert_eq!(world.session.snapshot().participants.len(), 2);
    let key = |event: &LegEvent| matches!(event, LegEvent::Dtmf(_));
    assert!(
        !world.phones[&ann].events.iter().any(key),
        "a PIN is told to nobody"
    );

    let eve = with_pin(&mut world);
    press(&mut world, eve, "111122223333");
    let removed = LegEvent::Removed(LegRemoval::Denied);
    assert_eq!(world.phones[&eve].events.last(), Some(&removed));
}
