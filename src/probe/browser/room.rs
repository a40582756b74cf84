//! What a participant knows of its meeting: people, tracks, voices, keys pressed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::id::ParticipantId;
use crate::meeting::signal::{ByeReason, ParticipantView, ServerMessage, Source, TrackView};
use crate::probe::ear::Ear;
use crate::probe::phone::media::Spoken;
use crate::run::clock;

/// One received stream.
#[derive(Debug, Clone)]
pub struct HeardTrack {
    /// Synchronisation source of its packets.
    pub ssrc: u32,
    /// Whose, by the server's offer in force when its first packet came.
    pub track: Option<TrackView>,
    /// Its sound; video is counted, not decoded.
    pub ear: Ear,
}

#[derive(Debug, Default)]
struct Known {
    me: Option<ParticipantView>,
    participants: BTreeMap<ParticipantId, ParticipantView>,
    tracks: Vec<TrackView>,
    heard: Vec<HeardTrack>,
    keys: Vec<(ParticipantId, char)>,
    loudest_level: BTreeMap<ParticipantId, u8>,
    bye: Option<ByeReason>,
    offers: u32,
    spoken: Spoken,
}

/// What is known, and a bell that rings when it changes.
#[derive(Debug)]
pub struct Room {
    known: Mutex<Known>,
    news: watch::Sender<u64>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            news: watch::Sender::new(0),
        }
    }
}

impl Room {
    /// Oneself, as the server sees it.
    pub fn me(&self) -> Option<ParticipantView> {
        self.lock().me.clone()
    }

    /// Everyone else in the meeting.
    pub fn participants(&self) -> Vec<ParticipantView> {
        self.lock().participants.values().cloned().collect()
    }

    /// Every stream heard so far.
    pub fn heard(&self) -> Vec<HeardTrack> {
        self.lock().heard.clone()
    }

    /// The voice of one participant, once a packet of it came.
    pub fn voice_of(&self, participant: ParticipantId) -> Option<Ear> {
        let known = self.lock();
        let of = |heard: &&HeardTrack| {
            heard.track.as_ref().is_some_and(|track| {
                track.participant_id == participant && track.source == Source::Microphone
            })
        };
        // The newest: who left and came back has a new stream.
        known.heard.iter().rev().find(of).map(|h| h.ear.clone())
    }

    /// Keys pressed by phones, in order.
    pub fn keys(&self) -> Vec<(ParticipantId, char)> {
        self.lock().keys.clone()
    }

    /// Loudest level the server reported of a participant, −dBov; lower is louder.
    pub fn loudest_level_of(&self, participant: ParticipantId) -> Option<u8> {
        self.lock().loudest_level.get(&participant).copied()
    }

    /// Why the seat ended, if the server ended it.
    pub fn bye(&self) -> Option<ByeReason> {
        self.lock().bye
    }

    /// Offers of the server so far.
    pub fn offers(&self) -> u32 {
        self.lock().offers
    }

    /// Waits until `look` finds something; `None` when the wait is over.
    pub async fn wait_until<T>(
        &self,
        wait: Duration,
        look: impl Fn(&Self) -> Option<T>,
    ) -> Option<T> {
        let until = clock::now() + wait;
        let mut news = self.news.subscribe();
        loop {
            if let Some(found) = look(self) {
                return Some(found);
            }
            let changed = tokio::time::timeout_at(until.into(), news.changed()).await;
            if changed.is_err() {
                return None;
            }
        }
    }

    pub(super) fn spoken(&self) -> Spoken {
        self.lock().spoken.clone()
    }

    pub(super) fn note_spoken(&self, chirp: Option<std::time::Instant>) {
        let mut known = self.lock();
        known.spoken.packets += 1;
        known.spoken.chirps.extend(chirp);
    }

    /// The ear of a stream, made at its first packet.
    pub(super) fn ear(&self, mid: Option<&str>, ssrc: u32) -> Ear {
        let mut known = self.lock();
        if let Some(heard) = known.heard.iter().find(|heard| heard.ssrc == ssrc) {
            return heard.ear.clone();
        }
        let track = known
            .tracks
            .iter()
            .find(|track| Some(track.mid.as_str()) == mid)
            .cloned();
        let ear = Ear::default();
        known.heard.push(HeardTrack {
            ssrc,
            track,
            ear: ear.clone(),
        });
        drop(known);
        self.ring();
        ear
    }

    /// Takes in what the server said.
    pub(super) fn note(&self, message: &ServerMessage) {
        let mut known = self.lock();
        match message {
            ServerMessage::Joined {
                participant,
                participants,
                ..
            } => {
                known.me = Some(participant.clone());
                known.participants = participants.iter().map(|p| (p.id, p.clone())).collect();
            }
            ServerMessage::Offer { tracks, .. } => {
                known.tracks.clone_from(tracks);
                known.offers += 1;
            }
            ServerMessage::ParticipantJoined { participant }
            | ServerMessage::ParticipantUpdated { participant } => {
                let mine = known.me.as_ref().is_some_and(|me| me.id == participant.id);
                if mine {
                    known.me = Some(participant.clone());
                } else {
                    let who = participant.clone();
                    known.participants.insert(participant.id, who);
                }
            }
            ServerMessage::ParticipantLeft { participant_id } => {
                known.participants.remove(participant_id);
            }
            ServerMessage::Dtmf {
                participant_id,
                digit,
            } => known.keys.push((*participant_id, *digit)),
            ServerMessage::Levels { levels } => {
                for view in levels {
                    let loudest = known
                        .loudest_level
                        .entry(view.participant_id)
                        .or_insert(127);
                    *loudest = (*loudest).min(view.level);
                }
            }
            ServerMessage::Bye { reason } => known.bye = Some(*reason),
            ServerMessage::Answer { .. }
            | ServerMessage::Pong
            | ServerMessage::Error { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::WaitingList { .. }
            | ServerMessage::Chat { .. }
            | ServerMessage::Broadcast { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::Permissions { .. }
            | ServerMessage::Quality { .. }
            | ServerMessage::ProduceRequests { .. } => {}
        }
        drop(known);
        self.ring();
    }

    fn ring(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
