//! The shapes of trunks, routing rules and webhooks.

use serde_json::{Value, json};

use super::shape::{
    Field, body, count, flag, id, line, nullable, nullable_id, nullable_time, number, object,
    optional, text, time,
};
use crate::run::webhook::EVENTS;

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let mut trunk = optional(&trunk_fields());
    trunk["required"] = json!(["name"]);
    trunk["properties"]["name"]["minLength"] = json!(1);
    vec![
        ("SipRegistration", object(&registration_fields())),
        ("Trunk", kept(trunk_fields())),
        ("TrunkBody", trunk),
        ("TrunkChange", optional(&trunk_fields())),
        ("RoutingRule", kept(rule_fields())),
        ("RoutingRuleBody", optional(&rule_fields())),
        ("CallMute", optional(&[("muted", flag("False unmutes."))])),
        (
            "Days",
            json!({ "type": "array", "items": object(&[
            ("date", json!({ "type": "string", "format": "date", "description": "In UTC." })),
            ("sessions", count("Sessions that somebody joined.")),
            ("participants", count("Stays, phones' too; each counts for the day it began.")),
            ("minutes", number("Their minutes.")),
            ("phone_participants", count("Phones' stays.")),
            ("phone_minutes", number("Their minutes.")),
        ]) }),
        ),
        ("Webhook", kept(webhook_fields())),
        (
            "NewWebhook",
            kept([webhook_fields(), vec![secret()]].concat()),
        ),
        ("WebhookBody", webhook_body()),
        (
            "WebhookChange",
            body(&[webhook_fields(), vec![secret()]].concat()),
        ),
        ("Delivery", delivery()),
    ]
}

fn webhook_fields() -> Vec<Field> {
    vec![
        ("name", line("What you call it.")),
        (
            "url",
            json!({
                "type": "string", "maxLength": 2_048, "pattern": "^https?://[a-z0-9.-]+(/[!-~]*)?$",
                "description": "Where events are posted; public, unless the operator allows it.",
            }),
        ),
        (
            "events",
            json!({
                "type": "array", "items": { "type": "string", "enum": EVENTS },
                "uniqueItems": true, "description": "Which events.",
            }),
        ),
        (
            "enabled",
            flag("False: nothing is posted; what waits goes on waiting."),
        ),
    ]
}

fn secret() -> Field {
    (
        "secret",
        json!({
            "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{40}$",
            "description": "Key of the signatures (Standard Webhooks): whsec_ and 24 to 64 octets in \
                base64. Told when it is made or replaced.",
        }),
    )
}

fn webhook_body() -> Value {
    let mut body = optional(&[webhook_fields(), vec![secret()]].concat());
    body["required"] = json!(["name", "url", "events"]);
    body
}

fn delivery() -> Value {
    object(&[
        ("id", id()),
        ("event", text("Name of the event.")),
        (
            "status",
            json!({ "type": "string", "enum": ["PENDING", "DELIVERED", "FAILED"] }),
        ),
        ("attempts", count("Tries so far.")),
        ("next_at", nullable_time()),
        ("finished_at", nullable_time()),
        ("last_status", nullable("integer")),
        ("last_error", nullable("string")),
        (
            "payload",
            json!({ "type": "object", "description": "The body." }),
        ),
        ("created_at", time()),
    ])
}

/// As replies show it.
pub(super) fn kept(fields: Vec<Field>) -> Value {
    let around = vec![("id", id()), ("created_at", time()), ("updated_at", time())];
    object(&[around, fields].concat())
}

fn registration_fields() -> Vec<Field> {
    vec![
        ("credential_id", id()),
        ("username", text("The credential's user name.")),
        ("contact", text("Its Contact URI.")),
        ("instance", nullable("string")),
        ("user_agent", nullable("string")),
        ("transport", text("UDP, TCP, TLS, WS or WSS.")),
        ("address", text("Address and port it was heard from.")),
        ("expires_at", time()),
    ]
}

fn trunk_fields() -> Vec<Field> {
    vec![
        ("name", line("What you call it.")),
        (
            "cidrs",
            json!({
                "type": "array", "maxItems": 64, "items": text("A network such as 192.0.2.0/28."),
                "description": "Where its calls come from; none: anywhere, with a credential.",
            }),
        ),
        (
            "credential_id",
            described(
                nullable_id(),
                "The SIP credential its calls bring; null: its networks are proof enough.",
            ),
        ),
        (
            "profile",
            or_null(text("SIP profile; null: chosen as for any other peer.")),
        ),
        (
            "country_code",
            json!({
                "type": ["string", "null"], "pattern": "^[1-9][0-9]{0,2}$",
                "description": "Completes numbers that are dialled nationally, with a leading 0.",
            }),
        ),
        (
            "allow_meeting_ids",
            flag("Its calls may dial a meeting's id where no rule fits."),
        ),
        (
            "concurrent_calls_max",
            limit("Calls at a time; null: no limit of its own."),
        ),
        (
            "calls_per_second_max",
            limit("New calls a second; null: no limit of its own."),
        ),
        ("enabled", flag("False: as if it were not there.")),
    ]
}

fn rule_fields() -> Vec<Field> {
    let name = "^[A-Za-z0-9.!%*_+`'~-]{1,64}$";
    let name = |says| json!({ "type": ["string", "null"], "pattern": name, "description": says });
    vec![
        ("name", line("What you call it.")),
        (
            "priority",
            json!({
                "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX,
                "description": "The lowest that fits counts; then the more exact, then the older.",
            }),
        ),
        (
            "trunk_id",
            described(nullable_id(), "For this trunk's calls only."),
        ),
        ("number", or_null(text("Fits this number, in E.164."))),
        (
            "prefix",
            or_null(text("Fits numbers that begin so, in E.164.")),
        ),
        ("header", name("Fits calls with this header.")),
        (
            "uri_parameter",
            name("Fits calls with this parameter in the Request-URI."),
        ),
        (
            "value",
            or_null(line("The header's or parameter's; null: any.")),
        ),
        (
            "meeting_id",
            described(
                nullable_id(),
                "Where it leads; null: the header's or parameter's value is the meeting's id.",
            ),
        ),
        (
            "preset_name",
            or_null(text("Preset of its callers; null: phone.")),
        ),
        (
            "pin",
            json!({
                "type": ["string", "null"], "pattern": "^[0-9]{4,12}$",
                "description": "What the caller must press before it is let in.",
            }),
        ),
        ("enabled", flag("False: as if it were not there.")),
    ]
}

fn limit(says: &str) -> Value {
    let mut limit = or_null(count(says));
    limit["minimum"] = json!(1);
    limit["maximum"] = json!(u32::MAX);
    limit
}

fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn described(mut schema: Value, says: &str) -> Value {
    schema["description"] = json!(says);
    schema
}
