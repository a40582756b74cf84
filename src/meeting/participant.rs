//! Someone or something in a Session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ParticipantId;
use crate::meeting::preset::Preset;

/// Whether a participant is a person at a browser or stands for a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantKind {
    /// A browser, or another WebRTC client.
    Browser,
    /// The Participant that stands for a phone.
    Robo,
}

/// What a participant brings when it joins a Session.
#[derive(Debug, Clone)]
pub struct Joining {
    /// A later join with the same id replaces the earlier one.
    pub id: ParticipantId,
    /// The caller's own reference, echoed in API and webhooks.
    pub custom_participant_id: Option<String>,
    /// Shown to everyone; at most `DISPLAY_NAME_CHARS_MAX` characters, control characters removed.
    pub name: String,
    /// Address of a picture, shown by clients that can.
    pub picture: Option<String>,
    /// Browser or phone.
    pub kind: ParticipantKind,
    /// What it may do.
    pub preset: Preset,
    /// Digits a phone must press before it is let in.
    pub pin: Option<String>,
    /// Facts from the phone's side (headers, verstat, ids), named by the profile.
    pub attributes: BTreeMap<String, String>,
}
