//! Rights that change while their holder is in the session: presets edited, requests granted.

use std::time::Instant;

use super::{Seat, Session};
use crate::id::ParticipantId;
use crate::meeting::preset::{CanProduce, Preset};
use crate::meeting::signal::{ServerMessage, Source, SourceState};
use crate::meeting::track::{SeatId, TrackCodec};

const SOURCES: [Source; 3] = [Source::Microphone, Source::Camera, Source::Screen];

/// Whose rights a new preset replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holders {
    /// Everyone who has the preset of this name.
    Preset(String),
    /// One participant.
    Participant(ParticipantId),
}

impl Session {
    /// Gives these participants the preset, at once; how many there were. What it no longer lets
    /// them send ends; what it newly lets them, they may turn on.
    pub fn apply_preset(&mut self, now: Instant, holders: &Holders, preset: &Preset) -> usize {
        let holds = |entry: &Seat| match holders {
            Holders::Preset(name) => entry.joining.preset.name == *name,
            Holders::Participant(id) => entry.joining.id == *id,
        };
        let chosen: Vec<SeatId> = self
            .seats
            .iter()
            .filter(|(_, entry)| holds(entry))
            .map(|(seat, _)| *seat)
            .collect();
        for seat in &chosen {
            self.give(now, *seat, preset);
        }
        if !chosen.is_empty() {
            self.tell_requests();
        }
        chosen.len()
    }

    fn give(&mut self, now: Instant, seat: SeatId, preset: &Preset) {
        let Some(entry) = self.seats.get_mut(&seat) else {
            return;
        };
        let was_hidden = entry.is_hidden();
        entry.joining.preset = preset.clone();
        for source in SOURCES {
            if !requestable(preset, source) {
                entry.requests.remove(&source);
                entry.granted.remove(&source);
            }
        }
        if entry.waits {
            // Whose preset no longer makes it wait comes in.
            let entry = &self.seats[&seat];
            if !self.must_wait(entry) {
                let id = entry.joining.id;
                self.admit(now, &[id]);
            }
            return;
        }
        let (participant, hidden) = (entry.view(), entry.is_hidden());
        if hidden && !was_hidden {
            let participant_id = participant.id;
            self.broadcast(seat, &ServerMessage::ParticipantLeft { participant_id });
        } else if was_hidden && !hidden {
            self.broadcast(seat, &ServerMessage::ParticipantJoined { participant });
        }
        self.apply_rights(now, seat);
        self.greet_host(now, seat);
    }

    /// Makes what the seat sends agree with what it may send, and tells it.
    pub(super) fn apply_rights(&mut self, now: Instant, seat: SeatId) {
        for source in SOURCES {
            let Some(entry) = self.seats.get_mut(&seat) else {
                return;
            };
            let (may, has) = (
                entry.may_produce(source),
                entry.sources.contains_key(&source),
            );
            if has && !may {
                entry.sources.remove(&source);
                if let Some(browser) = entry.browser() {
                    browser.declared.retain(|declared| *declared != source);
                }
                if let Some(track) = entry.published.get(&source).copied() {
                    self.unpublish(now, track);
                }
            } else if may && !has && entry.has_room_for(source) {
                let phone = entry.is_phone();
                let muted = !phone;
                entry.sources.insert(source, SourceState { muted });
                if source == Source::Microphone {
                    self.publish(now, seat, source, TrackCodec::Opus);
                }
            }
        }
        self.tell_permissions(seat);
        self.broadcast_update(seat);
    }

    pub(super) fn tell_permissions(&mut self, seat: SeatId) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        if !entry.is_phone() {
            let permissions = entry.permissions();
            self.signal(seat, ServerMessage::Permissions { permissions });
        }
    }
}

fn requestable(preset: &Preset, source: Source) -> bool {
    let permission = match source {
        Source::Microphone => preset.audio,
        Source::Camera => preset.video,
        Source::Screen => preset.screenshare,
    };
    permission == CanProduce::CanRequest
}

impl Seat {
    /// A phone has a voice; a browser what its offer had an m-line for.
    fn has_room_for(&mut self, source: Source) -> bool {
        match self.browser() {
            None => source == Source::Microphone,
            Some(browser) => browser
                .peer
                .as_ref()
                .is_some_and(|peer| peer.sources().iter().any(|of| of.source == source)),
        }
    }
}
