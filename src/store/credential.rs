//! SIP credentials: user name, password hashes and the meetings they open.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use rand::Rng;
use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::{Conflict, Listed, Page, Store, StoreError, row};
use crate::id::{CredentialId, MeetingId, OrganizationId};
use crate::sip::auth::{CredentialSource, DigestAlgorithm, StoredCredential, ha1};
use crate::telemetry::metric::store::Operation;

/// Which meetings a credential opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeetingScope {
    /// All of its organisation, those made later too.
    Organization,
    /// These.
    Listed(BTreeSet<MeetingId>),
}

/// What a phone may do that authenticated with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGrant {
    /// The organisation it belongs to.
    pub organization: OrganizationId,
    /// The meetings of that organisation it opens.
    pub scope: MeetingScope,
}

impl CredentialGrant {
    /// Does it open `meeting`, which belongs to `owner`?
    pub fn opens(&self, owner: OrganizationId, meeting: MeetingId) -> bool {
        owner == self.organization
            && match &self.scope {
                MeetingScope::Organization => true,
                MeetingScope::Listed(meetings) => meetings.contains(&meeting),
            }
    }
}

/// Every credential of the process, in memory.
#[derive(Default)]
pub struct CredentialBook {
    by_username: HashMap<String, StoredCredential>,
    grants: HashMap<CredentialId, Arc<CredentialGrant>>,
}

impl fmt::Debug for CredentialBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialBook({} credentials)", self.grants.len())
    }
}

impl CredentialSource for CredentialBook {
    fn credential(&self, username: &str) -> Option<StoredCredential> {
        self.by_username.get(username).cloned()
    }
}

impl CredentialBook {
    /// What this credential allows; `None` once it was deleted.
    pub fn grant(&self, credential: CredentialId) -> Option<Arc<CredentialGrant>> {
        self.grants.get(&credential).cloned()
    }
}

/// A credential as the API shows it: no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipCredential {
    /// Its id.
    pub id: CredentialId,
    /// Owner.
    pub organization: OrganizationId,
    /// What its owner calls it.
    pub name: String,
    /// Digest user name, unique over all organisations.
    pub username: String,
    /// Meetings it opens.
    pub scope: MeetingScope,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// User name and password of a SIP account, in clear: shown once, never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Digest user name.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Without characters that are easily mistaken for others: people type these into phones.
const LEGIBLE: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Characters of a generated user name after its prefix: 2^39 names, no two alike for long.
const USERNAME_CHARS: usize = 8;
/// Characters of a generated password: 99 bits.
const PASSWORD_CHARS: usize = 20;

impl Login {
    /// A new random one.
    pub fn draw() -> Self {
        Self {
            username: Self::draw_username(),
            password: Self::draw_password(),
        }
    }

    /// A random user name.
    pub fn draw_username() -> String {
        format!("rb-{}", legible(USERNAME_CHARS))
    }

    /// A random password.
    pub fn draw_password() -> String {
        legible(PASSWORD_CHARS)
    }
}

fn legible(chars: usize) -> String {
    let mut rng = rand::rng();
    (0..chars)
        .map(|_| char::from(LEGIBLE[rng.random_range(0..LEGIBLE.len())]))
        .collect()
}

impl Store {
    /// Makes a credential. The login is in force when this returns.
    ///
    /// # Errors
    /// [`Conflict::UsernameTaken`], and as any store operation.
    pub async fn create_sip_credential(
        &self,
        organization: OrganizationId,
        name: String,
        login: Login,
        scope: MeetingScope,
    ) -> Result<SipCredential, StoreError> {
        self.run(Operation::Write, move |db| {
            let now = db.unix_ns();
            let credential = insert(
                &db.conn,
                organization,
                db.realm(),
                &name,
                &login,
                &scope,
                now,
            )
            .map_err(|error| StoreError::or_conflict(error, Conflict::UsernameTaken))?;
            db.publish_credentials()?;
            Ok(credential)
        })
        .await
    }

    /// An organisation's credentials, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn sip_credentials(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<SipCredential>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let total = db.conn.query_row(
                "SELECT count(*) FROM sip_credentials WHERE organization_id = ?1",
                [&organization],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(
                    "SELECT * FROM sip_credentials WHERE organization_id = ?1
                     ORDER BY created_at DESC, id LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![organization, page.limit, page.offset], from_row)?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// An organisation's credential, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn sip_credential(
        &self,
        organization: OrganizationId,
        id: CredentialId,
    ) -> Result<Option<SipCredential>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(db
                .conn
                .prepare_cached(
                    "SELECT * FROM sip_credentials WHERE id = ?1 AND organization_id = ?2",
                )?
                .query_row(params![id.to_string(), organization.to_string()], from_row)
                .optional()?)
        })
        .await
    }

    /// Removes an organisation's credential; false when it has no such credential. New requests
    /// with it are refused when this returns; calls in progress go on.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_sip_credential(
        &self,
        organization: OrganizationId,
        id: CredentialId,
    ) -> Result<bool, StoreError> {
        self.run(Operation::Write, move |db| {
            let removed = db.conn.execute(
                "DELETE FROM sip_credentials WHERE id = ?1 AND organization_id = ?2",
                params![id.to_string(), organization.to_string()],
            )?;
            if removed > 0 {
                db.publish_credentials()?;
            }
            Ok(removed > 0)
        })
        .await
    }
}

pub(super) fn insert(
    conn: &Connection,
    organization: OrganizationId,
    realm: &str,
    name: &str,
    login: &Login,
    scope: &MeetingScope,
    now: i64,
) -> rusqlite::Result<SipCredential> {
    let Login { username, password } = login;
    conn.query_row(
        "INSERT INTO sip_credentials
            (id, organization_id, name, username, ha1_md5, ha1_sha256, meetings, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING *",
        params![
            CredentialId::from_random(rand::random()).to_string(),
            organization.to_string(),
            name,
            username,
            ha1(DigestAlgorithm::Md5, username, realm, password),
            ha1(DigestAlgorithm::Sha256, username, realm, password),
            scope_text(scope),
            now,
        ],
        from_row,
    )
}

pub(super) fn load_book(conn: &Connection) -> rusqlite::Result<CredentialBook> {
    let mut book = CredentialBook::default();
    let mut statement = conn.prepare("SELECT * FROM sip_credentials")?;
    let rows = statement.query_map([], |row| {
        let shown = from_row(row)?;
        let stored = StoredCredential {
            id: shown.id,
            ha1_md5: row.get("ha1_md5")?,
            ha1_sha256: row.get("ha1_sha256")?,
        };
        Ok((shown, stored))
    })?;
    for row in rows {
        let (shown, stored) = row?;
        let grant = CredentialGrant {
            organization: shown.organization,
            scope: shown.scope,
        };
        book.grants.insert(shown.id, Arc::new(grant));
        book.by_username.insert(shown.username, stored);
    }
    Ok(book)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<SipCredential> {
    let scope = match row.get::<_, Option<String>>("meetings")? {
        None => MeetingScope::Organization,
        Some(_) => MeetingScope::Listed(row::json(row, "meetings")?),
    };
    Ok(SipCredential {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        name: row.get("name")?,
        username: row.get("username")?,
        scope,
        created_at: row::time(row, "created_at")?,
    })
}

/// NULL for the whole organisation, else a JSON array: an empty one opens nothing.
fn scope_text(scope: &MeetingScope) -> Option<String> {
    match scope {
        MeetingScope::Organization => None,
        MeetingScope::Listed(meetings) => Some(serde_json::json!(meetings).to_string()),
    }
}
