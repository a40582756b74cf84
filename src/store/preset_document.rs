//! A preset as its author writes it, in Dyte's words, and the rules derived from it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::meeting::preset::{CanProduce, ChatRights, HostRights, Preset, WaitingRoom};

/// The body of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresetDocument {
    /// View type, limits, media settings: for clients.
    #[serde(default = "default_config")]
    pub config: Map<String, Value>,
    /// What the server enforces, and what clients show.
    #[serde(default)]
    pub permissions: Permissions,
    /// Colours and such: for clients.
    #[serde(default)]
    pub ui: Map<String, Value>,
}

/// What holders of a preset may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permissions {
    /// What may be sent.
    #[serde(default)]
    pub media: MediaPermissions,
    /// Whether phones may use this preset.
    #[serde(default)]
    pub phone: PhonePermission,
    /// What may be written and read.
    #[serde(default)]
    pub chat: ChatPermissions,
    /// What may be done to others.
    #[serde(flatten)]
    pub host: HostPermissions,
    /// Others do not see it.
    #[serde(default)]
    pub hidden_participant: bool,
    /// Clients show who is there.
    #[serde(default = "yes")]
    pub show_participant_list: bool,
    /// Whether it waits to be let in.
    #[serde(default)]
    pub waiting_room_type: WaitingRoom,
    /// Every other permission, as given.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn yes() -> bool {
    true
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            media: MediaPermissions::default(),
            phone: PhonePermission::default(),
            chat: ChatPermissions::default(),
            host: HostPermissions::default(),
            hidden_participant: false,
            show_participant_list: true,
            waiting_room_type: WaitingRoom::Skip,
            other: Map::new(),
        }
    }
}

/// What may be done to others; nothing if not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct HostPermissions {
    /// Remove them.
    pub kick_participant: bool,
    /// Mute their microphones.
    pub disable_participant_audio: bool,
    /// Stop their cameras.
    pub disable_participant_video: bool,
    /// Stop their screens.
    pub disable_participant_screensharing: bool,
    /// Let in or send away who waits.
    pub accept_waiting_requests: bool,
    /// Grant what others may send on request.
    pub can_accept_production_requests: bool,
}

impl HostPermissions {
    fn all(given: bool) -> Self {
        Self {
            kick_participant: given,
            disable_participant_audio: given,
            disable_participant_video: given,
            disable_participant_screensharing: given,
            accept_waiting_requests: given,
            can_accept_production_requests: given,
        }
    }
}

/// What may be written and read; everything if not given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct ChatPermissions {
    /// To and from everyone.
    pub public: ChatPermission,
    /// To and from some.
    pub private: ChatPermission,
}

/// One kind of chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatPermission {
    /// May be written.
    pub can_send: bool,
    /// May be read; counts for private chat only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_receive: Option<bool>,
    /// Text may be written.
    pub text: bool,
    /// Everything else, as given.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for ChatPermission {
    fn default() -> Self {
        Self {
            can_send: true,
            can_receive: None,
            text: true,
            other: Map::new(),
        }
    }
}

impl ChatPermission {
    fn may_write(&self) -> bool {
        self.can_send && self.text
    }
}

/// What may be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct MediaPermissions {
    /// Microphone, or a phone's voice.
    #[serde(default)]
    pub audio: ProducePermission,
    /// Camera.
    #[serde(default)]
    pub video: ProducePermission,
    /// Screen share.
    #[serde(default)]
    pub screenshare: ProducePermission,
}

/// Whether one kind of media may be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProducePermission {
    /// See [`CanProduce`].
    pub can_produce: CanProduce,
}

impl Default for ProducePermission {
    fn default() -> Self {
        Self {
            can_produce: CanProduce::Allowed,
        }
    }
}

/// Whether phones may use a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhonePermission {
    /// They may.
    pub can_join: bool,
}

impl Default for PhonePermission {
    fn default() -> Self {
        Self { can_join: true }
    }
}

impl Default for PresetDocument {
    fn default() -> Self {
        Self {
            config: default_config(),
            permissions: Permissions::default(),
            ui: Map::new(),
        }
    }
}

impl PresetDocument {
    /// The rules a session enforces for holders of the preset called `name`.
    pub fn rules(&self, name: &str) -> Preset {
        let may = &self.permissions;
        let (media, chat, host) = (&may.media, &may.chat, &may.host);
        Preset {
            name: name.to_owned(),
            audio: media.audio.can_produce,
            video: media.video.can_produce,
            screenshare: media.screenshare.can_produce,
            phone: may.phone.can_join,
            chat: ChatRights {
                public: chat.public.may_write(),
                private: chat.private.may_write(),
                private_receive: chat.private.can_receive.unwrap_or(true),
            },
            host: HostRights {
                kick: host.kick_participant,
                mute_audio: host.disable_participant_audio,
                mute_video: host.disable_participant_video,
                mute_screenshare: host.disable_participant_screensharing,
                accept_waiting: host.accept_waiting_requests,
                accept_production: host.can_accept_production_requests,
            },
            hidden: may.hidden_participant,
            show_participant_list: may.show_participant_list,
            waiting_room: may.waiting_room_type,
        }
    }
}

fn default_config() -> Map<String, Value> {
    object(json!({
        "view_type": "GROUP_CALL",
        "max_screenshare_count": 1,
        "media": {
            "audio": { "enable_stereo": false, "enable_high_bitrate": false },
            "video": { "quality": "hd", "frame_rate": 30 },
            "screenshare": { "quality": "hd", "frame_rate": 5 },
        },
    }))
}

pub(super) fn host() -> PresetDocument {
    document(CanProduce::Allowed, CanProduce::Allowed, true)
}

pub(super) fn participant() -> PresetDocument {
    document(CanProduce::Allowed, CanProduce::Allowed, false)
}

pub(super) fn viewer() -> PresetDocument {
    let mut document = document(CanProduce::NotAllowed, CanProduce::NotAllowed, false);
    document
        .config
        .insert("view_type".to_owned(), json!("WEBINAR"));
    document
}

pub(super) fn phone() -> PresetDocument {
    document(CanProduce::Allowed, CanProduce::NotAllowed, false)
}

fn document(audio: CanProduce, video: CanProduce, moderates: bool) -> PresetDocument {
    PresetDocument {
        permissions: Permissions {
            media: MediaPermissions {
                audio: ProducePermission { can_produce: audio },
                video: ProducePermission { can_produce: video },
                screenshare: ProducePermission { can_produce: video },
            },
            phone: PhonePermission { can_join: true },
            chat: ChatPermissions {
                public: ChatPermission {
                    other: object(json!({ "files": true })),
                    ..ChatPermission::default()
                },
                private: ChatPermission {
                    can_receive: Some(true),
                    other: object(json!({ "files": true })),
                    ..ChatPermission::default()
                },
            },
            host: HostPermissions::all(moderates),
            other: object(json!({
                "can_edit_display_name": true,
                "can_livestream": moderates,
                "can_record": moderates,
                "pin_participant": moderates,
            })),
            ..Permissions::default()
        },
        ..PresetDocument::default()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
