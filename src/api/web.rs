//! The join page, the page to try the API, and their files, embedded from `web/` when the binary
//! was built.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::state::ApiState;

/// (path below `web/`, content).
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/web_assets.rs"));

/// What [`FILES`] are called when a browser asks whether it has them.
static ETAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(_, content)| {
            let digest = Sha256::digest(content);
            let short: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
            format!("\"{short}\"")
        })
        .collect()
});

/// For other people's pages: they may import what is in it, as they may any public file.
const SDK_FOLDER: &str = "sdk/";

/// Nothing from elsewhere, nothing inline, no framing: a name shown in the page stays a name.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; font-src 'self'; media-src 'self' blob:; connect-src 'self'; \
    worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), \
    speaker-selection=(self), autoplay=(self), geolocation=(), payment=(), usb=()";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/join") }))
        .route("/join", get(join))
        .route("/docs", get(docs))
        .merge(assets())
}

/// What pages are made of.
pub(super) fn assets() -> Router<ApiState> {
    Router::new().route("/assets/{*path}", get(asset))
}

async fn join(headers: HeaderMap) -> Response {
    serve("join.html", &headers)
}

async fn docs(headers: HeaderMap) -> Response {
    serve("docs.html", &headers)
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

/// The file at `path` below `web/`.
pub(super) fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(index) = FILES.iter().position(|(name, _)| *name == path) else {
        return ApiError::not_found("file").into_response();
    };
    let etag = ETAGS[index].as_str();
    // Asked for each time, sent once: a new binary's page is never mixed with an old one's.
    let common = [
        (ETAG, etag),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag));
    let mut response = if known {
        (StatusCode::NOT_MODIFIED, common).into_response()
    } else {
        let kind = [(CONTENT_TYPE, content_type(path))];
        (common, kind, FILES[index].1).into_response()
    };
    if path.starts_with(SDK_FOLDER) {
        let anyone = HeaderValue::from_static("*");
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("webmanifest") => "application/manifest+json",
        Some("txt" | "ts") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
