//! Where the governor's word takes effect: who is let in, how well voices are encoded.

use std::time::Instant;

use super::governor::{Newcomer, RETRY_AFTER};
use super::machine::Worker;
use super::thread::Notice;
use crate::id::{MeetingId, ParticipantId};
use crate::run::directory::JoinRefusal;

impl Worker {
    /// Refuses whom the worker could not carry in time beside those it carries. Whoever is there
    /// already and comes again is no more load.
    pub(super) fn admit(
        &mut self,
        meeting: MeetingId,
        participant: ParticipantId,
        newcomer: Newcomer,
    ) -> Result<(), JoinRefusal> {
        self.tell_population();
        let entry = self.sessions.get_mut(&meeting);
        let known = entry
            .as_ref()
            .is_some_and(|e| e.session().holds(participant));
        if known || self.governor.admits(newcomer) {
            return Ok(());
        }
        self.metrics.joins_refused.inc();
        match entry {
            Some(entry) => entry.joins_handled += 1,
            None => self
                .backlog
                .push_back(Notice::JoinsHandled { meeting, joins: 1 }),
        }
        Err(JoinRefusal::Busy {
            retry_after: RETRY_AFTER,
        })
    }

    /// Measures the load when a second has passed, and acts on it.
    pub(super) fn govern(&mut self, now: Instant) {
        let (_, peers, legs) = self.population;
        self.governor.handle_population(legs, peers);
        let meter = self.meter.as_ref();
        let changed = self.governor.handle_time(now, || meter?.used());
        let complexity = self.governor.complexity();
        self.health.measured(self.governor.load(), complexity);
        self.gauges.0.set(f64::from(self.governor.load()));
        self.gauges.1.set(i64::from(complexity));
        if !changed {
            return;
        }
        let meetings: Vec<MeetingId> = self.sessions.keys().copied().collect();
        for meeting in meetings {
            self.call(meeting, |session| session.set_complexity(complexity));
        }
    }
}
