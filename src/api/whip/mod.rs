//! `/v2/whip` and `/v2/whep`: publishing and playing with one HTTP request (RFC 9725,
//! draft-ietf-wish-whep), so that OBS, GStreamer and the like need no SDK of ours.
//!
//! The bearer is a join token; the publisher or player is a participant like any other. `POST`
//! takes the offer and answers it; the session's URL then takes `DELETE`, and `PATCH` for trickled
//! candidates (read and not needed: we are ICE-lite) and for ICE restarts.

mod fragment;
mod held;
mod reply;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use self::fragment::Fragment;
use self::reply::Refused;
use super::signal_ws::admission;
use super::state::ApiState;
use crate::meeting::signal::{ClientMessage, OneShotRole};

pub(super) use held::OneShots;

/// Body of an offer and of its answer.
const SDP: &str = "application/sdp";
/// Body of a `PATCH` (RFC 8840).
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Where `OPTIONS` says what `POST` takes.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

pub(super) async fn publish(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    reply::open_to_all(begin(&state, OneShotRole::Publisher, &headers, &body).await)
}

pub(super) async fn play(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    reply::open_to_all(begin(&state, OneShotRole::Player, &headers, &body).await)
}

async fn begin(
    state: &ApiState,
    role: OneShotRole,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refused> {
    let token = bearer(headers)?;
    let offer = text(headers, SDP, body)?;
    let Ok(permit) = state.signal_sockets().try_acquire_owned() else {
        return Err(Refused::Busy);
    };
    let joined = admission::admit(state, token, None).await;
    let outcome = joined
        .as_ref()
        .map_or_else(|refusal| refusal.code(), |_| "joined");
    state.metrics().http.join(outcome);
    let seat = joined?;
    let first = ClientMessage::OneShot {
        sdp: offer.to_owned(),
        role,
    };
    let (seat, answer) = held::first_answer(seat, first).await?;
    let etag = fragment::etag(offer);
    let id = Uuid::new_v4();
    let shots = state.one_shots();
    shots.hold(id, role, digest(token), &etag, offer, seat, permit);
    let location = format!("{}/{id}", path_of(role));
    let headers = [
        (CONTENT_TYPE, header(SDP)?),
        (LOCATION, header(&location)?),
        (ETAG, header(&etag)?),
        (ACCEPT_PATCH, header(SDP_FRAGMENT)?),
    ];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

pub(super) async fn unpublish(state: State<ApiState>, id: Path<String>, h: HeaderMap) -> Response {
    reply::open_to_all(end(&state, OneShotRole::Publisher, &id, &h).await)
}

pub(super) async fn stop_playing(
    state: State<ApiState>,
    id: Path<String>,
    h: HeaderMap,
) -> Response {
    reply::open_to_all(end(&state, OneShotRole::Player, &id, &h).await)
}

async fn end(
    state: &ApiState,
    role: OneShotRole,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let (id, shot) = find(state, role, id, headers)?;
    state.one_shots().forget(id);
    shot.end().await;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn patch_publisher(
    state: State<ApiState>,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    reply::open_to_all(patch(&state, OneShotRole::Publisher, &id, &headers, &body).await)
}

pub(super) async fn patch_player(
    state: State<ApiState>,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    reply::open_to_all(patch(&state, OneShotRole::Player, &id, &headers, &body).await)
}

async fn patch(
    state: &ApiState,
    role: OneShotRole,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refused> {
    let (id, shot) = find(state, role, id, headers)?;
    let said = Fragment::read(text(headers, SDP_FRAGMENT, body)?);
    let condition = headers.get(IF_MATCH).ok_or(Refused::PreconditionMissing)?;
    let known = Fragment::read(&shot.offer);
    let restarts = said.ufrag.is_some() && said.ufrag != known.ufrag;
    if restarts {
        // RFC 9725 §4.3.3: a restart names no ICE session, for it ends whichever there is.
        if condition != "*" && condition != shot.etag.as_str() {
            return Err(Refused::PreconditionFailed);
        }
        let (Some(ufrag), Some(password)) = (&said.ufrag, &said.password) else {
            return Err(Refused::BadFragment);
        };
        let offer = fragment::with_credentials(&shot.offer, ufrag, password);
        let answer = shot.restart(&offer).await?;
        let etag = fragment::etag(&offer);
        state.one_shots().restarted(id, &etag, &offer);
        let headers = [
            (CONTENT_TYPE, header(SDP_FRAGMENT)?),
            (ETAG, header(&etag)?),
        ];
        let body = fragment::of_answer(&answer);
        return Ok((StatusCode::OK, headers, body).into_response());
    }
    if condition != shot.etag.as_str() {
        return Err(Refused::PreconditionFailed);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What a page of another origin asks first.
pub(super) async fn options() -> Response {
    let headers = [
        (ACCEPT_POST, HeaderValue::from_static(SDP)),
        (ACCEPT_PATCH, HeaderValue::from_static(SDP_FRAGMENT)),
    ];
    reply::open_to_all(Ok((StatusCode::NO_CONTENT, headers).into_response()))
}

/// The session with this id, for whoever has the token it began with.
fn find(
    state: &ApiState,
    role: OneShotRole,
    id: &str,
    headers: &HeaderMap,
) -> Result<(Uuid, held::Shot), Refused> {
    let token = digest(bearer(headers)?);
    let id: Uuid = id.parse().map_err(|_| Refused::Unknown)?;
    let shot = state.one_shots().find(id, role).ok_or(Refused::Unknown)?;
    if bool::from(shot.token.ct_eq(&token)) {
        Ok((id, shot))
    } else {
        Err(Refused::TokenMissing)
    }
}

fn path_of(role: OneShotRole) -> &'static str {
    match role {
        OneShotRole::Publisher => "/v2/whip",
        OneShotRole::Player => "/v2/whep",
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    let value = headers.get(AUTHORIZATION).ok_or(Refused::TokenMissing)?;
    let value = value.to_str().map_err(|_| Refused::TokenMissing)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refused::TokenMissing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Refused::TokenMissing)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A body of the right type.
fn text<'a>(headers: &HeaderMap, wanted: &'static str, body: &'a [u8]) -> Result<&'a str, Refused> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)) {
        return Err(Refused::WrongType(wanted));
    }
    std::str::from_utf8(body).map_err(|_| Refused::NotText)
}

fn header(value: &str) -> Result<HeaderValue, Refused> {
    HeaderValue::from_str(value).map_err(|_| Refused::Internal)
}
