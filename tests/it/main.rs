//! The core in virtual time: no sockets, no sleeping, seconds.

mod allocations;
mod audio_comfort;
mod audio_hours;
mod audio_playout;
mod audio_session;
mod audio_sim;
mod audio_steady;
mod audio_upsets;
mod call_machine;
mod fuzz;
mod fuzz_targets {
    include!("../../fuzz/src/targets.rs");
}
mod sdp_golden;
mod sdp_negotiate;
mod sip_auth;
mod sip_capacity;
mod sip_clients;
mod sip_flows;
mod sip_mutation;
mod sip_outbound;
mod sip_reconnect;
mod sip_refer;
mod sip_reliable;
mod sip_requests;
mod sip_support;
mod sip_torture;
mod sip_transactions;
