//! What all replies share: the envelope, paging, and how times are written.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;
use time::macros::format_description;

use super::error::ApiError;
use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::run::clock;
use crate::store::{Listed, Page};

/// `200 {"success": true, "data": …}`.
pub(super) struct Success<T>(pub T);

/// `201 {"success": true, "data": …}`.
pub(super) struct Created<T>(pub T);

/// A page of a list: `{"success": true, "data": […], "paging": {…}}`.
pub(super) struct Paged<T> {
    pub items: Vec<T>,
    pub total: u64,
    pub page: Page,
}

impl<T> Paged<T> {
    /// The page with every item as the API shows it.
    pub fn of<S>(page: Page, listed: Listed<S>, show: impl FnMut(S) -> T) -> Self {
        Self {
            items: listed.items.into_iter().map(show).collect(),
            total: listed.total,
            page,
        }
    }
}

/// The envelope of everything that went well; without paging where there is no list.
#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<PagingView>,
}

#[derive(Serialize)]
struct PagingView {
    total_count: u64,
    start_offset: u64,
    end_offset: u64,
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        Json(Envelope {
            success: true,
            data: self.0,
            paging: None,
        })
        .into_response()
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Success(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        // As users know it: 1-based, both ends included; an empty page has neither.
        let count = self.items.len() as u64;
        let offset = u64::from(self.page.offset);
        let (start, end) = match count {
            0 => (0, 0),
            _ => (offset + 1, offset + count),
        };
        Json(Envelope {
            success: true,
            data: self.items,
            paging: Some(PagingView {
                total_count: self.total,
                start_offset: start,
                end_offset: end,
            }),
        })
        .into_response()
    }
}

/// `page_no` (from 1) and `per_page` of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging(pub Page);

#[derive(Deserialize)]
struct PagingQuery {
    page_no: Option<u32>,
    per_page: Option<u32>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Search(query) = Search::<PagingQuery>::from_request_parts(parts, state).await?;
        let number = query.page_no.unwrap_or(1);
        let limit = query.per_page.unwrap_or(PAGE_ITEMS_DEFAULT);
        if number == 0 || limit == 0 || limit > PAGE_ITEMS_MAX {
            return Err(ApiError::bad_request(
                "invalid_query",
                format!("page_no starts at 1, per_page is 1 to {PAGE_ITEMS_MAX}"),
            ));
        }
        // Beyond the last page there is nothing, however far beyond.
        let offset = (number - 1).saturating_mul(limit);
        Ok(Self(Page { offset, limit }))
    }
}

/// The query, parsed; what cannot be parsed is refused in our own shape.
pub(super) struct Search<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Search<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::bad_request(
                "invalid_query",
                rejection.body_text(),
            )),
        }
    }
}

/// A time as replies write it: RFC 3339, UTC, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub OffsetDateTime);

impl Time {
    /// Now.
    pub fn now() -> Self {
        Self::at_unix_ns(clock::unix_ns())
    }

    /// Nanoseconds since the Unix epoch.
    pub fn at_unix_ns(unix_ns: i128) -> Self {
        Self(
            OffsetDateTime::from_unix_timestamp_nanos(unix_ns)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        )
    }
}

impl From<OffsetDateTime> for Time {
    fn from(time: OffsetDateTime) -> Self {
        Self(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = self.0.to_offset(time::UtcOffset::UTC).format(format);
        serializer.serialize_str(&text.map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let time = Time::at_unix_ns(1_700_000_000_123_456_789);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2023-11-14T22:13:20.123Z\"");
    }
}
