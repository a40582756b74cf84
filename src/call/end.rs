//! Every way a call is refused or ends, with the one function each that maps it to SIP and to
//! the labels operators aggregate.

use crate::call::record::Outcome;

/// Why a call was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The dialled user names no meeting these credentials may join.
    UnknownMeeting,
    /// The meeting exists and is switched off.
    MeetingInactive,
    /// The preset lets no phone in.
    PresetForbidsPhone,
    /// No voice codec in common.
    NoCommonCodec,
    /// The offer has no audio we can answer.
    NotAudio,
    /// SRTP only where we take plain media only, or the other way round, or no suite in common.
    SecurityMismatch,
    /// The offer cannot be read.
    BadOffer,
    /// The meeting has no seat left.
    MeetingFull,
    /// The server has no room for another call, or its RTP ports are exhausted.
    Overloaded,
    /// The trunk may not send calls from there, or is switched off.
    TrunkForbidden,
    /// The trunk has as many calls, or new ones a second, as it may have.
    TrunkBusy,
    /// The server is shutting down.
    Draining,
    /// The store or a worker did not answer in time.
    Unavailable,
    /// CANCEL arrived first.
    Cancelled,
    /// The caller's connection closed before the answer.
    FlowLost,
}

/// How a refusal is told to the phone (RFC 3261 §21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipRefusal {
    /// Status code.
    pub status: u16,
    /// Reason phrase a human can act on.
    pub reason: &'static str,
    /// Seconds for Retry-After, where trying again helps.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    /// The final response.
    pub fn sip(self) -> SipRefusal {
        let (status, reason, retry_after_s) = match self {
            Self::UnknownMeeting => (404, "No such meeting", None),
            Self::MeetingInactive => (403, "Meeting is inactive", None),
            Self::PresetForbidsPhone => (403, "Phones may not join this meeting", None),
            Self::NoCommonCodec => (488, "No codec in common", None),
            Self::NotAudio => (488, "No acceptable audio in the offer", None),
            Self::SecurityMismatch => (488, "No agreement on media protection", None),
            Self::BadOffer => (400, "Session description cannot be read", None),
            Self::MeetingFull => (486, "Meeting is full", None),
            Self::Overloaded => (503, "No capacity for another call", Some(5)),
            Self::TrunkForbidden => (403, "Not from this address", None),
            Self::TrunkBusy => (503, "The trunk's limit is reached", Some(5)),
            Self::Draining => (503, "Server is shutting down", Some(30)),
            Self::Unavailable => (503, "Temporarily unavailable", Some(2)),
            Self::Cancelled | Self::FlowLost => (487, "Request Terminated", None),
        };
        SipRefusal {
            status,
            reason,
            retry_after_s,
        }
    }

    /// Label in metrics, logs, records and `X-Ringbridge-Error`.
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownMeeting => "unknown_meeting",
            Self::MeetingInactive => "meeting_inactive",
            Self::PresetForbidsPhone => "preset_forbids_phone",
            Self::NoCommonCodec => "no_common_codec",
            Self::NotAudio => "not_audio",
            Self::SecurityMismatch => "security_mismatch",
            Self::BadOffer => "bad_offer",
            Self::MeetingFull => "meeting_full",
            Self::Overloaded => "overloaded",
            Self::TrunkForbidden => "trunk_forbidden",
            Self::TrunkBusy => "trunk_busy",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::FlowLost => "flow_lost",
        }
    }

    /// Who it belongs to.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::UnknownMeeting
            | Self::MeetingInactive
            | Self::PresetForbidsPhone
            | Self::NoCommonCodec
            | Self::NotAudio
            | Self::SecurityMismatch
            | Self::BadOffer
            | Self::MeetingFull
            | Self::TrunkForbidden
            | Self::TrunkBusy
            | Self::Cancelled => Outcome::ClientError,
            Self::Overloaded | Self::Draining | Self::Unavailable => Outcome::ServerError,
            Self::FlowLost => Outcome::UpstreamError,
        }
    }
}

/// Why an answered call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// BYE from the phone.
    CallerHungUp,
    /// Removed from the meeting by a participant or the API.
    Kicked,
    /// It waited to be let in, and was sent away.
    Denied,
    /// The meeting's session was ended for everyone.
    SessionEnded,
    /// A newer call took the seat.
    Replaced,
    /// Hung up through the API or the console.
    HungUpByOperator,
    /// The server shut down.
    Shutdown,
    /// Our 200 was never acknowledged (RFC 3261 §13.3.1.4).
    NoAck,
    /// The ACK brought an answer to our offer that cannot be used.
    BadAnswer,
    /// The phone stopped sending for too long.
    MediaLost,
    /// The peer did not answer an in-dialog request, or refused it with 408 or 481.
    DialogLost,
    /// The session timer ran out (RFC 4028).
    SessionExpired,
    /// The media worker failed.
    WorkerFailed,
}

impl EndReason {
    /// Label in metrics, logs and records.
    pub fn label(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::Kicked => "kicked",
            Self::Denied => "denied",
            Self::SessionEnded => "session_ended",
            Self::Replaced => "replaced",
            Self::HungUpByOperator => "hung_up_by_operator",
            Self::Shutdown => "shutdown",
            Self::NoAck => "no_ack",
            Self::BadAnswer => "bad_answer",
            Self::MediaLost => "media_lost",
            Self::DialogLost => "dialog_lost",
            Self::SessionExpired => "session_expired",
            Self::WorkerFailed => "worker_failed",
        }
    }

    /// Who it belongs to.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::CallerHungUp
            | Self::Kicked
            | Self::Denied
            | Self::SessionEnded
            | Self::Replaced
            | Self::HungUpByOperator
            | Self::Shutdown => Outcome::Success,
            Self::BadAnswer => Outcome::ClientError,
            Self::NoAck | Self::DialogLost | Self::SessionExpired => Outcome::UpstreamError,
            Self::MediaLost => Outcome::Indeterminate,
            Self::WorkerFailed => Outcome::ServerError,
        }
    }

    /// Value of the Reason header of our BYE (RFC 3326), so that the far end can tell why.
    pub fn reason_header(self) -> String {
        let (cause, text) = match self {
            Self::CallerHungUp => (16, "Normal call clearing"),
            Self::Kicked => (16, "Removed from the meeting"),
            Self::Denied => (21, "Not let into the meeting"),
            Self::SessionEnded => (16, "Meeting ended"),
            Self::Replaced => (16, "Replaced by another call"),
            Self::HungUpByOperator => (16, "Hung up by the operator"),
            Self::Shutdown => (16, "Server is shutting down"),
            Self::NoAck => (102, "ACK never came"),
            Self::BadAnswer => (88, "Unusable answer"),
            Self::MediaLost => (102, "No media"),
            Self::DialogLost => (102, "Dialog lost"),
            Self::SessionExpired => (102, "Session timer expired"),
            Self::WorkerFailed => (41, "Temporary failure"),
        };
        format!("Q.850;cause={cause};text=\"{text}\"")
    }
}
