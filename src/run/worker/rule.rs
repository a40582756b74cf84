//! What others decide about who sits in the worker's sessions.

use std::time::{Duration, Instant};

use super::command::{Kicked, PresetChange};
use super::machine::Worker;
use crate::id::{MeetingId, ParticipantId};
use crate::meeting::session::SessionChange;
use crate::meeting::signal::ByeReason;
use crate::run::clock;

/// Since the Unix epoch.
pub(super) fn wallclock() -> Duration {
    Duration::from_nanos(clock::unix_ns().max(0) as u64)
}

impl Worker {
    pub(super) fn kick(&mut self, now: Instant, meeting: MeetingId, whom: &Kicked) -> usize {
        if *whom == Kicked::Everyone
            && let Some(entry) = self.sessions.get(&meeting)
        {
            let notice = entry.event(now, SessionChange::EndedByHost);
            self.backlog.push_back(notice);
        }
        let kicked = self.call(meeting, |session| match whom {
            Kicked::Some(participants) => session.kick(now, participants),
            Kicked::Everyone => session.end(now, ByeReason::SessionEnded),
        });
        if *whom == Kicked::Everyone {
            self.end_session(now, meeting);
        }
        kicked.unwrap_or(0)
    }

    /// Lets in or sends away who waits; how many did.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        meeting: MeetingId,
        participants: &[ParticipantId],
        admitted: bool,
    ) -> usize {
        let decided = self.call(meeting, |session| match admitted {
            true => session.admit(now, participants),
            false => session.deny(now, participants),
        });
        decided.unwrap_or(0)
    }

    pub(super) fn apply_preset(&mut self, now: Instant, change: &PresetChange) {
        let concerned = self.sessions.iter().filter(|(id, entry)| {
            entry.info.organization == change.organization
                && change.meeting.is_none_or(|meeting| meeting == **id)
        });
        let meetings: Vec<MeetingId> = concerned.map(|(id, _)| *id).collect();
        for meeting in meetings {
            self.call(meeting, |session| {
                session.apply_preset(now, &change.holders, &change.preset);
            });
        }
    }
}
