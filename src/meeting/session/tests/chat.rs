//! What people write to each other.

use serde_json::json;

use super::*;
use crate::limits::{CHAT_HISTORY_MESSAGES_MAX, CHAT_TEXT_BYTES_MAX, TALK_BURST_MAX};
use crate::meeting::preset::ChatRights;
use crate::meeting::signal::ChatMessage;

fn write(text: &str, to: &[ParticipantId]) -> ClientMessage {
    ClientMessage::ChatSend {
        text: text.to_owned(),
        to: to.to_vec(),
    }
}

fn chats(messages: &[ServerMessage]) -> Vec<ChatMessage> {
    let chat = |message: &ServerMessage| match message {
        ServerMessage::Chat { message } => Some(message.clone()),
        _ => None,
    };
    messages.iter().filter_map(chat).collect()
}

fn without_chat() -> Preset {
    let none = ChatRights {
        public: false,
        private: false,
        private_receive: false,
    };
    Preset {
        chat: none,
        ..Preset::host()
    }
}

#[test]
fn what_is_written_to_everyone_reaches_all_and_those_who_come_later() {
    let mut world = World::new();
    let (ann, ben) = (world.browser(None), world.browser(None));
    world.run(Duration::from_millis(40));
    world.say(ann, write("Hello", &[]));
    let (to_ann, to_ben) = (world.read(ann), world.read(ben));
    let (mine, his) = (chats(&to_ann), chats(&to_ben));
    assert_eq!(mine, his, "the writer sees it as everyone does");
    assert_eq!((his[0].text.as_str(), his.len()), ("Hello", 1));
    assert_eq!(his[0].participant_id, world.id(ann));
    assert_eq!(his[0].sent_at.unix_timestamp(), 1_700_000_000);

    let late = world.browser(None);
    let history = world
        .read(late)
        .into_iter()
        .find_map(|message| match message {
            ServerMessage::Joined { chat, .. } => Some(chat),
            _ => None,
        });
    assert_eq!(history, Some(his));
}

#[test]
fn what_is_written_to_some_is_read_by_them_alone_and_never_again() {
    let mut world = World::new();
    let (ann, ben, eve) = (
        world.browser(None),
        world.browser(None),
        world.browser(None),
    );
    let deaf = world.browser_with(without_chat(), None);
    let phone = world.phone(PhoneCodec::Pcmu, None);
    for seat in [ann, ben, eve, deaf] {
        world.read(seat);
    }
    let to_ben = [world.id(ben)];
    world.say(ann, write("Psst", &to_ben));
    let (told, heard) = (world.read(ann), world.read(ben));
    assert_eq!(chats(&told), chats(&heard));
    assert_eq!(chats(&heard)[0].to, to_ben);
    assert!(chats(&world.read(eve)).is_empty());
    let late = world.browser(None);
    let joined = world.read(late);
    assert!(matches!(&joined[0], ServerMessage::Joined { chat, .. } if chat.is_empty()));

    for nobody in [
        world.id(phone),
        world.id(deaf),
        ParticipantId::from_random(99),
    ] {
        world.say(ann, write("Psst", &[world.id(ben), nobody]));
        assert_eq!(world.refusal(ann), "unknown_participant");
        assert!(chats(&world.read(ben)).is_empty(), "all or nobody");
    }
}

#[test]
fn who_may_not_write_wave_or_broadcast_is_told_so_and_reaches_nobody() {
    let mut world = World::new();
    let mute = world.browser_with(without_chat(), None);
    let other = world.browser(None);
    world.read(other);
    let to_other = [world.id(other)];
    for message in [
        write("Hello", &[]),
        write("Hello", &to_other),
        ClientMessage::Reaction {
            emoji: "👍".to_owned(),
        },
        ClientMessage::Broadcast {
            kind: "x".to_owned(),
            payload: json!({}),
        },
    ] {
        world.say(mute, message);
        assert_eq!(world.refusal(mute), "not_allowed");
    }
    assert!(world.read(other).is_empty());
}

#[test]
fn waves_and_broadcasts_reach_everyone_else_as_they_are() {
    let mut world = World::new();
    let (ann, ben) = (world.browser(None), world.browser(None));
    world.read(ann);
    world.read(ben);
    let payload = json!({ "slide": 7, "by": ["a", null] });
    let kind = "slides".to_owned();
    world.say(
        ann,
        ClientMessage::Reaction {
            emoji: "👋🏽".to_owned(),
        },
    );
    let broadcast = ClientMessage::Broadcast {
        kind: kind.clone(),
        payload: payload.clone(),
    };
    world.say(ann, broadcast);
    let participant_id = world.id(ann);
    let expected = [
        ServerMessage::Reaction {
            participant_id,
            emoji: "👋🏽".to_owned(),
        },
        ServerMessage::Broadcast {
            participant_id,
            kind,
            payload,
        },
    ];
    assert_eq!(world.read(ben), expected);
    assert!(world.read(ann).is_empty());
}

#[test]
fn what_is_too_long_blank_or_too_fast_is_refused() {
    let mut world = World::new();
    let (ann, ben) = (world.browser(None), world.browser(None));
    let long = "x".repeat(CHAT_TEXT_BYTES_MAX + 1);
    let kind = "k".repeat(100);
    for message in [
        write(&long, &[]),
        write(" \n", &[]),
        ClientMessage::Reaction {
            emoji: "not an emoji".to_owned(),
        },
        ClientMessage::Reaction {
            emoji: String::new(),
        },
        ClientMessage::Broadcast {
            kind,
            payload: json!(1),
        },
        ClientMessage::Broadcast {
            kind: "k".to_owned(),
            payload: json!(long),
        },
    ] {
        world.say(ann, message);
        assert_eq!(world.refusal(ann), "invalid_message");
    }
    world.run(Duration::from_secs(10));
    world.read(ben);
    for _ in 0..TALK_BURST_MAX {
        world.say(ann, write("again", &[]));
    }
    world.say(ann, write("one too many", &[]));
    assert_eq!(world.refusal(ann), "too_fast");
    assert_eq!(chats(&world.read(ben)).len(), TALK_BURST_MAX as usize);
    world.run(Duration::from_secs(1));
    world.say(ann, write("later", &[]));
    assert_eq!(chats(&world.read(ben)).len(), 1);
}

#[test]
fn the_history_forgets_the_oldest() {
    let mut world = World::new();
    let ann = world.browser(None);
    for number in 0..CHAT_HISTORY_MESSAGES_MAX + 5 {
        world.say(ann, write(&number.to_string(), &[]));
        world.now += Duration::from_secs(1);
    }
    let late = world.browser(None);
    let Some(ServerMessage::Joined { chat, .. }) = world.read(late).into_iter().next() else {
        panic!("not joined");
    };
    assert_eq!(
        (chat.len(), chat[0].text.as_str()),
        (CHAT_HISTORY_MESSAGES_MAX, "5")
    );
}
