//! A camera in three sizes, and who is sent which: real encoders and decoders, without our SDK.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::chromium::Page;
use crate::harness::{Chromium, Fakes, Server};

/// Encoders find their pace in some seconds, on two cores that carry everything else too.
const SHOWN_WITHIN: Duration = Duration::from_secs(40);

const PLAIN: &str = include_str!("browser/plain.js");

/// Joins with a client of the test's own, with a camera of 960 by 540 or none; returns its id.
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

fn subscribe(page: &Page<'_>, whose: &Value, more: Value) {
    let mut message = more;
    message["type"] = json!("subscribe");
    message["participant_id"] = whose.clone();
    message["source"] = json!("camera");
    page.evaluate(&format!("window.e2eClient.say({message})"));
}

/// Waits until the camera is decoded at this width, and goes on being so.
fn wait_for_width(page: &Page<'_>, whose: &Value, width: u32) {
    let script = format!(
        "window.e2eClient.video({whose}).then((v) => v?.frameWidth === {width} && v.framesPerSecond > 2)"
    );
    page.wait_within(&script, SHOWN_WITHIN);
}

fn figure(page: &Page<'_>, whose: &Value, name: &str) -> u64 {
    let script = format!("window.e2eClient.video({whose}).then((v) => v?.{name} ?? 0)");
    page.evaluate(&script).as_u64().unwrap_or(0)
}

#[test]
fn each_browser_is_sent_the_size_it_shows_and_nothing_it_does_not() {
    let server = Server::start();
    let chromium = Chromium::start();
    let ada = chromium.open("Ada", &server.card.join_url, Fakes::default());
    let camera = join(&ada, &server, true);
    let bob = chromium.open("Bob", &server.card.join_url, Fakes::default());
    join(&bob, &server, false);
    wait_for_width(&bob, &camera, 960);

    subscribe(&bob, &camera, json!({ "max_width": 200 }));
    wait_for_width(&bob, &camera, 240);
    subscribe(&bob, &camera, json!({ "max_width": 480 }));
    wait_for_width(&bob, &camera, 480);

    // Somebody comes: everything is offered anew, and the layers are still known.
    let cleo = chromium.open("Cleo", &server.card.join_url, Fakes::default());
    join(&cleo, &server, false);
    subscribe(&cleo, &camera, json!({ "max_width": 100 }));
    wait_for_width(&cleo, &camera, 240);
    subscribe(&bob, &camera, json!({ "max_width": 960 }));
    wait_for_width(&bob, &camera, 960);

    subscribe(&bob, &camera, json!({ "visible": false }));
    let count = |page: &Page<'_>| figure(page, &camera, "packetsReceived");
    let mut last = count(&bob);
    crate::harness::wait::until("the picture to stop", SHOWN_WITHIN, || {
        let seen_by_cleo = count(&cleo);
        cleo.wait(&format!(
            "window.e2eClient.video({camera}).then((v) => v.packetsReceived > {seen_by_cleo} + 5)"
        ));
        std::mem::replace(&mut last, count(&bob)) == last
    });
    subscribe(&bob, &camera, json!({ "max_width": 960 }));
    bob.wait_within(
        &format!("window.e2eClient.video({camera}).then((v) => v.packetsReceived > {last} + 20)"),
        SHOWN_WITHIN,
    );
    wait_for_width(&bob, &camera, 960);
    for page in [&bob, &cleo] {
        assert_eq!(page.evaluate("window.e2eClient.errors"), json!([]));
        assert_eq!(figure(page, &camera, "packetsLost"), 0);
    }
}
