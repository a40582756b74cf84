use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Server, ready, send, worker};
use crate::api::Readiness;

async fn readyz(readiness: Readiness) -> (StatusCode, Value) {
    let server = Server::start_with(readiness).await;
    send(server.client.get(format!("{}/readyz", server.base))).await
}

#[track_caller]
fn assert_reason(answer: &(StatusCode, Value), code: &str) {
    let (status, body) = answer;
    assert_eq!(*status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["ready"], false);
    let reasons = body["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 1, "{body}");
    assert_eq!(reasons[0]["code"], code);
    assert!(!reasons[0]["message"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_against_which_nothing_stands_is_ready_on_both_listeners() {
    let server = Server::start().await;
    for base in [&server.base, &server.admin] {
        let (status, body) = send(server.client.get(format!("{base}/readyz"))).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["ready"], true);
        assert_eq!(body["reasons"].as_array().unwrap().len(), 0);
        let (status, body) = send(server.client.get(format!("{base}/healthz"))).await;
        assert_eq!(
            (status, &body["alive"]),
            (StatusCode::OK, &Value::Bool(true))
        );
        let (_, body) = send(server.client.get(format!("{base}/version"))).await;
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[tokio::test]
async fn a_listener_that_is_not_bound_makes_it_not_ready() {
    let broken = Readiness {
        listeners: Box::new(|| Err("SIP over TCP is not bound".to_owned())),
        ..ready()
    };
    assert_reason(&readyz(broken).await, "listener_not_bound");
}

#[tokio::test]
async fn a_worker_that_has_not_ticked_for_over_100_ms_makes_it_not_ready() {
    let late = |ms| Readiness {
        workers: Box::new(move || {
            let mut late = worker();
            late.index = 1;
            late.last_tick_age = Duration::from_millis(ms);
            vec![worker(), late]
        }),
        ..ready()
    };
    assert_eq!(readyz(late(100)).await.0, StatusCode::OK);
    assert_reason(&readyz(late(101)).await, "worker_late");
}

#[tokio::test]
async fn a_worker_that_has_ended_or_none_at_all_makes_it_not_ready() {
    let ended = Readiness {
        workers: Box::new(|| {
            let mut ended = worker();
            ended.running = false;
            vec![ended]
        }),
        ..ready()
    };
    assert_reason(&readyz(ended).await, "worker_ended");
    let none = Readiness {
        workers: Box::new(Vec::new),
        ..ready()
    };
    assert_reason(&readyz(none).await, "no_worker");
}

#[tokio::test]
async fn a_store_that_takes_no_write_makes_it_not_ready() {
    let broken = Readiness {
        store: Box::new(|| Box::pin(async { Err("disk full".to_owned()) })),
        ..ready()
    };
    assert_reason(&readyz(broken).await, "store_not_writable");
}

#[tokio::test]
async fn no_free_rtp_ports_make_it_not_ready() {
    let broken = Readiness {
        rtp_ports_free: Box::new(|| 0),
        ..ready()
    };
    assert_reason(&readyz(broken).await, "no_rtp_ports");
}

#[tokio::test]
async fn draining_makes_it_not_ready_and_all_reasons_are_told_at_once() {
    let draining = || Readiness {
        draining: Box::new(|| true),
        ..ready()
    };
    assert_reason(&readyz(draining()).await, "draining");
    let both = Readiness {
        rtp_ports_free: Box::new(|| 0),
        ..draining()
    };
    let (_, body) = readyz(both).await;
    assert_eq!(body["reasons"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn many_checks_in_a_moment_write_to_the_disk_once() {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let readiness = Readiness {
        store: Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        }),
        ..ready()
    };
    for _ in 0..50 {
        assert!(readiness.reasons().await.is_empty());
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn metrics_are_on_the_admin_listener_only_and_count_requests_by_route() {
    let server = Server::start().await;
    let id = server.first.meeting_id;
    server.get(&format!("/v2/meetings/{id}")).await;
    server.get("/v2/nowhere").await;
    let (status, _) = send(server.client.get(format!("{}/metrics", server.base))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let response = server
        .client
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"));
    let text = response.text().await.unwrap();
    let requests = "ringbridge_http_requests_total";
    assert!(text.contains(&format!(
        r#"{requests}{{method="GET",route="/v2/meetings/{{meeting}}",status="200"}} 1"#
    )));
    assert!(text.contains(&format!(
        r#"{requests}{{method="GET",route="none",status="404"}}"#
    )));
    assert!(!text.contains(&id.to_string()), "ids are no labels");
    assert!(text.contains("ringbridge_store_operation_duration_seconds_bucket"));
    assert!(text.ends_with("# EOF\n"));
}
