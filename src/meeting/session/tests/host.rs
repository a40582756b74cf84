//! What people may do to each other, and rights that change meanwhile.

use super::*;
use crate::meeting::preset::{CanProduce, HostRights};

fn guest() -> Preset {
    Preset {
        name: "guest".to_owned(),
        host: HostRights::default(),
        ..Preset::host()
    }
}

fn on_request() -> Preset {
    Preset {
        audio: CanProduce::CanRequest,
        video: CanProduce::NotAllowed,
        screenshare: CanProduce::NotAllowed,
        ..guest()
    }
}

fn last_permissions(
    world: &mut World,
    seat: SeatId,
) -> Option<crate::meeting::signal::Permissions> {
    let told = world.read(seat).into_iter().rev();
    told.into_iter().find_map(|message| match message {
        ServerMessage::Permissions { permissions } => Some(permissions),
        _ => None,
    })
}

#[test]
fn a_guest_may_do_nothing_to_others() {
    let mut world = World::new();
    let (host, guest) = (world.browser(None), world.browser_with(guest(), None));
    let whom = world.id(host);
    for message in [
        ClientMessage::Kick {
            participant_ids: vec![whom],
        },
        ClientMessage::MuteParticipant {
            participant_id: whom,
            source: Source::Microphone,
            muted: true,
        },
        ClientMessage::MuteAll,
        ClientMessage::Admit {
            participant_ids: vec![whom],
        },
        ClientMessage::Deny {
            participant_ids: vec![whom],
        },
        ClientMessage::GrantProduce {
            participant_id: whom,
            source: Source::Microphone,
            allowed: true,
        },
    ] {
        world.say(guest, message);
        assert_eq!(world.refusal(guest), "not_allowed");
    }
    assert!(!world.browsers[&host].gone);
    world.say(
        host,
        ClientMessage::Kick {
            participant_ids: vec![ParticipantId::from_random(99)],
        },
    );
    assert_eq!(world.refusal(host), "unknown_participant");
}

#[test]
fn a_host_removes_browsers_and_phones() {
    let mut world = World::new();
    let host = world.browser(None);
    let guest = world.browser_with(guest(), None);
    let phone = world.phone(PhoneCodec::Pcmu, None);
    let participant_ids = vec![world.id(guest), world.id(phone)];
    world.say(host, ClientMessage::Kick { participant_ids });
    let kicked = ServerMessage::Bye {
        reason: ByeReason::Kicked,
    };
    assert_eq!(world.messages(guest).last(), Some(&kicked));
    let removed = LegEvent::Removed(LegRemoval::Kicked);
    assert_eq!(world.phones[&phone].events.last(), Some(&removed));
    assert_eq!(world.session.population(), (1, 0));
}

#[test]
fn a_host_mutes_browsers_until_they_unmute_and_phones_until_a_host_does() {
    let mut world = World::new();
    let host = world.browser(None);
    let talker = world.browser_with(guest(), Some(600.0));
    let phone = world.phone(PhoneCodec::Pcmu, Some(900.0));
    world.all_connected();
    let (talker_id, phone_id) = (world.id(talker), world.id(phone));
    world.read(talker);
    world.say(host, ClientMessage::MuteAll);
    let told = ServerMessage::Muted {
        source: Source::Microphone,
        by: Some(world.id(host)),
    };
    assert!(world.read(talker).contains(&told));
    world.run(Duration::from_millis(500));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    assert!(world.browser_hears(host, talker_id).is_empty());
    assert!(!holds_tone(&world.phones[&phone].heard, 600.0));
    assert!(
        world
            .browser_hears(host, phone_id)
            .iter()
            .all(|s| s.abs() < 300)
    );

    // The talker turns its microphone on again; for the phone the host does.
    let unmute = ClientMessage::Mute {
        source: Source::Microphone,
        muted: false,
    };
    world.say(talker, unmute);
    let lift = |participant_id| ClientMessage::MuteParticipant {
        participant_id,
        source: Source::Microphone,
        muted: false,
    };
    world.say(host, lift(phone_id));
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.browser_hears(host, talker_id), 600.0));
    assert!(holds_tone(&world.browser_hears(host, phone_id), 900.0));

    // Nobody turns on another's microphone.
    let mute = ClientMessage::Mute {
        source: Source::Microphone,
        muted: true,
    };
    world.say(talker, mute);
    world.say(host, lift(talker_id));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    assert!(world.browser_hears(host, talker_id).is_empty());
}

#[test]
fn who_asks_to_speak_is_heard_once_granted_and_no_longer_once_revoked() {
    let mut world = World::new();
    let host = world.browser(None);
    let asker = world.browser_with(on_request(), Some(600.0));
    world.all_connected();
    world.run(Duration::from_millis(500));
    let asker_id = world.id(asker);
    assert!(world.browser_hears(host, asker_id).is_empty());
    world.read(host);
    let request = |source| ClientMessage::RequestProduce { source };
    world.say(asker, request(Source::Camera));
    assert_eq!(world.refusal(asker), "not_allowed");
    world.say(asker, request(Source::Microphone));
    let requests = world
        .read(host)
        .into_iter()
        .find_map(|message| match message {
            ServerMessage::ProduceRequests { requests } => Some(requests),
            _ => None,
        });
    let asked = requests.unwrap();
    assert_eq!((asked.len(), asked[0].participant_id), (1, asker_id));

    let grant = |allowed| ClientMessage::GrantProduce {
        participant_id: asker_id,
        source: Source::Microphone,
        allowed,
    };
    world.say(host, grant(true));
    let told = last_permissions(&mut world, asker).unwrap();
    assert_eq!(told.audio, CanProduce::Allowed);
    let none = ServerMessage::ProduceRequests {
        requests: Vec::new(),
    };
    assert!(world.read(host).contains(&none));
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.browser_hears(host, asker_id), 600.0));

    world.say(host, grant(false));
    let told = last_permissions(&mut world, asker).unwrap();
    assert_eq!(told.audio, CanProduce::CanRequest);
    world.run(Duration::from_millis(200));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    assert!(world.browser_hears(host, asker_id).is_empty());
}

#[test]
fn a_phone_on_request_listens_until_a_host_lets_it_speak() {
    let mut world = World::new();
    let host = world.browser(Some(700.0));
    let (seat, mut joining) = world.joining(ParticipantKind::Robo);
    joining.preset = on_request();
    let phone = world.phone_as(seat, joining, PhoneCodec::Pcmu, Some(900.0));
    world.all_connected();
    world.run(Duration::from_secs(1));
    let participant_id = world.id(phone);
    assert!(world.browser_hears(host, participant_id).is_empty());
    assert!(holds_tone(&world.phones[&phone].heard, 700.0), "it hears");
    let grant = ClientMessage::GrantProduce {
        participant_id,
        source: Source::Microphone,
        allowed: true,
    };
    world.say(host, grant);
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(
        &world.browser_hears(host, participant_id),
        900.0
    ));
}

#[test]
fn an_edited_preset_reaches_its_holders_at_once() {
    let mut world = World::new();
    let host = world.browser(None);
    let talker = world.browser_with(guest(), Some(600.0));
    world.all_connected();
    world.run(Duration::from_millis(500));
    let holders = Holders::Preset("guest".to_owned());
    let silent = Preset {
        audio: CanProduce::NotAllowed,
        ..guest()
    };
    assert_eq!(world.session.apply_preset(world.now, &holders, &silent), 1);
    world.deliver();
    let told = last_permissions(&mut world, talker).unwrap();
    assert_eq!(told.audio, CanProduce::NotAllowed);
    world.run(Duration::from_millis(200));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    let talker_id = world.id(talker);
    assert!(world.browser_hears(host, talker_id).is_empty());

    let one = Holders::Participant(talker_id);
    let promoted = Preset::host();
    assert_eq!(world.session.apply_preset(world.now, &one, &promoted), 1);
    world.deliver();
    assert!(last_permissions(&mut world, talker).unwrap().kick);
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.browser_hears(host, talker_id), 600.0));
}

#[test]
fn who_is_hidden_is_neither_seen_nor_heard_and_sees_everyone() {
    let mut world = World::new();
    let host = world.browser(None);
    let spy = world.browser_with(
        Preset {
            hidden: true,
            ..guest()
        },
        Some(600.0),
    );
    world.all_connected();
    world.run(Duration::from_secs(1));
    let spy_id = world.id(spy);
    let seen = world.messages(host).iter().any(|message| match message {
        ServerMessage::ParticipantJoined { participant }
        | ServerMessage::ParticipantUpdated { participant } => participant.id == spy_id,
        ServerMessage::Levels { levels } => levels.iter().any(|l| l.participant_id == spy_id),
        _ => false,
    });
    assert!(!seen);
    assert!(world.browser_hears(host, spy_id).is_empty());
    let late = world.browser(None);
    let ServerMessage::Joined { participants, .. } = &world.messages(late)[0] else {
        panic!("not joined");
    };
    assert!(
        participants
            .iter()
            .all(|participant| participant.id != spy_id)
    );
    let joined = &world.messages(spy)[0];
    assert!(
        matches!(joined, ServerMessage::Joined { participants, .. } if participants.len() == 1)
    );
    world.say(spy, ClientMessage::Leave);
    let left = ServerMessage::ParticipantLeft {
        participant_id: spy_id,
    };
    assert!(!world.messages(host).contains(&left));
}
