//! Signalling between a browser and its Session: JSON text messages over one WebSocket
//! (`GET /v2/signal`), each an object with a `type`.
//!
//! The browser speaks first with [`ClientMessage::Join`], then sends **one** offer, which already
//! holds every transceiver it will ever send on (microphone, camera, screen: `replaceTrack` turns
//! them on and off) and one data channel (label `ringbridge`), whose end is the server's prompt
//! sign that the browser left. A sender without a track is `sendonly` all the same. After that
//! answer only the server offers, so there is no glare; an ICE restart is the one later client
//! offer, and while an offer of the server is unanswered it is refused with the error `glare`:
//! roll back, answer, offer again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{MeetingId, ParticipantId, SessionId};
use crate::meeting::participant::ParticipantKind;
use crate::meeting::preset::{CanProduce, Preset};

/// From the browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// First message: who I am. Handled by the API layer, never by the Session.
    Join {
        /// The participant's or the meeting's invite token (JWT).
        token: String,
        /// Display name; wins over the token's when not empty.
        #[serde(default)]
        name: Option<String>,
    },
    /// The first offer, or an ICE restart.
    Offer {
        /// Session description (RFC 8866).
        sdp: String,
        /// Which `mid` of the offer is for which source.
        #[serde(default)]
        sources: Vec<SourceMid>,
    },
    /// Answer to the server's offer.
    Answer {
        /// Session description.
        sdp: String,
    },
    /// I muted or unmuted one of my sources, or turned it on or off.
    Mute {
        /// Which source.
        source: Source,
        /// True while nothing is sent.
        muted: bool,
    },
    /// I am leaving; the server closes the socket after cleaning up.
    Leave,
    /// Keep-alive; answered with `pong`.
    Ping,
    /// The one offer of a WHIP publisher or a WHEP player. It came over HTTP: never on the
    /// WebSocket.
    #[serde(skip)]
    OneShot {
        /// Session description.
        sdp: String,
        /// Which of the two.
        role: OneShotRole,
    },
}

/// What a client is here for that can be offered nothing after its first offer was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneShotRole {
    /// Sends (WHIP, RFC 9725).
    Publisher,
    /// Receives (WHEP, draft-ietf-wish-whep).
    Player,
}

/// What a browser may publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Audio; also a phone's voice.
    Microphone,
    /// Video.
    Camera,
    /// Video.
    Screen,
}

/// One of the offer's m-lines and what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceMid {
    /// `a=mid` of the m-line in the browser's offer.
    pub mid: String,
    /// What will be sent there.
    pub source: Source,
}

/// To the browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The seat is taken; now send the offer.
    Joined {
        /// The live instance.
        session_id: SessionId,
        /// The meeting.
        meeting_id: MeetingId,
        /// Its title.
        title: String,
        /// Oneself.
        participant: ParticipantView,
        /// Everyone else, phones included.
        participants: Vec<ParticipantView>,
        /// Participant-bound token for reconnecting to the same seat.
        resume_token: String,
        /// What one's preset allows.
        permissions: Permissions,
        /// What a phone dials to join, for people to pass on; the API layer knows it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sip_uri: Option<String>,
    },
    /// Answer to the browser's offer.
    Answer {
        /// Session description.
        sdp: String,
    },
    /// The server's offer after tracks came or went.
    Offer {
        /// Session description.
        sdp: String,
        /// Who is behind each m-line that the server sends on; others are unused.
        tracks: Vec<TrackView>,
    },
    /// Someone came.
    ParticipantJoined {
        /// Who.
        participant: ParticipantView,
    },
    /// Someone's name, mute state or hold state changed.
    ParticipantUpdated {
        /// Who, as they are now.
        participant: ParticipantView,
    },
    /// Someone left.
    ParticipantLeft {
        /// Who.
        participant_id: ParticipantId,
    },
    /// A phone pressed a key.
    Dtmf {
        /// Who.
        participant_id: ParticipantId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
    /// Who speaks how loud, a few times a second; silent ones are left out.
    Levels {
        /// −dBov as in RFC 6464: 0 loudest, 127 silence.
        levels: Vec<LevelView>,
    },
    /// Answer to `ping`.
    Pong,
    /// Something was refused; the connection stays unless `bye` follows.
    Error {
        /// Stable, for programs.
        code: String,
        /// For people.
        message: String,
    },
    /// The seat is gone; the socket closes.
    Bye {
        /// Why.
        reason: ByeReason,
    },
}

/// What oneself may produce; the server discards the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Microphone.
    pub audio: CanProduce,
    /// Camera.
    pub video: CanProduce,
    /// Screen.
    pub screenshare: CanProduce,
}

impl From<&Preset> for Permissions {
    fn from(preset: &Preset) -> Self {
        Self {
            audio: preset.audio,
            video: preset.video,
            screenshare: preset.screenshare,
        }
    }
}

/// Why the server ended a browser's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// The browser asked to leave.
    Left,
    /// Removed by someone with the permission, or by the API.
    Kicked,
    /// A newer connection with the same participant took the seat.
    Replaced,
    /// The session was ended for everyone.
    SessionEnded,
    /// The media connection was lost for too long.
    ConnectionLost,
    /// The server is shutting down.
    Shutdown,
    /// Our own failure; joining again is worth a try.
    Internal,
}

/// A participant as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParticipantView {
    /// Id in the session and in the REST API.
    pub id: ParticipantId,
    /// The caller's own reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub custom_participant_id: Option<String>,
    /// Display name.
    pub name: String,
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub picture: Option<String>,
    /// Browser or phone.
    pub kind: ParticipantKind,
    /// Sources it has, and whether each is muted.
    pub sources: BTreeMap<Source, SourceState>,
    /// The phone put the meeting on hold.
    #[serde(default)]
    pub on_hold: bool,
    /// Facts from the phone's side.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub attributes: BTreeMap<String, String>,
}

/// State of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Nothing is sent.
    pub muted: bool,
}

/// One m-line of the server's offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackView {
    /// `a=mid` of the m-line.
    pub mid: String,
    /// Whose track is sent there.
    pub participant_id: ParticipantId,
    /// Which source.
    pub source: Source,
}

/// How loud somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// Who.
    pub participant_id: ParticipantId,
    /// −dBov, 0–127.
    pub level: u8,
}
