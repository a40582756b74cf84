//! `/v2/sip/trunks`: carriers' connections.

use axum::extract::{Path, State};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::body::{Body, id};
use super::error::ApiError;
use super::kept::{KeptView, changed, invalid};
use super::state::ApiState;
use super::text;
use super::types::{Created, Paged, Paging, Success};
use crate::id::TrunkId;
use crate::limits::TRUNK_CIDRS_MAX;
use crate::store::trunk::{Trunk, TrunkDocument};

type TrunkView = KeptView<TrunkId, TrunkDocument>;

/// Wider networks than these hold strangers: addresses are the only proof such a trunk has.
const PREFIX_MIN: (u8, u8) = (8, 24);

pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<TrunkDocument>,
) -> Result<Created<TrunkView>, ApiError> {
    let document = checked(&state, caller, body).await?;
    let trunk = state
        .store()
        .create_trunk(caller.organization, document)
        .await?;
    Ok(Created(trunk.into()))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Paging(page): Paging,
) -> Result<Paged<TrunkView>, ApiError> {
    let listed = state.store().trunks(caller.organization, page).await?;
    Ok(Paged::of(page, listed, TrunkView::from))
}

pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(trunk): Path<String>,
) -> Result<Success<TrunkView>, ApiError> {
    Ok(Success(find(&state, caller, &trunk).await?.into()))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    Path(trunk): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Success<TrunkView>, ApiError> {
    let before = find(&state, caller, &trunk).await?;
    let document = checked(&state, caller, changed(&before.document, body)?).await?;
    let store = state.store();
    let after = store
        .update_trunk(caller.organization, before.id, document)
        .await?;
    Ok(Success(after.ok_or_else(missing)?.into()))
}

pub(super) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(trunk): Path<String>,
) -> Result<Success<TrunkView>, ApiError> {
    let store = state.store();
    let removed = store
        .delete_trunk(caller.organization, id("trunk", &trunk)?)
        .await?;
    Ok(Success(removed.ok_or_else(missing)?.into()))
}

fn missing() -> ApiError {
    ApiError::not_found("trunk")
}

async fn find(state: &ApiState, caller: Caller, trunk: &str) -> Result<Trunk, ApiError> {
    let found = state
        .store()
        .trunk(caller.organization, id("trunk", trunk)?)
        .await?;
    found.ok_or_else(missing)
}

async fn checked(
    state: &ApiState,
    caller: Caller,
    mut document: TrunkDocument,
) -> Result<TrunkDocument, ApiError> {
    document.name = text::line("name", document.name)?;
    if document.name.is_empty() {
        return Err(invalid("name must not be empty"));
    }
    if document.cidrs.len() > TRUNK_CIDRS_MAX {
        return Err(invalid(format!("cidrs may list at most {TRUNK_CIDRS_MAX}")));
    }
    for net in document.cidrs.iter().map(|net| net.0) {
        let least = if net.addr().is_ipv4() {
            PREFIX_MIN.0
        } else {
            PREFIX_MIN.1
        };
        if net.prefix_len() < least {
            return Err(invalid(format!("cidrs: {net} is wider than /{least}")));
        }
    }
    match document.credential_id {
        None if document.cidrs.is_empty() => {
            return Err(invalid("a trunk needs cidrs, a credential_id, or both"));
        }
        Some(credential) => {
            let store = state.store();
            let found = store
                .sip_credential(caller.organization, credential)
                .await?;
            if found.is_none() {
                return Err(invalid("credential_id names no SIP credential of yours"));
            }
        }
        None => {}
    }
    if let Some(profile) = &document.profile
        && !state.profiles().contains(profile)
    {
        return Err(invalid(format!(
            "profile must be one of {}",
            state.profiles().join(", ")
        )));
    }
    if let Some(code) = &document.country_code {
        let plausible = (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        if !plausible || code.starts_with('0') {
            return Err(invalid(
                "country_code must be a country calling code, such as 49",
            ));
        }
    }
    if document.concurrent_calls_max == Some(0) || document.calls_per_second_max == Some(0) {
        return Err(invalid(
            "a limit must be at least 1; disable the trunk with enabled: false",
        ));
    }
    Ok(document)
}
