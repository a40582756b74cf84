//! Organisations and their API keys. A key is 256 random bits and stored as its SHA-256: guessing
//! is hopeless, so a slow hash would only make our own check slow.

use std::collections::HashMap;
use std::fmt;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::row;
use crate::id::OrganizationId;

/// Every organisation's key hashes.
#[derive(Clone, Default)]
pub struct ApiKeyBook {
    keys: HashMap<OrganizationId, Vec<[u8; 32]>>,
}

impl fmt::Debug for ApiKeyBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyBook({} organisations)", self.keys.len())
    }
}

impl ApiKeyBook {
    /// Is this a key of that organisation? Takes the same time whatever is wrong.
    pub fn authenticate(&self, organization: OrganizationId, key: &str) -> bool {
        let hash = hash(key);
        let nobody = [[0_u8; 32]];
        let keys = self.keys.get(&organization);
        let found = keys
            .map_or(nobody.as_slice(), Vec::as_slice)
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&hash));
        keys.is_some() && found.into()
    }
}

pub(super) fn load_keys(conn: &Connection) -> rusqlite::Result<ApiKeyBook> {
    let mut book = ApiKeyBook::default();
    let mut statement = conn.prepare("SELECT organization_id, hash FROM api_keys")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row::id::<OrganizationId>(row, "organization_id")?,
            row.get::<_, [u8; 32]>("hash")?,
        ))
    })?;
    for row in rows {
        let (organization, hash) = row?;
        book.keys.entry(organization).or_default().push(hash);
    }
    Ok(book)
}

pub(super) fn insert(conn: &Connection, name: &str, now: i64) -> rusqlite::Result<OrganizationId> {
    let id = OrganizationId::from_random(rand::random());
    conn.execute(
        "INSERT INTO organizations (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![id.to_string(), name, now],
    )?;
    Ok(id)
}

/// Makes a key and returns it in clear, which nobody can do again.
pub(super) fn insert_key(
    conn: &Connection,
    organization: OrganizationId,
    now: i64,
) -> rusqlite::Result<String> {
    let key = hex(&rand::random::<[u8; 32]>());
    conn.execute(
        "INSERT INTO api_keys (hash, organization_id, created_at) VALUES (?1, ?2, ?3)",
        params![hash(&key), organization.to_string(), now],
    )?;
    Ok(key)
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
