//! A media worker near its limit refuses the next call, and the calls in progress do not notice.

use std::time::Duration;

use crate::harness::raw_sip::{RawSip, header, status};
use crate::harness::{Baresip, Server, wait};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn the_call_beyond_the_limit_gets_503_with_retry_after_and_the_others_go_on() {
    // What a few phones are expected to take, before they are measured.
    let server = Server::start_with(&["--workers", "1", "--worker-load-max", "6"]);
    let mut first = Baresip::start(&server, 620.0);
    first.call();
    let mut refusal = None;
    let phones: Vec<RawSip> = (0..20).map(|_| RawSip::new(&server)).collect();
    for (number, phone) in phones.iter().enumerate() {
        let call = phone.new_call(&server);
        let invite = phone.authenticated_invite(&server, &call, &format!("load{number}"));
        phone.send(invite);
        let answer = phone.final_response("INVITE");
        if status(&answer) != 200 {
            refusal = Some(answer);
            break;
        }
    }
    let refusal = refusal.expect("one of twenty more phones is too many for 6 % of a core");
    assert_eq!(status(&refusal), 503, "{refusal}");
    let retry_after = header(&refusal, "Retry-After").expect("Retry-After");
    assert!(retry_after.parse::<u32>().is_ok_and(|seconds| seconds > 0));
    let counted = "\nringbridge_media_joins_refused_total 1\n";
    assert!(server.metrics().contains(counted));

    let heard = first.heard(usize::MAX).duration_ms();
    wait::until("two more seconds of sound", HEARD_WITHIN, || {
        first.heard(usize::MAX).duration_ms() > heard + 2_000
    });
    first.hang_up();
    drop(phones);
}
