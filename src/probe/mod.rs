//! `ringbridge probe`: the end-to-end self-test that an operator runs against any running server,
//! and the real clients it is made of: a SIP telephone and a WebRTC participant.

pub mod browser;
pub mod ear;
pub mod phone;
pub mod sound;
