//! How well a tone comes through: no gaps, little else beside it.

use std::time::Duration;

use crate::harness::tone::{Recording, Steadiness};
use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

#[test]
fn a_steady_tone_stays_steady_both_ways() {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(440.0));
    let mut phone = Baresip::start(&server, 620.0);
    phone.call();
    let within = Duration::from_secs(15);
    phone.wait_to_hear(&[440.0], within);
    page.wait_to_hear(&[620.0], within);
    // The machine that runs this has other things to do: the best of a few counts.
    let best = |what: &str, hz: f64, record: &dyn Fn() -> Recording| {
        let tries: Vec<Steadiness> = (0..4).map(|_| record().steadiness(hz)).collect();
        let good = tries
            .iter()
            .any(|s| s.gap_ms <= 40 && s.rms_dbfs - s.median_dbfs < 0.5);
        assert!(good, "{what}: {tries:#?}");
    };
    best("in the browser", 620.0, &|| page.heard(3000));
    best("in the phone", 440.0, &|| {
        let before = phone.heard(usize::MAX).duration_ms();
        wait::until("three more seconds", within, || {
            phone.heard(usize::MAX).duration_ms() > before + 3000
        });
        phone.heard(3000)
    });
}
