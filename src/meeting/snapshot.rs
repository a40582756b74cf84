//! What a Session looks like from outside, at one moment.

use std::time::Instant;

use crate::id::{MeetingId, OrganizationId, SessionId};
use crate::meeting::signal::ParticipantView;

/// A live session and who is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSnapshot {
    /// The live instance.
    pub session_id: SessionId,
    /// Of which meeting.
    pub meeting_id: MeetingId,
    /// Owner of the meeting.
    pub organization: OrganizationId,
    /// When its first participant came.
    pub started_at: Instant,
    /// Everyone, phones included, in order of joining.
    pub participants: Vec<ParticipantView>,
    /// Who waits to be let in, in order of coming.
    pub waiting: Vec<ParticipantView>,
}
