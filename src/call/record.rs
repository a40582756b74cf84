//! What is kept of a call when it has ended: one row of the call records.

use std::time::Duration;

use crate::call::trace::Timeline;
use crate::id::{CallId, CredentialId, MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::leg::LegReport;

/// Who is to blame or thank for how a call ended. Operators aggregate these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered and ended as calls do.
    Success,
    /// The caller or its configuration.
    ClientError,
    /// Us.
    ServerError,
    /// A carrier or proxy between.
    UpstreamError,
    /// Cannot be told (the media stopped, say).
    Indeterminate,
}

impl Outcome {
    /// Label in metrics, records and the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::UpstreamError => "upstream_error",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// Reason of a call that a crash cut off.
pub const INTERRUPTED: &str = "interrupted";

/// One ended call. Times are wallclock, nanoseconds since the Unix epoch, given by the shell.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// Our id.
    pub id: CallId,
    /// Owner.
    pub organization: OrganizationId,
    /// The dialled meeting, if there is one.
    pub meeting: Option<MeetingId>,
    /// The live session it joined, if it got that far.
    pub session: Option<SessionId>,
    /// The robo participant, if it got that far.
    pub participant: Option<ParticipantId>,
    /// The credentials it authenticated with.
    pub credential: Option<CredentialId>,
    /// SIP Call-ID header.
    pub call_id_header: String,
    /// Display name or number of the caller, as shown in the meeting.
    pub caller: String,
    /// SIP profile applied.
    pub profile: String,
    /// INVITE received.
    pub started_at_unix_ns: i128,
    /// 200 sent.
    pub answered_at_unix_ns: Option<i128>,
    /// BYE, final refusal or failure.
    pub ended_at_unix_ns: i128,
    /// Time from INVITE to 200.
    pub setup: Option<Duration>,
    /// Final SIP status of the INVITE.
    pub sip_status: u16,
    /// Label of `EndReason` or `Refusal`: a bounded set.
    pub reason: &'static str,
    /// Class of the ending.
    pub outcome: Outcome,
    /// Media figures, if the leg existed.
    pub report: Option<LegReport>,
    /// What happened, as far as it was kept; filled in by whoever kept it.
    pub timeline: Timeline,
}
