//! What a browser says, over its WebSocket and over the wire.

use std::net::SocketAddr;
use std::time::Instant;

use rand::Rng;
use rand::distr::Alphanumeric;

use super::publish::TrackPacket;
use super::{Media, Session, SessionOutput};
use crate::meeting::layer::Wish;
use crate::meeting::peer::{IncomingRtp, Peer, PeerError, PeerOutput};
use crate::meeting::picture;
use crate::meeting::signal::{
    ByeReason, ClientMessage, ServerMessage, Source, SourceMid, SourceState,
};
use crate::meeting::track::{SeatId, TrackCodec, TrackId};

/// ICE user name fragment and password (RFC 8445 §5.3 asks for 24 and 128 bits): 95 and 190.
const UFRAG_CHARS: usize = 16;
const PASSWORD_CHARS: usize = 32;

impl Session {
    /// Takes a message of a browser's WebSocket.
    pub fn handle_client(&mut self, now: Instant, seat: SeatId, message: ClientMessage) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        if entry.is_phone() {
            return;
        }
        if entry.waits && !matches!(message, ClientMessage::Leave | ClientMessage::Ping) {
            return self.refuse(seat, "waiting", "You have not been let in yet.");
        }
        match message {
            ClientMessage::Offer { sdp, sources } => self.handle_offer(now, seat, &sdp, &sources),
            ClientMessage::OneShot { sdp, role } => self.handle_one_shot(now, seat, &sdp, role),
            ClientMessage::Answer { sdp } => self.handle_answer(now, seat, &sdp),
            ClientMessage::Mute { source, muted } => self.mute_by_self(now, seat, source, muted),
            ClientMessage::ChatSend { text, to } => self.chat_send(now, seat, text, to),
            ClientMessage::Broadcast { kind, payload } => {
                self.broadcast_payload(now, seat, kind, payload);
            }
            ClientMessage::Reaction { emoji } => self.react(now, seat, emoji),
            ClientMessage::Kick { participant_ids } => self.kick_by(now, seat, &participant_ids),
            ClientMessage::MuteParticipant {
                participant_id,
                source,
                muted,
            } => self.mute_by(now, seat, participant_id, source, muted),
            ClientMessage::MuteAll => self.mute_all_by(now, seat),
            ClientMessage::Admit { participant_ids } => self.admit_by(now, seat, &participant_ids),
            ClientMessage::Deny { participant_ids } => self.deny_by(now, seat, &participant_ids),
            ClientMessage::RequestProduce { source } => self.request_produce(seat, source),
            ClientMessage::GrantProduce {
                participant_id,
                source,
                allowed,
            } => self.grant_produce(now, seat, participant_id, source, allowed),
            ClientMessage::Subscribe {
                participant_id,
                source,
                max_width,
                visible,
            } => {
                let max_width = max_width.map(|width| u16::try_from(width).unwrap_or(u16::MAX));
                let wish = Wish { max_width, visible };
                self.handle_subscribe(now, seat, participant_id, source, wish);
            }
            ClientMessage::Leave => self.remove(now, seat, ByeReason::Left),
            ClientMessage::Ping => self.signal(seat, ServerMessage::Pong),
            ClientMessage::Join { .. } => {
                self.refuse(seat, "already_joined", "You are in already.")
            }
        }
    }

    fn handle_offer(&mut self, now: Instant, seat: SeatId, sdp: &str, sources: &[SourceMid]) {
        let made = match self.peer(seat) {
            Some(peer) => peer.handle_offer(now, sdp),
            None => self.connect(now, seat, sdp, sources),
        };
        self.answer_offer(now, seat, made);
    }

    /// Says what became of a client's offer.
    pub(super) fn answer_offer(
        &mut self,
        now: Instant,
        seat: SeatId,
        made: Result<String, PeerError>,
    ) {
        match made {
            Ok(sdp) => {
                if let Some(ufrag) = self.peer(seat).and_then(|peer| peer.ice_ufrag()) {
                    self.outputs.push_back(SessionOutput::Route { seat, ufrag });
                }
                self.signal(seat, ServerMessage::Answer { sdp });
                self.flush_transmits(seat);
            }
            Err(error) => self.refuse_description(now, seat, error),
        }
    }

    /// An ICE user name fragment and password.
    pub(super) fn ice_words(&mut self) -> (String, String) {
        let mut word = |chars: usize| -> String {
            let letters = (&mut self.rng).sample_iter(Alphanumeric);
            letters.take(chars).map(char::from).collect()
        };
        (word(UFRAG_CHARS), word(PASSWORD_CHARS))
    }

    fn connect(
        &mut self,
        now: Instant,
        seat: SeatId,
        sdp: &str,
        sources: &[SourceMid],
    ) -> Result<String, PeerError> {
        let (ufrag, password) = self.ice_words();
        let setup = &self.settings.peer;
        let (peer, answer) = Peer::answer(now, setup, &ufrag, &password, sdp, sources)?;
        self.seat_peer(now, seat, peer);
        Ok(answer)
    }

    /// The browser's connection is there: what it may send is published, what there is it gets.
    pub(super) fn seat_peer(&mut self, now: Instant, seat: SeatId, peer: Peer) {
        let offered: Vec<Source> = peer.sources().iter().map(|of| of.source).collect();
        let Some(entry) = self.seats.get_mut(&seat) else {
            return;
        };
        let allowed: Vec<Source> = offered
            .into_iter()
            .filter(|source| entry.may_produce(*source))
            .collect();
        for source in &allowed {
            // A camera has no track until it is turned on; a microphone is there to speak.
            let muted = *source != Source::Microphone;
            entry
                .sources
                .entry(*source)
                .or_insert(SourceState { muted });
        }
        if let Some(browser) = entry.browser() {
            browser.peer = Some(peer);
        }
        if !allowed.is_empty() {
            self.broadcast_update(seat);
        }
        self.subscribe_to_all(now, seat);
        if allowed.contains(&Source::Microphone) {
            self.publish(now, seat, Source::Microphone, TrackCodec::Opus);
        }
    }

    fn handle_answer(&mut self, now: Instant, seat: SeatId, sdp: &str) {
        let Some(peer) = self.peer(seat) else {
            return self.refuse_description(now, seat, PeerError::UnexpectedAnswer);
        };
        match peer.handle_answer(now, sdp) {
            Ok(()) => {
                self.drain_peer(now, seat);
                self.begin_video(now, seat);
            }
            Err(PeerError::UnexpectedAnswer) => {
                self.refuse_description(now, seat, PeerError::UnexpectedAnswer);
            }
            // The two ends no longer agree on what the m-lines are: start again.
            Err(error) => {
                self.refuse_description(now, seat, error);
                self.remove(now, seat, ByeReason::ConnectionLost);
            }
        }
    }

    fn refuse_description(&mut self, _now: Instant, seat: SeatId, error: PeerError) {
        let code = match error {
            PeerError::Glare => "glare",
            PeerError::UnexpectedAnswer => "unexpected_answer",
            PeerError::TooLarge => "description_too_large",
            PeerError::Unusable => "bad_description",
        };
        self.refuse(seat, code, &error.to_string());
    }

    pub(super) fn refuse(&mut self, seat: SeatId, code: &str, message: &str) {
        let (code, message) = (code.to_owned(), message.to_owned());
        self.signal(seat, ServerMessage::Error { code, message });
    }

    /// Takes a datagram of a browser; `arrival` is the kernel's receive time.
    pub fn handle_datagram(
        &mut self,
        arrival: Instant,
        seat: SeatId,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some(peer) = self.peer(seat) {
            peer.handle_datagram(arrival, from, bytes);
            self.drain_peer(arrival, seat);
        }
    }

    /// Gives the browsers' connections their timeouts; to be called every few milliseconds.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |media: &Media| match media {
            Media::Browser(browser) => browser
                .peer
                .as_ref()
                .and_then(Peer::next_timeout)
                .is_some_and(|at| at <= now),
            Media::Phone(leg) => leg.next_timeout().is_some_and(|at| at <= now),
        };
        let seats: Vec<SeatId> = self
            .seats
            .iter()
            .filter(|(_, entry)| due(&entry.media))
            .map(|(seat, _)| *seat)
            .collect();
        for seat in seats {
            if let Some(peer) = self.peer(seat) {
                peer.handle_timeout(now);
            }
            self.drain_peer(now, seat);
            self.offer(now, seat);
        }
    }

    /// Acts on everything a peer has to say.
    pub(super) fn drain_peer(&mut self, now: Instant, seat: SeatId) {
        self.flush_transmits(seat);
        if self.seats.get(&seat).is_some_and(super::Seat::is_phone) {
            return self.drain_connection(now, seat);
        }
        while let Some(output) = self.peer(seat).and_then(Peer::poll_output) {
            match output {
                PeerOutput::Rtp(packet) => self.handle_rtp(now, seat, &packet),
                PeerOutput::KeyframeWanted(slot) => self.relay_keyframe_request(now, seat, slot),
                PeerOutput::Connected => self.begin_video(now, seat),
                PeerOutput::Closed => self.remove(now, seat, ByeReason::Left),
                PeerOutput::Lost => self.remove(now, seat, ByeReason::ConnectionLost),
            }
        }
    }

    fn handle_rtp(&mut self, now: Instant, seat: SeatId, packet: &IncomingRtp) {
        let Some(id) = self.track_of(now, seat, packet) else {
            return;
        };
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        let keyframe = picture::keyframe(track.codec, &packet.payload);
        let forwarded = TrackPacket {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            begins: keyframe.is_some(),
            payload: &packet.payload,
        };
        let width = keyframe.and_then(|keyframe| keyframe.width);
        let heard = (packet.ssrc, packet.payload.len());
        let changed = track.layers.heard(now, heard.0, heard.1, width);
        if track.is_muted() {
            return;
        }
        // Without RTX Chrome probes for bandwidth with packets of padding alone.
        if packet.payload.is_empty() {
            return self.skip_packet(now, id, &forwarded);
        }
        let participant = track.participant;
        if changed {
            self.aim_track(now, id);
        }
        if packet.source == Source::Microphone {
            if let Some(level) = packet.level {
                self.speaker.heard(participant, level);
            }
            if self.has_ear {
                self.bridge.handle_packet(id, packet);
            }
        }
        self.fan_out(now, id, &forwarded);
    }

    /// The track a packet belongs to; publishes it with its first real packet.
    fn track_of(&mut self, now: Instant, seat: SeatId, packet: &IncomingRtp) -> Option<TrackId> {
        let source = packet.source;
        let entry = self.seats.get(&seat)?;
        let published = entry.published.get(&source).copied();
        if packet.payload.is_empty() {
            return published;
        }
        if let Some(id) = published {
            if self.tracks.get(&id)?.codec == packet.codec {
                self.unmute_undeclared(seat, source, id);
                return Some(id);
            }
            // The browser has changed its mind about the codec.
            self.unpublish(now, id);
        } else if !entry.may_produce(source) {
            return None;
        }
        let id = self.publish(now, seat, source, packet.codec)?;
        self.unmute_undeclared(seat, source, id);
        Some(id)
    }

    /// A source nobody has spoken about is on when packets of it come.
    fn unmute_undeclared(&mut self, seat: SeatId, source: Source, id: TrackId) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        if !track.muted_by_self {
            return;
        }
        let Some(entry) = self.seats.get_mut(&seat) else {
            return;
        };
        let declared = entry
            .browser()
            .is_some_and(|b| b.declared.contains(&source));
        if declared {
            return;
        }
        track.muted_by_self = false;
        let muted = track.is_muted();
        entry.sources.insert(source, SourceState { muted });
        self.broadcast_update(seat);
    }
}
