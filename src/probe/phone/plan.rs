//! What is known of a call before it is dialled, and how it goes on.

use std::net::SocketAddr;

use super::digest::Credentials;
use super::session::RemoteMedia;
use crate::meeting::leg::PhoneCodec;

/// What carries the call's signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: requests are retransmitted.
    Udp,
    /// One connection.
    Tcp,
}

impl Transport {
    pub(super) fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// Everything about a call that is known before dialling.
#[derive(Debug, Clone)]
pub struct UacConfig {
    /// Request-URI, e.g. `sip:<meetingId>@host:port`.
    pub uri: String,
    /// Address of our signalling socket, for Via and Contact.
    pub local: SocketAddr,
    /// Transport of that socket.
    pub transport: Transport,
    /// User part of From and Contact.
    pub from_user: String,
    /// Display name of From; none when empty.
    pub display_name: String,
    /// Answer to a challenge; without it a challenge ends the call.
    pub credentials: Option<Credentials>,
    /// Further headers of the INVITE.
    pub headers: Vec<(String, String)>,
    /// Codecs offered, best first.
    pub codecs: Vec<PhoneCodec>,
    /// Where our RTP socket is.
    pub rtp: SocketAddr,
    /// Send the INVITE without SDP and answer the server's offer in the ACK.
    pub delayed_offer: bool,
}

/// Something to do or to know.
#[derive(Debug, Clone, PartialEq)]
pub enum UacOutput {
    /// Send these bytes to the server.
    Send(Vec<u8>),
    /// The call went on.
    Event(UacEvent),
}

/// How a call goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum UacEvent {
    /// A 401 or 407 that we answer.
    Challenged,
    /// A 1xx.
    Progress(u16),
    /// A 2xx; `None` when its description gives nothing we can speak.
    Answered(Option<RemoteMedia>),
    /// A final refusal of the INVITE, CANCEL's 487 included.
    Refused {
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The server changed the media in mid-call; already accepted.
    Reinvited(Option<RemoteMedia>),
    /// Our request in the dialog (re-INVITE, INFO) was answered.
    RequestDone {
        /// SIP status.
        status: u16,
        /// What a re-INVITE's answer settled.
        media: Option<RemoteMedia>,
    },
    /// The server hung up; already answered.
    RemoteHungUp {
        /// Its Reason header.
        reason: Option<String>,
    },
    /// Our BYE was answered with this status.
    HungUp(u16),
    /// A request was never answered (timers B and F).
    TimedOut {
        /// Method of the request.
        method: &'static str,
        /// Whether anything at all came back.
        heard_anything: bool,
    },
}
