//! The shapes of bodies.

use serde_json::{Map, Value, json};

use super::shape::{
    Field, body, count, flag, id, line, line_or_null, list_of, nullable, nullable_enum,
    nullable_id, nullable_time, number, object, open_object, optional, text, time,
};
use crate::limits::{CREDENTIAL_MEETINGS_MAX, DTMF_KEYS_WAITING_MAX};

pub(super) fn all() -> Value {
    json!({
        "Error": object(&[("success", json!({ "const": false })), ("error", error())]),
        "Paging": object(&[
            ("total_count", count("All that match, on every page.")),
            ("start_offset", count("Number of the first item, from 1; 0 on an empty page.")),
            ("end_offset", count("Number of the last item; 0 on an empty page.")),
        ]),
        "Meeting": meeting(),
        "MeetingBody": body(&meeting_fields()),
        "MeetingChange": body(&[
            meeting_fields(),
            vec![("status", meeting_status())],
        ].concat()),
        "Participant": object(&participant_fields()),
        "InvitedParticipant": object(&[
            participant_fields(),
            vec![
                ("token", text("Join token (JWT); shown here and by …/token.")),
                ("join_url", text("A page that joins with the token.")),
            ],
        ].concat()),
        "ParticipantBody": body(&[
            ("name", text("Shown to everyone; control characters are removed.")),
            ("picture", json!({
                "type": "string", "maxLength": 2_048, "pattern": "^(https?://[!-~]*)?$",
                "description": "Address of a picture.",
            })),
            ("preset_name", text("Name of a preset; group_call_participant if not given.")),
            ("custom_participant_id", line("Your own reference.")),
        ]),
        "Token": object(&[("token", text("Join token (JWT)."))]),
        "Preset": object(&[
            vec![("id", id()), ("name", line("Unique in the organisation."))],
            preset_parts(),
            vec![("created_at", time()), ("updated_at", time())],
        ].concat()),
        "PresetBody": preset_body(),
        "PresetChange": optional(&[
            vec![("name", json!({ "type": ["string", "null"], "minLength": 1 }))],
            loose_parts(),
        ].concat()),
        "Session": object(&session_fields()),
        "ActiveSession": object(&[
            session_fields(),
            vec![
                ("participants", list_of("LiveParticipant")),
                ("waiting", list_of("LiveParticipant")),
            ],
        ].concat()),
        "LiveParticipant": live_participant(),
        "Stay": object(&[
            ("id", id()),
            ("display_name", text("Name shown.")),
            ("custom_participant_id", nullable("string")),
            ("kind", kind()),
            ("joined_at", time()),
            ("left_at", nullable_time()),
            ("duration", number("Minutes.")),
        ]),
        "Whom": optional(&[
            ("participant_ids", json!({ "type": "array", "items": id() })),
            ("custom_participant_ids", json!({ "type": "array", "items": { "type": "string" } })),
            ("muted", flag("For mute: false unmutes.")),
        ]),
        "MuteAll": optional(&[("muted", flag("False unmutes."))]),
        "Done": object(&[
            ("action", json!({ "type": "string", "enum": [
                "kick", "mute", "unmute", "admit", "deny",
            ] })),
            ("participants", list_of("LiveParticipant")),
        ]),
        "SipCredential": object(&credential_fields()),
        "NewSipCredential": object(&[
            credential_fields(),
            vec![("password", text("Told now and never again."))],
        ].concat()),
        "SipCredentialBody": body(&[
            ("name", line("What you call it.")),
            ("username", json!({
                "type": "string", "pattern": "^[A-Za-z0-9_.-]{3,64}$",
                "description": "Unique on this server; made if not given.",
            })),
            ("password", json!({
                "type": "string", "minLength": 12, "maxLength": 128,
                "pattern": "^[ -~]*$",
                "description": "Made if not given.",
            })),
            ("meetings", json!({
                "type": ["array", "null"], "items": id(), "maxItems": CREDENTIAL_MEETINGS_MAX,
                "description": "The meetings it opens; null for all of the organisation.",
            })),
        ]),
        "Call": call(),
        "CallDtmf": object(&[
            ("digits", json!({
                "type": "string", "pattern": "^[0-9*#A-Da-d]+$",
                "maxLength": DTMF_KEYS_WAITING_MAX,
            })),
        ]),
        "Readiness": object(&[
            ("ready", flag("Takes new calls.")),
            ("reasons", json!({ "type": "array", "items": object(&[
                ("code", text("Stable, for programs.")),
                ("message", text("For people.")),
            ]) })),
        ]),
    })
}

/// The errors, named by what they mean.
pub(super) fn responses() -> Value {
    let named = [
        ("BadRequest", "The query or body cannot be read."),
        ("Unauthorized", "Credentials are missing or wrong."),
        (
            "NotFound",
            "There is no such thing, or it is another organisation's.",
        ),
        ("MethodNotAllowed", "The path does not have this method."),
        ("Conflict", "The name is taken."),
        ("TooLarge", "The body is too large."),
        ("NotJson", "The body is not declared to be JSON."),
        ("Unprocessable", "A value in the body is not possible."),
        (
            "TooManyRequests",
            "Too many requests; try again after Retry-After seconds.",
        ),
        (
            "Busy",
            "The server is busy; try again after Retry-After seconds.",
        ),
    ];
    let content = json!({
        "application/json": { "schema": { "$ref": "#/components/schemas/Error" } },
    });
    named
        .into_iter()
        .map(|(name, description)| {
            let response = json!({ "description": description, "content": content });
            (name.to_owned(), response)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn error() -> Value {
    object(&[
        ("code", text("Stable, for programs.")),
        ("message", text("For people.")),
    ])
}

fn meeting_fields() -> Vec<Field> {
    vec![
        ("title", line("Shown to people.")),
        (
            "preferred_region",
            line_or_null("Where you would like it to run."),
        ),
        (
            "record_on_start",
            flag("Start a recording with each session."),
        ),
        (
            "live_stream_on_start",
            flag("Start a livestream with each session."),
        ),
    ]
}

fn meeting() -> Value {
    let own = vec![
        ("id", id()),
        ("status", meeting_status()),
        ("created_at", time()),
        ("updated_at", time()),
        ("sip_uri", text("What a phone dials.")),
    ];
    object(&[own, meeting_fields()].concat())
}

fn meeting_status() -> Value {
    json!({ "type": "string", "enum": ["ACTIVE", "INACTIVE"] })
}

fn participant_fields() -> Vec<Field> {
    vec![
        ("id", id()),
        ("name", text("Shown to everyone.")),
        ("picture", nullable("string")),
        ("custom_participant_id", nullable("string")),
        ("preset_name", text("Name of its preset.")),
        ("created_at", time()),
        ("updated_at", time()),
    ]
}

fn preset_parts() -> Vec<Field> {
    vec![
        ("config", open_object("View type, limits, media settings.")),
        ("permissions", permissions()),
        ("ui", open_object("Colours and such.")),
    ]
}

fn loose_parts() -> Vec<Field> {
    vec![
        ("config", open_object("Members given replace those there.")),
        (
            "permissions",
            open_object("Members given replace those there."),
        ),
        ("ui", open_object("Members given replace those there.")),
    ]
}

fn preset_body() -> Value {
    let mut body = optional(
        &[
            vec![("name", line("Unique in the organisation."))],
            preset_parts(),
        ]
        .concat(),
    );
    body["required"] = json!(["name"]);
    body["properties"]["name"]["minLength"] = json!(1);
    body
}

fn permissions() -> Value {
    let produce = json!({
        "type": "object",
        "properties": {
            "can_produce": { "type": "string", "enum": ["ALLOWED", "NOT_ALLOWED", "CAN_REQUEST"] },
        },
        "required": ["can_produce"],
    });
    let flags = [
        ("accept_waiting_requests", "Let in or send away who waits."),
        (
            "can_accept_production_requests",
            "Grant what others may send on request.",
        ),
        ("disable_participant_audio", "Mute others' microphones."),
        ("disable_participant_video", "Stop others' cameras."),
        ("disable_participant_screensharing", "Stop others' screens."),
        ("kick_participant", "Remove others."),
        (
            "hidden_participant",
            "Others do not see it; it sends nothing.",
        ),
        ("show_participant_list", "Clients show who is there."),
    ];
    let mut permissions = optional(&flags.map(|(name, says)| (name, flag(says))));
    permissions["description"] = json!("Other members are kept as given.");
    let parts = &mut permissions["properties"];
    parts["media"] = json!({
        "type": "object",
        "properties": { "audio": produce, "video": produce, "screenshare": produce },
    });
    parts["phone"] = json!({
        "type": "object",
        "properties": { "can_join": { "type": "boolean" } },
        "required": ["can_join"],
    });
    parts["chat"] = optional(&[
        ("public", chat(&[])),
        (
            "private",
            chat(&[("can_receive", json!({ "type": ["boolean", "null"] }))]),
        ),
    ]);
    parts["waiting_room_type"] = json!({
        "type": "string",
        "enum": ["SKIP", "ON_PRIVILEGED_USER_ENTRY", "SKIP_ON_ACCEPT"],
        "description": "Whether holders wait to be let in, phones too.",
    });
    permissions
}

fn chat(more: &[Field]) -> Value {
    let fields = [
        ("can_send", flag("May be written.")),
        ("text", flag("Text may be written.")),
    ];
    optional(&[fields.to_vec(), more.to_vec()].concat())
}

fn session_fields() -> Vec<Field> {
    vec![
        ("id", id()),
        ("associated_id", id()),
        ("organization_id", id()),
        (
            "meeting_display_name",
            text("The meeting's title when it started."),
        ),
        ("type", json!({ "const": "meeting" })),
        (
            "status",
            json!({ "type": "string", "enum": ["LIVE", "ENDED"] }),
        ),
        ("live_participants", count("In it now.")),
        (
            "max_concurrent_participants",
            count("In it at once, at most."),
        ),
        ("minutes_consumed", number("Everybody's minutes in it.")),
        ("started_at", time()),
        ("ended_at", nullable_time()),
        ("created_at", time()),
        ("updated_at", time()),
        (
            "interrupted",
            flag("The server died during it; ended_at is its next start."),
        ),
    ]
}

fn live_participant() -> Value {
    let mut view = object(&[
        ("id", id()),
        ("name", text("Shown to everyone.")),
        ("kind", kind()),
        (
            "sources",
            json!({
                "type": "object",
                "description": "By microphone, camera, screen: what it has.",
                "additionalProperties": {
                    "type": "object", "properties": { "muted": { "type": "boolean" } },
                },
            }),
        ),
        ("on_hold", flag("The phone put the meeting on hold.")),
    ]);
    let properties = &mut view["properties"];
    properties["custom_participant_id"] = text("Your own reference.");
    properties["picture"] = text("Address of a picture.");
    properties["attributes"] = json!({
        "type": "object", "additionalProperties": { "type": "string" },
        "description": "Facts from the phone's side.",
    });
    view
}

fn credential_fields() -> Vec<Field> {
    vec![
        ("id", id()),
        ("name", text("What you call it.")),
        ("username", text("Digest user name, unique on this server.")),
        ("realm", text("Digest realm.")),
        (
            "meetings",
            json!({ "type": ["array", "null"], "items": id() }),
        ),
        ("created_at", time()),
    ]
}

fn call() -> Value {
    let way = || {
        object(&[
            ("packets", count("RTP packets received.")),
            ("loss", nullable("number")),
            ("jitter_ms", nullable("number")),
            ("buffer_ms", nullable("number")),
            ("concealed_ms", nullable("integer")),
            ("stretched_ms", nullable("integer")),
            ("drift_ppm", nullable("number")),
            ("mos", nullable("number")),
            ("mos_min", nullable("number")),
        ])
    };
    let point = object(&[
        ("at_s", count("End of the interval, since the leg began.")),
        ("jitter_ms", number("Of what the phone sends.")),
        ("buffer_ms", number("Wait in our jitter buffer.")),
        ("concealed", nullable("number")),
        ("received_mos", nullable("number")),
        ("sent_loss", nullable("number")),
        ("sent_mos", nullable("number")),
        ("round_trip_ms", nullable("number")),
    ]);
    let quality = object(&[
        ("received", way()),
        ("sent", way()),
        ("curve", json!({ "type": "array", "items": point })),
        (
            "packets_received",
            count("RTP packets accepted from the phone."),
        ),
        ("packets_sent", count("RTP packets sent to it.")),
        ("packets_lost", count("Lost on the way from it.")),
        ("packets_discarded", count("Refused.")),
        ("jitter_ms", number("Interarrival jitter.")),
        ("concealed_ms", count("Audio invented for it.")),
        ("remote_loss", nullable("number")),
        ("round_trip_ms", nullable("number")),
    ]);
    let fact = object(&[
        ("at_ms", number("Since the INVITE.")),
        (
            "direction",
            json!({
                "enum": ["in", "out", "inside"],
                "description": "From the phone, to it, or within the server.",
            }),
        ),
        ("text", text("One line, without secrets or numbers.")),
    ]);
    let mut call = object(&[
        ("id", id()),
        ("meeting_id", nullable_id()),
        ("session_id", nullable_id()),
        ("participant_id", nullable_id()),
        ("credential_id", nullable_id()),
        ("trunk_id", nullable_id()),
        ("sip_call_id", nullable("string")),
        ("caller", text("Name or number as the meeting saw it.")),
        ("profile", text("SIP profile applied.")),
        ("status", live_or_ended()),
        ("on_hold", flag("The phone put the meeting on hold.")),
        (
            "outcome",
            nullable_enum(&[
                "success",
                "client_error",
                "server_error",
                "upstream_error",
                "indeterminate",
            ]),
        ),
        ("reason", nullable("string")),
        ("sip_status", nullable("integer")),
        ("started_at", time()),
        ("answered_at", nullable_time()),
        ("ended_at", nullable_time()),
        ("setup_ms", nullable("number")),
        ("duration_s", number("Answered time in seconds.")),
        ("quality", json!({ "oneOf": [quality, { "type": "null" }] })),
    ]);
    let timeline = object(&[
        ("facts", json!({ "type": "array", "items": fact })),
        ("skipped", count("Facts pushed out from the middle.")),
    ]);
    // Of one call, not in a list.
    call["properties"]["timeline"] = timeline;
    call
}

fn live_or_ended() -> Value {
    json!({ "type": "string", "enum": ["LIVE", "ENDED"] })
}

fn kind() -> Value {
    json!({ "type": "string", "enum": ["browser", "robo"], "description": "robo is a phone." })
}
