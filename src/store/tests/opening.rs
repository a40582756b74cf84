//! Opening, closing, failing.

use super::super::preset::PRESET_PHONE;
use super::*;
use crate::meeting::preset::CanProduce;
use crate::sip::auth::CredentialSource;

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
