//! What is kept, noun by noun.

use super::super::credential::{Login, MeetingScope};
use super::super::meeting::{MeetingChange, MeetingStatus};
use super::super::preset::PresetDocument;
use super::*;
use crate::call::record::{CallRecord, Outcome};
use crate::id::{CallId, ParticipantId, SessionId};
use crate::meeting::leg::LegReport;
use crate::meeting::participant::ParticipantKind;
use crate::meeting::preset::CanProduce;
use crate::meeting::quality::{DirectionReport, QualityPoint};
use crate::sip::auth::CredentialSource;

#[tokio::test]
async fn meetings_are_listed_newest_first_in_pages_and_per_organisation() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let organization = store.settings().first_organization;
    for n in 0..5 {
        store
            .create_meeting(organization, draft(&format!("Weekly {n}")))
            .await
            .unwrap();
    }
    let page = Page {
        offset: 1,
        limit: 2,
    };
    let listed = store.meetings(organization, None, page).await.unwrap();
    let titles: Vec<_> = listed.items.iter().map(|m| m.title.as_str()).collect();
    assert_eq!((titles, listed.total), (vec!["Weekly 3", "Weekly 2"], 6));
    let found = store
        .meetings(organization, Some("weekly".to_owned()), ALL)
        .await
        .unwrap();
    assert_eq!(found.total, 5);
    let foreign = store
        .meetings(OrganizationId::from_random(1), None, ALL)
        .await
        .unwrap();
    assert_eq!((foreign.items, foreign.total), (vec![], 0));
}

#[tokio::test]
async fn a_changed_meeting_is_seen_by_the_next_reader() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let Settings {
        first_organization: organization,
        demo_meeting: id,
        ..
    } = *store.settings();
    assert!(store.meeting(id).await.unwrap().is_some());
    let close = MeetingChange {
        status: Some(MeetingStatus::Inactive),
        ..MeetingChange::default()
    };
    let foreign = store
        .update_meeting(OrganizationId::from_random(1), id, close.clone())
        .await
        .unwrap();
    assert_eq!(foreign, None);
    let changed = store.update_meeting(organization, id, close).await.unwrap();
    assert_eq!(changed.unwrap().status, MeetingStatus::Inactive);
    let read = store.meeting(id).await.unwrap().unwrap();
    assert_eq!(read.status, MeetingStatus::Inactive);
    assert_eq!(read.title, "Demo meeting");
}

#[tokio::test]
async fn a_sip_credential_is_in_force_when_made_and_out_of_force_when_deleted() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let organization = store.settings().first_organization;
    let open = store
        .create_meeting(organization, draft("Open"))
        .await
        .unwrap();
    let login = Login {
        username: "desk-1".to_owned(),
        password: "circle of life".to_owned(),
    };
    let scope = MeetingScope::Listed([open.id].into());
    let made = store
        .create_sip_credential(organization, "Desk".to_owned(), login.clone(), scope)
        .await
        .unwrap();
    let book = store.credentials();
    let stored = book.credential("desk-1").unwrap();
    assert_eq!(stored.id, made.id);
    // printf 'desk-1:ringbridge:circle of life' | md5sum
    assert_eq!(stored.ha1_md5, "92807043513f4ec7626867e655a77187");
    assert!(book.credential("DESK-1").is_none());
    let grant = book.grant(made.id).unwrap();
    assert!(grant.opens(organization, open.id));
    assert!(!grant.opens(organization, store.settings().demo_meeting));
    assert!(!grant.opens(OrganizationId::from_random(1), open.id));

    let again = store
        .create_sip_credential(
            organization,
            "Copy".to_owned(),
            login,
            MeetingScope::Organization,
        )
        .await;
    assert!(matches!(
        again,
        Err(StoreError::Conflict(Conflict::UsernameTaken))
    ));

    let stranger = OrganizationId::from_random(1);
    assert!(
        !store
            .delete_sip_credential(stranger, made.id)
            .await
            .unwrap()
    );
    assert!(
        store
            .delete_sip_credential(organization, made.id)
            .await
            .unwrap()
    );
    assert!(store.credentials().credential("desk-1").is_none());
    assert!(store.credentials().grant(made.id).is_none());
}

#[tokio::test]
async fn a_preset_keeps_what_it_does_not_understand_and_rules_on_what_it_does() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let organization = store.settings().first_organization;
    let text = r#"{
        "permissions": {
            "media": { "audio": { "can_produce": "NOT_ALLOWED" } },
            "polls": { "can_vote": true }
        }
    }"#;
    let document: PresetDocument = serde_json::from_str(text).unwrap();
    let made = store
        .create_preset(organization, "listeners".to_owned(), document)
        .await
        .unwrap();
    assert_eq!(made.document.permissions.other["polls"]["can_vote"], true);
    let rules = store.preset(organization, "listeners").await.unwrap();
    assert_eq!(rules.unwrap().audio, CanProduce::NotAllowed);

    let mut changed = made.document.clone();
    changed.permissions.media.audio.can_produce = CanProduce::CanRequest;
    store
        .update_preset(organization, made.id, None, changed)
        .await
        .unwrap()
        .unwrap();
    let rules = store.preset(organization, "listeners").await.unwrap();
    assert_eq!(rules.unwrap().audio, CanProduce::CanRequest);

    let twin = store
        .create_preset(
            organization,
            "listeners".to_owned(),
            PresetDocument::default(),
        )
        .await;
    assert!(matches!(
        twin,
        Err(StoreError::Conflict(Conflict::PresetNameTaken))
    ));
    assert!(
        store
            .delete_preset(organization, made.id)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(store.preset(organization, "listeners").await.unwrap(), None);
}

fn received() -> DirectionReport {
    DirectionReport {
        packets: 50,
        mos: Some(4.25),
        drift_ppm: Some(-12.5),
        ..DirectionReport::default()
    }
}

fn point(at_s: u32) -> QualityPoint {
    QualityPoint {
        at_s,
        jitter_ms: 1.5,
        buffer_ms: 20.0,
        concealed: Some(0.25),
        received_mos: None,
        sent_loss: None,
        sent_mos: None,
        round_trip_ms: Some(40.0),
    }
}

fn record(organization: OrganizationId, meeting: MeetingId) -> CallRecord {
    CallRecord {
        id: CallId::from_random(42),
        organization,
        meeting: Some(meeting),
        session: Some(SessionId::from_random(1)),
        participant: None,
        credential: None,
        call_id_header: "abc@host".to_owned(),
        caller: "Ann".to_owned(),
        profile: "generic".to_owned(),
        started_at_unix_ns: 1_000,
        answered_at_unix_ns: Some(2_000),
        ended_at_unix_ns: 3_000,
        setup: Some(Duration::from_millis(120)),
        sip_status: 200,
        reason: "caller_hung_up",
        outcome: Outcome::Success,
        timeline: Default::default(),
        report: Some(LegReport {
            packets_received: 50,
            jitter_ms: 1.5,
            remote_loss: Some(0.25),
            received: received(),
            curve: vec![point(5), point(10)],
            ..LegReport::default()
        }),
    }
}

#[tokio::test]
async fn a_call_cut_off_is_ended_by_the_next_start_and_one_that_ended_is_not_touched() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let (organization, meeting) = {
        let settings = store.settings();
        (settings.first_organization, settings.demo_meeting)
    };
    let open = |id: u128| CallRecord {
        id: CallId::from_random(id),
        reason: crate::call::record::INTERRUPTED,
        outcome: Outcome::ServerError,
        report: None,
        ..record(organization, meeting)
    };
    store.call_answered(open(1));
    store.call_answered(open(2));
    let ended = CallRecord {
        id: CallId::from_random(1),
        ..record(organization, meeting)
    };
    store.record_call(ended).await.unwrap();
    let filter = call::CallFilter::default;
    let listed = store.calls(organization, filter(), ALL).await.unwrap();
    assert_eq!(listed.total, 1, "one still goes on");
    let live = CallId::from_random(2);
    assert_eq!(store.call(organization, live).await.unwrap(), None);
    store.is_writable().await.unwrap();
    drop(store);

    let store = reopen(&folder);
    let of = async |id| {
        let found = store.call(organization, CallId::from_random(id)).await;
        found.unwrap().unwrap()
    };
    assert_eq!(of(1).await.reason, "caller_hung_up");
    let cut_off = of(2).await;
    assert_eq!(
        (cut_off.reason.as_str(), cut_off.outcome.as_str()),
        ("interrupted", "server_error")
    );
    assert!(
        cut_off.ended_at.unix_timestamp() > 1_700_000_000,
        "when it was last known to live"
    );
}

#[tokio::test]
async fn records_that_wait_together_are_all_kept() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let (organization, meeting) = {
        let settings = store.settings();
        (settings.first_organization, settings.demo_meeting)
    };
    let writes = (0..500).map(|id| {
        let store = store.clone();
        let record = CallRecord {
            id: CallId::from_random(1_000 + id),
            ..record(organization, meeting)
        };
        tokio::spawn(async move { store.record_call(record).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    drop(store);
    let store = reopen(&folder);
    let filter = call::CallFilter::default();
    let listed = store.calls(organization, filter, ALL).await.unwrap();
    assert_eq!(listed.total, 500);
}

#[tokio::test]
async fn a_call_record_reads_back_as_written_and_survives_a_restart() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let Settings {
        first_organization: organization,
        demo_meeting: meeting,
        ..
    } = *store.settings();
    store
        .record_call(record(organization, meeting))
        .await
        .unwrap();
    store
        .record_call(record(organization, meeting))
        .await
        .unwrap();
    drop(store);

    let store = reopen(&folder);
    let filter = call::CallFilter {
        meeting: Some(meeting),
        outcome: Some("success".to_owned()),
    };
    let calls = store.calls(organization, filter, ALL).await.unwrap();
    assert_eq!(calls.total, 1);
    let call = &calls.items[0];
    assert_eq!(call.started_at.unix_timestamp_nanos(), 1_000);
    assert_eq!(call.setup, Some(time::Duration::milliseconds(120)));
    assert_eq!(
        (call.reason.as_str(), call.outcome.as_str()),
        ("caller_hung_up", "success")
    );
    let quality = call.quality.as_ref().unwrap();
    assert_eq!((quality.packets_received, quality.jitter_ms), (50, 1.5));
    assert_eq!(quality.ways.received, received());
    assert_eq!(quality.ways.sent, DirectionReport::default());
    assert_eq!(quality.ways.curve, [point(5), point(10)]);
    assert_eq!(
        (quality.remote_loss, quality.round_trip_ms),
        (Some(0.25), None)
    );
    assert_eq!(
        store
            .call(OrganizationId::from_random(1), call.id)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_sessions_history_counts_who_was_in_it_and_an_interrupted_one_is_ended_at_start() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let Settings {
        first_organization: organization,
        demo_meeting: meeting,
        ..
    } = *store.settings();
    let id = SessionId::from_random(9);
    let (ann, phone) = (ParticipantId::from_random(1), ParticipantId::from_random(2));
    store
        .session_started(id, organization, meeting, "Demo".to_owned(), 1)
        .await
        .unwrap();
    for (who, kind) in [
        (ann, ParticipantKind::Browser),
        (phone, ParticipantKind::Robo),
    ] {
        store
            .session_joined(id, who, "X".to_owned(), kind, None, 2)
            .await
            .unwrap();
    }
    store.session_left(id, ann, 3).await.unwrap();
    let live = store.session(organization, id).await.unwrap().unwrap();
    assert_eq!(
        (live.live_participants, live.max_concurrent_participants),
        (1, 2)
    );
    assert_eq!(live.ended_at, None);
    drop(store);

    let store = reopen(&folder);
    let ended = store.session(organization, id).await.unwrap().unwrap();
    assert!(ended.interrupted && ended.ended_at.is_some());
    assert_eq!(ended.live_participants, 0);
    let stays = store.session_participants(id, ALL).await.unwrap();
    assert_eq!(stays.total, 2);
    assert!(stays.items.iter().all(|stay| stay.left_at.is_some()));
    assert_eq!(stays.items[1].kind, ParticipantKind::Robo);
}
