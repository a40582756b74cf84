//! What happens to sessions, for whoever tells the outside world (webhooks, records, the API).

use std::time::Instant;

use crate::id::{MeetingId, OrganizationId, SessionId};
pub use crate::meeting::session::SessionChange;

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
