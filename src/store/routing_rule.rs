//! Routing rules: which meeting a dialled number, a header or a URI parameter leads to.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::document::{self, Kept, Noun};
use super::{Conflict, Listed, Page, Store, StoreError};
use crate::id::{MeetingId, OrganizationId, RoutingRuleId, TrunkId};
use crate::limits::ROUTING_RULES_PER_ORGANIZATION_MAX;
use crate::telemetry::metric::store::Operation;

/// A rule as its owner writes it. At most one of `number`, `prefix`, `header` and `uri_parameter`
/// is given; none of them fits every call of the trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDocument {
    /// What its owner calls it.
    #[serde(default)]
    pub name: String,
    /// Of several that fit, the lowest counts; then the more exact, then the older.
    #[serde(default = "hundred")]
    pub priority: i32,
    /// The trunk whose calls it is for; none: every trunk and credential of the organisation.
    #[serde(default)]
    pub trunk_id: Option<TrunkId>,
    /// This number, in E.164 with `+`.
    #[serde(default)]
    pub number: Option<String>,
    /// Every number that begins so, in E.164 with `+`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Every call with this header.
    #[serde(default)]
    pub header: Option<String>,
    /// Every call with this parameter in its Request-URI.
    #[serde(default)]
    pub uri_parameter: Option<String>,
    /// The header's or parameter's value; none: any, and it is the meeting's id.
    #[serde(default)]
    pub value: Option<String>,
    /// Where it leads; none: the header's or parameter's value says it.
    #[serde(default)]
    pub meeting_id: Option<MeetingId>,
    /// Preset of its callers; none: `phone`.
    #[serde(default)]
    pub preset_name: Option<String>,
    /// Digits the caller must press before it is let in.
    #[serde(default)]
    pub pin: Option<String>,
    /// False: as if it were not there.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn hundred() -> i32 {
    100
}

fn yes() -> bool {
    true
}

impl Noun for RuleDocument {
    const TABLE: &'static str = "sip_routing_rules";
    type Id = RoutingRuleId;

    fn draw_id() -> RoutingRuleId {
        RoutingRuleId::from_random(rand::random())
    }
}

/// A rule as stored.
pub type Rule = Kept<RoutingRuleId, RuleDocument>;

/// Sorts rules, the one that counts first first.
pub(super) fn rank(rule: &RuleDocument) -> (i32, u8, Reverse<usize>) {
    let exactness = match rule {
        RuleDocument {
            number: Some(_), ..
        } => 0,
        RuleDocument {
            header: Some(_), ..
        }
        | RuleDocument {
            uri_parameter: Some(_),
            ..
        } => 1,
        RuleDocument {
            prefix: Some(_), ..
        } => 2,
        _ => 3,
    };
    let length = rule.prefix.as_ref().map_or(0, String::len);
    (rule.priority, exactness, Reverse(length))
}

impl Store {
    /// Makes a rule. It is in force when this returns.
    ///
    /// # Errors
    /// [`Conflict::TooMany`], and as any store operation.
    pub async fn create_routing_rule(
        &self,
        organization: OrganizationId,
        document: RuleDocument,
    ) -> Result<Rule, StoreError> {
        self.run(Operation::Write, move |db| {
            let (most, now) = (ROUTING_RULES_PER_ORGANIZATION_MAX, db.unix_ns());
            let made = document::insert(&db.conn, organization, &document, most, now)?;
            db.publish_trunks()?;
            made.ok_or(StoreError::Conflict(Conflict::TooMany))
        })
        .await
    }

    /// An organisation's rules, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn routing_rules(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Listed<Rule>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::list(&db.conn, organization, page)?)
        })
        .await
    }

    /// An organisation's rule, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn routing_rule(
        &self,
        organization: OrganizationId,
        id: RoutingRuleId,
    ) -> Result<Option<Rule>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(document::read(&db.conn, organization, &id)?)
        })
        .await
    }

    /// Changes an organisation's rule; `None` when it has no such rule.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn update_routing_rule(
        &self,
        organization: OrganizationId,
        id: RoutingRuleId,
        document: RuleDocument,
    ) -> Result<Option<Rule>, StoreError> {
        self.run(Operation::Write, move |db| {
            let changed = document::update(&db.conn, organization, &id, &document, db.unix_ns())?;
            db.publish_trunks()?;
            Ok(changed)
        })
        .await
    }

    /// Removes an organisation's rule; `None` when it has no such rule.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn delete_routing_rule(
        &self,
        organization: OrganizationId,
        id: RoutingRuleId,
    ) -> Result<Option<Rule>, StoreError> {
        self.run(Operation::Write, move |db| {
            let removed = document::delete(&db.conn, organization, &id)?;
            db.publish_trunks()?;
            Ok(removed)
        })
        .await
    }
}
