//! What leaves the endpoint: bytes for the shell, events for the owners of calls.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::id::CredentialId;
use crate::sip::auth::AuthFailure;
use crate::sip::flow::{Flow, Transport};
use crate::sip::uri::Uri;

/// One INVITE dialog as its owner names it. Never reused within one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

/// What the shell does next. Drain with [`super::Endpoint::poll_output`] until `None`.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes on this flow (UDP: from `flow.local`'s socket to `flow.remote`).
    Transmit {
        /// Where.
        flow: Flow,
        /// One whole SIP message.
        bytes: Bytes,
    },
    /// The dialog's stream connection is gone: open a new one, send the bytes, and feed what
    /// arrives on it as a new flow. If it cannot be opened, nothing need be done: the
    /// transaction times out.
    Connect {
        /// Which kind of connection.
        transport: Transport,
        /// Name or address of the top Route, or of the peer's Contact.
        host: String,
        /// Port, the transport's default already filled in.
        port: u16,
        /// One whole SIP message.
        bytes: Bytes,
    },
    /// Something happened.
    Event(Event),
}

/// What happened. The events of a dialog end with exactly one of [`Event::Cancelled`],
/// [`Event::Bye`], [`Event::AckTimeout`] and [`Event::Terminated`]; when its owner ended it by
/// `refuse` or `bye`, nothing follows.
#[derive(Debug)]
pub enum Event {
    /// An authenticated INVITE outside any dialog. 100 is already sent.
    Invite(Box<Invite>),
    /// The caller gave up before our final answer; 487 is sent. Last event of the dialog.
    Cancelled {
        /// Which.
        dialog: DialogId,
        /// Reason header of the CANCEL, raw.
        reason: Option<String>,
    },
    /// The ACK of our 2xx arrived; its body is the answer where our 2xx carried the offer.
    Acked {
        /// Which.
        dialog: DialogId,
        /// Session description, when there is one.
        body: Option<Vec<u8>>,
    },
    /// A re-INVITE or UPDATE: answer with `accept_reinvite` or `refuse_reinvite`.
    Reinvite {
        /// Which.
        dialog: DialogId,
        /// Re-INVITE or UPDATE.
        method: OfferMethod,
        /// The new offer. `None` in a re-INVITE: we offer in the 200. `None` in an UPDATE is a
        /// mere session refresh, which the endpoint answers by itself and does not report.
        offer: Option<Vec<u8>>,
    },
    /// Our own re-INVITE got its final answer.
    ReinviteAnswered {
        /// Which.
        dialog: DialogId,
        /// Final status; 408 when none came.
        status: u16,
        /// Session description, when there is one.
        body: Option<Vec<u8>>,
    },
    /// The peer hung up; 200 is sent. Last event of the dialog.
    Bye {
        /// Which.
        dialog: DialogId,
        /// Reason header, raw: `Q.850;cause=16`.
        reason: Option<String>,
    },
    /// An INFO; 200 is sent.
    Info {
        /// Which.
        dialog: DialogId,
        /// What it says.
        info: Info,
    },
    /// The phone asks for its call to be moved: answer with `accept_refer` and later
    /// `finish_refer`, or with `refuse_refer`.
    Refer {
        /// Which.
        dialog: DialogId,
        /// Where to.
        target: Uri,
    },
    /// A REFER was refused and the call goes on.
    ReferRefused {
        /// Which.
        dialog: DialogId,
    },
    /// No ACK came within 64·T1 of our 2xx; BYE is sent. Last event of the dialog.
    AckTimeout {
        /// Which.
        dialog: DialogId,
    },
    /// The dialog ended for this cause; where the protocol asks for it, BYE is sent. Last event of
    /// the dialog.
    Terminated {
        /// Which.
        dialog: DialogId,
        /// Why.
        cause: TerminationCause,
    },
    /// A phone registered or refreshed.
    Registered(Registration),
    /// A binding was removed or ran out.
    Unregistered(Registration),
    /// Credentials were sent and refused.
    AuthFailed {
        /// Who sent them.
        source: IpAddr,
        /// The digest username, if one could be read.
        username: Option<String>,
        /// What was wrong.
        failure: AuthFailure,
    },
}

/// Why a dialog ended without either side's owner asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TerminationCause {
    /// The peer did not refresh the session in time (RFC 4028).
    SessionExpired,
    /// The peer no longer knows the dialog (481) or does not answer (408) our request in it.
    PeerLost,
    /// Its owner gave no final answer in time; the caller got 480.
    Unanswered,
    /// A reliable provisional response was never acknowledged (RFC 3262); the caller got 504.
    Unacknowledged,
}

/// The request a mid-dialog offer came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfferMethod {
    /// Re-INVITE.
    Invite,
    /// UPDATE (RFC 3311).
    Update,
}

/// A dialog-forming INVITE that may come in.
#[derive(Debug)]
pub struct Invite {
    /// Names it in commands and events.
    pub dialog: DialogId,
    /// Where it came from.
    pub flow: Flow,
    /// What was dialled.
    pub request_uri: Uri,
    /// Whose credentials it carried; `None` for a trunk admitted by its address.
    pub credential: Option<CredentialId>,
    /// The digest username.
    pub username: Option<String>,
    /// The trunk its source address belongs to, if it was admitted by that.
    pub trunk: Option<String>,
    /// Call-ID header.
    pub call_id: String,
    /// CSeq number.
    pub cseq: u32,
    /// Who calls.
    pub caller: CallerIdentity,
    /// Every header, canonical names, list items apart, credentials left out.
    pub headers: Vec<(String, String)>,
    /// The SDP offer; `None` is a delayed offer.
    pub offer: Option<Vec<u8>>,
    /// User-Agent header.
    pub user_agent: Option<String>,
    /// Whether the bottom Via names a private address: the phone itself stands behind a NAT.
    pub via_private: bool,
}

/// Who calls: P-Asserted-Identity, else Remote-Party-ID, else From.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallerIdentity {
    /// Display name, unquoted.
    pub display_name: Option<String>,
    /// User part or telephone number, unescaped, without parameters.
    pub user: Option<String>,
    /// The URI as sent.
    pub uri: String,
    /// The caller asks for its identity not to be shown (RFC 3323, RFC 3325).
    pub privacy: bool,
}

/// What an INFO carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// One key (`application/dtmf-relay`, `application/dtmf`).
    Dtmf {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long it was pressed.
        duration: Duration,
    },
    /// Anything else.
    Other {
        /// Content-Type, raw.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
}

/// One binding of a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Whose credentials.
    pub credential: CredentialId,
    /// The digest username.
    pub username: String,
    /// The bound Contact URI as sent.
    pub contact: String,
    /// Where the phone can be reached.
    pub flow: Flow,
    /// Until the binding runs out; zero when it is removed.
    pub expires: Duration,
    /// User-Agent header.
    pub user_agent: Option<String>,
    /// Contact as our 200 shows it, without `expires`.
    pub contact_value: String,
    /// `+sip.instance` (RFC 5626), where the phone has one.
    pub instance: Option<String>,
    /// Call-ID of its REGISTER.
    pub call_id: String,
    /// CSeq number of its last one.
    pub cseq: u32,
}

/// A final answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 300 to 699.
    pub status: u16,
    /// Reason phrase: a human reads it.
    pub reason: String,
    /// More headers, e.g. `Retry-After` and `X-Ringbridge-Error`.
    pub headers: Vec<(String, String)>,
}

impl Refusal {
    /// A refusal without further headers.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            headers: Vec::new(),
        }
    }
}

/// A command could not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CommandError {
    /// The dialog has ended meanwhile, or never was. Its last event is on the way or was read.
    #[error("the dialog has ended")]
    UnknownDialog,
    /// The dialog is not in a state for this command: answered twice, or nothing to answer.
    #[error("not now in this dialog")]
    WrongState,
}
