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

/// Whether a holder waits before it is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WaitingRoom {
    /// It walks in.
    #[default]
    Skip,
    /// It waits until somebody who may accept is in the session.
    OnPrivilegedUserEntry,
    /// It waits until somebody accepts it; once accepted it may come back to the same session.
    SkipOnAccept,
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
    /// What it may write and read.
    pub chat: ChatRights,
    /// What it may do to others.
    pub host: HostRights,
    /// Others do not see it; what it sends is not published.
    pub hidden: bool,
    /// Whether its client shows who is there. For clients: names belong to what is heard and seen.
    pub show_participant_list: bool,
    /// Whether it waits before it is let in.
    pub waiting_room: WaitingRoom,
}

/// What a holder may write and read. Who may not write publicly may not wave or broadcast either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRights {
    /// To everyone.
    pub public: bool,
    /// To some.
    pub private: bool,
    /// Gets what is written to it alone.
    pub private_receive: bool,
}

/// What a holder may do to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostRights {
    /// Remove them.
    pub kick: bool,
    /// Mute their microphones.
    pub mute_audio: bool,
    /// Stop their cameras.
    pub mute_video: bool,
    /// Stop their screens.
    pub mute_screenshare: bool,
    /// Let in or send away who waits.
    pub accept_waiting: bool,
    /// Grant and revoke what others may send on request.
    pub accept_production: bool,
}

impl HostRights {
    /// Every one.
    pub const ALL: Self = Self {
        kick: true,
        mute_audio: true,
        mute_video: true,
        mute_screenshare: true,
        accept_waiting: true,
        accept_production: true,
    };
}

impl Default for ChatRights {
    fn default() -> Self {
        Self {
            public: true,
            private: true,
            private_receive: true,
        }
    }
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
            chat: ChatRights::default(),
            host: HostRights::ALL,
            hidden: false,
            show_participant_list: true,
            waiting_room: WaitingRoom::Skip,
        }
    }
}
