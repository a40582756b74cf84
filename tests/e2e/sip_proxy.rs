//! Calls through a proxy that records its route, as every carrier's do.

use std::time::Duration;

use serde_json::json;

use crate::harness::kamailio::Kamailio;
use crate::harness::sipp::{Sipp, Transport};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_call_through_kamailio_is_hung_up_by_either_side_along_the_recorded_route() {
    let server = Server::start();
    let proxy = Kamailio::in_front_of(&server);
    // Over TCP it records itself twice: once for each side.
    for transport in [Transport::Udp, Transport::Tcp] {
        let call = Sipp::new(&server, "call", transport)
            .through(proxy.address)
            .start();
        wait::until("the phone among the participants", SOON, || {
            server.participants().len() == 1
        });
        call.finish();
        wait::until("nobody left", SOON, || server.participants().is_empty());

        let call = Sipp::new(&server, "wait-for-bye", transport)
            .through(proxy.address)
            .start();
        wait::until("the call acknowledged", SOON, || {
            call.messages().contains("ACK sip:") && server.participants().len() == 1
        });
        let id = server.participants()[0]["id"].clone();
        let path = format!("/meetings/{}/active-session/kick", server.card.meeting_id);
        let reply = server.rest("POST", &path, Some(&json!({ "participant_ids": [id] })));
        assert_eq!(reply.status, 200, "{}", reply.body);
        call.finish();
        wait::until("nobody left", SOON, || server.participants().is_empty());
    }
}
