use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Server, send};

/// Paths that are no part of the REST API: pages, the WebSocket, the document itself.
const UNDOCUMENTED: [&str; 1] = ["/v2/signal"];

async fn document(server: &Server) -> Value {
    let url = format!("{}/openapi.json", server.base);
    let (status, document) = send(server.client.get(url)).await;
    assert_eq!(status, StatusCode::OK);
    document
}

#[tokio::test]
async fn the_document_and_the_router_name_the_same_paths() {
    let server = Server::start().await;
    let document = document(&server).await;
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|path| path.starts_with("/v2/"))
        .cloned()
        .collect();
    // The router cannot be asked for its routes, but its source can.
    let source = include_str!("../mod.rs");
    let rest = &source[source.find("fn rest()").unwrap()..];
    let routed: BTreeSet<String> = rest
        .split('"')
        .filter(|part| part.starts_with('/'))
        .map(|path| format!("/v2{path}"))
        .filter(|path| !UNDOCUMENTED.contains(&path.as_str()))
        .collect();
    assert_eq!(documented, routed);
}

#[tokio::test]
async fn every_documented_operation_exists_and_asks_for_credentials() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            let request = server
                .client
                .request(method, format!("{}{path}", server.base));
            let status = request.send().await.unwrap().status();
            let expected = if open {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            };
            assert_eq!(status, expected, "{path}");
            operations += 1;
        }
    }
    assert!(operations > 25);
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "$ref" => {
                        references.insert(text.clone());
                    }
                    value => collect(value, references),
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
