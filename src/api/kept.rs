//! Things kept as one document each, as replies show them and as changes meet them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::types::Time;
use crate::store::document::Kept;

/// The document with its id and times.
#[derive(Serialize)]
pub(super) struct KeptView<I, D> {
    id: I,
    #[serde(flatten)]
    document: D,
    created_at: Time,
    updated_at: Time,
}

impl<I, D> From<Kept<I, D>> for KeptView<I, D> {
    fn from(kept: Kept<I, D>) -> Self {
        Self {
            id: kept.id,
            document: kept.document,
            created_at: kept.created_at.into(),
            updated_at: kept.updated_at.into(),
        }
    }
}

/// `document` with the members of `change` in place of its own.
pub(super) fn changed<D: Serialize + DeserializeOwned>(
    document: &D,
    change: Map<String, Value>,
) -> Result<D, ApiError> {
    let mut document = json!(document);
    if let Value::Object(members) = &mut document {
        members.extend(change);
    }
    serde_json::from_value(document)
        .map_err(|error| ApiError::unprocessable("invalid_body", error.to_string()))
}

/// The value of one field is not possible.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::unprocessable("invalid_field", message.into())
}
