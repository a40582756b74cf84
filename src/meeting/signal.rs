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
//!
//! Whose preset says so waits first: `waiting` comes in place of `joined`, which follows when
//! somebody lets it in; until then only `leave` and `ping` are understood. Every message is
//! checked against the sender's preset; what is refused is answered with an `error` whose code is
//! `not_allowed`, `unknown_participant`, `invalid_message`, `too_fast` or `waiting`, and has
//! changed nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::id::{ChatMessageId, MeetingId, ParticipantId, SessionId};
use crate::meeting::participant::ParticipantKind;
use crate::meeting::preset::CanProduce;

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
    /// Written to everyone, or to those named alone. Comes back to the sender as `chat`.
    ChatSend {
        /// At most `CHAT_TEXT_BYTES_MAX`, not blank.
        text: String,
        /// Who may read it; none named: everyone, and those who come later.
        #[serde(default)]
        to: Vec<ParticipantId>,
    },
    /// An application's own message to everyone else.
    Broadcast {
        /// What it is, for the application; at most `BROADCAST_KIND_BYTES_MAX`.
        kind: String,
        /// At most `BROADCAST_PAYLOAD_BYTES_MAX` as JSON.
        payload: Value,
    },
    /// A wave, shown by everyone else for a moment.
    Reaction {
        /// One emoji; at most `REACTION_BYTES_MAX`.
        emoji: String,
    },
    /// Remove them.
    Kick {
        /// Who.
        participant_ids: Vec<ParticipantId>,
    },
    /// Mute one. A browser may turn its source on again; a phone stays muted until somebody who
    /// may mute says `muted: false`.
    MuteParticipant {
        /// Who.
        participant_id: ParticipantId,
        /// Which source.
        source: Source,
        /// False lifts a phone's mute.
        #[serde(default = "yes")]
        muted: bool,
    },
    /// Mute every microphone but my own.
    MuteAll,
    /// Let in who waits.
    Admit {
        /// Who.
        participant_ids: Vec<ParticipantId>,
    },
    /// Send away who waits.
    Deny {
        /// Who.
        participant_ids: Vec<ParticipantId>,
    },
    /// I would like to send this source, which my preset allows on request.
    RequestProduce {
        /// Which source.
        source: Source,
    },
    /// Let somebody send what its preset allows on request, or not (any more).
    GrantProduce {
        /// Who.
        participant_id: ParticipantId,
        /// Which source.
        source: Source,
        /// False refuses a request or revokes a grant.
        allowed: bool,
    },
    /// How I show somebody's video: the server sends the simulcast layer that fits, or nothing.
    Subscribe {
        /// Whose.
        participant_id: ParticipantId,
        /// Which of theirs.
        source: Source,
        /// Width of the picture on my screen, in its own pixels; the largest if it is not said.
        #[serde(default)]
        max_width: Option<u32>,
        /// Whether it is on my screen at all.
        #[serde(default = "yes")]
        visible: bool,
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

fn yes() -> bool {
    true
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
        /// Telephone numbers that lead here; the API layer knows them.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        dial_in: Vec<DialIn>,
        /// The last `CHAT_HISTORY_MESSAGES_MAX` messages to everyone, oldest first.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        chat: Vec<ChatMessage>,
    },
    /// In place of `joined`, which follows when somebody lets it in.
    Waiting {
        /// The meeting's title.
        title: String,
        /// Oneself.
        participant: ParticipantView,
    },
    /// Who waits to be let in; to those who may accept, whole each time.
    WaitingList {
        /// In order of coming.
        participants: Vec<ParticipantView>,
    },
    /// Somebody has written.
    Chat {
        /// What.
        message: ChatMessage,
    },
    /// An application's own message.
    Broadcast {
        /// From whom.
        participant_id: ParticipantId,
        /// What it is.
        kind: String,
        /// What it says.
        payload: Value,
    },
    /// A wave.
    Reaction {
        /// From whom.
        participant_id: ParticipantId,
        /// One emoji.
        emoji: String,
    },
    /// One's source was muted. With `by` one may turn it on again; without, the API did it, and
    /// only the API undoes it.
    Muted {
        /// Which source.
        source: Source,
        /// The participant who did it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<ParticipantId>,
    },
    /// What one may do has changed.
    Permissions {
        /// As it is now.
        permissions: Permissions,
    },
    /// Who would like to send something; to those who may grant it, whole each time.
    ProduceRequests {
        /// In order of the seats.
        requests: Vec<ProduceRequest>,
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
    /// How good the way from the server to oneself is, every few seconds.
    Quality {
        /// Lost of what was sent, 0.0–1.0, by one's own last report; the worst stream's.
        loss: f32,
        /// Interarrival jitter (RFC 3550 §6.4.1).
        jitter_ms: u32,
        /// To the browser and back, once measured.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        round_trip_ms: Option<u32>,
        /// Bit/s the way is thought to carry, once the browser reports arrivals: what pictures the
        /// server sends follows it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        available_bps: Option<u64>,
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

/// What oneself may do; the server refuses the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Microphone; `ALLOWED` also once a request was granted.
    pub audio: CanProduce,
    /// Camera.
    pub video: CanProduce,
    /// Screen.
    pub screenshare: CanProduce,
    /// Write to everyone, wave, broadcast.
    pub chat: bool,
    /// Write to some.
    pub chat_private: bool,
    /// Remove others.
    pub kick: bool,
    /// Mute others' microphones.
    pub mute_others: bool,
    /// Stop others' cameras.
    pub mute_others_video: bool,
    /// Let in or send away who waits.
    pub accept_waiting: bool,
    /// Grant what others may send on request.
    pub accept_production: bool,
    /// Show who is there.
    pub show_participant_list: bool,
}

/// Something written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Unique.
    pub id: ChatMessageId,
    /// By whom.
    pub participant_id: ParticipantId,
    /// The writer's name at that time.
    pub name: String,
    /// What.
    pub text: String,
    /// Who else may read it; none: everyone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub to: Vec<ParticipantId>,
    /// When, RFC 3339 in UTC.
    #[serde(with = "rfc3339")]
    pub sent_at: OffsetDateTime,
}

/// A telephone number that leads to the meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialIn {
    /// E.164.
    pub number: String,
    /// What to press when it has answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pin: Option<String>,
}

/// Somebody would like to send a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceRequest {
    /// Who.
    pub participant_id: ParticipantId,
    /// Display name.
    pub name: String,
    /// Which source.
    pub source: Source,
}

/// Why the server ended a browser's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// The browser asked to leave.
    Left,
    /// Removed by someone with the permission, or by the API.
    Kicked,
    /// It waited, and was not let in.
    Denied,
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

/// Times as the REST API writes them.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    pub(super) fn serialize<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        let text = at.format(&Rfc3339).map_err(ser::Error::custom)?;
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(from)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)
    }
}
