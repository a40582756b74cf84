//! SIP (RFC 3261) without sockets or clocks: bytes and time in, bytes, deadlines and events out.
//!
//! [`endpoint`] is the only public door. This module knows nothing of meetings (invariant A3).

pub mod flow;
pub mod gate;
pub mod timer;

pub mod header;
pub mod headers;
pub mod message;
pub mod normalise;
pub mod reply;
pub mod uri;

pub mod framing;

pub mod auth;

pub mod transaction;

pub mod dialog;
pub mod session_timer;

pub mod registrar;

pub mod endpoint;
