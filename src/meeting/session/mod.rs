//! One live instance of a Meeting: who sits in it, what they publish, who gets it.
//!
//! Sans-IO: the worker hands in datagrams, messages and the time, and drains
//! [`Session::poll_output`] and [`Session::egress`] after every call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::audio::opus::EncoderSettings;
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::limits::SESSION_PARTICIPANTS_MAX;
use crate::meeting::bridge::AudioBridge;
use crate::meeting::leg::{LegEvent, LegMedia, LegRemoval};
use crate::meeting::participant::Joining;
use crate::meeting::peer::{Peer, PeerSetup};
use crate::meeting::phone::{LegSeed, PhoneLeg, RTCP_BYTES_MAX};
use crate::meeting::signal::{ByeReason, ServerMessage, Source, SourceState};
use crate::meeting::snapshot::SessionSnapshot;
use crate::meeting::speaker::Speaker;
use crate::meeting::track::{SeatId, Track, TrackCodec, TrackId};

mod browser;
mod chat;
mod host;
mod one_shot;
mod output;
mod phones;
mod publish;
mod rights;
mod seat;
mod select;
mod tick;
mod waiting;

#[cfg(test)]
mod tests;

use chat::ChatRoom;
pub use output::{BrowserPacket, Egress, LegSocket, SessionChange, SessionOutput};
use phones::rtcp_socket;
pub use rights::Holders;
use seat::{Browser, Media, Seat};
use waiting::Admitted;

/// What all sessions of a worker share.
#[derive(Debug)]
pub struct SessionSettings {
    /// How browsers reach this worker.
    pub peer: PeerSetup,
    /// Phones' voices towards browsers.
    pub opus: EncoderSettings,
}

/// Why a participant was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// `SESSION_PARTICIPANTS_MAX` are there.
    #[error("the session is full")]
    Full,
    /// The participant's preset does not let phones in.
    #[error("the preset does not allow phones")]
    PresetForbidsPhone,
    /// A SIP client in a browser offered what no connection can be made of.
    #[error("the offer cannot be used")]
    UnusableOffer,
}

/// What a session is called and whose it is.
#[derive(Debug, Clone)]
pub struct SessionName {
    /// The live instance.
    pub id: SessionId,
    /// Of which meeting.
    pub meeting: MeetingId,
    /// Its owner.
    pub organization: OrganizationId,
    /// Shown to browsers.
    pub title: String,
}

/// See the module.
pub struct Session {
    name: SessionName,
    settings: Arc<SessionSettings>,
    /// Of the settings, as load allows now.
    complexity: u8,
    rng: StdRng,
    started_at: Instant,
    started: bool,
    empty_since: Option<Instant>,
    /// In order of joining: seat numbers grow.
    seats: BTreeMap<SeatId, Seat>,
    /// How many of them are phones.
    phones: usize,
    /// A phone hears what is mixed; as of the last tick.
    has_ear: bool,
    tracks: BTreeMap<TrackId, Track>,
    next_track: u64,
    bridge: AudioBridge,
    speaker: Speaker,
    ticks: u64,
    /// Tick of everybody's last word, for players who cannot get everything.
    spoke_at: BTreeMap<ParticipantId, u64>,
    outputs: VecDeque<SessionOutput>,
    egress: Egress,
    /// Empty between ticks, kept for their room: phones with their tracks, peers that had something
    /// left to do.
    voices: Vec<(SeatId, TrackId)>,
    spoke: Vec<SeatId>,
    chat: ChatRoom,
    admitted: Admitted,
    /// Pressed since the last tick by phones that must enter a PIN.
    pin_keys: VecDeque<(SeatId, char)>,
}

impl Session {
    /// An empty session. `wallclock` is the time since the Unix epoch; `seed` comes from a
    /// cryptographic source: ICE passwords are drawn from it.
    pub fn new(
        now: Instant,
        wallclock: Duration,
        name: SessionName,
        settings: Arc<SessionSettings>,
        seed: [u8; 32],
    ) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let bridge = AudioBridge::new(settings.opus, rng.random());
        Self {
            name,
            complexity: settings.opus.complexity,
            settings,
            rng,
            started_at: now,
            started: false,
            empty_since: Some(now),
            seats: BTreeMap::new(),
            phones: 0,
            has_ear: false,
            tracks: BTreeMap::new(),
            next_track: 0,
            bridge,
            speaker: Speaker::new(),
            ticks: 0,
            spoke_at: BTreeMap::new(),
            outputs: VecDeque::new(),
            egress: Egress::default(),
            voices: Vec::new(),
            spoke: Vec::new(),
            chat: ChatRoom::new(now, wallclock),
            admitted: Admitted::default(),
            pin_keys: VecDeque::new(),
        }
    }

    // ── look ──────────────────────────────────────────────────────────────────────────────────

    /// Its names.
    pub fn name(&self) -> &SessionName {
        &self.name
    }

    /// Since when nobody is here; `None` while somebody is.
    pub fn empty_since(&self) -> Option<Instant> {
        self.empty_since
    }

    /// Somebody has been here.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Browsers and phones.
    pub fn population(&self) -> (usize, usize) {
        (self.seats.len() - self.phones, self.phones)
    }

    /// Who is here.
    pub fn snapshot(&self) -> SessionSnapshot {
        SessionSnapshot {
            session_id: self.name.id,
            meeting_id: self.name.meeting,
            organization: self.name.organization,
            started_at: self.started_at,
            participants: self.inside().map(Seat::view).collect(),
            waiting: self.waiting(),
        }
    }

    // ── come and go ───────────────────────────────────────────────────────────────────────────

    /// Gives a browser the seat; its first message is `Joined`, or `Waiting` if its preset makes it
    /// wait. Whoever has the same participant id is replaced.
    ///
    /// # Errors
    /// See [`JoinError`]; nothing has changed.
    pub fn join_browser(
        &mut self,
        now: Instant,
        seat: SeatId,
        joining: Joining,
        resume_token: String,
    ) -> Result<(), JoinError> {
        self.make_room(now, joining.id)?;
        let mut entry = Seat::new(now, joining, Media::Browser(Box::default()));
        entry.resume_token = resume_token;
        self.receive(now, seat, entry);
        Ok(())
    }

    /// Gives a phone the seat and publishes its voice, or lets it wait. Returns the answer to a SIP
    /// client in a browser.
    ///
    /// # Errors
    /// See [`JoinError`]; nothing has changed.
    pub fn join_phone(
        &mut self,
        now: Instant,
        seat: SeatId,
        joining: Joining,
        media: LegMedia,
    ) -> Result<Option<String>, JoinError> {
        if !joining.preset.phone {
            return Err(JoinError::PresetForbidsPhone);
        }
        let connection = match &media.webrtc_offer {
            Some(offer) => Some(self.connect_phone(now, offer)?),
            None => None,
        };
        self.make_room(now, joining.id)?;
        let seed = LegSeed {
            ssrc: self.rng.random(),
            sequence: self.rng.random(),
            timestamp: self.rng.random(),
            track_ssrc: self.rng.random(),
        };
        let mut leg = PhoneLeg::new(now, media, self.voice_settings(), seed);
        let answer = connection.map(|(connection, answer)| {
            if let Some(ufrag) = connection.ice_ufrag() {
                self.outputs.push_back(SessionOutput::Route { seat, ufrag });
            }
            leg.connect(connection);
            answer
        });
        let entry = Seat::new(now, joining, Media::Phone(Box::new(leg)));
        self.receive(now, seat, entry);
        self.flush_transmits(seat);
        Ok(answer)
    }

    /// Who has come walks in, or waits.
    fn receive(&mut self, now: Instant, seat: SeatId, entry: Seat) {
        self.empty_since = None;
        self.phones += usize::from(entry.is_phone());
        if self.must_wait(&entry) {
            self.let_wait(seat, entry);
        } else {
            self.walk_in(now, seat, entry);
        }
    }

    /// The seat is taken: it is told what there is, and everyone else of it.
    fn walk_in(&mut self, now: Instant, seat: SeatId, mut entry: Seat) {
        let phone = entry.is_phone();
        let speaks = phone && entry.may_produce(Source::Microphone);
        if speaks {
            let state = SourceState { muted: false };
            entry.sources.insert(Source::Microphone, state);
        }
        if !phone {
            let message = self.joined(&entry);
            self.signal(seat, message);
        }
        self.welcome(now, seat, entry);
        if speaks {
            self.publish(now, seat, Source::Microphone, TrackCodec::Opus);
        }
        self.greet_host(now, seat);
    }

    fn joined(&self, entry: &Seat) -> ServerMessage {
        let seen = self.inside().filter(|seat| !seat.is_hidden());
        ServerMessage::Joined {
            session_id: self.name.id,
            meeting_id: self.name.meeting,
            title: self.name.title.clone(),
            participant: entry.view(),
            participants: seen.map(Seat::view).collect(),
            resume_token: entry.resume_token.clone(),
            permissions: entry.permissions(),
            sip_uri: None,
            dial_in: Vec::new(),
            chat: self.chat.history(),
        }
    }

    fn make_room(&mut self, now: Instant, participant: ParticipantId) -> Result<(), JoinError> {
        let same = |(_, seat): &(&SeatId, &Seat)| seat.joining.id == participant;
        match self.seats.iter().find(same).map(|(seat, _)| *seat) {
            Some(seat) => self.remove(now, seat, ByeReason::Replaced),
            None if self.seats.len() >= SESSION_PARTICIPANTS_MAX => return Err(JoinError::Full),
            None => {}
        }
        Ok(())
    }

    fn welcome(&mut self, now: Instant, seat: SeatId, entry: Seat) {
        let view = entry.view();
        if !self.started {
            self.started = true;
            self.started_at = now;
            self.change(SessionChange::Started);
        }
        let hidden = entry.is_hidden();
        self.seats.insert(seat, entry);
        self.change(SessionChange::ParticipantJoined(view.clone()));
        if !hidden {
            let message = ServerMessage::ParticipantJoined { participant: view };
            self.broadcast(seat, &message);
        }
    }

    /// Ends a seat; others are told. Nothing happens if it has ended already.
    pub fn remove(&mut self, now: Instant, seat: SeatId, reason: ByeReason) {
        let Some(mut entry) = self.seats.remove(&seat) else {
            return;
        };
        let view = entry.view();
        let (waited, hidden) = (entry.waits, entry.is_hidden());
        let asked = !entry.requests.is_empty();
        for track in std::mem::take(&mut entry.published).into_values() {
            self.unpublish(now, track);
        }
        match entry.media {
            Media::Browser(mut browser) => {
                self.signal(seat, ServerMessage::Bye { reason });
                if let Some(peer) = &mut browser.peer {
                    peer.close();
                    take_transmits(&mut self.egress, seat, peer);
                }
                self.outputs.push_back(SessionOutput::BrowserGone { seat });
            }
            Media::Phone(mut leg) => {
                self.phones -= 1;
                self.end_leg(seat, &mut leg, reason);
            }
        }
        if self.phones == 0 {
            self.bridge.clear();
        }
        if self.seats.is_empty() {
            self.empty_since = Some(now);
        }
        if waited {
            return self.tell_waiting();
        }
        let participant_id = view.id;
        self.spoke_at.remove(&participant_id);
        for browser in self.seats.values_mut().filter_map(Seat::browser) {
            browser
                .wishes
                .retain(|(whose, _), _| *whose != participant_id);
        }
        if !hidden {
            self.broadcast(seat, &ServerMessage::ParticipantLeft { participant_id });
        }
        self.change(SessionChange::ParticipantLeft(view));
        if asked {
            self.tell_requests();
        }
    }

    fn end_leg(&mut self, seat: SeatId, leg: &mut PhoneLeg, reason: ByeReason) {
        let removal = match reason {
            ByeReason::Left => None,
            ByeReason::Kicked => Some(LegRemoval::Kicked),
            ByeReason::Denied => Some(LegRemoval::Denied),
            ByeReason::Replaced => Some(LegRemoval::Replaced),
            ByeReason::SessionEnded | ByeReason::Shutdown => Some(LegRemoval::SessionEnded),
            ByeReason::ConnectionLost | ByeReason::Internal => Some(LegRemoval::WorkerFailed),
        };
        if let Some(removal) = removal {
            let event = LegEvent::Removed(removal);
            self.outputs.push_back(SessionOutput::Leg { seat, event });
        }
        let mut buffer = [0; RTCP_BYTES_MAX];
        if let Some(peer) = leg.peer() {
            peer.close();
            take_transmits(&mut self.egress, seat, peer);
        } else if let Some((to, length)) = leg.write_goodbye(&mut buffer) {
            let socket = rtcp_socket(leg);
            self.egress.push_phone(seat, socket, to, &buffer[..length]);
        }
        let report = leg.report();
        self.outputs
            .push_back(SessionOutput::LegGone { seat, report });
    }

    /// Removes participants; how many were there.
    pub fn kick(&mut self, now: Instant, participants: &[ParticipantId]) -> usize {
        let chosen: Vec<SeatId> = self
            .seats
            .iter()
            .filter(|(_, seat)| participants.contains(&seat.joining.id))
            .map(|(seat, _)| *seat)
            .collect();
        for participant in participants {
            self.admitted.forget(*participant);
        }
        for seat in &chosen {
            self.remove(now, *seat, ByeReason::Kicked);
        }
        chosen.len()
    }

    /// Removes everyone; how many were there.
    pub fn end(&mut self, now: Instant, reason: ByeReason) -> usize {
        let everyone: Vec<SeatId> = self.seats.keys().copied().collect();
        for seat in &everyone {
            self.remove(now, *seat, reason);
        }
        everyone.len()
    }

    // ── drain ─────────────────────────────────────────────────────────────────────────────────

    /// Next message or event.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// Packets to send; clear it when they are sent.
    pub fn egress(&mut self) -> &mut Egress {
        &mut self.egress
    }

    fn signal(&mut self, seat: SeatId, message: ServerMessage) {
        self.outputs
            .push_back(SessionOutput::Signal { seat, message });
    }

    /// Everyone who has been let in.
    fn inside(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values().filter(|entry| !entry.waits)
    }

    /// To every browser but one.
    fn broadcast(&mut self, except: SeatId, message: &ServerMessage) {
        for (seat, entry) in &self.seats {
            if *seat != except && !entry.waits && !entry.is_phone() {
                let message = message.clone();
                let seat = *seat;
                self.outputs
                    .push_back(SessionOutput::Signal { seat, message });
            }
        }
    }

    fn change(&mut self, change: SessionChange) {
        self.outputs.push_back(SessionOutput::Change(change));
    }

    /// Tells everyone, the participant too, how it is now.
    fn broadcast_update(&mut self, seat: SeatId) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        if entry.waits {
            return;
        }
        let message = ServerMessage::ParticipantUpdated {
            participant: entry.view(),
        };
        let hidden = entry.is_hidden();
        if !entry.is_phone() {
            self.signal(seat, message.clone());
        }
        if !hidden {
            self.broadcast(seat, &message);
        }
    }
}

/// Puts what a peer wants to send into the egress.
fn take_transmits(egress: &mut Egress, seat: SeatId, peer: &mut Peer) {
    while let Some((to, bytes)) = peer.poll_transmit() {
        egress.browsers.push(BrowserPacket { seat, to, bytes });
    }
}
