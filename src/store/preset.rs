//! Presets: what participants may do, as the document API users write, and the rules the session
//! enforces derived from it. Parts of a document that no rule is made of yet are kept as given.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::thread::Database;
use super::{Conflict, Listed, Page, Store, StoreError, row};
use crate::id::{OrganizationId, PresetId};
use crate::meeting::preset::{CanProduce, ChatRights, HostRights, Preset, WaitingRoom};
use crate::telemetry::metric::store::Operation;

/// Default preset of hosts.
pub const PRESET_HOST: &str = "group_call_host";
/// Default preset of everybody else.
pub const PRESET_PARTICIPANT: &str = "group_call_participant";
/// Default preset of those who only hear and see.
pub const PRESET_VIEWER: &str = "webinar_viewer";
/// Default preset of phones.
pub const PRESET_PHONE: &str = "phone";

/// A preset as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPreset {
    /// Its id.
    pub id: PresetId,
    /// Owner.
    pub organization: OrganizationId,
    /// Unique within the organisation.
    pub name: String,
    /// What its author wrote.
    pub document: PresetDocument,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

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

impl Store {
    /// The rules of an organisation's preset, if it has one of this name; from memory if it was
    /// used lately.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn preset(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<Preset>, StoreError> {
        let key = (organization, name.to_owned());
        if let Some(preset) = self.published.presets.get(&key) {
            return Ok(Some(preset));
        }
        self.run(Operation::Read, move |db| {
            let stored = db
                .conn
                .prepare_cached("SELECT * FROM presets WHERE organization_id = ?1 AND name = ?2")?
                .query_row(params![key.0.to_string(), key.1], from_row)
                .optional()?;
            Ok(stored.map(|stored| {
                let rules = stored.document.rules(&stored.name);
                db.published.presets.put(key, rules.clone());
                rules
            }))
        })
        .await
    }

    /// An organisation's presets by name.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn presets(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<StoredPreset>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let total = db.conn.query_row(
                "SELECT count(*) FROM presets WHERE organization_id = ?1",
                [&organization],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(
                    "SELECT * FROM presets WHERE organization_id = ?1
                     ORDER BY name LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![organization, page.limit, page.offset], from_row)?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// An organisation's preset, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn stored_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Read, move |db| read(&db.conn, organization, id))
            .await
    }

    /// Makes a preset.
    ///
    /// # Errors
    /// [`Conflict::PresetNameTaken`], and as any store operation.
    pub async fn create_preset(
        &self,
        organization: OrganizationId,
        name: String,
        document: PresetDocument,
    ) -> Result<StoredPreset, StoreError> {
        self.run(Operation::Write, move |db| {
            insert(&db.conn, organization, &name, &document, db.unix_ns())
                .map_err(|error| StoreError::or_conflict(error, Conflict::PresetNameTaken))
        })
        .await
    }

    /// Changes an organisation's preset; `None` when it has no such preset. Whoever calls tells
    /// the live sessions.
    ///
    /// # Errors
    /// [`Conflict::PresetNameTaken`], and as any store operation.
    pub async fn update_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
        name: Option<String>,
        document: PresetDocument,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Write, move |db| {
            let Some(before) = read(&db.conn, organization, id)? else {
                return Ok(None);
            };
            db.conn
                .execute(
                    "UPDATE presets SET name = coalesce(?3, name), document = ?4, updated_at = ?5
                     WHERE id = ?1 AND organization_id = ?2",
                    params![
                        id.to_string(),
                        organization.to_string(),
                        name,
                        text(&document),
                        db.unix_ns(),
                    ],
                )
                .map_err(|error| StoreError::or_conflict(error, Conflict::PresetNameTaken))?;
            forget(db, before);
            read(&db.conn, organization, id)
        })
        .await
    }

    /// Removes an organisation's preset; `None` when it has no such preset.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_preset(
        &self,
        organization: OrganizationId,
        id: PresetId,
    ) -> Result<Option<StoredPreset>, StoreError> {
        self.run(Operation::Write, move |db| {
            let Some(before) = read(&db.conn, organization, id)? else {
                return Ok(None);
            };
            db.conn
                .execute("DELETE FROM presets WHERE id = ?1", [id.to_string()])?;
            forget(db, before.clone());
            Ok(Some(before))
        })
        .await
    }
}

/// Gives a new organisation the presets every user of such services expects.
pub(super) fn insert_defaults(
    conn: &Connection,
    organization: OrganizationId,
    now: i64,
) -> rusqlite::Result<()> {
    for (name, document) in [
        (PRESET_HOST, host()),
        (PRESET_PARTICIPANT, participant()),
        (PRESET_VIEWER, viewer()),
        (PRESET_PHONE, phone()),
    ] {
        insert(conn, organization, name, &document, now)?;
    }
    Ok(())
}

fn insert(
    conn: &Connection,
    organization: OrganizationId,
    name: &str,
    document: &PresetDocument,
    now: i64,
) -> rusqlite::Result<StoredPreset> {
    conn.query_row(
        "INSERT INTO presets (id, organization_id, name, document, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING *",
        params![
            PresetId::from_random(rand::random()).to_string(),
            organization.to_string(),
            name,
            text(document),
            now,
        ],
        from_row,
    )
}

fn read(
    conn: &Connection,
    organization: OrganizationId,
    id: PresetId,
) -> Result<Option<StoredPreset>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT * FROM presets WHERE id = ?1 AND organization_id = ?2")?
        .query_row(params![id.to_string(), organization.to_string()], from_row)
        .optional()?)
}

fn forget(db: &Database, preset: StoredPreset) {
    db.published
        .presets
        .forget(&(preset.organization, preset.name));
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredPreset> {
    Ok(StoredPreset {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        name: row.get("name")?,
        document: row::json(row, "document")?,
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}

fn text(document: &PresetDocument) -> String {
    json!(document).to_string()
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

fn host() -> PresetDocument {
    document(CanProduce::Allowed, CanProduce::Allowed, true)
}

fn participant() -> PresetDocument {
    document(CanProduce::Allowed, CanProduce::Allowed, false)
}

fn viewer() -> PresetDocument {
    let mut document = document(CanProduce::NotAllowed, CanProduce::NotAllowed, false);
    document
        .config
        .insert("view_type".to_owned(), json!("WEBINAR"));
    document
}

fn phone() -> PresetDocument {
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
