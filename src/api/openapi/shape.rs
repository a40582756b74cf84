//! What schemas are made of.

use serde_json::{Map, Value, json};

use crate::limits::API_TEXT_CHARS_MAX;

/// A member: its name and its schema.
pub(super) type Field = (&'static str, Value);

/// An object with all of these members.
pub(super) fn object(fields: &[Field]) -> Value {
    let required: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    let mut object = optional(fields);
    object["required"] = json!(required);
    object
}

/// An object with any of these members.
pub(super) fn optional(fields: &[Field]) -> Value {
    let properties: Map<_, _> = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "properties": properties })
}

/// As [`optional`], where null says as much as leaving a member out.
pub(super) fn body(fields: &[Field]) -> Value {
    let mut body = optional(fields);
    for (name, _) in fields {
        let schema = &mut body["properties"][name];
        if let Some(kind) = schema["type"].as_str() {
            schema["type"] = json!([kind, "null"]);
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    body
}

pub(super) fn open_object(description: &str) -> Value {
    json!({ "type": "object", "description": description })
}

pub(super) fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{schema}") } })
}

pub(super) fn id() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

pub(super) fn nullable_id() -> Value {
    json!({ "type": ["string", "null"], "format": "uuid" })
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(super) fn nullable_time() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

pub(super) fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

pub(super) fn nullable_enum(values: &[&str]) -> Value {
    let mut values = json!(values);
    if let Value::Array(values) = &mut values {
        values.push(Value::Null);
    }
    json!({ "type": ["string", "null"], "enum": values })
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(super) fn line(description: &str) -> Value {
    json!({
        "type": "string", "maxLength": API_TEXT_CHARS_MAX,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        "description": description,
    })
}

pub(super) fn line_or_null(description: &str) -> Value {
    let mut schema = line(description);
    schema["type"] = json!(["string", "null"]);
    schema
}

pub(super) fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

pub(super) fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}
