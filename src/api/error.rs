//! The one error of the API: status, stable code, and a message for the caller. What only we may
//! know is logged where the error is made.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::{Conflict, StoreError};

/// See the module. Shape on the wire: `{"success": false, "error": {"code", "message"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people; says nothing they may not know.
    pub message: Cow<'static, str>,
    /// Seconds after which trying again may help.
    pub retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_s: None,
        }
    }

    /// Too many requests: the next may come after `wait`.
    pub fn too_many_requests(wait: Duration) -> Self {
        let refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "too many requests; try again after Retry-After seconds",
        );
        Self {
            retry_after_s: Some(wait.as_secs() + 1),
            ..refusal
        }
    }

    /// No or wrong credentials.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "HTTP Basic credentials organizationId:apiKey are missing or wrong",
        )
    }

    /// There is no such `noun`, or it is another organisation's.
    pub fn not_found(noun: &'static str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {noun}"),
        )
    }

    /// The path exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "the path does not have this method",
        )
    }

    /// The body or query cannot be read.
    pub fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The body is too large.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the body is too large",
        )
    }

    /// The body is not declared to be JSON.
    pub fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send JSON with Content-Type: application/json",
        )
    }

    /// The body was read, but a value in it is not possible.
    pub fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// A rule of the data forbids it.
    pub fn conflict(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Worth trying again soon.
    pub fn busy() -> Self {
        let refusal = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "the server is busy; try again in a second",
        );
        Self {
            retry_after_s: Some(1),
            ..refusal
        }
    }

    /// Our own failure; the cause must have been logged.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log says why",
        )
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    success: bool,
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'static str,
    message: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Envelope {
            success: false,
            error: Told {
                code: self.code,
                message: &self.message,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge =
                HeaderValue::from_static("Basic realm=\"ringbridge\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after_s {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::busy(),
            StoreError::Conflict(Conflict::UsernameTaken) => {
                Self::conflict("username_taken", "the SIP user name is taken")
            }
            StoreError::Conflict(Conflict::PresetNameTaken) => {
                Self::conflict("preset_name_taken", "there is a preset of this name")
            }
            StoreError::Conflict(Conflict::TooMany) => {
                Self::conflict("too_many", "there are as many of these as there may be")
            }
            StoreError::Closed | StoreError::Database(_) => {
                tracing::error!(%error, "a request failed in the store");
                Self::internal()
            }
        }
    }
}
