//! What happens around every request: a time limit, a net for panics, and its figures.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::error::ApiError;
use super::state::ApiState;
use crate::limits::API_REQUEST_TIME_MAX;
use crate::run::clock;

pub(super) async fn observe(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let began = clock::now();
    let method = method_label(request.method());
    // The pattern, not the path: labels are bounded.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = match tokio::time::timeout(
        API_REQUEST_TIME_MAX,
        AssertUnwindSafe(next.run(request)).catch_unwind(),
    )
    .await
    {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!(method, route, "a request's handler panicked");
            ApiError::internal().into_response()
        }
        Err(_elapsed) => ApiError::busy().into_response(),
    };
    let took = clock::now().saturating_duration_since(began);
    let status = response.status();
    state
        .metrics()
        .http
        .answered(method, &route, status.as_u16(), took);
    tracing::debug!(
        method,
        route,
        status = status.as_u16(),
        took_ms = took.as_secs_f64() * 1e3,
        "answered"
    );
    response
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
