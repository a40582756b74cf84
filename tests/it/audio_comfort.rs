//! Comfort noise (RFC 3389): a source that says it is silent has lost nothing.

use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::audio::level::level_dbov;
use ringbridge::audio::playout::{Playout, PlayoutCodec, PlayoutConfig};
use ringbridge::audio::tone::{ToneGenerator, power_at};
use ringbridge::rtp::packet::Packet;

const PAUSE_TICKS: u32 = 40;

/// Frames of a tone of 30 ticks, a pause that may be announced, and the tone again.
fn play(announced: Option<u8>) -> (Vec<[i16; 160]>, Playout) {
    let mut playout = Playout::new(PlayoutConfig {
        codec: PlayoutCodec::G711(Law::Ulaw),
        sample_rate_hz: 8_000,
        seed: 5,
    })
    .unwrap();
    let epoch = Instant::now();
    let mut tone = ToneGenerator::new(8_000, 440.0, 0.3);
    let (mut sequence, mut frames) = (65_510u16, Vec::new());
    for tick in 0..30 + PAUSE_TICKS + 30 {
        let now = epoch + Duration::from_millis(20) * tick;
        let mut packet = Packet {
            sequence,
            timestamp: tick * 160,
            ssrc: 9,
            marker: false,
            payload_type: 0,
            payload: &[],
        };
        let speaks = !(30..30 + PAUSE_TICKS).contains(&tick);
        if speaks {
            let mut pcm = [0; 160];
            tone.generate(&mut pcm);
            let mut codes = [0; 160];
            Law::Ulaw.encode(&pcm, &mut codes);
            packet.payload = &codes;
            playout.handle_packet(now, packet).unwrap();
            sequence = sequence.wrapping_add(1);
        } else if let (30, Some(level)) = (tick, announced) {
            let level = [level];
            packet.payload = &level;
            playout.handle_comfort_noise(&packet);
            sequence = sequence.wrapping_add(1);
        }
        let mut frame = [0; 160];
        playout.play(now + Duration::from_millis(10), &mut frame);
        frames.push(frame);
    }
    (frames, playout)
}

#[test]
fn an_announced_silence_is_noise_of_its_level_at_once_and_counts_as_no_loss() {
    let (frames, playout) = play(Some(55));
    let stats = playout.stats();
    assert_eq!((stats.concealed_ms, stats.underruns), (0, 0), "{stats:?}");
    let (announced, surprised): (Vec<i16>, Vec<i16>) =
        (frames[33..38].concat(), play(None).0[31..36].concat());
    let level = level_dbov(&announced);
    assert!((51..=59).contains(&level), "−{level} dBov");
    // Unannounced, the voice goes on for a while: it might have been a loss.
    let of_tone = |pcm: &[i16]| power_at(pcm, 8_000, 440.0);
    assert!(of_tone(&announced) < of_tone(&surprised) / 10.0);
    // And afterwards the voice is heard as before.
    let after = frames[30 + PAUSE_TICKS as usize + 5..].concat();
    assert!(level_dbov(&after) < 16, "−{} dBov", level_dbov(&after));
}
