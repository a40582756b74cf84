//! The first start: what a new database is given, all of it or nothing.

use std::fmt;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::credential::{self, MeetingScope};
use super::meeting::{self, MeetingDraft};
use super::{Settings, organization, preset};
use crate::id::{MeetingId, OrganizationId};

/// What the first start made, with its secrets. They are told once and stored only as hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// The organisation; the user name of the REST API.
    pub organization_id: OrganizationId,
    /// Its key; the password of the REST API.
    pub api_key: String,
    /// SIP user name.
    pub sip_username: String,
    /// SIP password.
    pub sip_password: String,
    /// The demo meeting.
    pub meeting_id: MeetingId,
}

impl fmt::Debug for FirstStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstStart")
            .field("organization_id", &self.organization_id)
            .field("meeting_id", &self.meeting_id)
            .finish_non_exhaustive()
    }
}

/// Reads the settings, or makes a new database's, with the organisation, API key, presets, SIP
/// credentials and demo meeting that a first call needs.
pub(super) fn settle(
    conn: &mut Connection,
    realm: &str,
    now: i64,
) -> rusqlite::Result<(Settings, Option<FirstStart>)> {
    if let Some(settings) = read(conn)? {
        return Ok((settings, None));
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let organization_id = organization::insert(&tx, "My organisation", now)?;
    let api_key = organization::insert_key(&tx, organization_id, now)?;
    preset::insert_defaults(&tx, organization_id, now)?;
    let draft = MeetingDraft {
        title: "Demo meeting".to_owned(),
        ..MeetingDraft::default()
    };
    let meeting = meeting::insert(&tx, organization_id, draft, now)?;
    let login = credential::Login::draw();
    credential::insert(
        &tx,
        organization_id,
        realm,
        "First call",
        &login,
        &MeetingScope::Organization,
        now,
    )?;
    let settings = Settings {
        realm: realm.to_owned(),
        token_secret: rand::random(),
        first_organization: organization_id,
        demo_meeting: meeting.id,
    };
    write(&tx, &settings)?;
    tx.commit()?;
    let first_start = FirstStart {
        organization_id,
        api_key,
        sip_username: login.username,
        sip_password: login.password,
        meeting_id: meeting.id,
    };
    Ok((settings, Some(first_start)))
}

fn read(conn: &Connection) -> rusqlite::Result<Option<Settings>> {
    let Some(realm) = value::<String>(conn, "realm")? else {
        return Ok(None);
    };
    let organization: Option<String> = value(conn, "first_organization")?;
    let meeting: Option<String> = value(conn, "demo_meeting")?;
    let secret: Option<[u8; 32]> = value(conn, "token_secret")?;
    // All were written in one transaction: a missing one means a damaged or foreign file.
    let settings = (|| {
        Some(Settings {
            realm,
            token_secret: secret?,
            first_organization: organization?.parse().ok()?,
            demo_meeting: meeting?.parse().ok()?,
        })
    })();
    match settings {
        Some(settings) => Ok(Some(settings)),
        None => Err(rusqlite::Error::QueryReturnedNoRows),
    }
}

fn write(conn: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    let mut insert = conn.prepare("INSERT INTO settings (key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["realm", settings.realm])?;
    insert.execute(params!["token_secret", settings.token_secret])?;
    insert.execute(params![
        "first_organization",
        settings.first_organization.to_string()
    ])?;
    insert.execute(params!["demo_meeting", settings.demo_meeting.to_string()])?;
    Ok(())
}

fn value<T: FromSql>(conn: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    conn.query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| {
        row.get(0)
    })
    .optional()
}
