//! Where a probe's run broke off.

use serde::Serialize;

use super::browser::JoinError;
use super::phone::DialError;

/// The steps of a run, in order. Their labels are stable: alerts are built on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Flags and files.
    Arguments,
    /// Names to addresses.
    Resolve,
    /// A participant's token from the REST API.
    Token,
    /// The seat: signalling.
    Join,
    /// ICE, DTLS, SRTP.
    JoinMedia,
    /// The call: something came back, and it was no refusal.
    Invite,
    /// The credentials.
    Auth,
    /// The answer can be used.
    Answer,
    /// The browser sees the phone.
    Participant,
    /// The phone's tone in the browser.
    MediaToBrowser,
    /// The browser's tone in the phone.
    MediaToPhone,
    /// Nobody hears himself.
    Echo,
    /// A key pressed on the phone.
    Dtmf,
    /// The phone's BYE, and its end in the meeting.
    HangUp,
    /// The browser's leaving.
    Leave,
}

impl Stage {
    /// The stable label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Resolve => "resolve",
            Self::Token => "token",
            Self::Join => "join",
            Self::JoinMedia => "join-media",
            Self::Invite => "invite",
            Self::Auth => "auth",
            Self::Answer => "answer",
            Self::Participant => "participant",
            Self::MediaToBrowser => "media-to-browser",
            Self::MediaToPhone => "media-to-phone",
            Self::Echo => "echo",
            Self::Dtmf => "dtmf",
            Self::HangUp => "hang-up",
            Self::Leave => "leave",
        }
    }
}

/// The stage that failed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {error}", stage.label())]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// How, for people.
    pub error: String,
}

impl Failure {
    /// A failure of `stage`.
    pub fn new(stage: Stage, error: impl ToString) -> Self {
        Self {
            stage,
            error: error.to_string(),
        }
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        let stage = match &error {
            DialError::Unresolved(_) => Stage::Resolve,
            DialError::Unauthorized(_) => Stage::Auth,
            DialError::NoMedia => Stage::Answer,
            DialError::Socket(_)
            | DialError::Silence(_)
            | DialError::Refused { .. }
            | DialError::NotAnswered(_) => Stage::Invite,
        };
        Self::new(stage, error)
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let stage = match &error {
            JoinError::BadUrl(_) => Stage::Resolve,
            JoinError::Peer(_) | JoinError::TimedOut("connecting media") => Stage::JoinMedia,
            JoinError::Unreachable(_)
            | JoinError::Refused { .. }
            | JoinError::Dismissed(_)
            | JoinError::TimedOut(_) => Stage::Join,
        };
        Self::new(stage, error)
    }
}
