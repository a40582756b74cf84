//! linphone, as it comes from Debian: each transport, with and without SRTP.

use std::time::Duration;

use serde_json::json;

use crate::harness::linphone::Linphone;
use crate::harness::sipp::Transport;
use crate::harness::{Server, wait};

/// It starts slowly, and so do its neighbours.
const SOON: Duration = Duration::from_secs(20);

/// Registers, calls, holds, comes back and hangs up.
fn a_whole_call(server: &Server, transport: Transport, name: &str, encryption: &str) {
    let mut phone = Linphone::start(server, transport, encryption);
    wait::until(&format!("a registration over {name}"), SOON, || {
        let listed = server.rest("GET", "/sip/registrations", None).json();
        listed["data"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["transport"] == json!(name)))
    });
    phone.call();
    wait::until("the phone among the participants", SOON, || {
        server.participants().len() == 1 && phone.screen().contains("Media streams established")
    });
    let on_hold = |wanted: bool| {
        let participants = server.participants();
        participants.len() == 1 && participants[0]["on_hold"] == json!(wanted)
    };
    phone.say("pause");
    // It refuses to resume before our answer has reached it.
    wait::until("the phone on hold", SOON, || {
        on_hold(true) && phone.screen().contains("is now paused")
    });
    phone.say("resume");
    wait::until("the phone back", SOON, || on_hold(false));
    phone.say("terminate");
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

#[test]
fn linphone_registers_calls_holds_and_hangs_up_over_each_transport() {
    let server = Server::start();
    a_whole_call(&server, Transport::Udp, "UDP", "none");
    a_whole_call(&server, Transport::Tcp, "TCP", "none");
    a_whole_call(&server, Transport::Tls, "TLS", "none");
}

#[test]
fn linphone_protects_its_media_by_srtp() {
    let server = Server::start();
    a_whole_call(&server, Transport::Tls, "TLS", "srtp");
}
