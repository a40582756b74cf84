//! SIP (RFC 3261) without sockets or clocks: bytes and time in, bytes, deadlines and events out.
//!
//! [`endpoint`] is the only public door. This module knows nothing of meetings (invariant A3).

pub mod flow;
pub mod uri;

pub mod header;

pub mod framing;

pub mod auth;

pub mod endpoint;
