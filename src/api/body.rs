//! A JSON body and a path's ids, refused in our own shape when they cannot be read.

use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refuse(&rejection)),
        }
    }
}

fn refuse(rejection: &JsonRejection) -> ApiError {
    match rejection {
        JsonRejection::JsonSyntaxError(_) => {
            ApiError::bad_request("invalid_json", rejection.body_text())
        }
        JsonRejection::JsonDataError(_) => {
            ApiError::unprocessable("invalid_body", rejection.body_text())
        }
        JsonRejection::MissingJsonContentType(_) => ApiError::not_json(),
        _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
        _ => ApiError::bad_request("invalid_body", "the body could not be read"),
    }
}

/// An id in a path. What is no id names nothing: 404, as for one that does not exist.
pub(super) fn id<T: FromStr>(noun: &'static str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(noun))
}
