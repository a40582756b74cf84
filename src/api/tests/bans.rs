//! `/bans` of the admin listener.

use reqwest::{Method, StatusCode};

use super::{Server, assert_error, send};
use crate::run::clock;

#[tokio::test]
async fn a_ban_is_listed_and_lifted_on_the_admin_listener_alone() {
    let server = Server::start().await;
    let gate = server.gate.clone();
    let ban = gate.count_failure(clock::now(), "192.0.2.7".parse().unwrap());
    assert!(ban.is_some());
    let admin = |method, path: &str| {
        server
            .client
            .request(method, format!("{}{path}", server.admin))
    };
    let (status, body) = send(admin(Method::GET, "/bans")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["data"][0]["source"], "192.0.2.7");
    assert!(
        body["data"][0]["seconds_left"]
            .as_u64()
            .is_some_and(|left| left > 590)
    );
    assert_eq!(server.get("/bans").await.0, StatusCode::NOT_FOUND);

    let answer = send(admin(Method::DELETE, "/bans/not-an-address")).await;
    assert_error(&answer, 400, "invalid_source");
    let answer = send(admin(Method::DELETE, "/bans/192.0.2.7/somebody")).await;
    assert_error(&answer, 404, "not_found");
    let (status, body) = send(admin(Method::DELETE, "/bans/192.0.2.7")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["data"]["lifted"], 1);
    let (_, body) = send(admin(Method::GET, "/bans")).await;
    assert_eq!(body["data"].as_array().map(Vec::len), Some(0));
}
