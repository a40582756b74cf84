//! RTP and RTCP (RFC 3550) for phone legs: packets, sequence arithmetic, the latch, DTMF, reports.
//!
//! Core: addresses, arrival times and random numbers are arguments. Nothing here returns an error
//! upward for what a peer sent (invariant A7): a bad packet is a [`discard::Discard`], a reason to
//! count.

pub mod discard;
pub mod dtmf;
pub mod dtmf_sender;
pub mod egress;
pub mod latch;
pub mod packet;
pub mod reception;
pub mod rtcp;
pub mod seq;
pub mod srtp;
