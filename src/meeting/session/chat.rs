//! What participants say to each other by signalling: chat, applications' broadcasts, reactions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::Value;
use time::OffsetDateTime;

use super::Session;
use crate::id::{ChatMessageId, ParticipantId};
use crate::limits::{
    BROADCAST_KIND_BYTES_MAX, BROADCAST_PAYLOAD_BYTES_MAX, CHAT_HISTORY_MESSAGES_MAX,
    CHAT_TEXT_BYTES_MAX, REACTION_BYTES_MAX, TALK_BURST_MAX, TALK_PER_SECOND,
};
use crate::meeting::signal::{ChatMessage, ServerMessage};
use crate::meeting::track::SeatId;

/// What was said to everyone, and what time it is.
pub(super) struct ChatRoom {
    history: VecDeque<ChatMessage>,
    /// The last tick: when, and what the wallclock said.
    clock: (Instant, Duration),
}

impl ChatRoom {
    /// `wallclock` is the time since the Unix epoch.
    pub fn new(now: Instant, wallclock: Duration) -> Self {
        Self {
            history: VecDeque::new(),
            clock: (now, wallclock),
        }
    }

    /// What late joiners are told, oldest first.
    pub fn history(&self) -> Vec<ChatMessage> {
        self.history.iter().cloned().collect()
    }

    /// Time has passed.
    pub fn set_clock(&mut self, now: Instant, wallclock: Duration) {
        self.clock = (now, wallclock);
    }

    fn keep(&mut self, message: ChatMessage) {
        if self.history.len() >= CHAT_HISTORY_MESSAGES_MAX {
            self.history.pop_front();
        }
        self.history.push_back(message);
    }

    /// The wallclock in whole milliseconds.
    fn time(&self, now: Instant) -> OffsetDateTime {
        let (at, wallclock) = self.clock;
        let since = wallclock + now.saturating_duration_since(at);
        let milliseconds = i128::try_from(since.as_millis()).unwrap_or(0);
        OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// How much one participant may still say to everyone: a token bucket.
pub(super) struct Talk {
    left: f64,
    at: Instant,
}

impl Talk {
    pub fn new(now: Instant) -> Self {
        Self {
            left: f64::from(TALK_BURST_MAX),
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let left = self.left + passed * f64::from(TALK_PER_SECOND);
        self.left = left.min(f64::from(TALK_BURST_MAX));
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

impl Session {
    pub(super) fn chat_send(
        &mut self,
        now: Instant,
        seat: SeatId,
        text: String,
        mut to: Vec<ParticipantId>,
    ) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        let (writer, rights) = (entry.joining.id, entry.joining.preset.chat);
        let private = !to.is_empty();
        if private && !rights.private || !private && !rights.public {
            return self.refuse(
                seat,
                "not_allowed",
                "Your preset does not let you write this.",
            );
        }
        if text.trim().is_empty() || text.len() > CHAT_TEXT_BYTES_MAX {
            let why = format!("text must be 1 to {CHAT_TEXT_BYTES_MAX} bytes and not blank");
            return self.refuse(seat, "invalid_message", &why);
        }
        if !self.may_talk(now, seat) {
            return;
        }
        to.sort_unstable();
        to.dedup();
        to.retain(|reader| *reader != writer);
        let readers = self.readers(&to);
        if private && (to.is_empty() || readers.len() < to.len()) {
            let why = "to names somebody who is not here or cannot read private chat";
            return self.refuse(seat, "unknown_participant", why);
        }
        let message = ChatMessage {
            id: ChatMessageId::from_random(self.rng.random()),
            participant_id: writer,
            name: self.name_of(seat),
            text,
            to,
            sent_at: self.chat.time(now),
        };
        let told = ServerMessage::Chat {
            message: message.clone(),
        };
        self.signal(seat, told.clone());
        if private {
            for reader in readers {
                self.signal(reader, told.clone());
            }
        } else {
            self.broadcast(seat, &told);
            self.chat.keep(message);
        }
    }

    pub(super) fn broadcast_payload(
        &mut self,
        now: Instant,
        seat: SeatId,
        kind: String,
        payload: Value,
    ) {
        let Some(participant_id) = self.talker(now, seat) else {
            return;
        };
        let size = payload.to_string().len();
        if kind.is_empty()
            || kind.len() > BROADCAST_KIND_BYTES_MAX
            || size > BROADCAST_PAYLOAD_BYTES_MAX
        {
            let why = format!(
                "kind must be 1 to {BROADCAST_KIND_BYTES_MAX} bytes, payload at most \
                 {BROADCAST_PAYLOAD_BYTES_MAX} bytes of JSON"
            );
            return self.refuse(seat, "invalid_message", &why);
        }
        let message = ServerMessage::Broadcast {
            participant_id,
            kind,
            payload,
        };
        self.broadcast(seat, &message);
    }

    pub(super) fn react(&mut self, now: Instant, seat: SeatId, emoji: String) {
        let Some(participant_id) = self.talker(now, seat) else {
            return;
        };
        let words = emoji.chars().any(|c| c.is_whitespace() || c.is_control());
        if emoji.is_empty() || emoji.len() > REACTION_BYTES_MAX || words {
            let why = format!("emoji must be 1 to {REACTION_BYTES_MAX} bytes without spaces");
            return self.refuse(seat, "invalid_message", &why);
        }
        let message = ServerMessage::Reaction {
            participant_id,
            emoji,
        };
        self.broadcast(seat, &message);
    }

    /// Who sits here, if it may speak to everyone now; else it has been told why not.
    fn talker(&mut self, now: Instant, seat: SeatId) -> Option<ParticipantId> {
        let entry = self.seats.get(&seat)?;
        let (participant, rights) = (entry.joining.id, entry.joining.preset.chat);
        if !rights.public {
            self.refuse(
                seat,
                "not_allowed",
                "Your preset does not let you say this.",
            );
            return None;
        }
        self.may_talk(now, seat).then_some(participant)
    }

    fn may_talk(&mut self, now: Instant, seat: SeatId) -> bool {
        let Some(entry) = self.seats.get_mut(&seat) else {
            return false;
        };
        let may = entry.talk.take(now);
        if !may {
            self.refuse(seat, "too_fast", "Too much in too short a time; try again.");
        }
        may
    }

    /// The browsers of those who can read what is written to them alone.
    fn readers(&self, participants: &[ParticipantId]) -> Vec<SeatId> {
        self.seats
            .iter()
            .filter(|(_, entry)| !entry.waits && !entry.is_phone())
            .filter(|(_, entry)| entry.joining.preset.chat.private_receive)
            .filter(|(_, entry)| participants.binary_search(&entry.joining.id).is_ok())
            .map(|(seat, _)| *seat)
            .collect()
    }

    fn name_of(&self, seat: SeatId) -> String {
        let name = |entry: &super::Seat| entry.joining.name.clone();
        self.seats.get(&seat).map(name).unwrap_or_default()
    }
}
