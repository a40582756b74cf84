//! Long calls over bad networks, an hour and three quarters in seconds: bounds on delay, invented
//! time and clicks.

use crate::audio_sim::{Call, Codec, Network};

/// A mobile line at the edge of its cell: bursts of loss, jitter, packets late, twice and out of
/// order, a second of nothing now and then, and a clock that changes its mind half way.
fn mobile_line() -> Network {
    Network {
        jitter_ms: 30.0,
        // About 3 % in bursts of four.
        bursts: Some((0.01, 0.25, 0.8)),
        duplicate: 0.01,
        late: (0.01, 50.0),
        stall: Some((97.0, 400.0)),
        ..Network::default()
    }
}

fn call(seed: u64, codec: Codec) -> Call {
    Call {
        seed,
        seconds: 900.0,
        codec,
        skew_ppm: 150.0,
        skew_then_ppm: Some(-150.0),
        syllables: codec == Codec::Opus,
        network: mobile_line(),
        ..Call::default()
    }
}

fn holds_its_bounds(seed: u64, codec: Codec) {
    let call = call(seed, codec);
    let heard = call.run();
    let name = format!("a quarter of an hour, seed {seed}");
    heard.print(&name);
    let stats = heard.stats;
    let minutes = call.seconds / 60.0;
    // The first and the last quarter: the delay follows the network and does not pile up.
    let (early, _) = heard.delay_between(60.0, 300.0);
    let (late, worst) = heard.delay_between(660.0, 900.0);
    assert!(late < early + 20.0 && early < late + 20.0, "{early} {late}");
    assert!((20.0..150.0).contains(&late), "{name}: {late} ms");
    assert!(worst < 560.0, "{name}: {worst} ms");
    // 3 % lost, 0.4 % stalled, 1 % late by more than the buffer waits for.
    let concealed = stats.concealed_ms as f64 / stats.played_ms as f64;
    assert!(concealed < 0.065, "{name}: {concealed}");
    let restored = stats.restored_ms as f64 / stats.played_ms as f64;
    assert!(
        codec != Codec::Opus || restored > 0.000_5,
        "{name}: {restored}"
    );
    assert!(stats.skipped_ms as f64 / minutes < 200.0, "{stats:?}");
    assert_eq!(heard.silent_ticks, heard.silent_ticks.min(200), "{name}");
    // The clock's change was noticed.
    assert!((-190.0..-100.0).contains(&stats.drift_ppm), "{stats:?}");
}

#[test]
fn quarters_of_an_hour_of_g711_on_a_mobile_line_keep_their_bounds() {
    for seed in [1, 2] {
        holds_its_bounds(seed, Codec::Ulaw);
    }
}

#[test]
fn a_quarter_of_an_hour_of_opus_on_a_mobile_line_keeps_its_bounds() {
    holds_its_bounds(3, Codec::Opus);
}

#[test]
fn half_hours_with_clocks_200_ppm_apart_neither_underrun_nor_grow() {
    for skew_ppm in [200.0, -200.0] {
        let heard = Call {
            seconds: 1_800.0,
            skew_ppm,
            network: Network {
                jitter_ms: 5.0,
                ..Network::default()
            },
            ..Call::default()
        }
        .run();
        heard.print(&format!("half an hour at {skew_ppm} ppm"));
        let (_, worst) = heard.delay_between(120.0, 1_800.0);
        assert!(worst < 60.0, "{skew_ppm}: {worst} ms");
        let stats = heard.stats;
        assert!(stats.concealed_ms <= 100, "{stats:?}");
        let ppm = f64::from(stats.drift_ppm);
        assert!((ppm - skew_ppm).abs() < 5.0, "{stats:?}");
    }
}
