//! The calls in progress: admission by number, and a way for the API to see and end them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use crate::call::end::EndReason;
use crate::call::trace::Timeline;
use crate::id::{CallId, MeetingId, OrganizationId, ParticipantId, TrunkId};
use crate::limits::RATED_TRUNKS_MAX;
use crate::run::call_tap::SharedTrace;
use crate::run::clock;
use crate::run::directory::PhoneKeys;

/// A call as the API shows it while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// Our id.
    pub id: CallId,
    /// Owner.
    pub organization: OrganizationId,
    /// The meeting, once found.
    pub meeting: Option<MeetingId>,
    /// The robo participant.
    pub participant: ParticipantId,
    /// Name shown in the meeting.
    pub caller: String,
    /// SIP profile applied.
    pub profile: String,
    /// INVITE received.
    pub started: Instant,
    /// 200 sent.
    pub answered: Option<Instant>,
    /// The phone put the meeting on hold.
    pub on_hold: bool,
    /// The trunk it came by.
    pub trunk: Option<TrunkId>,
}

/// What a trunk may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Calls at a time.
    pub concurrent_max: Option<u32>,
    /// New calls a second; as many may come at once.
    pub per_second_max: Option<u32>,
}

/// Why a call finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The process has as many as it may have.
    Process,
    /// Its trunk has.
    Trunk,
}

/// The table of calls in progress; clones share it.
#[derive(Debug, Clone)]
pub struct Calls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    calls_max: AtomicUsize,
    table: Mutex<HashMap<CallId, Entry>>,
    /// What trunks with a limit may still begin: one bucket each.
    rates: Mutex<HashMap<TrunkId, Bucket>>,
    /// How many there are; drain waits for zero.
    count: watch::Sender<usize>,
}

/// Calls that may begin now.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

#[derive(Debug)]
struct Entry {
    live: LiveCall,
    trace: Option<SharedTrace>,
    hang_up: mpsc::Sender<EndReason>,
    /// Once the phone is in its meeting.
    keys: Option<PhoneKeys>,
}

impl Calls {
    /// An empty table for at most `calls_max` calls.
    pub fn new(calls_max: usize) -> Self {
        let (count, _) = watch::channel(0);
        let shared = Shared {
            calls_max: AtomicUsize::new(calls_max),
            table: Mutex::default(),
            rates: Mutex::default(),
            count,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Enters a call; it stays until the seat is dropped.
    ///
    /// # Errors
    /// The process or the call's trunk has no room.
    pub fn admit(
        &self,
        live: LiveCall,
        limits: TrunkLimits,
        hang_up: mpsc::Sender<EndReason>,
    ) -> Result<CallSeat, NoRoom> {
        let mut table = self.lock();
        if table.len() >= self.shared.calls_max.load(Ordering::Relaxed) {
            return Err(NoRoom::Process);
        }
        if let (Some(trunk), Some(most)) = (live.trunk, limits.concurrent_max) {
            let alike = table
                .values()
                .filter(|entry| entry.live.trunk == Some(trunk));
            if alike.count() >= most as usize {
                return Err(NoRoom::Trunk);
            }
        }
        if let (Some(trunk), Some(most)) = (live.trunk, limits.per_second_max)
            && !self.may_begin(trunk, most, live.started)
        {
            return Err(NoRoom::Trunk);
        }
        let id = live.id;
        let entry = Entry {
            live,
            trace: None,
            hang_up,
            keys: None,
        };
        table.insert(id, entry);
        self.shared.count.send_replace(table.len());
        Ok(CallSeat {
            calls: self.clone(),
            id,
        })
    }

    fn may_begin(&self, trunk: TrunkId, per_second: u32, now: Instant) -> bool {
        let mut rates = self
            .shared
            .rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= RATED_TRUNKS_MAX && !rates.contains_key(&trunk) {
            rates.clear();
        }
        let most = f64::from(per_second);
        let bucket = rates.entry(trunk).or_insert(Bucket {
            left: most,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * most).min(most);
        bucket.at = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }

    /// Another limit from now on; calls beyond it go on.
    pub fn set_max(&self, calls_max: usize) {
        self.shared.calls_max.store(calls_max, Ordering::Relaxed);
    }

    /// All calls of an organisation, oldest first.
    pub fn list(&self, organization: OrganizationId) -> Vec<LiveCall> {
        let mut calls: Vec<_> = self
            .lock()
            .values()
            .filter(|entry| entry.live.organization == organization)
            .map(|entry| entry.live.clone())
            .collect();
        calls.sort_by_key(|call| call.started);
        calls
    }

    /// One call.
    pub fn find(&self, organization: OrganizationId, id: CallId) -> Option<LiveCall> {
        let table = self.lock();
        let entry = table
            .get(&id)
            .filter(|entry| entry.live.organization == organization)?;
        Some(entry.live.clone())
    }

    /// A way to send keys to a call's phone; `None` if there is no such call, or its phone is not
    /// in its meeting yet.
    pub fn keys(&self, organization: OrganizationId, id: CallId) -> Option<PhoneKeys> {
        let table = self.lock();
        let entry = table
            .get(&id)
            .filter(|entry| entry.live.organization == organization)?;
        entry.keys.clone()
    }

    /// What has happened in a call so far.
    pub fn timeline(&self, organization: OrganizationId, id: CallId) -> Option<Timeline> {
        let table = self.lock();
        let entry = table
            .get(&id)
            .filter(|entry| entry.live.organization == organization)?;
        let trace = entry.trace.clone();
        drop(table);
        Some(trace?.timeline())
    }

    /// Asks a call to end; false if there is none.
    pub fn hang_up(&self, organization: OrganizationId, id: CallId, reason: EndReason) -> bool {
        let table = self.lock();
        let Some(entry) = table
            .get(&id)
            .filter(|entry| entry.live.organization == organization)
        else {
            return false;
        };
        // Full means it was asked before; closed means it is ending by itself.
        let _ = entry.hang_up.try_send(reason);
        true
    }

    /// Asks every call to end.
    pub fn hang_up_all(&self, reason: EndReason) {
        for entry in self.lock().values() {
            let _ = entry.hang_up.try_send(reason);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Waits until none is left.
    pub async fn wait_until_none(&self) {
        let mut count = self.shared.count.subscribe();
        // The sender lives as long as `self`.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Entry>> {
        // Every update is one map operation: a panic elsewhere leaves the table whole.
        self.shared
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place in the table.
#[derive(Debug)]
pub struct CallSeat {
    calls: Calls,
    id: CallId,
}

impl CallSeat {
    /// Where the call's facts are noted.
    pub fn traced(&self, trace: SharedTrace) {
        if let Some(entry) = self.calls.lock().get_mut(&self.id) {
            entry.trace = Some(trace);
        }
    }

    /// The meeting was found.
    pub fn joined(&self, meeting: MeetingId) {
        self.update(|live| live.meeting = Some(meeting));
    }

    /// The phone is in its meeting.
    pub fn seated(&self, keys: PhoneKeys) {
        if let Some(entry) = self.calls.lock().get_mut(&self.id) {
            entry.keys = Some(keys);
        }
    }

    /// 200 was sent.
    pub fn answered(&self) {
        self.update(|live| live.answered = Some(clock::now()));
    }

    /// Hold changed.
    pub fn held(&self, on_hold: bool) {
        self.update(|live| live.on_hold = on_hold);
    }

    fn update(&self, change: impl FnOnce(&mut LiveCall)) {
        if let Some(entry) = self.calls.lock().get_mut(&self.id) {
            change(&mut entry.live);
        }
    }
}

impl Drop for CallSeat {
    fn drop(&mut self) {
        let mut table = self.calls.lock();
        table.remove(&self.id);
        self.calls.shared.count.send_replace(table.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(id: u128) -> LiveCall {
        LiveCall {
            id: CallId::from_random(id),
            organization: OrganizationId::from_random(1),
            meeting: None,
            participant: ParticipantId::from_random(id),
            caller: "Ann".to_owned(),
            profile: "generic".to_owned(),
            started: clock::now(),
            answered: None,
            on_hold: false,
            trunk: None,
        }
    }

    #[test]
    fn one_call_too_many_is_not_admitted_until_another_has_ended() {
        let calls = Calls::new(1);
        let (hang_up, mut asked) = mpsc::channel(1);
        let none = TrunkLimits::default();
        let seat = calls.admit(live(1), none, hang_up.clone()).unwrap();
        let refused = calls.admit(live(2), none, hang_up.clone());
        assert_eq!(refused.err(), Some(NoRoom::Process));
        let (mine, other) = (
            OrganizationId::from_random(1),
            OrganizationId::from_random(2),
        );
        assert!(!calls.hang_up(other, CallId::from_random(1), EndReason::Kicked));
        assert!(calls.hang_up(mine, CallId::from_random(1), EndReason::Kicked));
        assert_eq!(asked.try_recv(), Ok(EndReason::Kicked));
        drop(seat);
        assert_eq!(calls.count(), 0);
        assert!(calls.admit(live(2), none, hang_up).is_ok());
    }

    #[test]
    fn a_trunk_has_its_own_limits_and_disturbs_no_other() {
        let calls = Calls::new(100);
        let (hang_up, _asked) = mpsc::channel(1);
        let begun = clock::now();
        let by = |id: u128, trunk: u128, after_ms: u64| LiveCall {
            trunk: Some(TrunkId::from_random(trunk)),
            started: begun + std::time::Duration::from_millis(after_ms),
            ..live(id)
        };
        let two = TrunkLimits {
            concurrent_max: Some(2),
            per_second_max: None,
        };
        let first = calls.admit(by(1, 1, 0), two, hang_up.clone()).unwrap();
        let _second = calls.admit(by(2, 1, 0), two, hang_up.clone()).unwrap();
        let third = calls.admit(by(3, 1, 0), two, hang_up.clone());
        assert_eq!(third.err(), Some(NoRoom::Trunk));
        let _other = calls.admit(by(4, 2, 0), two, hang_up.clone()).unwrap();
        drop(first);
        let _again = calls.admit(by(3, 1, 0), two, hang_up.clone()).unwrap();

        let one_a_second = TrunkLimits {
            concurrent_max: None,
            per_second_max: Some(1),
        };
        let rated = |id, after_ms| calls.admit(by(id, 9, after_ms), one_a_second, hang_up.clone());
        let _first = rated(11, 0).unwrap();
        assert_eq!(rated(12, 900).err(), Some(NoRoom::Trunk));
        let _later = rated(13, 1_000).unwrap();
    }
}
