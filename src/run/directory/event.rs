//! What happens to sessions, for whoever tells the outside world (webhooks, records, the API).

use std::time::Instant;

use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::signal::ParticipantView;

/// One thing that happened in a live session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionEvent {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its owner.
    pub organization: OrganizationId,
    /// Which live instance.
    pub session: SessionId,
    /// When.
    pub at: Instant,
    /// What.
    pub what: SessionChange,
}

/// The kinds of [`SessionEvent`].
#[derive(Debug, Clone, PartialEq)]
pub enum SessionChange {
    /// The first participant came.
    Started,
    /// The last one left, a while ago, or someone ended it.
    Ended,
    /// Someone came.
    ParticipantJoined(ParticipantView),
    /// Someone left.
    ParticipantLeft(ParticipantView),
    /// A phone pressed a key.
    Dtmf {
        /// Who.
        participant: ParticipantId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
}
