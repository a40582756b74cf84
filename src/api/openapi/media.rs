//! WHIP and WHEP: the calls whose bodies are session descriptions.

use serde_json::{Map, Value, json};

/// Name in the path, tag for ids, what one does there.
const KINDS: [(&str, &str, &str); 2] = [
    ("whip", "publish", "Publish with one offer (WHIP, RFC 9725)"),
    ("whep", "play", "Play with one offer (WHEP)"),
];

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for (name, verb, summary) in KINDS {
        paths.insert(format!("/v2/{name}"), collection(verb, summary));
        paths.insert(format!("/v2/{name}/{{session}}"), session(verb));
    }
    paths
}

fn body(kind: &str) -> Value {
    json!({
        "required": true,
        "content": { kind: { "schema": { "type": "string" } } },
    })
}

fn error(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn refused(why: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Error" });
    json!({ "description": why, "content": { "application/json": { "schema": schema } } })
}

fn text_header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn collection(verb: &str, summary: &str) -> Value {
    json!({
        "parameters": [],
        "post": {
            "operationId": format!("{verb}_media"),
            "tags": ["media"],
            "summary": summary,
            "security": [{ "token": [] }],
            "requestBody": body("application/sdp"),
            "responses": {
                "201": {
                    "description": "Our answer; Location names the session.",
                    "headers": {
                        "Location": text_header("Path of the session"),
                        "ETag": text_header("The ICE session"),
                    },
                    "content": { "application/sdp": { "schema": { "type": "string" } } },
                },
                "400": error("BadRequest"),
                "401": refused("No bearer token, or one that opens nothing."),
                "403": refused("The meeting does not let it in."),
                "404": refused("There is no such meeting."),
                "413": error("TooLarge"),
                "415": refused("The body is no application/sdp."),
                "422": refused("The offer cannot be used."),
                "503": error("Busy"),
            },
        },
    })
}

fn session(verb: &str) -> Value {
    json!({
        "parameters": [{
            "name": "session", "in": "path", "required": true,
            "schema": { "type": "string", "format": "uuid" },
        }],
        "patch": {
            "operationId": format!("patch_{verb}_media"),
            "tags": ["media"],
            "summary": "Trickle candidates, or restart ICE",
            "security": [{ "token": [] }],
            "parameters": [{
                "name": "If-Match", "in": "header", "required": true,
                "description": "The ETag of the answer; * with an ICE restart.",
                "schema": { "type": "string" },
            }],
            "requestBody": body("application/trickle-ice-sdpfrag"),
            "responses": {
                "200": {
                    "description": "ICE was restarted; our credentials and candidates.",
                    "headers": { "ETag": text_header("The new ICE session") },
                    "content": {
                        "application/trickle-ice-sdpfrag": { "schema": { "type": "string" } },
                    },
                },
                "204": { "description": "Taken note of." },
                "400": error("BadRequest"),
                "401": refused("Not the bearer token the session began with."),
                "404": refused("There is no such session."),
                "412": refused("The ICE session of If-Match is over."),
                "413": error("TooLarge"),
                "415": refused("The body is no application/trickle-ice-sdpfrag."),
                "422": refused("The restart cannot be used."),
                "428": refused("If-Match is missing."),
                "503": error("Busy"),
            },
        },
        "delete": {
            "operationId": format!("stop_{verb}_media"),
            "tags": ["media"],
            "summary": "Leave the meeting",
            "security": [{ "token": [] }],
            "responses": {
                "200": { "description": "It has left." },
                "401": refused("Not the bearer token the session began with."),
                "404": refused("There is no such session."),
            },
        },
    })
}
