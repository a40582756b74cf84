//! Webhooks: a receiver that fails first, and what cannot be one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::joined::join;
use super::{Server, assert_error};
use crate::run::webhook::deliver::sign;

const WEBHOOKS: &str = "/v2/webhooks";
const SOON: Duration = Duration::from_secs(15);

/// What was posted, headers and body.
type Posted = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that answers 500 to the first `failures` posts.
async fn receiver(failures: usize) -> (String, Posted) {
    let posted = Posted::default();
    let kept = Arc::clone(&posted);
    let take = move |headers: HeaderMap, body: Bytes| {
        let mut posted = kept.lock().unwrap();
        posted.push((headers, String::from_utf8(body.to_vec()).unwrap()));
        let status = match posted.len() > failures {
            true => StatusCode::NO_CONTENT,
            false => StatusCode::INTERNAL_SERVER_ERROR,
        };
        async move { status }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let router = Router::new().route("/hook", post(take));
        axum::serve(listener, router).await.unwrap();
    });
    (url, posted)
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn make(server: &Server, url: &str, events: &[&str]) -> (String, String) {
    let body = json!({ "name": "Test", "url": url, "events": events });
    let (status, made) = server.post(WEBHOOKS, body).await;
    assert_eq!(status, 201, "{made}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["data"]["id"]), text(&made["data"]["secret"]))
}

#[tokio::test]
async fn an_event_is_posted_signed_until_it_is_taken_and_can_be_replayed() {
    let server = Server::start().await;
    let (url, posted) = receiver(1).await;
    let (id, secret) = make(&server, &url, &["meeting.participantJoined"]).await;
    let (_ann, joined) = join(&server, "Ann").await;
    until("a second try", async || posted.lock().unwrap().len() == 2).await;
    let tries = posted.lock().unwrap().clone();
    let header = |number: usize, name: &str| tries[number].0[name].to_str().unwrap().to_owned();
    assert_eq!(
        header(0, "webhook-id"),
        header(1, "webhook-id"),
        "the same event"
    );
    for (number, (_, body)) in tries.iter().enumerate() {
        let timestamp: i128 = header(number, "webhook-timestamp").parse().unwrap();
        let signature = sign(&secret, &header(number, "webhook-id"), timestamp, body);
        assert_eq!(Some(header(number, "webhook-signature")), signature);
    }
    let body: Value = serde_json::from_str(&tries[1].1).unwrap();
    assert_eq!(body["event"], "meeting.participantJoined");
    assert_eq!(body["meeting"]["id"], json!(server.first.meeting_id));
    assert_eq!(body["meeting"]["sessionId"], joined["session_id"]);
    assert_eq!(body["participant"]["peerId"], joined["participant"]["id"]);
    assert_eq!(body["participant"]["userDisplayName"], "Ann");

    let path = format!("{WEBHOOKS}/{id}/deliveries");
    until("the delivery's record", async || {
        server.get(&path).await.1["data"][0]["status"] == "DELIVERED"
    })
    .await;
    let (_, listed) = server.get(&format!("{path}?status=DELIVERED")).await;
    let delivery = &listed["data"][0];
    assert_eq!(
        (&delivery["attempts"], &delivery["last_status"]),
        (&json!(2), &json!(204))
    );
    assert_eq!(delivery["payload"], body);
    let replay = format!("{path}/{}/replay", delivery["id"].as_str().unwrap());
    let (status, _) = server.post(&replay, json!({})).await;
    assert_eq!(status, 200);
    until("the replay", async || posted.lock().unwrap().len() == 3).await;
}

#[tokio::test]
async fn a_meeting_tells_its_beginning_and_why_it_ended() {
    let server = Server::start().await;
    let (url, posted) = receiver(0).await;
    make(&server, &url, &["meeting.started", "meeting.ended"]).await;
    let (_ann, _) = join(&server, "Ann").await;
    let kick = format!("{}/kick-all", super::joined::active(&server));
    server.post(&kick, json!({})).await;
    until("both events", async || posted.lock().unwrap().len() == 2).await;
    let mut bodies: Vec<Value> = posted
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| serde_json::from_str(body).unwrap())
        .collect();
    // At least once, in no order.
    bodies.sort_by_key(|body| body["event"].to_string());
    assert_eq!(bodies[0]["reason"], "HOST_ENDED_MEETING");
    assert_eq!(bodies[0]["meeting"]["status"], "ENDED");
    assert_eq!(bodies[1]["event"], "meeting.started");
    assert_eq!(
        bodies[1]["meeting"]["startedAt"],
        bodies[0]["meeting"]["startedAt"]
    );
}

#[tokio::test]
async fn a_disabled_webhook_gets_nothing_and_a_deleted_one_is_gone() {
    let server = Server::start().await;
    let (url, posted) = receiver(0).await;
    let (id, _) = make(&server, &url, &["meeting.participantJoined"]).await;
    let path = format!("{WEBHOOKS}/{id}");
    let (_, changed) = server.patch(&path, json!({ "enabled": false })).await;
    assert!(
        changed["data"]["secret"].is_null(),
        "it is told once: {changed}"
    );
    let (_ann, _) = join(&server, "Ann").await;
    until("ann's event to have passed", async || {
        server.get("/v2/sessions").await.1["data"][0]["live_participants"] == 1
    })
    .await;
    server.patch(&path, json!({ "enabled": true })).await;
    let (_ben, _) = join(&server, "Ben").await;
    until("ben's event", async || posted.lock().unwrap().len() == 1).await;
    assert!(posted.lock().unwrap()[0].1.contains("Ben"));
    assert_eq!(server.delete(&path).await.0, 200);
    assert_error(
        &server.get(&format!("{path}/deliveries")).await,
        404,
        "not_found",
    );
}

#[tokio::test]
async fn an_address_that_must_not_be_reached_is_not_asked() {
    let server = Server::start().await;
    let (id, _) = make(&server, "http://10.0.0.1/", &["meeting.started"]).await;
    let (_ann, _) = join(&server, "Ann").await;
    let path = format!("{WEBHOOKS}/{id}/deliveries");
    until("a try", async || {
        server.get(&path).await.1["data"][0]["attempts"].as_u64() > Some(0)
    })
    .await;
    let (_, listed) = server.get(&path).await;
    let error = listed["data"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("no public address"), "{error}");
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused() {
    let server = Server::start().await;
    for (field, value) in [
        ("url", json!("ftp://example.com")),
        ("url", json!("nowhere")),
        ("url", json!("https://user:pass@example.com")),
        ("events", json!(["meeting.begun"])),
        ("secret", json!("short")),
        ("name", json!("two\nlines")),
    ] {
        let mut body = json!({ "name": "x", "url": "https://example.com", "events": [] });
        body[field] = value;
        assert_error(&server.post(WEBHOOKS, body).await, 422, "invalid_field");
    }
}
