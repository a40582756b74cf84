//! Registered phones, so that they can be reached after a restart before they refresh.

use std::net::SocketAddr;
use std::time::Duration;

use rusqlite::{Row, params};

use super::{Store, StoreError, row};
use crate::id::CredentialId;
use crate::sip::endpoint::Registration;
use crate::sip::flow::{Flow, FlowId, Transport};
use crate::telemetry::metric::store::Operation;

/// One registered phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRegistration {
    /// What the endpoint knows of it.
    pub registration: Registration,
    /// Until when it is registered, nanoseconds since the Unix epoch.
    pub expires_at_unix_ns: i128,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationChange {
    /// It came, or was refreshed.
    Keep(Box<StoredRegistration>),
    /// It went.
    Forget {
        /// Whose.
        credential: CredentialId,
        /// Its Contact URI.
        contact: String,
    },
}

impl Store {
    /// The phones that are still registered; those that ran out meanwhile are forgotten, and so are
    /// those of credentials that were deleted. `now` is nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn registrations(&self, now: i128) -> Result<Vec<StoredRegistration>, StoreError> {
        self.run(Operation::Read, move |db| {
            db.conn.execute(
                "DELETE FROM registrations WHERE expires_at <= ?1
                 OR credential_id NOT IN (SELECT id FROM sip_credentials)",
                [row::ns(now)],
            )?;
            let mut select = db.conn.prepare_cached("SELECT * FROM registrations")?;
            let rows = select.query_map([], |row| from_row(row, now))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Writes changes, all or none.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn keep_registrations(
        &self,
        changes: Vec<RegistrationChange>,
    ) -> Result<(), StoreError> {
        self.run(Operation::Write, move |db| {
            let tx = db.conn.transaction()?;
            for change in &changes {
                match change {
                    RegistrationChange::Keep(kept) => keep(&tx, kept)?,
                    RegistrationChange::Forget {
                        credential,
                        contact,
                    } => {
                        tx.prepare_cached(
                            "DELETE FROM registrations
                             WHERE credential_id = ?1 AND contact = ?2",
                        )?
                        .execute(params![credential.to_string(), contact])?;
                    }
                }
            }
            Ok(tx.commit()?)
        })
        .await
    }
}

fn keep(tx: &rusqlite::Transaction<'_>, kept: &StoredRegistration) -> rusqlite::Result<()> {
    let registration = &kept.registration;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO registrations (credential_id, contact, username, contact_value,
            instance, user_agent, transport, local, remote, call_id, cseq, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        registration.credential.to_string(),
        registration.contact,
        registration.username,
        registration.contact_value,
        registration.instance,
        registration.user_agent,
        registration.flow.transport.via_token(),
        registration.flow.local.to_string(),
        registration.flow.remote.to_string(),
        registration.call_id,
        registration.cseq,
        row::ns(kept.expires_at_unix_ns),
    ])?;
    Ok(())
}

fn from_row(row: &Row<'_>, now: i128) -> rusqlite::Result<StoredRegistration> {
    let expires_at_unix_ns = i128::from(row.get::<_, i64>("expires_at")?);
    let left = u64::try_from(expires_at_unix_ns - now).unwrap_or(0);
    let transport = match row.get::<_, String>("transport")?.as_str() {
        "TCP" => Transport::Tcp,
        "TLS" => Transport::Tls,
        "WS" => Transport::Ws,
        "WSS" => Transport::Wss,
        _ => Transport::Udp,
    };
    let flow = Flow {
        // Datagrams come and go on flow 0; the connections of an earlier run are gone for good.
        id: match transport {
            Transport::Udp => FlowId(0),
            _ => FlowId(u64::MAX),
        },
        transport,
        local: address(row, "local")?,
        remote: address(row, "remote")?,
    };
    Ok(StoredRegistration {
        registration: Registration {
            credential: row::id(row, "credential_id")?,
            username: row.get("username")?,
            contact: row.get("contact")?,
            contact_value: row.get("contact_value")?,
            instance: row.get("instance")?,
            user_agent: row.get("user_agent")?,
            flow,
            call_id: row.get("call_id")?,
            cseq: row.get("cseq")?,
            expires: Duration::from_nanos(left),
        },
        expires_at_unix_ns,
    })
}

fn address(row: &Row<'_>, column: &'static str) -> rusqlite::Result<SocketAddr> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}
