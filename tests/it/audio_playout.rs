//! The jitter buffer under loss, reordering, duplication, bursts, skew and jumps.
//!
//! Every figure asserted is a bound we state; a failure prints the seed of its call.

use crate::audio_sim::{Call, Codec, Network};

/// µ-law's own rounding of the test tone; a click is far more.
const CLICK: f64 = 1_500.0;

#[test]
fn a_steady_source_waits_for_the_next_tick_and_no_longer() {
    for phase_ms in [0.5, 3.0, 7.0, 12.0, 19.0] {
        let heard = Call {
            phase_ms,
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let (mean, max) = heard.delay_between(10.0, 30.0);
        assert!(max < 24.0, "phase {phase_ms}: {mean} ms, at most {max} ms");
        assert_eq!(heard.concealed_ticks, 0, "phase {phase_ms}");
        assert!(
            heard.silent_ticks <= 3,
            "phase {phase_ms}: {}",
            heard.silent_ticks
        );
        let click = heard.worst_click(440.0, 0.5);
        assert!(click < CLICK, "phase {phase_ms}: {click}");
    }
}

#[test]
fn any_packet_time_is_played_without_a_gap_at_every_sample_of_its_length() {
    for ptime_ms in [10, 20, 30, 40, 50, 60] {
        for phase_ms in [1.0, 9.0, 15.0] {
            let heard = Call {
                ptime_ms,
                phase_ms,
                ..Call::default()
            }
            .run();
            heard.print(&format!("line {}", line!()));
            let name = format!("ptime {ptime_ms}, phase {phase_ms}");
            assert_eq!(heard.concealed_ticks, 0, "{name}: {:?}", heard.stats);
            let (mean, _) = heard.delay_between(10.0, 30.0);
            // Its own beginning waits while its end is spoken; on top of that one tick.
            assert!(mean < ptime_ms.max(20) as f32 + 13.0, "{name}: {mean} ms");
            let click = heard.worst_click(440.0, 0.5);
            assert!(click < CLICK, "{name}: {click}");
        }
    }
}

#[test]
fn jitter_is_absorbed_after_a_moment_and_costs_no_more_delay_than_it_must() {
    for (seed, jitter_ms) in (1..).zip([5.0, 15.0, 30.0, 60.0, 100.0]) {
        let heard = Call {
            seed,
            seconds: 60.0,
            network: Network {
                jitter_ms,
                ..Network::default()
            },
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let name = format!("seed {seed}, jitter {jitter_ms} ms");
        let (mean, max) = heard.delay_between(20.0, 60.0);
        assert!(mean < jitter_ms as f32 + 25.0, "{name}: {mean} ms");
        assert!(max < jitter_ms as f32 + 65.0, "{name}: at most {max} ms");
        let late = heard.stats.concealed_ms as f64 / 60_000.0;
        assert!(late < 0.01, "{name}: {late} concealed, {:?}", heard.stats);
    }
}

#[test]
fn random_loss_conceals_what_was_lost_and_nothing_else() {
    for (seed, loss) in (10..).zip([0.01, 0.03, 0.1]) {
        let heard = Call {
            seed,
            seconds: 60.0,
            network: Network {
                loss,
                ..Network::default()
            },
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let concealed = heard.stats.concealed_ms as f64 / 60_000.0;
        let name = format!("seed {seed}, loss {loss}");
        assert!(concealed < loss * 1.3 + 0.002, "{name}: {concealed}");
        assert!(concealed > loss * 0.7 - 0.002, "{name}: {concealed}");
        let (_, max) = heard.delay_between(5.0, 60.0);
        assert!(max < 45.0, "{name}: {max} ms");
    }
}

#[test]
fn copies_and_swapped_packets_are_harmless() {
    let heard = Call {
        seed: 20,
        seconds: 60.0,
        network: Network {
            jitter_ms: 30.0,
            duplicate: 0.2,
            ..Network::default()
        },
        ..Call::default()
    }
    .run();
    heard.print(&format!("line {}", line!()));
    assert!(heard.concealed_share() < 0.01, "{:?}", heard.stats);
    let refused: u64 = heard.stats.packets_discarded.iter().sum();
    assert!((450..750).contains(&refused), "{refused}");
    assert!(heard.stats.packets_accepted >= 2_990);
}

#[test]
fn a_stalled_network_costs_its_stall_once_and_the_delay_comes_down_again() {
    let heard = Call {
        seed: 30,
        seconds: 60.0,
        network: Network {
            stall: Some((30.0, 200.0)),
            ..Network::default()
        },
        ..Call::default()
    }
    .run();
    heard.print(&format!("line {}", line!()));
    let concealed = heard.stats.concealed_ms;
    assert!(
        concealed <= 2 * 220,
        "{concealed} ms of two stalls of 200 ms"
    );
    let (mean, _) = heard.delay_between(50.0, 59.5);
    assert!(mean < 30.0, "{mean} ms twenty seconds after the stall");
}

#[test]
fn a_clock_200_ppm_off_is_met_without_underrun_or_growing_delay() {
    // An hour is `RINGBRIDGE_SIM_SECONDS=3600`; the figures stay the same.
    let seconds =
        std::env::var("RINGBRIDGE_SIM_SECONDS").map_or(600.0, |seconds| seconds.parse().unwrap());
    for (seed, skew_ppm) in (40..).zip([200.0, -200.0]) {
        let heard = Call {
            seed,
            seconds,
            skew_ppm,
            network: Network {
                jitter_ms: 4.0,
                ..Network::default()
            },
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let name = format!("seed {seed}, {skew_ppm} ppm");
        let (mean, max) = heard.delay_between(120.0, seconds);
        assert!(
            mean < 40.0 && max < 65.0,
            "{name}: {mean} ms, at most {max} ms"
        );
        let stats = heard.stats;
        assert!(stats.underruns <= 2, "{name}: {stats:?}");
        assert!(
            (f64::from(stats.drift_ppm) - skew_ppm).abs() < 15.0,
            "{name}: {stats:?}"
        );
        assert!(stats.resampling, "{name}: {stats:?}");
        let click = heard.worst_click(440.0, 1.0);
        assert!(click < CLICK, "{name}: {click}, {stats:?}");
    }
}

#[test]
fn silence_between_turns_is_silent_and_no_word_loses_its_beginning() {
    for turns_ms in [400, 1_000, 3_000] {
        let heard = Call {
            seconds: 60.0,
            turns_ms: Some(turns_ms),
            network: Network {
                jitter_ms: 10.0,
                ..Network::default()
            },
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let loud = heard
            .pcm
            .chunks(160)
            .filter(|tick| tick.iter().map(|sample| i32::from(sample.abs())).max() > Some(8_000));
        let share = loud.count() as f64 / heard.ticks as f64;
        let refused: u64 = heard.stats.packets_discarded.iter().sum();
        assert!(share > 0.49, "turns of {turns_ms} ms: {share} heard");
        assert_eq!(refused, 0, "turns of {turns_ms} ms: {:?}", heard.stats);
    }
}

#[test]
fn opus_is_played_at_8_khz_and_lost_packets_are_restored_from_their_copies() {
    let heard = Call {
        seed: 50,
        codec: Codec::Opus,
        seconds: 20.0,
        syllables: true,
        network: Network {
            loss: 0.05,
            jitter_ms: 25.0,
            ..Network::default()
        },
        ..Call::default()
    }
    .run();
    heard.print(&format!("line {}", line!()));
    let stats = heard.stats;
    // Half of what is lost is in pauses, whose packets carry no copies.
    assert!(stats.restored_ms > 300, "{stats:?}");
    assert!(stats.concealed_ms + stats.restored_ms < 1_400, "{stats:?}");
    let (mean, _) = heard.delay_between(10.0, 20.0);
    assert!(mean < 50.0, "{mean} ms");
}

#[test]
fn a_law_and_opus_wait_no_longer_than_mu_law() {
    for codec in [Codec::Alaw, Codec::Opus] {
        let heard = Call {
            codec,
            ..Call::default()
        }
        .run();
        heard.print(&format!("line {}", line!()));
        let (_, max) = heard.delay_between(10.0, 30.0);
        assert!(max < 24.0, "{max} ms");
        assert_eq!(heard.concealed_ticks, 0);
    }
}
