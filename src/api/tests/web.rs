use reqwest::StatusCode;
use reqwest::redirect::Policy;

use super::{Server, assert_error};

#[tokio::test]
async fn the_root_leads_to_the_join_page() {
    let server = Server::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let response = client.get(&server.base).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "/join");
}

#[tokio::test]
async fn the_join_page_allows_nothing_from_elsewhere_and_is_sent_once() {
    let server = Server::start().await;
    let url = format!("{}/join", server.base);
    let response = server.client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("x-content-type-options"), "nosniff");
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    let etag = header("etag");
    let page = response.text().await.unwrap();
    assert!(page.contains("id=\"join\""));
    let again = server.client.get(&url).header("if-none-match", &etag);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_file_the_page_names_is_served_and_nothing_beside_the_folder() {
    let server = Server::start().await;
    let mut pages = String::new();
    for path in ["join", "docs"] {
        let page = server.client.get(format!("{}/{path}", server.base));
        pages += &page.send().await.unwrap().text().await.unwrap();
    }
    assert!(pages.contains("Ringbridge REST API"));
    let mut named = 0;
    for part in pages.split('"').filter(|part| part.starts_with("/assets/")) {
        let response = server.client.get(format!("{}{part}", server.base));
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{part}");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_ne!(kind, "application/octet-stream", "{part}");
        named += 1;
    }
    assert!(named >= 4);
    for path in [
        "/assets/",
        "/assets/nope.js",
        "/assets/..%2fCargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/README.md",
    ] {
        assert_error(&server.get(path).await, 404, "not_found");
    }
}
