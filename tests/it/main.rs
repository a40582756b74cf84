//! The core in virtual time: no sockets, no sleeping, seconds.

mod call_machine;
mod sdp_golden;
mod sdp_negotiate;
mod sip_flows;
mod sip_support;
