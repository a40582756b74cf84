//! One datagram through the whole endpoint, as a stranger and as a trusted trunk; then time passes.
//!
//! Seeds: `fixtures/torture/rfc4475` and `fixtures/torture/rfc5118`.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use ringbridge::sip::auth::{CredentialSource, StoredCredential};
use ringbridge::sip::endpoint::{Endpoint, EndpointConfig, Event, Output};
use ringbridge::sip::flow::{Flow, FlowId, Transport};

struct Nobody;

impl CredentialSource for Nobody {
    fn credential(&self, _username: &str) -> Option<StoredCredential> {
        None
    }
}

fuzz_target!(|data: &[u8]| {
    for is_trusted in [false, true] {
        let mut config = EndpointConfig::new("fuzz", Box::new(|_| ("gateway.test".into(), 5060)));
        config.trunk = Box::new(move |_| is_trusted.then(|| "trunk".into()));
        let mut endpoint = Endpoint::new(config, [1; 32], 1);
        let flow = Flow {
            id: FlowId(0),
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: ([198, 51, 100, 1], 5060).into(),
        };
        let mut now = Instant::now();
        endpoint.handle_datagram(now, flow, data, &Nobody);
        for _ in 0..64 {
            while let Some(output) = endpoint.poll_output() {
                if let Output::Event(Event::Invite(invite)) = output {
                    let _ = endpoint.answer(now, invite.dialog, "v=0\r\n", &[]);
                }
            }
            now += Duration::from_secs(5);
            endpoint.handle_timeout(now);
        }
    }
});
