//! Speech-like sound, encoded once: voiced syllables with moving formants, pauses, some hiss.

use std::f32::consts::TAU;

use ringbridge::audio::g711::Law;
use ringbridge::audio::opus::{Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use ringbridge::probe::sound::compand;

const SECONDS: usize = 10;

/// Frames of 20 ms, looped by every talker from a place of its own.
pub struct Speech {
    /// µ-law, 160 bytes.
    pub phone: Vec<Vec<u8>>,
    /// Opus from 48 kHz at 32 kbit/s, as a browser sends it, and the level of each (−dBov).
    pub browser: Vec<(Vec<u8>, u8)>,
}

impl Speech {
    /// Makes the frames. The first Opus frame of a loop follows its last: a listener's decoder
    /// hears a click there, no error.
    pub fn make() -> Result<Self, Box<dyn std::error::Error>> {
        let phone = talk(8_000);
        let phone = phone
            .chunks_exact(160)
            .map(|frame| frame.iter().map(|&s| compand(Law::Ulaw, s)).collect())
            .collect();
        let mut encoder = Encoder::new(EncoderSettings {
            sample_rate_hz: 48_000,
            bitrate: 32_000,
            complexity: 9,
            fec: true,
            expected_loss_percent: 0,
            dtx: false,
        })?;
        let mut packet = [0u8; PACKET_BYTES_MAX];
        let mut browser = Vec::new();
        for frame in talk(48_000).chunks_exact(960) {
            let level = ringbridge::audio::level::level_dbov(frame);
            match encoder.encode(frame, &mut packet) {
                Encoded::Packet(length) => browser.push((packet[..length].to_vec(), level)),
                // libopus keeps quiet frames to a byte or two even without DTX.
                Encoded::Silence => browser.push((vec![0xf8, 0xff, 0xfe], level)),
            }
        }
        Ok(Self { phone, browser })
    }
}

/// Ten seconds of syllables at this rate.
fn talk(rate: usize) -> Vec<i16> {
    let mut noise = 0x2545_f491_u32;
    let (mut phase, mut hiss) = (0.0f32, 0.0f32);
    (0..SECONDS * rate)
        .map(|i| {
            let t = i as f32 / rate as f32;
            // Syllables at 4 Hz; every fifth second is a pause for breath of 0.4 s.
            let syllable = (TAU * 2.0 * t).sin().abs().powf(0.7);
            let breath = if t % 5.0 > 4.6 { 0.02 } else { 1.0 };
            let pitch = 120.0 + 25.0 * (TAU * 0.7 * t).sin() + 8.0 * (TAU * 5.0 * t).sin();
            phase = (phase + pitch / rate as f32).fract();
            let formants = [
                (500.0 + 250.0 * (TAU * 1.3 * t).sin(), 90.0, 1.0),
                (1_500.0 + 500.0 * (TAU * 0.9 * t).sin(), 130.0, 0.5),
                (2_600.0 + 200.0 * (TAU * 0.5 * t).sin(), 200.0, 0.25),
            ];
            let voiced: f32 = (1..=26)
                .map(|k| {
                    let hz = pitch * k as f32;
                    let gain: f32 = formants
                        .iter()
                        .map(|(f, width, level)| level / (1.0 + ((hz - f) / width).powi(2)))
                        .sum();
                    gain * (TAU * (phase * k as f32).fract()).sin()
                })
                .sum();
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let white = (noise as i32 as f32) / i32::MAX as f32;
            hiss = white - 0.6 * hiss;
            let consonant = if (t * 4.0).fract() < 0.12 {
                0.35 * hiss
            } else {
                0.01 * hiss
            };
            (breath * (syllable * voiced + consonant) * 5_000.0).clamp(-32_000.0, 32_000.0) as i16
        })
        .collect()
}
