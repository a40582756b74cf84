//! The operations.

use serde_json::{Map, Value, json};

use crate::limits::{INVITE_TOKEN_LIFE, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// What an operation answers with when it goes well.
#[derive(Clone, Copy)]
enum Answer {
    /// 200 with one of this schema.
    One(&'static str),
    /// 201 with one of this schema.
    Made(&'static str),
    /// 200 with a page of these.
    Page(&'static str),
}

/// One operation of the REST API.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    body: Option<&'static str>,
    query: &'static [&'static str],
    answer: Answer,
}

use Answer::{Made, One, Page};

const MEETINGS: &str = "/v2/meetings";
const MEETING: &str = "/v2/meetings/{meeting}";
const PARTICIPANTS: &str = "/v2/meetings/{meeting}/participants";
const PARTICIPANT: &str = "/v2/meetings/{meeting}/participants/{participant}";
const PRESETS: &str = "/v2/presets";
const PRESET: &str = "/v2/presets/{preset}";
const CREDENTIALS: &str = "/v2/sip/credentials";
const CREDENTIAL: &str = "/v2/sip/credentials/{credential}";
const WEBHOOKS: &str = "/v2/webhooks";
const WEBHOOK: &str = "/v2/webhooks/{webhook}";
const TRUNKS: &str = "/v2/sip/trunks";
const TRUNK: &str = "/v2/sip/trunks/{trunk}";
const RULES: &str = "/v2/sip/routing-rules";
const RULE: &str = "/v2/sip/routing-rules/{rule}";

macro_rules! operations {
    ($($method:ident $path:expr, $tag:literal, $id:ident, $summary:literal,
        $body:expr, $query:expr => $answer:expr;)*) => {
        &[$(Operation {
            method: stringify!($method),
            path: $path,
            id: stringify!($id),
            tag: $tag,
            summary: $summary,
            body: $body,
            query: &$query,
            answer: $answer,
        }),*]
    };
}

const NONE: Option<&str> = None;

#[rustfmt::skip]
const OPERATIONS: &[Operation] = operations! {
    post MEETINGS, "meetings", create_meeting,
        "Make a meeting",
        Some("MeetingBody"), [] => Made("Meeting");
    get MEETINGS, "meetings", list_meetings,
        "List meetings, newest first",
        NONE, ["search"] => Page("Meeting");
    get MEETING, "meetings", get_meeting,
        "Show a meeting",
        NONE, [] => One("Meeting");
    patch MEETING, "meetings", update_meeting,
        "Change a meeting",
        Some("MeetingChange"), [] => One("Meeting");

    post PARTICIPANTS, "participants", add_participant,
        "Add a participant and get its token",
        Some("ParticipantBody"), [] => Made("InvitedParticipant");
    get PARTICIPANTS, "participants", list_participants,
        "List a meeting's participants, newest first",
        NONE, [] => Page("Participant");
    get PARTICIPANT, "participants", get_participant,
        "Show a participant",
        NONE, [] => One("Participant");
    patch PARTICIPANT, "participants", update_participant,
        "Change a participant",
        Some("ParticipantBody"), [] => One("Participant");
    delete PARTICIPANT, "participants", delete_participant,
        "Remove a participant; its tokens open nothing from now on",
        NONE, [] => One("Participant");
    post "/v2/meetings/{meeting}/participants/{participant}/token", "participants", renew_token,
        "Get a fresh token",
        NONE, ["expires_in_s", "revoke_others"] => One("Token");
    delete "/v2/meetings/{meeting}/participants/{participant}/token", "participants", revoke_tokens,
        "Make all of its tokens worthless and end its seat",
        NONE, [] => One("Participant");

    get "/v2/meetings/{meeting}/active-session", "active session", get_active_session,
        "Show who is in the meeting now",
        NONE, [] => One("ActiveSession");
    post "/v2/meetings/{meeting}/active-session/kick", "active session", kick,
        "Remove participants, phones too",
        Some("Whom"), [] => One("Done");
    post "/v2/meetings/{meeting}/active-session/kick-all", "active session", kick_all,
        "Remove everyone and end the session",
        NONE, [] => One("Done");
    post "/v2/meetings/{meeting}/active-session/mute", "active session", mute,
        "Mute participants at the server",
        Some("Whom"), [] => One("Done");
    post "/v2/meetings/{meeting}/active-session/mute-all", "active session", mute_all,
        "Mute everyone at the server",
        Some("MuteAll"), [] => One("Done");
    post "/v2/meetings/{meeting}/active-session/admit", "active session", admit,
        "Let in participants who wait",
        Some("Whom"), [] => One("Done");
    post "/v2/meetings/{meeting}/active-session/deny", "active session", deny,
        "Send away participants who wait",
        Some("Whom"), [] => One("Done");

    post PRESETS, "presets", create_preset,
        "Make a preset",
        Some("PresetBody"), [] => Made("Preset");
    get PRESETS, "presets", list_presets,
        "List presets by name",
        NONE, [] => Page("Preset");
    get PRESET, "presets", get_preset,
        "Show a preset",
        NONE, [] => One("Preset");
    patch PRESET, "presets", update_preset,
        "Change parts of a preset",
        Some("PresetChange"), [] => One("Preset");
    delete PRESET, "presets", delete_preset,
        "Remove a preset",
        NONE, [] => One("Preset");

    get "/v2/sessions", "sessions", list_sessions,
        "List sessions, newest first",
        NONE, ["associated_id", "status"] => Page("Session");
    get "/v2/sessions/{session}", "sessions", get_session,
        "Show a session",
        NONE, [] => One("Session");
    get "/v2/sessions/{session}/participants", "sessions", list_session_participants,
        "List who was in a session",
        NONE, [] => Page("Stay");

    post CREDENTIALS, "sip", create_sip_credential,
        "Make a SIP credential; the password is told once",
        Some("SipCredentialBody"), [] => Made("NewSipCredential");
    get CREDENTIALS, "sip", list_sip_credentials,
        "List SIP credentials, newest first",
        NONE, [] => Page("SipCredential");
    get CREDENTIAL, "sip", get_sip_credential,
        "Show a SIP credential",
        NONE, [] => One("SipCredential");
    delete CREDENTIAL, "sip", delete_sip_credential,
        "Remove a SIP credential; calls in progress go on",
        NONE, [] => One("SipCredential");
    get "/v2/sip/registrations", "sip", list_sip_registrations,
        "List the phones that are registered now",
        NONE, [] => Page("SipRegistration");

    post WEBHOOKS, "webhooks", create_webhook,
        "Make a webhook; the reply tells its secret",
        Some("WebhookBody"), [] => Made("NewWebhook");
    get WEBHOOKS, "webhooks", list_webhooks,
        "List webhooks, newest first",
        NONE, [] => Page("Webhook");
    get WEBHOOK, "webhooks", get_webhook,
        "Show a webhook",
        NONE, [] => One("Webhook");
    patch WEBHOOK, "webhooks", update_webhook,
        "Change a webhook",
        Some("WebhookChange"), [] => One("Webhook");
    delete WEBHOOK, "webhooks", delete_webhook,
        "Remove a webhook and its deliveries",
        NONE, [] => One("Webhook");
    get "/v2/webhooks/{webhook}/deliveries", "webhooks", list_deliveries,
        "List what was posted and what waits, newest first",
        NONE, ["delivery_status"] => Page("Delivery");
    post "/v2/webhooks/{webhook}/deliveries/{delivery}/replay", "webhooks", replay_delivery,
        "Post a delivery again",
        NONE, [] => One("Delivery");

    post TRUNKS, "sip", create_trunk,
        "Make a trunk: a carrier's connection",
        Some("TrunkBody"), [] => Made("Trunk");
    get TRUNKS, "sip", list_trunks,
        "List trunks, newest first",
        NONE, [] => Page("Trunk");
    get TRUNK, "sip", get_trunk,
        "Show a trunk",
        NONE, [] => One("Trunk");
    patch TRUNK, "sip", update_trunk,
        "Change a trunk",
        Some("TrunkChange"), [] => One("Trunk");
    delete TRUNK, "sip", delete_trunk,
        "Remove a trunk and the rules for it alone; its calls go on",
        NONE, [] => One("Trunk");
    post RULES, "sip", create_routing_rule,
        "Make a rule from what is dialled to a meeting",
        Some("RoutingRuleBody"), [] => Made("RoutingRule");
    get RULES, "sip", list_routing_rules,
        "List routing rules, newest first",
        NONE, [] => Page("RoutingRule");
    get RULE, "sip", get_routing_rule,
        "Show a routing rule",
        NONE, [] => One("RoutingRule");
    patch RULE, "sip", update_routing_rule,
        "Change a routing rule",
        Some("RoutingRuleBody"), [] => One("RoutingRule");
    delete RULE, "sip", delete_routing_rule,
        "Remove a routing rule",
        NONE, [] => One("RoutingRule");

    get "/v2/sip/calls", "sip", list_calls,
        "List calls in progress, then those that ended, newest first",
        NONE, ["meeting_id", "outcome", "status"] => Page("Call");
    get "/v2/sip/calls/{call}", "sip", get_call,
        "Show a call",
        NONE, [] => One("Call");
    post "/v2/sip/calls/{call}/hang-up", "sip", hang_up_call,
        "End a call in progress",
        NONE, [] => One("Call");
    post "/v2/sip/calls/{call}/mute", "sip", mute_call,
        "Mute or unmute a phone in its meeting",
        Some("CallMute"), [] => One("Call");

    get "/v2/analytics/daywise", "analytics", analytics_daywise,
        "Show minutes and participants, day by day",
        NONE, ["start_date", "end_date"] => One("Days");
    post "/v2/sip/calls/{call}/dtmf", "sip", send_call_dtmf,
        "Press keys in the ear of a call's phone",
        Some("CallDtmf"), [] => One("Call");
};

pub(super) fn all() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let entry = paths
            .entry(operation.path)
            .or_insert_with(|| path(operation.path));
        entry[operation.method] = describe(operation);
    }
    paths.extend(super::media::paths());
    paths.insert("/healthz".to_owned(), alive());
    paths.insert("/readyz".to_owned(), ready());
    paths.insert("/version".to_owned(), version());
    paths.into()
}

fn path(path: &str) -> Value {
    let parameters: Vec<_> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "format": "uuid" },
            })
        })
        .collect();
    json!({ "parameters": parameters })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses(operation),
    });
    let mut query: Vec<_> = operation.query.iter().map(|name| parameter(name)).collect();
    if let Page(_) = operation.answer {
        query.push(paging("page_no", 1, u32::MAX));
        query.push(paging("per_page", PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX));
    }
    if !query.is_empty() {
        described["parameters"] = query.into();
    }
    if let Some(body) = operation.body {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(body) } },
        });
    }
    described
}

fn responses(operation: &Operation) -> Value {
    let (status, data, paged) = match operation.answer {
        One(schema) => ("200", reference(schema), false),
        Made(schema) => ("201", reference(schema), false),
        Page(schema) => (
            "200",
            json!({ "type": "array", "items": reference(schema) }),
            true,
        ),
    };
    let mut schema = json!({
        "type": "object",
        "properties": { "success": { "const": true }, "data": data },
        "required": ["success", "data"],
    });
    if paged {
        schema["properties"]["paging"] = reference("Paging");
        schema["required"] = json!(["success", "data", "paging"]);
    }
    let mut responses = json!({
        status: {
            "description": operation.summary,
            "content": { "application/json": { "schema": schema } },
        },
        "401": error("Unauthorized"),
        "429": error("TooManyRequests"),
        "503": error("Busy"),
    });
    if operation.path.contains('{') {
        responses["404"] = error("NotFound");
    }
    if paged || !operation.query.is_empty() {
        responses["400"] = error("BadRequest");
    }
    if operation.body.is_some() {
        responses["400"] = error("BadRequest");
        responses["413"] = error("TooLarge");
        responses["415"] = error("NotJson");
        responses["422"] = error("Unprocessable");
    }
    if matches!(
        operation.id,
        "create_preset"
            | "update_preset"
            | "create_sip_credential"
            | "create_trunk"
            | "mute_call"
            | "create_webhook"
            | "create_routing_rule"
    ) {
        responses["409"] = error("Conflict");
    }
    responses
}

fn parameter(name: &str) -> Value {
    let schema = match name {
        "status" => json!({ "type": "string", "enum": ["LIVE", "ENDED"] }),
        "start_date" | "end_date" => json!({
            "type": "string", "format": "date", "pattern": "^(19[7-9]|2[0-9]{2})[0-9]-[01][0-9]-[0-3][0-9]$",
        }),
        "expires_in_s" => json!({
            "type": "integer", "minimum": 60, "maximum": INVITE_TOKEN_LIFE.as_secs(),
        }),
        "revoke_others" => json!({ "type": "boolean" }),
        "delivery_status" => json!({
            "type": "string", "enum": ["PENDING", "DELIVERED", "FAILED"],
        }),
        "associated_id" | "meeting_id" => json!({ "type": "string", "format": "uuid" }),
        _ => json!({ "type": "string" }),
    };
    let name = name.strip_prefix("delivery_").unwrap_or(name);
    json!({ "name": name, "in": "query", "schema": schema })
}

fn paging(name: &str, default: u32, maximum: u32) -> Value {
    let schema = json!({
        "type": "integer", "minimum": 1, "maximum": maximum, "default": default,
    });
    json!({ "name": name, "in": "query", "schema": schema })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn error(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn alive() -> Value {
    open(
        "healthz",
        "The process answers",
        json!({ "200": { "description": "It does." } }),
    )
}

fn ready() -> Value {
    let content = json!({ "application/json": { "schema": reference("Readiness") } });
    open(
        "readyz",
        "Whether new calls are welcome",
        json!({
            "200": { "description": "They are.", "content": content },
            "503": { "description": "They are not, for these reasons.", "content": content },
        }),
    )
}

fn version() -> Value {
    open(
        "version",
        "What runs here",
        json!({ "200": { "description": "Name and version." } }),
    )
}

/// A `GET` that needs no credentials.
fn open(id: &str, summary: &str, responses: Value) -> Value {
    json!({
        "get": {
            "operationId": id,
            "tags": ["server"],
            "summary": summary,
            "security": [],
            "responses": responses,
        },
    })
}
