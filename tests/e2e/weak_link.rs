//! What a browser behind a weak link sees and hears: real encoders, and a relay that loses packets
//! or is narrow.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::chromium::Page;
use crate::harness::relay::{BEHIND_RELAY, Relay};
use crate::harness::{Chromium, Fakes, Server, wait};

const PLAIN: &str = include_str!("browser/plain.js");

/// A step down takes seconds; one up waits until the link has proven itself.
const DOWN_WITHIN: Duration = Duration::from_secs(30);
const UP_WITHIN: Duration = Duration::from_secs(60);

/// Joins with a client of the test's own; the one with a camera has a tone for a microphone.
fn join(page: &Page<'_>, server: &Server, camera: bool) -> Value {
    let url = &server.card.join_url;
    let token = url.split("token=").nth(1).expect("a token");
    let size = if camera {
        json!({ "width": 960, "height": 540 })
    } else {
        Value::Null
    };
    page.evaluate(&format!(
        "{PLAIN}; window.e2ePlain({}, {size})",
        json!(token)
    ))
}

fn wait_for_width(page: &Page<'_>, whose: &Value, widths: &str, within: Duration) {
    let script = format!(
        "window.e2eClient.video({whose}).then((v) => {widths}.includes(v?.frameWidth) \
         && v.framesPerSecond > 2)"
    );
    page.wait_within(&script, within);
}

fn figure(page: &Page<'_>, kind: &str, whose: &Value, name: &str) -> f64 {
    let script = format!("window.e2eClient.{kind}({whose}).then((v) => v?.{name} ?? 0)");
    page.evaluate(&script).as_f64().unwrap_or(0.0)
}

#[test]
fn the_picture_shrinks_behind_a_narrow_link_and_grows_again_while_the_voice_stays_whole() {
    let server = Server::start_with(&BEHIND_RELAY);
    let relay = Relay::before(&server);
    let chromium = Chromium::start();
    let ada = chromium.open("Ada", &server.card.join_url, Fakes::default());
    let whose = join(&ada, &server, true);
    let bob = chromium.open("Bob", &server.card.join_url, Fakes::default());
    join(&bob, &server, false);
    wait_for_width(&bob, &whose, "[960]", UP_WITHIN);
    bob.wait_within(
        "window.e2eClient.quality?.available_bps > 1000000",
        DOWN_WITHIN,
    );

    relay.narrow(350_000);
    wait_for_width(&bob, &whose, "[240, 480]", DOWN_WITHIN);
    bob.wait_within(
        "window.e2eClient.quality?.available_bps < 700000",
        DOWN_WITHIN,
    );

    // The voice, once the queue has drained: nothing lost, nothing made up.
    let sound = || {
        let of = |name| figure(&bob, "audio", &whose, name);
        (of("totalSamplesReceived"), of("concealedSamples"))
    };
    wait::until_found("four quiet seconds of voice", DOWN_WITHIN, || {
        let (samples, concealed) = sound();
        bob.wait(&format!(
            "window.e2eClient.audio({whose}).then((v) => v.totalSamplesReceived > {samples} + 192000)"
        ));
        let (samples, concealed) = (sound().0 - samples, sound().1 - concealed);
        let part = concealed / samples;
        if part < 0.02 {
            Ok(())
        } else {
            Err(format!("{part:.3} of the voice was made up"))
        }
    });

    relay.narrow(0);
    wait_for_width(&bob, &whose, "[960]", UP_WITHIN);
}

#[test]
fn a_picture_with_one_packet_in_twenty_lost_is_repaired() {
    let server = Server::start_with(&BEHIND_RELAY);
    let relay = Relay::before(&server);
    let chromium = Chromium::start();
    let ada = chromium.open("Ada", &server.card.join_url, Fakes::default());
    let whose = join(&ada, &server, true);
    let bob = chromium.open("Bob", &server.card.join_url, Fakes::default());
    join(&bob, &server, false);
    wait_for_width(&bob, &whose, "[480, 960]", UP_WITHIN);
    let of = |name| figure(&bob, "video", &whose, name);
    relay.lose_every(20);
    let (before, lost) = (of("framesDecoded"), relay.lost());
    bob.wait_within(
        &format!("window.e2eClient.video({whose}).then((v) => v.framesDecoded > {before} + 80)"),
        DOWN_WITHIN,
    );
    assert!(
        relay.lost() > lost + 20,
        "{} were lost",
        relay.lost() - lost
    );
    assert!(of("nackCount") > 0.0, "it asked for them");
    relay.lose_every(0);
    // What is still missing is what could not be had again.
    let (missing, received) = (of("packetsLost"), of("packetsReceived"));
    assert!(
        missing < received * 0.01,
        "{missing} of {received} packets are missing"
    );
    assert!(
        of("pliCount") <= 2.0,
        "{} keyframes were asked for",
        of("pliCount")
    );
}
