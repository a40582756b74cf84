//! Our end of one browser's WebRTC connection: ICE-lite, DTLS server, SRTP, driven sans-IO over
//! `rtc`, which is named nowhere else in `meeting`.
//!
//! The browser makes the first offer; afterwards only we offer, when what we send has changed, one
//! offer at a time. What we send goes out through *slots*: a slot is one m-line with a codec and an
//! SSRC of its own, which carries one track at a time and is used again when that track has gone,
//! so the description stays as long as the most tracks there ever were.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::shared::error::Error as RtcError;

use self::description::{Description, Direction};
use crate::limits::{PEER_DESCRIPTION_BYTES_MAX, PEER_FIRST_OFFER_SECTIONS_MAX};
use crate::meeting::signal::Source;
use crate::meeting::signal::SourceMid;
use crate::meeting::track::{TrackCodec, TrackKind};

mod congestion;
mod description;
mod downlink;
mod estimate;
mod keyframe;
mod resend;
mod setup;
mod slot;
mod wire;

#[cfg(test)]
pub(crate) mod double;

pub use downlink::Downlink;
pub use setup::{Certificate, PeerSetup};
pub use slot::{OutgoingRtp, SlotId};

use self::congestion::CongestionCell;
use self::downlink::DownlinkCell;
use self::slot::Slot;

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
    /// Which way every m-line goes, as the client sees it, when it cannot be offered anything
    /// later.
    fixed: Option<Direction>,
    /// An offer is wanted, not before this time.
    offer_due: Option<Instant>,
    slots: Vec<Slot>,
    /// The browser's m-lines.
    sources: Vec<SourceMid>,
    /// Layers of those it sends more than one of: `a=mid`, RIDs.
    layers: Vec<(String, Vec<String>)>,
    /// `a=mid` of those whose streams have been named.
    named: Vec<String>,
    /// Its payload types.
    payload_types: HashMap<u8, TrackCodec>,
    audio_level_id: Option<u8>,
    /// Its streams.
    streams: HashMap<u32, Source>,
    /// What the browser reports of what we send it.
    downlink: Arc<DownlinkCell>,
    congestion: Arc<CongestionCell>,
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
        let (mut peer, read) = Self::prepare(now, setup, ufrag, password, offer)?;
        peer.sources = assign_sources(&read, sources);
        let answer = peer.accept(now, offer)?;
        Ok((peer, answer))
    }

    /// As [`Peer::answer`], for a client that only sends and can be offered nothing later.
    ///
    /// # Errors
    /// The client must be told; nothing is left behind.
    pub fn answer_publisher(
        now: Instant,
        setup: &PeerSetup,
        ufrag: &str,
        password: &str,
        offer: &str,
    ) -> Result<(Self, String), PeerError> {
        let (mut peer, read) = Self::prepare(now, setup, ufrag, password, offer)?;
        peer.sources = assign_sources(&read, &[]);
        peer.fixed = Some(Direction::SendOnly);
        let answer = peer.accept(now, offer)?;
        Ok((peer, answer))
    }

    /// As [`Peer::answer`], for a client that only receives and can be offered nothing later: each
    /// of its m-lines becomes a slot, taken for good. `ssrc` draws one for each.
    ///
    /// # Errors
    /// The client must be told; nothing is left behind.
    pub fn answer_player(
        now: Instant,
        setup: &PeerSetup,
        ufrag: &str,
        password: &str,
        offer: &str,
        mut ssrc: impl FnMut() -> u32,
    ) -> Result<(Self, String, Vec<SlotId>), PeerError> {
        let (mut peer, read) = Self::prepare(now, setup, ufrag, password, offer)?;
        peer.fixed = Some(Direction::RecvOnly);
        let mut slots = Vec::new();
        for section in read.sections.iter().filter(|s| s.direction.receives()) {
            // The first one listed is what the player likes best.
            if let Some((_, codec)) = section.codecs.first() {
                slots.push(peer.take_slot(now, *codec, ssrc())?);
            }
        }
        let answer = peer.accept(now, offer)?;
        for slot in &mut peer.slots {
            (slot.offered, slot.agreed) = (true, true);
        }
        Ok((peer, answer, slots))
    }

    /// As [`Peer::answer`], for a SIP client in a browser: one m-line of sound both ways, with a
    /// slot that is open as soon as the client is connected. What else it offers is not taken.
    ///
    /// # Errors
    /// The client must be told; nothing is left behind.
    pub fn answer_phone(
        now: Instant,
        setup: &PeerSetup,
        ufrag: &str,
        password: &str,
        offer: &str,
        ssrc: u32,
    ) -> Result<(Self, String, SlotId), PeerError> {
        let (mut peer, read) = Self::prepare(now, setup, ufrag, password, offer)?;
        let mut sections = read.sections.iter();
        let audio = sections.find(|section| section.kind == Some(TrackKind::Audio));
        let audio = audio.ok_or(PeerError::Unusable)?;
        peer.sources = vec![SourceMid {
            mid: audio.mid.clone(),
            source: Source::Microphone,
        }];
        let slot = peer.take_two_way_slot(now, TrackCodec::Opus, ssrc)?;
        let answer = peer.accept(now, offer)?;
        peer.offer_due = None;
        for slot in &mut peer.slots {
            (slot.offered, slot.agreed) = (true, true);
        }
        Ok((peer, answer, slot))
    }

    fn prepare(
        now: Instant,
        setup: &PeerSetup,
        ufrag: &str,
        password: &str,
        offer: &str,
    ) -> Result<(Self, Description), PeerError> {
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
        let downlink = Arc::<DownlinkCell>::default();
        let congestion = Arc::<CongestionCell>::default();
        let video = has(TrackKind::Video);
        let connection = setup
            .connect(
                now,
                ufrag,
                password,
                video,
                Arc::clone(&downlink),
                Arc::clone(&congestion),
            )
            .map_err(unusable)?;
        let peer = Self {
            connection,
            local: setup.local,
            candidates: setup.candidates.clone(),
            created_at: now,
            negotiation: Negotiation::Stable,
            fixed: None,
            offer_due: None,
            slots: Vec::new(),
            sources: Vec::new(),
            layers: read.layers(),
            named: Vec::new(),
            payload_types: HashMap::new(),
            audio_level_id: None,
            streams: HashMap::new(),
            downlink,
            congestion,
            connected: false,
            ended: false,
            deadline: None,
            pump_due: false,
            outputs: VecDeque::new(),
            transmits: VecDeque::new(),
        };
        Ok((peer, read))
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
        let read = Description::read(offer);
        let mut offer = description::without_known_streams(offer, &self.named);
        if let Some(direction) = self.fixed {
            offer = description::directed(&offer, direction);
        }
        let offer = RTCSessionDescription::offer(offer).map_err(unusable)?;
        self.connection
            .set_remote_description(now, offer)
            .map_err(unusable)?;
        self.remember_named(&read);
        let answer = self.connection.create_answer(None).map_err(unusable)?;
        let text = self.written(&answer.sdp);
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

    /// What the browser last reported of what we send it, once it has.
    pub fn downlink(&self) -> Option<Downlink> {
        self.downlink.look()
    }

    /// Bit/s that the way to the browser is thought to carry, once it reports arrivals.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.congestion.look()
    }

    // ── our offers ────────────────────────────────────────────────────────────────────────────

    /// What we send has changed.
    fn want_offer(&mut self, now: Instant) {
        if self.fixed.is_some() {
            return;
        }
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
                Some(self.written(&text))
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
        let answer = description::without_known_streams(answer, &self.named);
        let answer = RTCSessionDescription::answer(answer).map_err(unusable)?;
        self.connection
            .set_remote_description(now, answer)
            .map_err(unusable)?;
        self.remember_named(&read);
        self.negotiation = Negotiation::Stable;
        self.learn_formats(&read);
        for slot in &mut self.slots {
            slot.agreed = slot.offered;
        }
        self.pump();
        Ok(())
    }

    /// A description of ours as the browser gets it.
    fn written(&self, sdp: &str) -> String {
        let sdp = description::with_layers(sdp, &self.layers);
        description::with_candidates(&sdp, &self.candidates)
    }

    fn remember_named(&mut self, description: &Description) {
        let sections = description.sections.iter();
        for section in sections.filter(|section| section.names_streams) {
            if !self.named.contains(&section.mid) {
                self.named.push(section.mid.clone());
            }
        }
    }

    fn learn_formats(&mut self, description: &Description) {
        for section in &description.sections {
            self.payload_types.extend(section.codecs.iter().copied());
            if section.audio_level_id.is_some() {
                self.audio_level_id = section.audio_level_id;
            }
        }
    }
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
            .filter(move |section| section.kind == Some(kind) && section.direction.sends())
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
