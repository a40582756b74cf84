use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Server;

async fn log_in(server: &Server, key: &str) -> reqwest::Response {
    let body = json!({ "organization_id": server.first.organization_id, "api_key": key });
    let url = format!("{}/console/session", server.admin);
    server.client.post(url).json(&body).send().await.unwrap()
}

async fn status(server: &Server, base: &str, path: &str, token: &str) -> StatusCode {
    let request = server.client.get(format!("{base}{path}"));
    request.bearer_auth(token).send().await.unwrap().status()
}

#[tokio::test]
async fn a_login_opens_the_rest_api_on_the_admin_listener_alone_until_it_is_ended() {
    let server = Server::start().await;
    let reply = log_in(&server, &server.first.api_key).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let reply: Value = reply.json().await.unwrap();
    let token = reply["data"]["token"].as_str().unwrap();
    let (admin, public) = (server.admin.as_str(), server.base.as_str());
    for path in ["/v2/meetings", "/console/session"] {
        assert_eq!(status(&server, admin, path, token).await, StatusCode::OK);
    }
    for (base, token) in [(public, token), (admin, "guessed"), (admin, "")] {
        let answer = status(&server, base, "/v2/meetings", token).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{base} {token}");
    }
    let url = format!("{admin}/console/session");
    let ended = server.client.delete(&url).bearer_auth(token).send().await;
    assert_eq!(ended.unwrap().status(), StatusCode::NO_CONTENT);
    let after = status(&server, admin, "/v2/meetings", token).await;
    assert_eq!(after, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_key_opens_no_console() {
    let server = Server::start().await;
    let wrong = log_in(&server, "0123").await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let wrong: Value = wrong.json().await.unwrap();
    assert_eq!(wrong["error"]["code"], "unauthorized");
}

#[tokio::test]
async fn the_console_is_on_the_admin_listener_only_and_allows_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.client.get(format!("{}/console", server.admin));
    let page = page.send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = page.text().await.unwrap();
    assert!(text.contains("id=\"login\""));
    for part in text.split('"').filter(|part| part.starts_with("/assets/")) {
        let file = server.client.get(format!("{}{part}", server.admin));
        assert_eq!(
            file.send().await.unwrap().status(),
            StatusCode::OK,
            "{part}"
        );
    }
    for path in ["/console", "/console/session"] {
        let elsewhere = server.client.get(format!("{}{path}", server.base));
        let elsewhere = elsewhere.send().await.unwrap();
        assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
