//! SDP (RFC 8866) and offer/answer (RFC 3264) for phone legs, as pure functions.
//!
//! [`description`] reads what peers write, with all its liberties; [`negotiate`] is offer/answer.

pub mod description;
pub mod negotiate;
mod write;
