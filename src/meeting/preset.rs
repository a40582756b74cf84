//! A named bundle of permissions and media rules applied to a Participant.

use serde::{Deserialize, Serialize};

/// Whether a kind of media may be produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CanProduce {
    /// At once.
    Allowed,
    /// Never.
    NotAllowed,
    /// After someone with the permission to accept says so.
    CanRequest,
}

/// What a Participant may do. Enforced by the server on every message and track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// Unique within an organisation.
    pub name: String,
    /// Microphone, or a phone's voice.
    pub audio: CanProduce,
    /// Camera.
    pub video: CanProduce,
    /// Screen share.
    pub screenshare: CanProduce,
    /// May a phone join with this preset.
    pub phone: bool,
}

impl Preset {
    /// Everything allowed: what the demo meeting and phones get when nothing else is said.
    pub fn host() -> Self {
        Self {
            name: "group_call_host".to_owned(),
            audio: CanProduce::Allowed,
            video: CanProduce::Allowed,
            screenshare: CanProduce::Allowed,
            phone: true,
        }
    }
}
