//! A place in a Session: who sits there, with what rights, and how it sends and hears.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::chat::Talk;
use crate::id::ParticipantId;
use crate::meeting::budget::Patience;
use crate::meeting::forward::Forward;
use crate::meeting::layer::Wish;
use crate::meeting::participant::Joining;
use crate::meeting::peer::{Peer, SlotId};
use crate::meeting::phone::PhoneLeg;
use crate::meeting::preset::CanProduce;
use crate::meeting::signal::{OneShotRole, ParticipantView, Permissions, Source, SourceState};
use crate::meeting::track::TrackId;

pub(super) struct Seat {
    /// Boxed, for a map's node has room for eleven seats.
    pub joining: Box<Joining>,
    /// For coming back; empty for phones.
    pub resume_token: String,
    /// When it came.
    pub since: Instant,
    /// It has not been let in yet.
    pub waits: bool,
    /// What it has pressed of its PIN, and how often it was wrong.
    pub typed: String,
    pub wrong_pins: u32,
    /// What it may send and whether it does.
    pub sources: BTreeMap<Source, SourceState>,
    /// What of it is published.
    pub published: BTreeMap<Source, TrackId>,
    /// What it asked to send.
    pub requests: BTreeSet<Source>,
    /// What it may send since somebody granted it.
    pub granted: BTreeSet<Source>,
    /// How much it may still say to everyone.
    pub talk: Talk,
    pub media: Media,
}

pub(super) enum Media {
    Browser(Box<Browser>),
    Phone(Box<PhoneLeg>),
}

/// A browser's side of its seat.
#[derive(Default)]
pub(super) struct Browser {
    /// From its first offer on.
    pub peer: Option<Peer>,
    /// What it gets.
    pub subscriptions: BTreeMap<TrackId, Forward>,
    /// Numbers of slots that carry nothing now.
    pub idle: Vec<Forward>,
    /// Sources it has spoken about with `mute`: the others are muted until they send.
    pub declared: Vec<Source>,
    /// How large it shows whose sources, and whether at all.
    pub wishes: BTreeMap<(ParticipantId, Source), Wish>,
    /// After layers that were too large for its link.
    pub patience: Patience,
    /// It came over WHIP or WHEP: nothing can be offered to it.
    pub one_shot: Option<OneShotRole>,
    /// A player's m-lines, in the order of its offer.
    pub lines: Vec<SlotId>,
}

impl Seat {
    pub fn new(now: Instant, joining: Joining, media: Media) -> Self {
        Self {
            joining: Box::new(joining),
            resume_token: String::new(),
            since: now,
            waits: false,
            typed: String::new(),
            wrong_pins: 0,
            sources: BTreeMap::new(),
            published: BTreeMap::new(),
            requests: BTreeSet::new(),
            granted: BTreeSet::new(),
            talk: Talk::new(now),
            media,
        }
    }

    pub fn view(&self) -> ParticipantView {
        let on_hold = match &self.media {
            Media::Phone(leg) => leg.is_on_hold(),
            Media::Browser(_) => false,
        };
        ParticipantView {
            id: self.joining.id,
            custom_participant_id: self.joining.custom_participant_id.clone(),
            name: self.joining.name.clone(),
            picture: self.joining.picture.clone(),
            kind: self.joining.kind,
            sources: self.sources.clone(),
            on_hold,
            attributes: self.joining.attributes.clone(),
        }
    }

    pub fn is_phone(&self) -> bool {
        matches!(self.media, Media::Phone(_))
    }

    pub fn is_hidden(&self) -> bool {
        self.joining.preset.hidden
    }

    /// What the preset says, and what was granted since. Who is hidden sends nothing, or it would
    /// be seen.
    pub fn can_produce(&self, source: Source) -> CanProduce {
        let preset = &self.joining.preset;
        let permission = match source {
            Source::Microphone => preset.audio,
            Source::Camera => preset.video,
            Source::Screen => preset.screenshare,
        };
        match permission {
            _ if preset.hidden => CanProduce::NotAllowed,
            CanProduce::CanRequest if self.granted.contains(&source) => CanProduce::Allowed,
            permission => permission,
        }
    }

    pub fn may_produce(&self, source: Source) -> bool {
        self.can_produce(source) == CanProduce::Allowed
    }

    pub fn permissions(&self) -> Permissions {
        let preset = &self.joining.preset;
        Permissions {
            audio: self.can_produce(Source::Microphone),
            video: self.can_produce(Source::Camera),
            screenshare: self.can_produce(Source::Screen),
            chat: preset.chat.public,
            chat_private: preset.chat.private,
            kick: preset.host.kick,
            mute_others: preset.host.mute_audio,
            mute_others_video: preset.host.mute_video,
            accept_waiting: preset.host.accept_waiting,
            accept_production: preset.host.accept_production,
            show_participant_list: preset.show_participant_list,
        }
    }

    /// The connection of a browser, or of a SIP client in one.
    pub fn peer(&mut self) -> Option<&mut Peer> {
        match &mut self.media {
            Media::Browser(browser) => browser.peer.as_mut(),
            Media::Phone(leg) => leg.peer(),
        }
    }

    pub fn browser(&mut self) -> Option<&mut Browser> {
        match &mut self.media {
            Media::Browser(browser) => Some(browser),
            Media::Phone(_) => None,
        }
    }

    pub fn phone(&mut self) -> Option<&mut PhoneLeg> {
        match &mut self.media {
            Media::Phone(leg) => Some(leg),
            Media::Browser(_) => None,
        }
    }
}
