//! Real phones (baresip) of every codec and packet length: a foreign implementation of each must
//! understand ours, and we it.

use std::time::{Duration, Instant};

use crate::harness::baresip::Options;
use crate::harness::{Baresip, Chromium, Fakes, Server, wait};

/// How long sound may take from one end to be found at the other.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// Tones none of which is a harmonic of another.
const WIDE_HZ: f64 = 620.0;
const NARROW_HZ: f64 = 1130.0;
const BROWSER_HZ: f64 = 440.0;
/// What no narrowband codec carries.
const BRILLIANT_HZ: f64 = 5300.0;

fn phone(server: &Server, tone_hz: f64, codec: &'static str, ptime: u32) -> Baresip {
    let options = Options {
        codec,
        ptime,
        ..Options::default()
    };
    Baresip::start_with(server, tone_hz, &options)
}

/// A phone of a codec, one of G.711 and a browser: everyone hears both others.
fn all_hear_each_other(codec: &'static str) {
    let server = Server::start();
    let chromium = Chromium::start();
    let page = chromium.join("Grace", &server, Fakes::tone(BROWSER_HZ));
    let mut wide = phone(&server, WIDE_HZ, codec, 20);
    wide.call();
    let mut narrow = phone(&server, NARROW_HZ, "PCMU", 20);
    narrow.call();
    page.wait_for_tiles("robo", 2);

    let heard = page.wait_to_hear(&[WIDE_HZ, NARROW_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(BROWSER_HZ));
    let heard = narrow.wait_to_hear(&[WIDE_HZ, BROWSER_HZ], HEARD_WITHIN);
    assert!(
        heard.lacks_tone(NARROW_HZ),
        "{}",
        heard.describe(&[NARROW_HZ])
    );
    let heard = wide.wait_to_hear(&[NARROW_HZ, BROWSER_HZ], HEARD_WITHIN);
    assert!(heard.lacks_tone(WIDE_HZ), "{}", heard.describe(&[WIDE_HZ]));

    // The narrow phone goes; the wide one stays heard.
    narrow.hang_up();
    page.wait_for_tiles("robo", 1);
    wait::until("the narrow phone's silence", HEARD_WITHIN, || {
        wide.heard(1000).lacks_tone(NARROW_HZ)
    });
    wide.wait_to_hear(&[BROWSER_HZ], HEARD_WITHIN);
    page.wait_to_hear(&[WIDE_HZ], HEARD_WITHIN);
}

#[test]
fn a_g722_phone_a_g711_phone_and_a_browser_hear_each_other() {
    all_hear_each_other("G722");
}

#[test]
fn an_opus_phone_a_g711_phone_and_a_browser_hear_each_other() {
    all_hear_each_other("opus");
}

#[test]
fn wideband_phones_hear_of_each_other_what_narrowband_cannot_carry() {
    let server = Server::start();
    let mut opus = phone(&server, BRILLIANT_HZ, "opus", 20);
    let mut g722 = phone(&server, WIDE_HZ, "G722", 20);
    let mut narrow = phone(&server, NARROW_HZ, "PCMA", 20);
    opus.call();
    g722.call();
    narrow.call();
    g722.wait_to_hear(&[BRILLIANT_HZ, NARROW_HZ], HEARD_WITHIN);
    opus.wait_to_hear(&[WIDE_HZ, NARROW_HZ], HEARD_WITHIN);
    narrow.wait_to_hear(&[WIDE_HZ], HEARD_WITHIN);
}

/// Calls with two phones that want packets of so many milliseconds.
fn packets_of(codec: &'static str, ptime: u32) {
    let server = Server::start();
    let mut first = phone(&server, WIDE_HZ, codec, ptime);
    let mut second = phone(&server, NARROW_HZ, codec, ptime);
    first.call();
    second.call();
    first.wait_to_hear(&[NARROW_HZ], HEARD_WITHIN);
    second.wait_to_hear(&[WIDE_HZ], HEARD_WITHIN);
    // What the server sends has the length that was asked for: by its own count.
    let sent = || sent_to_phones(&server.metrics());
    let (before, start) = (sent(), Instant::now());
    wait::until("two seconds of packets", HEARD_WITHIN, || {
        start.elapsed() > Duration::from_secs(2)
    });
    let packets = sent() - before;
    let each_ms = 2.0 * start.elapsed().as_secs_f64() * 1e3 / packets;
    let wanted = f64::from(ptime);
    assert!(
        (wanted * 0.8..wanted * 1.25).contains(&each_ms),
        "packets of {each_ms:.1} ms instead of {wanted}"
    );
}

fn sent_to_phones(metrics: &str) -> f64 {
    let is_it = |line: &&str| {
        line.starts_with("ringbridge_media_datagrams_total{")
            && line.contains("side=\"phone\"")
            && line.contains("direction=\"sent\"")
    };
    let line = metrics.lines().find(is_it).expect("datagrams are counted");
    line.rsplit(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap()
}

#[test]
fn phones_that_want_packets_of_10_ms_are_sent_them() {
    packets_of("PCMU", 10);
}

#[test]
fn phones_that_want_packets_of_30_ms_are_sent_them() {
    packets_of("PCMA", 30);
}

#[test]
fn phones_that_want_packets_of_40_ms_are_sent_them() {
    packets_of("G722", 40);
}
