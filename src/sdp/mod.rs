//! SDP (RFC 8866) and offer/answer (RFC 3264) for phone legs, as pure functions.
//!
//! [`description`] reads what peers write, with all its liberties; [`crypto`] reads and writes SRTP
//! keys; [`negotiate`] is offer/answer, [`webrtc`] that of SIP clients in a browser.

pub mod crypto;
pub mod description;
pub mod negotiate;
pub mod webrtc;
mod write;
