use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::credential::{Login, MeetingScope};
use super::meeting::{MeetingChange, MeetingDraft, MeetingStatus};
use super::preset::{PRESET_PHONE, PresetDocument};
use super::*;
use crate::call::record::{CallRecord, Outcome};
use crate::id::{CallId, ParticipantId, SessionId};
use crate::meeting::leg::LegReport;
use crate::meeting::participant::ParticipantKind;
use crate::meeting::preset::CanProduce;
use crate::sip::auth::CredentialSource;

/// A folder that is removed at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("ringbridge-store-{:032x}", rand::random::<u128>());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Result<Store, OpenError> {
        Store::open(&self.0, options())
    }

    fn database(&self) -> PathBuf {
        self.0.join(thread::DATABASE_FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        realm: DEFAULT_REALM.to_owned(),
        clock: StoreClock {
            unix_ns: || {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                i128::try_from(since.as_nanos()).unwrap()
            },
            now: Instant::now,
        },
        metrics: StoreMetrics::default(),
    }
}

/// Waits until the thread of a store whose handles are gone has let go of the folder.
fn reopen(folder: &Folder) -> Store {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match folder.open() {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            result => return result.unwrap(),
        }
    }
}

const ALL: Page = Page {
    offset: 0,
    limit: 100,
};

fn draft(title: &str) -> MeetingDraft {
    MeetingDraft {
        title: title.to_owned(),
        ..MeetingDraft::default()
    }
}

#[tokio::test]
async fn the_first_start_makes_everything_a_call_needs_and_the_second_tells_no_secret() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let first = store.first_start().unwrap().clone();
    let settings = store.settings().clone();
    assert_eq!(settings.realm, "ringbridge");
    assert_eq!(settings.demo_meeting, first.meeting_id);
    assert!(
        store
            .api_keys()
            .authenticate(first.organization_id, &first.api_key)
    );
    let book = store.credentials();
    let stored = book.credential(&first.sip_username).unwrap();
    let grant = book.grant(stored.id).unwrap();
    assert!(grant.opens(first.organization_id, first.meeting_id));
    let meeting = store.meeting(first.meeting_id).await.unwrap().unwrap();
    assert_eq!(meeting.organization, first.organization_id);
    let phone = store
        .preset(first.organization_id, PRESET_PHONE)
        .await
        .unwrap()
        .unwrap();
    assert!(phone.phone);
    assert_eq!(phone.audio, CanProduce::Allowed);
    assert_eq!(phone.video, CanProduce::NotAllowed);
    drop(store);

    let store = reopen(&folder);
    assert!(store.first_start().is_none());
    assert!(store.settings() == &settings);
    assert!(
        store
            .api_keys()
            .authenticate(first.organization_id, &first.api_key)
    );
    assert_eq!(
        store.credentials().credential(&first.sip_username).unwrap(),
        stored
    );
}

#[tokio::test]
async fn only_the_right_key_of_the_right_organisation_authenticates() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let first = store.first_start().unwrap();
    let keys = store.api_keys();
    let stranger = OrganizationId::from_random(7);
    assert!(!keys.authenticate(first.organization_id, ""));
    assert!(!keys.authenticate(first.organization_id, &first.api_key[1..]));
    assert!(!keys.authenticate(stranger, &first.api_key));
}

#[tokio::test]
async fn what_was_confirmed_is_on_the_disk_even_if_the_process_never_ends_cleanly() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let first = store.first_start().unwrap().clone();
    let made = store
        .create_meeting(first.organization_id, draft("Kept"))
        .await
        .unwrap();
    // What kill -9 leaves: the files as they are now, with the log not folded in.
    let copy = Folder::new();
    std::fs::create_dir(&copy.0).unwrap();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
    }
    let survivor = copy.open().unwrap();
    assert_eq!(survivor.meeting(made.id).await.unwrap(), Some(made));
    assert!(survivor.first_start().is_none());
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_told_so() {
    let folder = Folder::new();
    let _store = folder.open().unwrap();
    let error = folder.open().unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(
        error
            .to_string()
            .contains(folder.0.to_str().unwrap_or_default())
    );
}

#[tokio::test]
async fn a_database_locked_by_another_program_is_named() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let other = rusqlite::Connection::open(folder.database()).unwrap();
    // The store's thread may still be closing; the exclusive lock waits for it.
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
        .unwrap();
    let error = loop {
        match folder.open() {
            Err(OpenError::InUse { .. }) => std::thread::yield_now(),
            result => break result.err().unwrap(),
        }
    };
    assert!(matches!(error, OpenError::Locked { path } if path == folder.database()));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged_and_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    let garbage = vec![b'x'; 8192];
    std::fs::write(folder.database(), &garbage).unwrap();
    let error = folder.open().unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { path, .. } if path == folder.database()));
    assert_eq!(std::fs::read(folder.database()).unwrap(), garbage);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    std::fs::write(&folder.0, "a file in the way").unwrap();
    let error = folder.open().unwrap_err();
    assert!(matches!(error, OpenError::Folder { path, .. } if path == folder.0));
    std::fs::remove_file(&folder.0).unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_unchanged() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    let conn = rusqlite::Connection::open(folder.database()).unwrap();
    conn.execute_batch("CREATE TABLE future (x); PRAGMA user_version = 999;")
        .unwrap();
    drop(conn);
    let error = folder.open().unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 999, .. }));
}

#[tokio::test]
async fn an_old_database_is_upgraded_and_keeps_its_rows() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    let mut conn = rusqlite::Connection::open(folder.database()).unwrap();
    assert!(schema::migrate(&mut conn, &schema::MIGRATIONS[..1]).is_ok());
    let (before, first) = first_start::settle(&mut conn, "old-realm", 5).unwrap();
    drop(conn);

    let store = folder.open().unwrap();
    assert!(first.is_some() && store.first_start().is_none());
    assert!(store.settings() == &before);
    let meeting = store.meeting(before.demo_meeting).await.unwrap().unwrap();
    assert_eq!(meeting.created_at.unix_timestamp_nanos(), 5);
    let calls = store
        .calls(before.first_organization, call::CallFilter::default(), ALL)
        .await
        .unwrap();
    assert_eq!(calls.total, 0);
}

#[tokio::test]
async fn the_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.is_writable().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

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
    let text = r#"{"permissions":{"media":{"audio":{"can_produce":"NOT_ALLOWED"}},"polls":{"can_vote":true}}}"#;
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
        report: Some(LegReport {
            packets_received: 50,
            jitter_ms: 1.5,
            remote_loss: Some(0.25),
            ..LegReport::default()
        }),
    }
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

#[tokio::test]
async fn a_panicking_job_fails_alone() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let failed = store
        .run(Operation::Read, |_| -> Result<(), StoreError> {
            panic!("a bug in one job")
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Closed)));
    store.is_writable().await.unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_busy_not_forever() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocker = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .run(Operation::Read, move |_| {
                    let _released = held.recv();
                    Ok(())
                })
                .await
        })
    };
    let blocked = blocker.await.unwrap();
    assert!(matches!(blocked, Err(StoreError::Busy)));
    assert!(matches!(store.is_writable().await, Err(StoreError::Busy)));
    release.send(()).unwrap();
    store.is_writable().await.unwrap();
}

#[tokio::test]
async fn a_database_that_refuses_writes_is_not_writable() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store
        .run(Operation::Read, |db| {
            Ok(db.conn.execute_batch("PRAGMA query_only = ON")?)
        })
        .await
        .unwrap();
    assert!(matches!(
        store.is_writable().await,
        Err(StoreError::Database(_))
    ));
}

#[tokio::test]
async fn a_flushed_store_is_one_file() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let log = folder.database().with_extension("db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    store.flush().await.unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
}
