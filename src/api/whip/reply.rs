//! What is refused and why, and what lets pages of other origins read it.

use std::borrow::Cow;

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::error::ApiError;
use crate::api::signal_ws::admission::Refusal;

/// Why nothing came of a request.
#[derive(Debug)]
pub(super) enum Refused {
    /// No bearer, or not the one the session began with.
    TokenMissing,
    /// By the meeting.
    Join(Refusal),
    /// The body's type is not this one.
    WrongType(&'static str),
    /// Not UTF-8.
    NotText,
    /// The session's code and words for what is wrong with the offer.
    Offer(String, String),
    /// A fragment with a user name and no password.
    BadFragment,
    /// No such session.
    Unknown,
    /// `PATCH` without `If-Match`.
    PreconditionMissing,
    /// `PATCH` of an ICE session that is over.
    PreconditionFailed,
    /// Worth trying again.
    Busy,
    /// Our own failure.
    Internal,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Join(refusal)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let make = |status, code, message: Cow<'static, str>| Self {
            status,
            code,
            message,
            retry_after_s: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        match refused {
            Refused::TokenMissing => make(
                StatusCode::UNAUTHORIZED,
                "token_missing",
                "send the join token as Authorization: Bearer".into(),
            ),
            Refused::Join(refusal) => {
                let message = refusal.to_string().into();
                make(join_status(refusal), refusal.code(), message)
            }
            Refused::WrongType(wanted) => make(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                format!("send Content-Type: {wanted}").into(),
            ),
            Refused::NotText => make(
                StatusCode::BAD_REQUEST,
                "bad_description",
                "the body is not UTF-8 text".into(),
            ),
            Refused::Offer(code, message) => match code.as_str() {
                "description_too_large" => Self::too_large(),
                "waiting" => make(StatusCode::FORBIDDEN, "waiting", message.into()),
                _ => make(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "bad_description",
                    message.into(),
                ),
            },
            Refused::BadFragment => make(
                StatusCode::BAD_REQUEST,
                "bad_fragment",
                "an ICE restart needs a=ice-ufrag and a=ice-pwd".into(),
            ),
            Refused::Unknown => Self::not_found("session"),
            Refused::PreconditionMissing => make(
                StatusCode::PRECONDITION_REQUIRED,
                "if_match_missing",
                "say with If-Match which ICE session is meant".into(),
            ),
            Refused::PreconditionFailed => make(
                StatusCode::PRECONDITION_FAILED,
                "if_match_failed",
                "the ICE session of If-Match is over".into(),
            ),
            Refused::Busy => Self::busy(),
            Refused::Internal => Self::internal(),
        }
    }
}

fn join_status(refusal: Refusal) -> StatusCode {
    match refusal.code() {
        "token_invalid" | "token_expired" => StatusCode::UNAUTHORIZED,
        "unknown_meeting" => StatusCode::NOT_FOUND,
        "draining" | "overloaded" | "meeting_full" => StatusCode::SERVICE_UNAVAILABLE,
        "internal" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    }
}

/// Pages of any origin may ask: what they may do, the bearer decides, and no cookie does.
pub(super) fn open_to_all(reply: Result<Response, Refused>) -> Response {
    let mut response = match reply {
        Ok(response) => response,
        Err(refused) => {
            let mut response = ApiError::from(refused).into_response();
            let challenge = HeaderValue::from_static("Bearer realm=\"ringbridge\"");
            if let Some(basic) = response.headers_mut().get_mut(WWW_AUTHENTICATE) {
                *basic = challenge;
            }
            response
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, PATCH, DELETE, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, If-Match",
        ),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "Location, ETag, Link, Accept-Patch, Accept-Post",
        ),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
