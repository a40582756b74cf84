use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Server, assert_error};
use crate::call::end::EndReason;
use crate::call::record::{CallRecord, Outcome};
use crate::id::{CallId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::leg::LegReport;
use crate::meeting::participant::ParticipantKind;
use crate::run::calls::{LiveCall, TrunkLimits};
use crate::run::clock;

#[tokio::test]
async fn lists_come_in_pages_that_say_what_they_are() {
    let server = Server::start().await;
    for n in 0..24 {
        let body = json!({ "title": format!("Meeting {n}") });
        server.post("/v2/meetings", body).await;
    }
    let (status, first) = server.get("/v2/meetings").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(first["data"].as_array().unwrap().len(), 20);
    assert_eq!(
        first["paging"],
        json!({ "total_count": 25, "start_offset": 1, "end_offset": 20 })
    );
    let (_, second) = server.get("/v2/meetings?page_no=2").await;
    assert_eq!(
        second["paging"],
        json!({ "total_count": 25, "start_offset": 21, "end_offset": 25 })
    );
    let (_, small) = server.get("/v2/meetings?page_no=3&per_page=2").await;
    assert_eq!(small["data"][0]["title"], "Meeting 19");
    let (_, beyond) = server.get("/v2/meetings?page_no=4294967295").await;
    assert_eq!(beyond["data"], json!([]));
    assert_eq!(
        beyond["paging"],
        json!({ "total_count": 25, "start_offset": 0, "end_offset": 0 })
    );
    let (_, found) = server.get("/v2/meetings?search=meeting%202").await;
    assert_eq!(found["paging"]["total_count"], 5);
    for query in [
        "page_no=0",
        "per_page=0",
        "per_page=101",
        "page_no=-1",
        "page_no=x",
    ] {
        let answer = server.get(&format!("/v2/meetings?{query}")).await;
        assert_error(&answer, 400, "invalid_query");
    }
}

#[tokio::test]
async fn ended_calls_are_listed_with_their_quality() {
    let server = Server::start().await;
    let (organization, meeting) = (server.first.organization_id, server.first.meeting_id);
    let refused = refused(organization);
    let record = CallRecord {
        id: CallId::from_random(5),
        meeting: Some(meeting),
        session: Some(SessionId::from_random(6)),
        participant: Some(ParticipantId::from_random(7)),
        answered_at_unix_ns: Some(1_700_000_000_250_000_000),
        ended_at_unix_ns: 1_700_000_060_250_000_000,
        setup: Some(Duration::from_millis(250)),
        sip_status: 200,
        reason: "caller_hung_up",
        outcome: Outcome::Success,
        timeline: Default::default(),
        report: Some(LegReport {
            packets_received: 3000,
            ..LegReport::default()
        }),
        ..refused.clone()
    };
    let foreign = CallRecord {
        id: CallId::from_random(9),
        organization: OrganizationId::from_random(1),
        ..record.clone()
    };
    for record in [record, refused, foreign] {
        server.state.store().record_call(record).await.unwrap();
    }
    let (status, all) = server.get("/v2/sip/calls").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(all["paging"]["total_count"], 2);
    let path = format!("/v2/sip/calls?meeting_id={meeting}&outcome=success");
    let (_, found) = server.get(&path).await;
    assert_eq!(found["paging"]["total_count"], 1);
    let call = &found["data"][0];
    assert_eq!(call["started_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(call["setup_ms"], 250.0);
    assert_eq!(call["duration_s"], 60.0);
    assert_eq!(call["sip_status"], 200);
    assert_eq!(call["quality"]["packets_received"], 3000);
    let one = format!("/v2/sip/calls/{}", CallId::from_random(8));
    let (_, shown) = server.get(&one).await;
    assert_eq!(shown["data"]["reason"], "unknown_meeting");
    assert_eq!(shown["data"]["quality"], json!(null));
    let other = format!("/v2/sip/calls/{}", CallId::from_random(9));
    assert_error(&server.get(&other).await, 404, "not_found");
    let answer = server.get("/v2/sip/calls?meeting_id=x").await;
    assert_error(&answer, 400, "invalid_query");
}

#[tokio::test]
async fn sessions_are_listed_with_who_was_in_them_and_for_how_long() {
    let server = Server::start().await;
    let (organization, meeting) = (server.first.organization_id, server.first.meeting_id);
    let (store, id) = (server.state.store(), SessionId::from_random(3));
    let minute = 60_000_000_000;
    let title = "Demo".to_owned();
    store
        .session_started(id, organization, meeting, title, 0)
        .await
        .unwrap();
    let ann = ParticipantId::from_random(1);
    let phone = ParticipantId::from_random(2);
    for (who, name, kind) in [
        (ann, "Ann", ParticipantKind::Browser),
        (phone, "Phone", ParticipantKind::Robo),
    ] {
        store
            .session_joined(id, who, name.to_owned(), kind, None, 0)
            .await
            .unwrap();
    }
    store.session_left(id, ann, minute).await.unwrap();
    let (_, live) = server.get("/v2/sessions?status=LIVE").await;
    assert_eq!(live["paging"]["total_count"], 1);
    assert_eq!(live["data"][0]["live_participants"], 1);
    store.session_ended(id, 2 * minute).await.unwrap();

    let path = format!("/v2/sessions?status=ENDED&associated_id={meeting}");
    let (_, ended) = server.get(&path).await;
    let session = &ended["data"][0];
    assert_eq!(session["associated_id"], meeting.to_string());
    assert_eq!(session["status"], "ENDED");
    assert_eq!(session["live_participants"], 0);
    assert_eq!(session["max_concurrent_participants"], 2);
    assert_eq!(session["minutes_consumed"], 3.0);
    assert_eq!(session["started_at"], "1970-01-01T00:00:00.000Z");
    assert_eq!(session["ended_at"], "1970-01-01T00:02:00.000Z");
    let (_, none) = server.get("/v2/sessions?status=LIVE").await;
    assert_eq!(none["paging"]["total_count"], 0);
    let answer = server.get("/v2/sessions?status=PAUSED").await;
    assert_error(&answer, 400, "invalid_query");

    let (_, one) = server.get(&format!("/v2/sessions/{id}")).await;
    assert_eq!(&one["data"], session);
    let (_, stays) = server.get(&format!("/v2/sessions/{id}/participants")).await;
    assert_eq!(stays["data"][0]["display_name"], "Ann");
    assert_eq!(stays["data"][0]["duration"], 1.0);
    assert_eq!(stays["data"][1]["kind"], "robo");
    let absent = format!("/v2/sessions/{}", SessionId::from_random(9));
    assert_error(&server.get(&absent).await, 404, "not_found");
}

#[tokio::test]
async fn calls_in_progress_stand_before_those_that_ended_and_can_be_hung_up() {
    let server = Server::start().await;
    let (organization, meeting) = (server.first.organization_id, server.first.meeting_id);
    let (calls, now) = (server.state.calls(), clock::now());
    let live = |id| LiveCall {
        id: CallId::from_random(id),
        organization,
        meeting: Some(meeting),
        participant: ParticipantId::from_random(id),
        caller: "Ann".to_owned(),
        profile: "generic".to_owned(),
        started: now + Duration::from_millis(id as u64),
        answered: Some(now + Duration::from_millis(id as u64 + 200)),
        on_hold: false,
        trunk: None,
    };
    let none = TrunkLimits::default();
    let (ending, mut ended) = tokio::sync::mpsc::channel(1);
    let seats: Vec<_> = (1..=3)
        .map(|id| calls.admit(live(id), none, ending.clone()).unwrap())
        .collect();
    let _foreign = calls.admit(
        LiveCall {
            organization: OrganizationId::from_random(1),
            ..live(4)
        },
        none,
        ending,
    );
    for id in [10, 11] {
        let record = CallRecord {
            id: CallId::from_random(id),
            started_at_unix_ns: id as i128,
            ..refused(organization)
        };
        server.state.store().record_call(record).await.unwrap();
    }
    let ids = |answer: &Value| -> Vec<String> {
        let calls = answer["data"].as_array().unwrap().iter();
        calls
            .map(|call| call["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let named = |ids: &[u128]| -> Vec<String> {
        let ids = ids.iter().map(|id| CallId::from_random(*id));
        ids.map(|id| id.to_string()).collect()
    };
    for (query, expected, total) in [
        ("", &[3, 2, 1, 11, 10][..], 5),
        ("?per_page=2", &[3, 2], 5),
        ("?per_page=2&page_no=2", &[1, 11], 5),
        ("?per_page=2&page_no=3", &[10], 5),
        ("?per_page=2&page_no=4", &[], 5),
        ("?status=LIVE", &[3, 2, 1], 3),
        ("?status=ENDED", &[11, 10], 2),
        ("?outcome=client_error", &[11, 10], 2),
        (&format!("?meeting_id={meeting}"), &[3, 2, 1], 3),
    ] {
        let (_, listed) = server.get(&format!("/v2/sip/calls{query}")).await;
        assert_eq!(ids(&listed), named(expected), "{query}");
        assert_eq!(listed["paging"]["total_count"], total, "{query}");
    }

    let one = format!("/v2/sip/calls/{}", CallId::from_random(2));
    let (_, shown) = server.get(&one).await;
    assert_eq!(shown["data"]["status"], "LIVE");
    assert_eq!(shown["data"]["setup_ms"], 200.0);
    assert_eq!(shown["data"]["outcome"], json!(null));
    let hang_up = format!("{one}/hang-up");
    assert_eq!(server.post(&hang_up, json!({})).await.0, StatusCode::OK);
    assert_eq!(ended.recv().await, Some(EndReason::HungUpByOperator));
    drop(seats);
    assert_error(&server.post(&hang_up, json!({})).await, 404, "not_found");
    let foreign = format!("/v2/sip/calls/{}/hang-up", CallId::from_random(4));
    assert_error(&server.post(&foreign, json!({})).await, 404, "not_found");
}

/// The record of a call that got no further than a 404.
fn refused(organization: OrganizationId) -> CallRecord {
    CallRecord {
        id: CallId::from_random(8),
        organization,
        meeting: None,
        session: None,
        participant: None,
        credential: None,
        call_id_header: "a84b4c76e66710".to_owned(),
        caller: "+4912345".to_owned(),
        profile: "generic".to_owned(),
        started_at_unix_ns: 1_700_000_000_000_000_000,
        answered_at_unix_ns: None,
        ended_at_unix_ns: 1_700_000_000_000_000_001,
        setup: None,
        sip_status: 404,
        reason: "unknown_meeting",
        outcome: Outcome::ClientError,
        timeline: Default::default(),
        report: None,
    }
}
