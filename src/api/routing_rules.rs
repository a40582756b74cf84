//! `/v2/sip/routing-rules`: which meeting a dialled number leads to.

use axum::extract::{Path, State};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::kept::{KeptView, changed, invalid};
use super::state::ApiState;
use super::text;
use super::types::{Created, Paged, Paging, Success};
use crate::id::RoutingRuleId;
use crate::store::routing_rule::{Rule, RuleDocument};

type RuleView = KeptView<RoutingRuleId, RuleDocument>;

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<RuleDocument>,
) -> Result<Created<RuleView>, ApiError> {
    let document = checked(&state, caller, body).await?;
    let store = state.store();
    let rule = store
        .create_routing_rule(caller.organization, document)
        .await?;
    Ok(Created(rule.into()))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<RuleView>, ApiError> {
    let listed = state
        .store()
        .routing_rules(caller.organization, page)
        .await?;
    Ok(Paged::of(page, listed, RuleView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(rule): Path<String>,
) -> Result<Success<RuleView>, ApiError> {
    Ok(Success(find(&state, caller, &rule).await?.into()))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(rule): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Success<RuleView>, ApiError> {
    let before = find(&state, caller, &rule).await?;
    let document = checked(&state, caller, changed(&before.document, body)?).await?;
    let store = state.store();
    let after = store
        .update_routing_rule(caller.organization, before.id, document)
        .await?;
    Ok(Success(after.ok_or_else(missing)?.into()))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(rule): Path<String>,
) -> Result<Success<RuleView>, ApiError> {
    let (store, rule) = (state.store(), id("routing rule", &rule)?);
    let removed = store.delete_routing_rule(caller.organization, rule).await?;
    Ok(Success(removed.ok_or_else(missing)?.into()))
}

fn missing() -> ApiError {
    ApiError::not_found("routing rule")
}

async fn find(state: &ApiState, caller: Caller, rule: &str) -> Result<Rule, ApiError> {
    let rule = id("routing rule", rule)?;
    let found = state
        .store()
        .routing_rule(caller.organization, rule)
        .await?;
    found.ok_or_else(missing)
}

async fn checked(
    state: &ApiState,
    caller: Caller,
    mut rule: RuleDocument,
) -> Result<RuleDocument, ApiError> {
    rule.name = text::line("name", rule.name)?;
    check_matcher(&mut rule)?;
    let (store, organization) = (state.store(), caller.organization);
    if let Some(trunk) = rule.trunk_id
        && store.trunk(organization, trunk).await?.is_none()
    {
        return Err(invalid("trunk_id names no trunk of yours"));
    }
    if let Some(id) = rule.meeting_id {
        let meeting = store.meeting(id).await?;
        if meeting.is_none_or(|meeting| meeting.organization != organization) {
            let message = format!("there is no meeting {id}");
            return Err(ApiError::unprocessable("unknown_meeting", message));
        }
    }
    if let Some(name) = &rule.preset_name
        && store.preset(organization, name).await?.is_none()
    {
        let message = "preset_name names no preset of this organisation";
        return Err(ApiError::unprocessable("unknown_preset", message));
    }
    if let Some(pin) = &rule.pin
        && !((4..=12).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(invalid("pin must be 4 to 12 digits"));
    }
    Ok(rule)
}

fn check_matcher(rule: &mut RuleDocument) -> Result<(), ApiError> {
    let given = [
        &rule.number,
        &rule.prefix,
        &rule.header,
        &rule.uri_parameter,
    ];
    let by_value = rule.header.is_some() || rule.uri_parameter.is_some();
    match given.iter().filter(|given| given.is_some()).count() {
        0 if rule.trunk_id.is_none() => {
            return Err(invalid("a rule for every call must name its trunk_id"));
        }
        0 | 1 => {}
        _ => {
            return Err(invalid(
                "give one of number, prefix, header and uri_parameter",
            ));
        }
    }
    if rule.value.is_some() && !by_value {
        return Err(invalid("value belongs to header or uri_parameter"));
    }
    if rule.meeting_id.is_none() && (!by_value || rule.value.is_some()) {
        return Err(invalid("meeting_id is missing"));
    }
    if let Some(number) = &mut rule.number {
        *number = e164("number", number, 3)?;
    }
    if let Some(prefix) = &mut rule.prefix {
        *prefix = e164("prefix", prefix, 1)?;
    }
    for (field, name) in [
        ("header", &rule.header),
        ("uri_parameter", &rule.uri_parameter),
    ] {
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if let Some(name) = name
            && !((1..=64).contains(&name.len()) && name.chars().all(token))
        {
            return Err(invalid(format!(
                "{field} must be a name of at most 64 characters"
            )));
        }
    }
    if let Some(value) = rule.value.take() {
        rule.value = Some(text::line("value", value)?);
    }
    Ok(())
}

/// A number as E.164: `+` and digits, separators removed.
fn e164(field: &str, raw: &str, least: usize) -> Result<String, ApiError> {
    let bare: String = raw.chars().filter(|c| !"-. ()".contains(*c)).collect();
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    let plausible = (least..=15).contains(&digits.len());
    if plausible && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(format!("+{digits}"));
    }
    Err(invalid(format!(
        "{field} must be a number in E.164: + and {least} to 15 digits"
    )))
}
