//! What phones say: their sockets' datagrams and their calls' changes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;

use super::publish::TrackPacket;
use super::{JoinError, LegSocket, Media, Session, SessionChange, SessionOutput};
use crate::audio::opus::EncoderSettings;
use crate::id::ParticipantId;
use crate::meeting::ear::KeyError;
use crate::meeting::leg::{LegEvent, LegMedia, LegReport};
use crate::meeting::peer::{IncomingRtp, Peer, PeerOutput};
use crate::meeting::phone::{LegConnection, PassedPacket, PhoneLeg};
use crate::meeting::signal::{ServerMessage, Source};
use crate::meeting::track::{SeatId, Track};
use crate::rtp::discard::Discard;
use crate::rtp::dtmf::Key;
use crate::rtp::rtcp::ntp_from_unix;

impl Session {
    /// Figures until now of a phone's leg.
    pub fn leg_report(&self, participant: ParticipantId) -> Option<LegReport> {
        let mut seats = self.seats.values();
        let seat = seats.find(|seat| seat.joining.id == participant)?;
        match &seat.media {
            Media::Phone(leg) => Some(leg.report()),
            Media::Browser(_) => None,
        }
    }

    /// The participant has a seat.
    pub fn holds(&self, participant: ParticipantId) -> bool {
        let mut seats = self.seats.values();
        seats.any(|seat| seat.joining.id == participant)
    }

    /// Of a phone's voice towards browsers, as load allows now.
    pub(super) fn voice_settings(&self) -> EncoderSettings {
        EncoderSettings {
            complexity: self.complexity,
            ..self.settings.opus
        }
    }

    /// Steps the effort of the phones' encoders, 0–10.
    pub fn set_complexity(&mut self, complexity: u8) {
        self.complexity = complexity;
        for seat in self.seats.values_mut() {
            if let Some(leg) = seat.phone() {
                leg.set_complexity(complexity);
            }
        }
    }

    /// Takes a datagram of a phone's RTP socket. `wallclock` is the time since the Unix epoch.
    ///
    /// # Errors
    /// The packet was not used; to be counted.
    pub fn handle_phone_rtp(
        &mut self,
        arrival: Instant,
        wallclock: Duration,
        seat: SeatId,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let Some(leg) = self.seats.get_mut(&seat).and_then(super::Seat::phone) else {
            return Ok(());
        };
        let taken = leg.handle_rtp(arrival, ntp_from_unix(wallclock), from, datagram);
        if let Some(passed) = leg.take_passed() {
            self.pass_on(arrival, seat, &passed);
        }
        if let Some(event) = taken? {
            self.leg_event(seat, event);
        }
        Ok(())
    }

    /// Gives browsers a packet of a phone that speaks Opus as it is: neither decoded nor encoded.
    fn pass_on(&mut self, now: Instant, seat: SeatId, passed: &PassedPacket) {
        let published = self.seats.get(&seat).map(|entry| &entry.published);
        let Some(id) = published
            .and_then(|all| all.get(&Source::Microphone))
            .copied()
        else {
            return;
        };
        if self.tracks.get(&id).is_none_or(Track::is_muted) {
            return;
        }
        let packet = TrackPacket {
            ssrc: passed.ssrc,
            sequence: passed.voice.sequence,
            timestamp: passed.voice.timestamp,
            marker: passed.voice.marker,
            begins: false,
            payload: &passed.voice.payload,
        };
        match passed.is_voice {
            true => self.fan_out(now, id, &packet),
            false => self.skip_packet(now, id, &packet),
        }
    }

    /// Takes a datagram of a phone's RTCP socket.
    ///
    /// # Errors
    /// The packet was not used; to be counted.
    pub fn handle_phone_rtcp(
        &mut self,
        arrival: Instant,
        wallclock: Duration,
        seat: SeatId,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        match self.seats.get_mut(&seat).and_then(super::Seat::phone) {
            Some(leg) => leg.handle_rtcp(arrival, ntp_from_unix(wallclock), from, datagram),
            None => Ok(()),
        }
    }

    /// Makes the connection of a SIP client in a browser, and its answer.
    pub(super) fn connect_phone(
        &mut self,
        now: Instant,
        offer: &str,
    ) -> Result<(LegConnection, String), JoinError> {
        let (ufrag, password) = self.ice_words();
        let ssrc = self.rng.random();
        let setup = &self.settings.peer;
        Peer::answer_phone(now, setup, &ufrag, &password, offer, ssrc)
            .map(|(peer, answer, slot)| (LegConnection::new(peer, slot), answer))
            .map_err(|_| JoinError::UnusableOffer)
    }

    /// Acts on what a phone's connection has to say.
    pub(super) fn drain_connection(&mut self, now: Instant, seat: SeatId) {
        while let Some(output) = self.peer(seat).and_then(Peer::poll_output) {
            let event = match output {
                PeerOutput::Rtp(packet) => self.handle_connection_rtp(seat, &packet),
                PeerOutput::Closed | PeerOutput::Lost => Some(LegEvent::MediaLost),
                PeerOutput::Connected | PeerOutput::KeyframeWanted(_) => None,
            };
            if let Some(passed) = self.phone(seat).and_then(PhoneLeg::take_passed) {
                self.pass_on(now, seat, &passed);
            }
            if let Some(event) = event {
                self.leg_event(seat, event);
            }
        }
    }

    fn handle_connection_rtp(&mut self, seat: SeatId, packet: &IncomingRtp) -> Option<LegEvent> {
        // What cannot be used is counted by the leg.
        self.phone(seat)?.handle_connection_rtp(packet).ok()?
    }

    fn phone(&mut self, seat: SeatId) -> Option<&mut PhoneLeg> {
        self.seats.get_mut(&seat).and_then(super::Seat::phone)
    }

    /// A later offer/answer exchange changed the phone's media, or it went on or off hold.
    pub fn update_phone(&mut self, now: Instant, seat: SeatId, media: LegMedia, on_hold: bool) {
        let Some(leg) = self.seats.get_mut(&seat).and_then(super::Seat::phone) else {
            return;
        };
        let changed = leg.is_on_hold() != on_hold;
        leg.update(now, media, on_hold);
        if changed {
            self.broadcast_update(seat);
        }
    }

    /// The phone pressed a key and said so in signalling (SIP INFO) instead of in its RTP.
    pub fn press(&mut self, seat: SeatId, digit: char) {
        if self
            .seats
            .get_mut(&seat)
            .and_then(super::Seat::phone)
            .is_some()
        {
            self.leg_event(seat, LegEvent::Dtmf(digit));
        }
    }

    /// Sends keys to a phone's ear; `None` if there is no such phone.
    pub fn send_keys(&mut self, seat: SeatId, keys: &[Key]) -> Option<Result<(), KeyError>> {
        let leg = self.seats.get_mut(&seat).and_then(super::Seat::phone)?;
        Some(leg.send_keys(keys))
    }

    pub(super) fn leg_event(&mut self, seat: SeatId, event: LegEvent) {
        if let LegEvent::Dtmf(digit) = event
            && self.take_pin_key(seat, digit)
        {
            // Part of a secret: nobody else learns it.
            return;
        }
        let inside = self.seats.get(&seat).filter(|entry| !entry.waits);
        if let (LegEvent::Dtmf(digit), Some(entry)) = (&event, inside) {
            let (digit, participant_id) = (*digit, entry.joining.id);
            let message = ServerMessage::Dtmf {
                participant_id,
                digit,
            };
            self.broadcast(seat, &message);
            self.change(SessionChange::Dtmf {
                participant: participant_id,
                digit,
            });
        }
        self.outputs.push_back(SessionOutput::Leg { seat, event });
    }
}

/// Where RTCP to a phone leaves from.
pub(super) fn rtcp_socket(leg: &PhoneLeg) -> LegSocket {
    if leg.has_rtcp_mux() {
        LegSocket::Rtp
    } else {
        LegSocket::Rtcp
    }
}
