//! The store as its users meet it, with a real file in a folder of its own.

mod keeping;
mod opening;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::meeting::MeetingDraft;
use super::*;

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
