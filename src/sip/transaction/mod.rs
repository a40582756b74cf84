//! The four transaction machines of RFC 3261 §17, with RFC 6026. Each is fed, timed and drained on
//! its own; none knows of dialogs, sockets or each other.

pub mod client;
pub mod invite_server;
pub mod non_invite_server;

use bytes::Bytes;

/// What a transaction machine wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this message.
    Send(Bytes),
    /// The other side never answered: timer B, F or H.
    TimedOut,
    /// The machine is done: forget it.
    Terminated,
}
