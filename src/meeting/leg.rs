//! What the signalling side tells the media side about a phone's leg. Plain values, no sockets.

use std::net::SocketAddr;
use std::time::Duration;

use crate::audio::frame::Band;
use crate::audio::g711::Law;
use crate::meeting::quality::{DirectionReport, QualityPoint};
use crate::rtp::srtp::SrtpKeys;

/// The voice codec of a phone leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhoneCodec {
    /// G.711 µ-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.722, 16 kHz, with an RTP clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 7587), up to 48 kHz.
    Opus,
}

impl PhoneCodec {
    /// Every codec we speak.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// Name as in SDP's rtpmap.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Channels as in SDP's rtpmap: Opus says 2 whatever it carries (RFC 7587 §7).
    pub fn channels(self) -> u8 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 1,
            Self::Opus => 2,
        }
    }

    /// The law of G.711; `None` for other codecs.
    pub fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Ulaw),
            Self::Pcma => Some(Law::Alaw),
            Self::G722 | Self::Opus => None,
        }
    }
}

/// How a phone wants to be sent Opus: its `a=fmtp` (RFC 7587 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpusFormat {
    /// `maxplaybackrate`: it plays no higher rate, in Hz.
    pub play_rate_hz: u32,
    /// `maxaveragebitrate` in bit/s.
    pub bitrate_max: Option<u32>,
    /// `useinbandfec`: it can make use of the copies.
    pub fec: bool,
}

impl Default for OpusFormat {
    /// What RFC 7587 assumes where nothing is said.
    fn default() -> Self {
        Self {
            play_rate_hz: 48_000,
            bitrate_max: None,
            fec: false,
        }
    }
}

/// What a profile wants done with the sound of its phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegTaste {
    /// Bring quiet and loud callers nearer to each other.
    pub automatic_gain: bool,
    /// Listen for keys in the sound; only where no telephone-event is agreed.
    pub key_tones: bool,
}

impl LegTaste {
    /// The same where telephone-event is agreed or not: no key is to be pressed twice.
    pub fn with_event(self, agreed: bool) -> Self {
        Self {
            key_tones: self.key_tones && !agreed,
            ..self
        }
    }
}

/// The media of one phone leg, as one offer/answer exchange settled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegMedia {
    /// What both ends speak.
    pub codec: PhoneCodec,
    /// How the phone wants its Opus, if it is Opus.
    pub opus: OpusFormat,
    /// What is done with its sound.
    pub taste: LegTaste,
    /// The offer of a SIP client in a browser: a connection with ICE and DTLS answers it and
    /// carries the media, and addresses, payload types and keys are its own affair.
    pub webrtc_offer: Option<String>,
    /// Payload type the phone sends the codec with (its choice in its own SDP… see RFC 3264 §5.1:
    /// each side receives the payload types of its own SDP; for a UAS answer both are equal).
    pub receive_payload_type: u8,
    /// Payload type we send the codec with.
    pub send_payload_type: u8,
    /// Payload type with which the phone sends telephone-event (RFC 4733) of the codec's clock, if
    /// agreed.
    pub dtmf_payload_type: Option<u8>,
    /// Payload type with which we send it.
    pub dtmf_send_payload_type: Option<u8>,
    /// Length of the packets we send.
    pub ptime: Duration,
    /// Where SDP says the phone listens; the latch may replace it.
    pub remote_rtp: SocketAddr,
    /// Where SDP says the phone's RTCP is; equals `remote_rtp` with rtcp-mux.
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share the port.
    pub rtcp_mux: bool,
    /// SRTP, both ways; `None` is plain RTP.
    pub srtp: Option<SrtpKeys>,
    /// May we send: false while the phone has put us on hold without music.
    pub may_send: bool,
    /// Will the phone send.
    pub may_receive: bool,
}

impl LegMedia {
    /// The rate at which the phone speaks and hears.
    pub fn band(&self) -> Band {
        match self.codec {
            PhoneCodec::Pcmu | PhoneCodec::Pcma => Band::Narrow,
            PhoneCodec::G722 => Band::Wide,
            PhoneCodec::Opus => match self.opus.play_rate_hz {
                ..=8_000 => Band::Narrow,
                8_001..=16_000 => Band::Wide,
                _ => Band::Full,
            },
        }
    }
}

/// Something the media side saw on a leg that signalling or API users want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// A key was pressed: `0`–`9`, `*`, `#`, `A`–`D`; once per press.
    Dtmf(char),
    /// First valid RTP packet arrived.
    MediaStarted,
    /// No RTP for `LEG_SILENCE_MAX` though the phone should send.
    MediaLost,
    /// The session removed the leg (kicked, meeting ended, worker gone).
    Removed(LegRemoval),
}

/// Why the media side ended a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegRemoval {
    /// Someone with the permission, or the API, removed it.
    Kicked,
    /// It waited, and was not let in.
    Denied,
    /// The session was ended for everyone.
    SessionEnded,
    /// A newer join with the same participant id took the seat.
    Replaced,
    /// Our own failure.
    WorkerFailed,
}

/// Figures of one leg: at its end for the call record, and while it lasts for whoever asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LegReport {
    /// RTP packets accepted from the phone.
    pub packets_received: u64,
    /// RTP packets sent to the phone.
    pub packets_sent: u64,
    /// Packets lost on the way from the phone (RFC 3550 §A.3).
    pub packets_lost: u64,
    /// Packets refused, all reasons together.
    pub packets_discarded: u64,
    /// Interarrival jitter in ms (RFC 3550 §A.8).
    pub jitter_ms: f32,
    /// Audio invented because the real one was late or lost, in ms.
    pub concealed_ms: u64,
    /// What the phone's RTCP says it lost of ours, 0.0–1.0, if it ever said.
    pub remote_loss: Option<f32>,
    /// Round trip from RTCP in ms, if measured.
    pub round_trip_ms: Option<f32>,
    /// Voice encoded for browsers, in ms: none of silence, none while nobody listens.
    pub encoded_ms: u64,
    /// The way from the phone.
    pub received: DirectionReport,
    /// The way to the phone, as far as it reports.
    pub sent: DirectionReport,
    /// How it went over time.
    pub curve: Vec<QualityPoint>,
}
