//! What is too much, what is revoked, and what was used.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::joined::join;
use super::signal::{Browser, join_as};
use super::{Server, assert_error, send};
use crate::limits::API_STRANGER_REQUESTS_BURST_MAX;

#[tokio::test]
async fn a_flood_without_credentials_is_told_to_wait_and_disturbs_no_owner() {
    let server = Server::start().await;
    let url = format!("{}/v2/meetings", server.base);
    let mut last = StatusCode::OK;
    for _ in 0..2 * API_STRANGER_REQUESTS_BURST_MAX {
        last = server.client.get(&url).send().await.unwrap().status();
        if last != StatusCode::UNAUTHORIZED {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let refused = server.client.get(&url).send().await.unwrap();
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["code"], "too_many_requests");
    assert_eq!(server.get("/v2/meetings").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_ends_the_seat_it_opened() {
    let server = Server::start().await;
    let path = format!("/v2/meetings/{}/participants", server.first.meeting_id);
    let (_, made) = server.post(&path, json!({ "name": "Ann" })).await;
    let one = format!("{path}/{}/token", made["data"]["id"].as_str().unwrap());
    let old = made["data"]["token"].as_str().unwrap();
    let mut ann = Browser::open(&server).await;
    ann.say(join_as(old, "")).await;
    let resume = ann.hear_of("joined").await["resume_token"].clone();

    let (status, _) = server.delete(&one).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ann.hear_of("bye").await["reason"], "kicked");
    for token in [old, resume.as_str().unwrap()] {
        let mut again = Browser::open(&server).await;
        again.say(join_as(token, "")).await;
        again.expect_refusal("token_revoked").await;
    }
    let fresh = async |query: &str| {
        let (status, made) = server.post(&format!("{one}{query}"), json!({})).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        made["data"]["token"].as_str().unwrap().to_owned()
    };
    let second = fresh("").await;
    let third = fresh("?expires_in_s=120&revoke_others=true").await;
    let mut late = Browser::open(&server).await;
    late.say(join_as(&second, "")).await;
    late.expect_refusal("token_revoked").await;
    let mut back = Browser::open(&server).await;
    back.say(join_as(&third, "")).await;
    back.hear_of("joined").await;
    let life = server.state.tokens().verify(&third).unwrap().exp
        - server.state.tokens().verify(&second).unwrap().exp;
    assert!(life < -80_000, "two minutes instead of a day: {life}");
    let wrong = server
        .post(&format!("{one}?expires_in_s=1"), json!({}))
        .await;
    assert_error(&wrong, 400, "invalid_query");
}

#[tokio::test]
async fn deleting_a_participant_ends_its_seat() {
    let server = Server::start().await;
    let path = format!("/v2/meetings/{}/participants", server.first.meeting_id);
    let (_, made) = server.post(&path, json!({ "name": "Ann" })).await;
    let mut ann = Browser::open(&server).await;
    ann.say(join_as(made["data"]["token"].as_str().unwrap(), ""))
        .await;
    ann.hear_of("joined").await;
    let one = format!("{path}/{}", made["data"]["id"].as_str().unwrap());
    assert_eq!(server.delete(&one).await.0, StatusCode::OK);
    assert_eq!(ann.hear_of("bye").await["reason"], "kicked");
}

#[tokio::test]
async fn what_was_used_is_told_by_day() {
    let server = Server::start().await;
    let (_ann, _) = join(&server, "Ann").await;
    let (_ben, _) = join(&server, "Ben").await;
    let deadline = std::time::Instant::now() + super::signal::PATIENCE;
    let today = loop {
        let (status, told) = server.get("/v2/analytics/daywise").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        if told["data"][0]["participants"] == 2 {
            break told["data"][0].clone();
        }
        assert!(std::time::Instant::now() < deadline, "{told}");
    };
    assert_eq!(
        (&today["sessions"], &today["phone_participants"]),
        (&json!(1), &json!(0))
    );
    assert!(today["minutes"].as_f64() >= Some(0.0));
    let path = format!(
        "/v2/analytics/daywise?end_date={}",
        today["date"].as_str().unwrap()
    );
    assert_eq!(server.get(&path).await.1["data"][0]["participants"], 2);
    for query in [
        "start_date=yesterday",
        "start_date=2020-01-01",
        "start_date=2030-01-01",
    ] {
        let answer = server.get(&format!("/v2/analytics/daywise?{query}")).await;
        assert_error(&answer, 400, "invalid_query");
    }
}

#[tokio::test]
async fn a_call_that_is_not_there_is_not_muted() {
    let server = Server::start().await;
    let call = "/v2/sip/calls/11111111-1111-4111-8111-111111111111";
    let mute = server.post(&format!("{call}/mute"), json!({})).await;
    assert_error(&mute, 404, "not_found");
    let nobody = send(server.client.post(format!("{}{call}/mute", server.base))).await;
    assert_error(&nobody, 401, "unauthorized");
}
