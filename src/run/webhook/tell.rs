//! The bodies of events, in the words of Dyte's users: camelCase.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::call::record::CallRecord;
use crate::id::{CallId, OrganizationId, ParticipantId, SessionId, TrunkId};
use crate::meeting::signal::ParticipantView;
use crate::run::directory::MeetingInfo;
use crate::store::Meeting;

/// What is known of a call from its beginning.
#[derive(Debug, Clone)]
pub(in crate::run) struct CallFacts {
    pub id: CallId,
    pub organization: OrganizationId,
    pub participant: ParticipantId,
    pub caller: String,
    pub profile: String,
    pub sip_call_id: String,
    pub trunk: Option<TrunkId>,
    pub started_at_unix_ns: i128,
}

/// RFC 3339 in UTC, milliseconds.
fn time(unix_ns: i128) -> Value {
    let milliseconds = unix_ns.div_euclid(1_000_000) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(milliseconds);
    let text = at.ok().and_then(|at| at.format(&Rfc3339).ok());
    json!(text)
}

/// The body of a `call.*` event. `more` joins the call's members.
pub(in crate::run) fn call_event(
    event: &str,
    at_unix_ns: i128,
    facts: &CallFacts,
    meeting: Option<&MeetingInfo>,
    session: Option<SessionId>,
    more: Value,
) -> Value {
    let mut call = json!({
        "id": facts.id,
        "sipCallId": facts.sip_call_id,
        "caller": facts.caller,
        "participantId": facts.participant,
        "profile": facts.profile,
        "trunkId": facts.trunk,
        "startedAt": time(facts.started_at_unix_ns),
    });
    if let (Value::Object(call), Value::Object(more)) = (&mut call, more) {
        call.extend(more);
    }
    let meeting = meeting.map(|meeting| {
        json!({
            "id": meeting.id,
            "sessionId": session,
            "title": meeting.title,
            "organizedBy": { "id": meeting.organization },
        })
    });
    json!({ "event": event, "timestamp": time(at_unix_ns), "call": call, "meeting": meeting })
}

/// What `call.ended` and `call.missed` add.
pub(in crate::run) fn ending(record: &CallRecord) -> Value {
    let talked_ns = record
        .answered_at_unix_ns
        .map_or(0, |at| record.ended_at_unix_ns - at);
    let quality = record.report.as_ref().map(|report| {
        json!({
            "packetsReceived": report.packets_received,
            "packetsSent": report.packets_sent,
            "packetsLost": report.packets_lost,
            "packetsDiscarded": report.packets_discarded,
            "jitterMs": report.jitter_ms,
            "concealedMs": report.concealed_ms,
            "remoteLoss": report.remote_loss,
            "roundTripMs": report.round_trip_ms,
        })
    });
    json!({
        "answeredAt": record.answered_at_unix_ns.map(time),
        "endedAt": time(record.ended_at_unix_ns),
        "sipStatus": record.sip_status,
        "outcome": record.outcome.label(),
        "reason": record.reason,
        "durationS": talked_ns as f64 / 1e9,
        "quality": quality,
    })
}

/// The body of a `meeting.*` event.
pub(in crate::run) fn meeting_event(
    event: &str,
    at_unix_ns: i128,
    meeting: &Meeting,
    session: SessionId,
    (started_at, ended_at): (Option<i128>, Option<i128>),
) -> Value {
    json!({
        "event": event,
        "timestamp": time(at_unix_ns),
        "meeting": {
            "id": meeting.id,
            "sessionId": session,
            "title": meeting.title,
            "status": if ended_at.is_some() { "ENDED" } else { "LIVE" },
            "createdAt": time(meeting.created_at.unix_timestamp_nanos()),
            "startedAt": started_at.map(time),
            "endedAt": ended_at.map(time),
            "organizedBy": { "id": meeting.organization },
        },
    })
}

/// The `participant` of `meeting.participantJoined` and `meeting.participantLeft`.
pub(in crate::run) fn participant(
    who: &ParticipantView,
    joined_at: Option<i128>,
    left_at: Option<i128>,
) -> Value {
    json!({
        "peerId": who.id,
        "userDisplayName": who.name,
        "customParticipantId": who.custom_participant_id,
        "kind": who.kind,
        "joinedAt": joined_at.map(time),
        "leftAt": left_at.map(time),
    })
}
