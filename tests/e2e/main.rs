//! The real binary on loopback with real clients: sipp, baresip and headless Chromium.
//!
//! Every test starts its own server on ports of the kernel's choosing, so all of them can run side
//! by side. What must be installed, and how to look at a failure: `tests/e2e/README.md`.

mod harness;

mod admission;
mod attack_flood;
mod attack_media;
mod attack_message;
mod attack_password;
mod attack_protos;
mod bad_input;
mod browser_calls;
mod browser_chat;
mod browser_hosts;
mod browser_page;
mod console;
mod crash;
mod documented;
mod drain;
mod join_page;
mod mid_call;
mod moderation;
mod operator;
mod phone_calls;
mod phone_codecs;
mod phone_webrtc;
mod probe;
mod reload;
mod rest_api;
mod sdk_types;
mod secrets;
mod simulcast;
mod sip_jssip;
mod sip_linphone;
mod sip_proxy;
mod sip_registrar;
mod sip_signalling;
mod sip_streams;
mod sip_torture;
mod sip_transfer;
mod sip_websocket;
mod sound_quality;
mod trunks;
mod waiting_room;
mod weak_link;
mod webhooks;
mod whip;
