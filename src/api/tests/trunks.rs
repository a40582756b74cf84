//! Trunks and routing rules.

use serde_json::{Value, json};

use super::joined::join;
use super::{Server, assert_error};

const TRUNKS: &str = "/v2/sip/trunks";
const RULES: &str = "/v2/sip/routing-rules";

async fn make(server: &Server, path: &str, body: Value) -> Value {
    let (status, made) = server.post(path, body).await;
    assert_eq!(status, 201, "{made}");
    made["data"].clone()
}

#[tokio::test]
async fn a_trunk_is_made_shown_changed_and_removed_with_its_rules() {
    let server = Server::start().await;
    let body = json!({ "name": "Carrier", "cidrs": ["192.0.2.7/28", "2001:db8::1"] });
    let trunk = make(&server, TRUNKS, body).await;
    assert_eq!(trunk["cidrs"], json!(["192.0.2.0/28", "2001:db8::1/128"]));
    assert_eq!(
        (&trunk["enabled"], &trunk["profile"]),
        (&json!(true), &Value::Null)
    );
    let path = format!("{TRUNKS}/{}", trunk["id"].as_str().unwrap());
    let change = json!({ "profile": "twilio", "concurrent_calls_max": 3 });
    let (_, changed) = server.patch(&path, change).await;
    assert_eq!(changed["data"]["profile"], "twilio", "{changed}");
    assert_eq!(changed["data"]["cidrs"], trunk["cidrs"]);
    let meeting = server.first.meeting_id;
    let body = json!({
        "number": "1 555 0100", "trunk_id": trunk["id"], "meeting_id": meeting, "pin": "1234",
    });
    let rule = make(&server, RULES, body).await;
    assert_eq!(rule["number"], "+15550100");
    let (_joined, joined) = join(&server, "Ann").await;
    assert_eq!(
        joined["dial_in"],
        json!([{ "number": "+15550100", "pin": "1234" }])
    );
    let (_, listed) = server.get(RULES).await;
    assert_eq!(listed["paging"]["total_count"], 1);
    assert_eq!(server.delete(&path).await.0, 200);
    assert_error(&server.get(&path).await, 404, "not_found");
    let path = format!("{RULES}/{}", rule["id"].as_str().unwrap());
    assert_error(&server.get(&path).await, 404, "not_found");
}

#[tokio::test]
async fn a_trunk_that_cannot_be_is_refused() {
    let server = Server::start().await;
    let other = "11111111-1111-4111-8111-111111111111";
    for (body, code) in [
        (json!({ "cidrs": ["192.0.2.0/28"] }), "invalid_body"),
        (
            json!({ "name": "x", "cidrs": ["somewhere"] }),
            "invalid_body",
        ),
        (json!({ "name": "x" }), "invalid_field"),
        (
            json!({ "name": "", "cidrs": ["192.0.2.0/28"] }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "cidrs": ["0.0.0.0/0"] }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "cidrs": ["2001::/16"] }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "credential_id": other }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "cidrs": ["192.0.2.0/28"], "profile": "no" }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "cidrs": ["192.0.2.0/28"], "country_code": "0" }),
            "invalid_field",
        ),
        (
            json!({ "name": "x", "cidrs": ["192.0.2.0/28"], "concurrent_calls_max": 0 }),
            "invalid_field",
        ),
    ] {
        assert_error(&server.post(TRUNKS, body).await, 422, code);
    }
    let body = json!({ "name": "x", "cidrs": ["192.0.2.0/28"] });
    let trunk = make(&server, TRUNKS, body).await;
    let path = format!("{TRUNKS}/{}", trunk["id"].as_str().unwrap());
    let change = json!({ "cidrs": [] });
    assert_error(&server.patch(&path, change).await, 422, "invalid_field");
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused() {
    let server = Server::start().await;
    let meeting = server.first.meeting_id;
    let other = "11111111-1111-4111-8111-111111111111";
    for (body, code) in [
        (json!({ "meeting_id": meeting }), "invalid_field"),
        (json!({ "number": "+15550100" }), "invalid_field"),
        (
            json!({ "number": "five", "meeting_id": meeting }),
            "invalid_field",
        ),
        (
            json!({ "number": "+1555", "prefix": "+1", "meeting_id": meeting }),
            "invalid_field",
        ),
        (
            json!({ "number": "+1555", "value": "x", "meeting_id": meeting }),
            "invalid_field",
        ),
        (
            json!({ "header": "X Room", "meeting_id": meeting }),
            "invalid_field",
        ),
        (
            json!({ "header": "X-Room", "value": "blue" }),
            "invalid_field",
        ),
        (
            json!({ "number": "+1555", "meeting_id": other }),
            "unknown_meeting",
        ),
        (
            json!({ "number": "+1555", "meeting_id": meeting, "preset_name": "-" }),
            "unknown_preset",
        ),
        (
            json!({ "number": "+1555", "meeting_id": meeting, "pin": "12" }),
            "invalid_field",
        ),
        (
            json!({ "number": "+1555", "meeting_id": meeting, "trunk_id": other }),
            "invalid_field",
        ),
        (
            json!({ "number": "+1555", "meeting_id": meeting, "priority": "high" }),
            "invalid_body",
        ),
    ] {
        assert_error(&server.post(RULES, body).await, 422, code);
    }
}
