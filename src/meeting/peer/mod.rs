//! Our end of one browser's WebRTC connection: ICE-lite, DTLS server, SRTP, driven sans-IO over
//! `rtc`, which is named nowhere else in `meeting`.
//!
//! The browser makes the first offer; afterwards only we offer, when what we send has changed, one
//! offer at a time. What we send goes out through *slots*: a slot is one m-line with a codec and an
//! SSRC of its own, which carries one track at a time and is used again when that track has gone,
//! so the description stays as long as the most tracks there ever were.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{
    RTCRtpTransceiverDirection, RTCRtpTransceiverId, RTCRtpTransceiverInit,
};
use rtc::sansio::Protocol;
use rtc::shared::error::Error as RtcError;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use self::description::Description;
use crate::limits::{PEER_DESCRIPTION_BYTES_MAX, PEER_FIRST_OFFER_SECTIONS_MAX};
use crate::meeting::signal::Source;
use crate::meeting::signal::SourceMid;
use crate::meeting::track::{TrackCodec, TrackKind};

mod description;
mod keyframe;
mod setup;

#[cfg(test)]
pub(crate) mod double;

pub use setup::{Certificate, PeerSetup};

/// Changes within this time go into one offer: tracks come in pairs, people in groups.
const OFFER_DEBOUNCE: Duration = Duration::from_millis(30);

/// A browser that has not answered our offer by then is gone, whatever its socket says.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);

/// ICE and DTLS take 100 ms on a good path; a browser that needs longer than this will not make it.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Why a description was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// An offer while ours is unanswered: roll back, answer ours, then offer again.
    #[error("our offer is still unanswered")]
    Glare,
    /// An answer to no offer.
    #[error("no offer of ours is waiting for an answer")]
    UnexpectedAnswer,
    /// Too long or too many m-lines.
    #[error("the description is too large")]
    TooLarge,
    /// Not a description we can use.
    #[error("the description cannot be used")]
    Unusable,
}

/// One RTP packet of the browser, decrypted.
#[derive(Debug, Clone)]
pub struct IncomingRtp {
    /// Kernel's receive time.
    pub arrival: Instant,
    /// Which of the browser's m-lines it came on, as an index into [`Peer::sources`].
    pub source: Source,
    /// Encoding, from the payload type.
    pub codec: TrackCodec,
    /// Its stream.
    pub ssrc: u32,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// RTP payload type as the browser numbers it.
    pub payload_type: u8,
    /// −dBov of the RFC 6464 extension, 0–127.
    pub level: Option<u8>,
    /// Without padding; empty for a padding-only packet.
    pub payload: Bytes,
}

/// What a peer tells its session.
#[derive(Debug)]
pub enum PeerOutput {
    /// A media packet.
    Rtp(IncomingRtp),
    /// The browser needs a keyframe of what the slot carries.
    KeyframeWanted(SlotId),
    /// Media can flow both ways.
    Connected,
    /// The browser closed the connection.
    Closed,
    /// The connection was lost, never came about, or the browser stopped answering.
    Lost,
}

/// Index of a slot; never invalid for its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId(usize);

#[cfg(test)]
impl SlotId {
    /// A slot of no peer, for tests of what only carries slots around.
    pub fn for_test(index: usize) -> Self {
        Self(index)
    }
}

#[derive(Debug)]
struct Slot {
    transceiver: RTCRtpTransceiverId,
    ssrc: u32,
    codec: TrackCodec,
    /// Carries a track now.
    taken: bool,
    /// The offer on its way, or answered, shows it as taken.
    offered: bool,
    /// An offer that shows it as taken has been answered.
    agreed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Negotiation {
    Stable,
    HaveLocalOffer { since: Instant },
}

/// See the module.
pub struct Peer {
    connection: RTCPeerConnection,
    local: SocketAddr,
    candidates: Vec<String>,
    created_at: Instant,
    negotiation: Negotiation,
    /// An offer is wanted, not before this time.
    offer_due: Option<Instant>,
    slots: Vec<Slot>,
    /// The browser's m-lines.
    sources: Vec<SourceMid>,
    /// Its payload types.
    payload_types: HashMap<u8, TrackCodec>,
    audio_level_id: Option<u8>,
    /// Its streams.
    streams: HashMap<u32, Source>,
    connected: bool,
    ended: bool,
    deadline: Option<Instant>,
    /// Packets went through the short path since the last full pump.
    pump_due: bool,
    outputs: VecDeque<PeerOutput>,
    transmits: VecDeque<(SocketAddr, BytesMut)>,
}

impl Peer {
    /// Answers a browser's first offer. The second value is our description.
    ///
    /// `ufrag` and `password` are ours, from a cryptographic source (RFC 8445 §5.3: 24 and 128
    /// bits at least, of letters and digits).
    ///
    /// # Errors
    /// The browser must be told; nothing is left behind.
    pub fn answer(
        now: Instant,
        setup: &PeerSetup,
        ufrag: &str,
        password: &str,
        offer: &str,
        sources: &[SourceMid],
    ) -> Result<(Self, String), PeerError> {
        if offer.len() > PEER_DESCRIPTION_BYTES_MAX {
            return Err(PeerError::TooLarge);
        }
        let read = Description::read(offer);
        if read.sections.len() > PEER_FIRST_OFFER_SECTIONS_MAX {
            return Err(PeerError::TooLarge);
        }
        let has = |kind| {
            read.sections
                .iter()
                .any(|section| section.kind == Some(kind))
        };
        let connection = setup
            .connect(now, ufrag, password, has(TrackKind::Video))
            .map_err(unusable)?;
        let mut peer = Self {
            connection,
            local: setup.local,
            candidates: setup.candidates.clone(),
            created_at: now,
            negotiation: Negotiation::Stable,
            offer_due: None,
            slots: Vec::new(),
            sources: assign_sources(&read, sources),
            payload_types: HashMap::new(),
            audio_level_id: None,
            streams: HashMap::new(),
            connected: false,
            ended: false,
            deadline: None,
            pump_due: false,
            outputs: VecDeque::new(),
            transmits: VecDeque::new(),
        };
        let answer = peer.accept(now, offer)?;
        Ok((peer, answer))
    }

    /// Answers a later offer of the browser (an ICE restart).
    ///
    /// # Errors
    /// [`PeerError::Glare`] while our own offer is unanswered; the connection goes on as it was.
    pub fn handle_offer(&mut self, now: Instant, offer: &str) -> Result<String, PeerError> {
        if offer.len() > PEER_DESCRIPTION_BYTES_MAX {
            return Err(PeerError::TooLarge);
        }
        if self.negotiation != Negotiation::Stable {
            return Err(PeerError::Glare);
        }
        self.accept(now, offer)
    }

    fn accept(&mut self, now: Instant, offer: &str) -> Result<String, PeerError> {
        let offer = RTCSessionDescription::offer(description::without_candidates(offer))
            .map_err(unusable)?;
        self.connection
            .set_remote_description(now, offer)
            .map_err(unusable)?;
        let answer = self.connection.create_answer(None).map_err(unusable)?;
        let text = description::with_candidates(&answer.sdp, &self.candidates);
        self.connection
            .set_local_description(now, answer)
            .map_err(unusable)?;
        self.learn_formats(&Description::read(&text));
        self.pump();
        Ok(text)
    }

    /// Our ICE user name fragment, by which the browser's checks are found; it changes with an ICE
    /// restart.
    pub fn ice_ufrag(&self) -> Option<String> {
        let local = self.connection.local_description()?;
        Description::read(&local.sdp).ice_ufrag
    }

    /// The browser's m-lines that carry something.
    pub fn sources(&self) -> &[SourceMid] {
        &self.sources
    }

    /// Media can flow.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    // ── slots ─────────────────────────────────────────────────────────────────────────────────

    /// Takes a free slot for a track of this codec, or makes one with this SSRC; it carries
    /// packets after the next offer has been answered.
    ///
    /// # Errors
    /// The connection does not take another m-line; the track is not sent to this browser.
    pub fn take_slot(
        &mut self,
        now: Instant,
        codec: TrackCodec,
        ssrc: u32,
    ) -> Result<SlotId, PeerError> {
        let free = self
            .slots
            .iter()
            .position(|slot| !slot.taken && slot.codec == codec);
        let index = match free {
            Some(index) => index,
            None => self.add_slot(codec, ssrc)?,
        };
        self.direct(index, RTCRtpTransceiverDirection::Sendonly);
        let slot = &mut self.slots[index];
        (slot.taken, slot.offered, slot.agreed) = (true, false, false);
        self.want_offer(now);
        Ok(SlotId(index))
    }

    fn add_slot(&mut self, codec: TrackCodec, ssrc: u32) -> Result<usize, PeerError> {
        let kind = match codec.kind() {
            TrackKind::Audio => RtpCodecKind::Audio,
            TrackKind::Video => RtpCodecKind::Video,
        };
        let index = self.slots.len();
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..Default::default()
            },
            codec: setup::rtp_codec(codec),
            ..Default::default()
        };
        let name = format!("ringbridge-{index}");
        let track = MediaStreamTrack::new(
            name.clone(),
            format!("{name}-track"),
            name.clone(),
            kind,
            vec![encoding.clone()],
        );
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec![name],
            send_encodings: vec![encoding],
        };
        let transceiver = self
            .connection
            .add_transceiver_from_track(track, Some(init))
            .map_err(unusable)?;
        self.slots.push(Slot {
            transceiver,
            ssrc,
            codec,
            taken: false,
            offered: false,
            agreed: false,
        });
        Ok(index)
    }

    /// Gives a slot back.
    pub fn free_slot(&mut self, now: Instant, slot: SlotId) {
        let freed = &mut self.slots[slot.0];
        (freed.taken, freed.offered, freed.agreed) = (false, false, false);
        self.direct(slot.0, RTCRtpTransceiverDirection::Inactive);
        self.want_offer(now);
    }

    fn direct(&mut self, index: usize, direction: RTCRtpTransceiverDirection) {
        let id = self.slots[index].transceiver;
        if let Some(mut transceiver) = self.connection.rtp_transceiver(id) {
            transceiver.set_direction(direction);
        }
    }

    /// `a=mid` of a slot's m-line, once it has been offered.
    pub fn slot_mid(&mut self, slot: SlotId) -> Option<String> {
        let id = self.slots[slot.0].transceiver;
        self.connection.rtp_transceiver(id)?.mid().clone()
    }

    /// Packets sent now through the slot will be played.
    pub fn is_open(&self, slot: SlotId) -> bool {
        let slot = &self.slots[slot.0];
        self.connected && slot.taken && slot.agreed
    }

    /// Sends one packet through an open slot; through others nothing.
    pub fn send(&mut self, now: Instant, slot: SlotId, packet: OutgoingRtp) {
        if !self.is_open(slot) {
            return;
        }
        let slot = &self.slots[slot.0];
        let (ssrc, codec) = (slot.ssrc, slot.codec);
        let Some(payload_type) = self.payload_type(codec) else {
            return;
        };
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker: packet.marker,
                payload_type,
                sequence_number: packet.sequence,
                timestamp: packet.timestamp,
                ssrc,
                ..Default::default()
            },
            payload: packet.payload,
        };
        // The sender's own `write_rtp` checks what `is_open` and `payload_type` have checked, and
        // allocates for it.
        let message = RTCMessage::RtpPacket(String::new(), packet);
        let _refused_packets_are_lost_packets = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
        self.drain_transmits();
        self.pump_due = true;
    }

    fn payload_type(&self, codec: TrackCodec) -> Option<u8> {
        let entry = self
            .payload_types
            .iter()
            .find(|(_, known)| **known == codec);
        entry.map(|(payload_type, _)| *payload_type)
    }

    /// Asks the browser for a keyframe of a stream it sends.
    pub fn request_keyframe(&mut self, now: Instant, ssrc: u32) {
        let request = PictureLossIndication {
            sender_ssrc: 0,
            media_ssrc: ssrc,
        };
        let message = RTCMessage::RtcpPacket(String::new(), vec![Box::new(request)]);
        let _lost_as_packets_are = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
        self.drain_transmits();
    }

    // ── our offers ────────────────────────────────────────────────────────────────────────────

    /// What we send has changed.
    fn want_offer(&mut self, now: Instant) {
        self.offer_due.get_or_insert(now + OFFER_DEBOUNCE);
    }

    /// Makes the offer that is due, if one is.
    pub fn poll_offer(&mut self, now: Instant) -> Option<String> {
        let due = self.offer_due.is_some_and(|due| due <= now);
        if !due || self.negotiation != Negotiation::Stable || self.ended {
            return None;
        }
        self.offer_due = None;
        let made = self.connection.create_offer(None).and_then(|offer| {
            let text = offer.sdp.clone();
            self.connection.set_local_description(now, offer)?;
            Ok(text)
        });
        match made {
            Ok(text) => {
                self.negotiation = Negotiation::HaveLocalOffer { since: now };
                for slot in &mut self.slots {
                    slot.offered = slot.taken;
                }
                self.pump();
                Some(description::with_candidates(&text, &self.candidates))
            }
            Err(_) => {
                self.end(PeerOutput::Lost);
                None
            }
        }
    }

    /// Takes the browser's answer to our offer.
    ///
    /// # Errors
    /// After [`PeerError::Unusable`] the two ends disagree: remove the browser.
    pub fn handle_answer(&mut self, now: Instant, answer: &str) -> Result<(), PeerError> {
        if answer.len() > PEER_DESCRIPTION_BYTES_MAX {
            return Err(PeerError::TooLarge);
        }
        if self.negotiation == Negotiation::Stable {
            return Err(PeerError::UnexpectedAnswer);
        }
        let read = Description::read(answer);
        let answer = RTCSessionDescription::answer(description::without_candidates(answer))
            .map_err(unusable)?;
        self.connection
            .set_remote_description(now, answer)
            .map_err(unusable)?;
        self.negotiation = Negotiation::Stable;
        self.learn_formats(&read);
        for slot in &mut self.slots {
            slot.agreed = slot.offered;
        }
        self.pump();
        Ok(())
    }

    fn learn_formats(&mut self, description: &Description) {
        for section in &description.sections {
            self.payload_types.extend(section.codecs.iter().copied());
            if section.audio_level_id.is_some() {
                self.audio_level_id = section.audio_level_id;
            }
        }
    }

    // ── packets and time ──────────────────────────────────────────────────────────────────────

    /// Takes a datagram of the browser.
    pub fn handle_datagram(&mut self, arrival: Instant, from: SocketAddr, bytes: &[u8]) {
        if self.ended {
            return;
        }
        let message = TaggedBytesMut {
            now: arrival,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(bytes),
        };
        let _garbage_changes_nothing = self.connection.handle_read(message);
        if self.connected && is_plain_rtp(bytes) {
            // Each poll walks all eight layers of `rtc`: for media only the last one matters.
            self.pump_due = true;
            self.drain_media(arrival);
        } else {
            self.pump();
        }
    }

    /// Earliest time [`Peer::handle_timeout`] has something to do; a peer that is connecting wants
    /// to be asked often.
    pub fn next_timeout(&self) -> Option<Instant> {
        let answer_by = match self.negotiation {
            Negotiation::HaveLocalOffer { since } => Some(since + ANSWER_WAIT_MAX),
            Negotiation::Stable => self.offer_due,
        };
        let connect_by = (!self.connected).then(|| self.created_at + CONNECT_WAIT_MAX);
        [self.deadline, answer_by, connect_by]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let _a_layer_that_fails_reports_by_state = self.connection.handle_timeout(now);
            self.pump();
        }
        let unanswered = matches!(self.negotiation, Negotiation::HaveLocalOffer { since }
            if since + ANSWER_WAIT_MAX <= now);
        let unconnected = !self.connected && self.created_at + CONNECT_WAIT_MAX <= now;
        if unanswered || unconnected {
            self.end(PeerOutput::Lost);
        }
    }

    /// Does what the short path left undone; once per tick is enough. True if there was anything.
    pub fn catch_up(&mut self) -> bool {
        let due = self.pump_due && !self.ended;
        if due {
            self.pump();
        }
        due
    }

    /// Says goodbye to the browser; drain the outputs, then drop the peer.
    pub fn close(&mut self) {
        self.ended = true;
        let _closed_either_way = self.connection.close();
        self.drain_transmits();
    }

    /// Next datagram for the browser, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, BytesMut)> {
        self.transmits.pop_front()
    }

    /// Next output.
    pub fn poll_output(&mut self) -> Option<PeerOutput> {
        self.outputs.pop_front()
    }

    fn end(&mut self, how: PeerOutput) {
        if !self.ended {
            self.ended = true;
            self.outputs.push_back(how);
        }
    }

    fn pump(&mut self) {
        self.pump_due = false;
        loop {
            let mut moved = false;
            // SRTP keys are installed by the sweep inside poll_event: without it no media flows.
            while let Some(event) = self.connection.poll_event() {
                moved = true;
                self.handle_event(event);
            }
            while let Some(message) = self.connection.poll_read() {
                moved = true;
                self.handle_message(message);
            }
            if !moved {
                break;
            }
        }
        self.drain_transmits();
        self.deadline = self.connection.poll_timeout();
    }

    fn drain_media(&mut self, now: Instant) {
        while let Some(message) = self.connection.poll_media_read() {
            if let RTCMessage::RtpPacket(_, packet) = &message.message
                && !self.streams.contains_key(&packet.header.ssrc)
            {
                // The event that names the new stream's m-line is still inside.
                while let Some(event) = self.connection.poll_event() {
                    self.handle_event(event);
                }
                self.deadline = Some(now);
            }
            self.handle_message(message);
        }
    }

    fn drain_transmits(&mut self) {
        while let Some(transmit) = self.connection.poll_write() {
            let to = transmit.transport.peer_addr;
            self.transmits.push_back((to, transmit.message));
        }
    }

    fn handle_event(&mut self, event: RTCPeerConnectionEvent) {
        match event {
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                RTCPeerConnectionState::Connected if !self.connected => {
                    self.connected = true;
                    self.outputs.push_back(PeerOutput::Connected);
                }
                RTCPeerConnectionState::Failed => self.end(PeerOutput::Lost),
                _ => {}
            },
            // Fires again for every stream after each renegotiation: the map makes it harmless.
            RTCPeerConnectionEvent::OnTrack(RTCTrackEvent::OnOpen(track)) => {
                let transceiver = RTCRtpTransceiverId::from(track.receiver_id);
                let mid = self
                    .connection
                    .rtp_transceiver(transceiver)
                    .and_then(|transceiver| transceiver.mid().clone());
                let source = self.sources.iter().find(|of| Some(&of.mid) == mid.as_ref());
                if let Some(source) = source {
                    self.streams.insert(track.ssrc, source.source);
                }
            }
            // A remote close_notify does not change the connection's state; the end of the data
            // channel is the only prompt sign that the browser has gone.
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(_)) => {
                self.end(PeerOutput::Closed);
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, tagged: TaggedRTCMessage) {
        match tagged.message {
            RTCMessage::RtpPacket(_, packet) => self.handle_rtp(tagged.now, packet),
            RTCMessage::RtcpPacket(_, packets) => {
                for ssrc in keyframe::requested_ssrcs(&packets) {
                    let slot = self.slots.iter().position(|slot| slot.ssrc == ssrc);
                    let slot = slot.filter(|slot| self.slots[*slot].taken);
                    let wanted = slot.map(|slot| PeerOutput::KeyframeWanted(SlotId(slot)));
                    self.outputs.extend(wanted);
                }
            }
            // Nothing is said over the data channel yet: it is there for its end.
            _ => {}
        }
    }

    fn handle_rtp(&mut self, arrival: Instant, packet: rtc::rtp::Packet) {
        let header = &packet.header;
        let (Some(source), Some(codec)) = (
            self.streams.get(&header.ssrc),
            self.payload_types.get(&header.payload_type),
        ) else {
            return;
        };
        if codec.kind() != source.track_kind() {
            return;
        }
        let level = self
            .audio_level_id
            .and_then(|id| header.get_extension(id))
            .and_then(|extension| extension.first().map(|first| first & 0x7F));
        self.outputs.push_back(PeerOutput::Rtp(IncomingRtp {
            arrival,
            source: *source,
            codec: *codec,
            ssrc: header.ssrc,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            level,
            payload: packet.payload,
        }));
    }
}

/// One packet for a slot; SSRC and payload type are the slot's.
#[derive(Debug, Clone)]
pub struct OutgoingRtp {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// Payload, shared by all who get it.
    pub payload: Bytes,
}

/// RTP, not RTCP (RFC 5761 §4), not STUN or DTLS (RFC 7983).
fn is_plain_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, second, ..] if !(64..=95).contains(&(second & 0x7F)))
}

/// The browser's own word for its m-lines, or, when it says nothing, the usual order: first audio
/// is the microphone, first video the camera, second video the screen.
fn assign_sources(description: &Description, said: &[SourceMid]) -> Vec<SourceMid> {
    let kind_of = |mid: &str| description.section(mid).and_then(|section| section.kind);
    if !said.is_empty() {
        let mut assigned: Vec<SourceMid> = Vec::new();
        for of in said {
            let new = assigned
                .iter()
                .all(|other| other.source != of.source && other.mid != of.mid);
            if new && kind_of(&of.mid) == Some(of.source.track_kind()) {
                assigned.push(of.clone());
            }
        }
        return assigned;
    }
    let of_kind = |kind| {
        let sections = description.sections.iter();
        sections
            .filter(move |section| section.kind == Some(kind))
            .map(|section| section.mid.clone())
    };
    let audio = of_kind(TrackKind::Audio).zip([Source::Microphone]);
    let video = of_kind(TrackKind::Video).zip([Source::Camera, Source::Screen]);
    audio
        .chain(video)
        .map(|(mid, source)| SourceMid { mid, source })
        .collect()
}

fn unusable(error: RtcError) -> PeerError {
    // The text may quote the description: it goes no further than here.
    let _ = error;
    PeerError::Unusable
}
