//! Trunks: carriers' connections, known by their networks, by a SIP credential, or by both.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::document::{self, Kept, Noun};
use super::routing_rule::{self, Rule, RuleDocument};
use super::{Conflict, Listed, Page, Store, StoreError};
use crate::id::{CredentialId, MeetingId, OrganizationId, TrunkId};
use crate::limits::TRUNKS_PER_ORGANIZATION_MAX;
use crate::telemetry::metric::store::Operation;

/// A trunk as its owner writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkDocument {
    /// What its owner calls it.
    pub name: String,
    /// Networks its calls come from; none: from anywhere, then with a credential.
    #[serde(default)]
    pub cidrs: Vec<IpNetText>,
    /// The SIP credential its calls must bring; none: its networks are proof enough.
    #[serde(default)]
    pub credential_id: Option<CredentialId>,
    /// SIP profile; none: chosen as for any other peer.
    #[serde(default)]
    pub profile: Option<String>,
    /// Country calling code with which numbers are completed that are dialled nationally, with a
    /// leading 0.
    #[serde(default)]
    pub country_code: Option<String>,
    /// Its calls may dial a meeting's id where no rule fits.
    #[serde(default)]
    pub allow_meeting_ids: bool,
    /// Calls at a time; none: as many as the server takes.
    #[serde(default)]
    pub concurrent_calls_max: Option<u32>,
    /// New calls a second; none: as many as the server takes.
    #[serde(default)]
    pub calls_per_second_max: Option<u32>,
    /// False: as if it were not there.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A network in text, read and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetText(pub IpNet);

impl TryFrom<String> for IpNetText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| {
            let address: Result<IpAddr, _> = text.parse();
            address.map(IpNet::from)
        });
        net.map(|net| Self(net.trunc()))
            .map_err(|_| format!("{text:?} is no network such as 192.0.2.0/28"))
    }
}

impl From<IpNetText> for String {
    fn from(net: IpNetText) -> Self {
        net.0.to_string()
    }
}

impl Noun for TrunkDocument {
    const TABLE: &'static str = "sip_trunks";
    type Id = TrunkId;

    fn draw_id() -> TrunkId {
        TrunkId::from_random(rand::random())
    }
}

/// A trunk as stored.
pub type Trunk = Kept<TrunkId, TrunkDocument>;

/// Every enabled trunk and routing rule of the process, in memory.
#[derive(Debug, Default)]
pub struct TrunkBook {
    /// Oldest first: who comes later never takes an earlier one's calls.
    trunks: Vec<Arc<Trunk>>,
    by_credential: HashMap<CredentialId, Arc<Trunk>>,
    rules: HashMap<OrganizationId, Vec<Arc<Rule>>>,
}

impl TrunkBook {
    /// The trunks whose address alone admits a call from `source`, oldest first.
    pub fn by_source(&self, source: IpAddr) -> impl Iterator<Item = &Arc<Trunk>> {
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d.
        let source = source.to_canonical();
        self.trunks.iter().filter(move |trunk| {
            trunk.document.credential_id.is_none() && trunk.document.is_from(source)
        })
    }

    /// The trunk whose calls bring this credential.
    pub fn by_credential(&self, credential: CredentialId) -> Option<&Arc<Trunk>> {
        self.by_credential.get(&credential)
    }

    /// An organisation's rules, the one that counts first first.
    pub fn rules(&self, organization: OrganizationId) -> &[Arc<Rule>] {
        self.rules.get(&organization).map_or(&[], Vec::as_slice)
    }

    /// The rules by which numbers lead to a meeting. Rules name their organisation's meetings only.
    pub fn dial_in(&self, meeting: MeetingId) -> Vec<Arc<Rule>> {
        let leads = |rule: &&Arc<Rule>| {
            rule.document.meeting_id == Some(meeting) && rule.document.number.is_some()
        };
        self.rules
            .values()
            .flatten()
            .filter(leads)
            .cloned()
            .collect()
    }
}

impl TrunkDocument {
    /// Does `source` belong to it?
    pub fn is_from(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.cidrs
            .iter()
            .any(|IpNetText(net)| net.contains(&source))
    }
}

impl Store {
    /// The trunks and routing rules as of now.
    pub fn trunk_book(&self) -> Arc<TrunkBook> {
        self.published.trunks.load_full()
    }

    /// Makes a trunk. It is in force when this returns.
    ///
    /// # Errors
    /// [`Conflict::TooMany`], and as any store operation.
    pub async fn create_trunk(
        &self,
        organization: OrganizationId,
        document: TrunkDocument,
    ) -> Result<Trunk, StoreError> {
        self.run(Operation::Write, move |db| {
            let (most, now) = (TRUNKS_PER_ORGANIZATION_MAX, db.unix_ns());
            let made = document::insert(&db.conn, organization, &document, most, now)?;
            db.publish_trunks()?;
            made.ok_or(StoreError::Conflict(Conflict::TooMany))
        })
        .await
    }

    /// An organisation's trunks, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn trunks(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<Trunk>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::list(&db.conn, organization, page)?)
        })
        .await
    }

    /// An organisation's trunk, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn trunk(
        &self,
        organization: OrganizationId,
        id: TrunkId,
    ) -> Result<Option<Trunk>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::read(&db.conn, organization, &id)?)
        })
        .await
    }

    /// Changes an organisation's trunk; `None` when it has no such trunk.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn update_trunk(
        &self,
        organization: OrganizationId,
        id: TrunkId,
        document: TrunkDocument,
    ) -> Result<Option<Trunk>, StoreError> {
        self.run(Operation::Write, move |db| {
            let changed = document::update(&db.conn, organization, &id, &document, db.unix_ns())?;
            db.publish_trunks()?;
            Ok(changed)
        })
        .await
    }

    /// Removes an organisation's trunk and the rules for it alone; `None` when it has no such
    /// trunk. Calls in progress go on.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_trunk(
        &self,
        organization: OrganizationId,
        id: TrunkId,
    ) -> Result<Option<Trunk>, StoreError> {
        self.run(Operation::Write, move |db| {
            let tx = db.write()?;
            let removed = document::delete::<TrunkDocument>(&tx, organization, &id)?;
            for rule in document::all::<RuleDocument>(&tx)? {
                if rule.organization == organization && rule.document.trunk_id == Some(id) {
                    document::delete::<RuleDocument>(&tx, organization, &rule.id)?;
                }
            }
            tx.commit()?;
            db.publish_trunks()?;
            Ok(removed)
        })
        .await
    }
}

pub(super) fn load_book(conn: &Connection) -> rusqlite::Result<TrunkBook> {
    let mut book = TrunkBook::default();
    for trunk in document::all::<TrunkDocument>(conn)? {
        if !trunk.document.enabled {
            continue;
        }
        let trunk = Arc::new(trunk);
        if let Some(credential) = trunk.document.credential_id {
            book.by_credential
                .entry(credential)
                .or_insert_with(|| Arc::clone(&trunk));
        }
        book.trunks.push(trunk);
    }
    for rule in document::all::<RuleDocument>(conn)? {
        if rule.document.enabled {
            book.rules
                .entry(rule.organization)
                .or_default()
                .push(Arc::new(rule));
        }
    }
    for rules in book.rules.values_mut() {
        // Stable: of two alike the older counts.
        rules.sort_by_key(|rule| routing_rule::rank(&rule.document));
    }
    Ok(book)
}
