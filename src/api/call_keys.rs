//! `POST /v2/sip/calls/{call}/dtmf`: keys for the ear of a phone (RFC 4733).

use axum::extract::{Path, State};
use serde::Deserialize;

use super::auth::Caller;
use super::body::{Body, id};
use super::calls::CallView;
use super::error::ApiError;
use super::state::ApiState;
use super::types::Success;
use crate::limits::DTMF_KEYS_WAITING_MAX;
use crate::meeting::ear::KeyError;
use crate::rtp::dtmf::Key;
use crate::run::directory::SendKeysError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    digits: String,
}

/// Sends all of the keys, after those still waiting, or none; the reply shows the call.
pub(super) async fn send(
    State(state): State<ApiState>,
    caller: Caller,
    Path(call): Path<String>,
    Body(keys): Body<Keys>,
) -> Result<Success<CallView>, ApiError> {
    let id = id("call", &call)?;
    let keys = parse(&keys.digits)?;
    let live = state.calls().find(caller.organization, id);
    let (Some(live), Some(phone)) = (live, state.calls().keys(caller.organization, id)) else {
        return Err(ApiError::not_found("call in progress"));
    };
    match phone.send(keys).await {
        Ok(()) => Ok(Success(live.into())),
        Err(SendKeysError::Refused(KeyError::NotAgreed)) => Err(ApiError::conflict(
            "dtmf_not_agreed",
            "this phone takes no telephone-event (RFC 4733)",
        )),
        Err(SendKeysError::Refused(KeyError::Waiting(_))) => Err(ApiError::conflict(
            "dtmf_queue_full",
            "too many keys are waiting to be sent to this phone",
        )),
        Err(SendKeysError::Gone(_)) => Err(ApiError::not_found("call in progress")),
    }
}

fn parse(digits: &str) -> Result<Vec<Key>, ApiError> {
    let keys = digits.chars().map(Key::Digit);
    let keys: Vec<Key> = keys.take(DTMF_KEYS_WAITING_MAX + 1).collect();
    let all_known = keys.iter().all(|key| key.to_event().is_some());
    if keys.is_empty() || keys.len() > DTMF_KEYS_WAITING_MAX || !all_known {
        return Err(ApiError::unprocessable(
            "invalid_digits",
            format!("digits must be 1 to {DTMF_KEYS_WAITING_MAX} of 0-9, *, #, A-D"),
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_keys_of_a_telephone_and_not_too_many() {
        assert_eq!(parse("0#d").unwrap()[1], Key::Digit('#'));
        for wrong in ["", "12x", "1 2", &"1".repeat(DTMF_KEYS_WAITING_MAX + 1)] {
            assert_eq!(parse(wrong).unwrap_err().code, "invalid_digits", "{wrong}");
        }
    }
}
