//! A meeting's live side: one [`session`] with its participants, browsers' peers, phones' legs,
//! tracks, forwarding and, while it has a phone, the bridge. Core: no sockets, no clock.
//!
//! It knows nothing of SIP (invariant A3); `call` speaks both vocabularies.

pub mod bridge;
pub mod budget;
pub mod ear;
pub mod ears;
pub mod forward;
pub mod layer;
pub mod leg;
mod opus_ear;
pub mod participant;
pub mod peer;
pub mod phone;
mod picture;
pub mod preset;
pub mod quality;
pub mod session;
pub mod signal;
pub mod snapshot;
pub mod speaker;
pub mod track;
pub mod voice;
mod vp8;
