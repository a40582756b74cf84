//! What a probe says and how it recognises it: steady tones for who-hears-whom, short chirps for
//! the delay, and G.711 by its formula (ITU-T G.711), independent of the server's tables.

use std::f32::consts::TAU;

use crate::audio::g711::Law;

/// Sample rate in which everything heard is kept and searched.
pub const EAR_RATE_HZ: u32 = 8_000;

/// Time between two chirps of a [`Voice::marked`] tone.
pub const CHIRP_PERIOD_MS: u64 = 600;
/// Length of a chirp.
const CHIRP_MS: u64 = 60;
/// A chirp sweeps from here …
const CHIRP_LOW_HZ: f32 = 1_300.0;
/// … to here: above the tones of the probe, below the phone's 3.4 kHz.
const CHIRP_HIGH_HZ: f32 = 3_100.0;
const CHIRP_AMPLITUDE: f32 = 9_000.0;
const TONE_AMPLITUDE: f32 = 6_000.0;

/// A source of sound: an endless tone, with or without chirps, or silence.
#[derive(Debug, Clone)]
pub struct Voice {
    rate_hz: u32,
    tone_hz: Option<f32>,
    chirps: bool,
    position: u64,
}

impl Voice {
    /// Nothing but zeros.
    pub fn silence(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            tone_hz: None,
            chirps: false,
            position: 0,
        }
    }

    /// A tone of `tone_hz` whose loudness swings four times a second, as speech does: a steady
    /// one may be taken for noise and suppressed (DTX, noise gates).
    pub fn tone(tone_hz: f32, rate_hz: u32) -> Self {
        Self {
            tone_hz: Some(tone_hz),
            ..Self::silence(rate_hz)
        }
    }

    /// [`Voice::tone`] with a chirp every [`CHIRP_PERIOD_MS`], by which the delay is measured.
    pub fn marked(tone_hz: f32, rate_hz: u32) -> Self {
        Self {
            chirps: true,
            ..Self::tone(tone_hz, rate_hz)
        }
    }

    /// Sample rate of what [`Voice::fill`] makes.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The next samples. Returns the offset in `out` at which a chirp begins, if one does.
    pub fn fill(&mut self, out: &mut [i16]) -> Option<usize> {
        let period = u64::from(self.rate_hz) * CHIRP_PERIOD_MS / 1_000;
        let mut chirp_at = None;
        for (offset, sample) in out.iter_mut().enumerate() {
            let seconds = self.position as f64 / f64::from(self.rate_hz);
            let mut value = self.tone_hz.map_or(0.0, |hz| {
                let swing = 0.75 + 0.25 * (TAU * 4.0 * (seconds % 1.0) as f32).sin();
                // The phase is taken modulo one turn in f64: f32 loses it within minutes.
                let turn = (seconds * f64::from(hz)).fract() as f32;
                TONE_AMPLITUDE * swing * (TAU * turn).sin()
            });
            if self.chirps {
                let within = self.position % period;
                if within == 0 {
                    chirp_at = Some(offset);
                }
                value += CHIRP_AMPLITUDE * chirp_sample(within as f32 / self.rate_hz as f32);
            }
            *sample = value as i16;
            self.position += 1;
        }
        chirp_at
    }
}

/// The chirp at `seconds` after its beginning, −1.0 to 1.0.
fn chirp_sample(seconds: f32) -> f32 {
    let length = CHIRP_MS as f32 / 1_000.0;
    if seconds >= length {
        return 0.0;
    }
    let sweep = (CHIRP_HIGH_HZ - CHIRP_LOW_HZ) / length;
    let phase = TAU * (CHIRP_LOW_HZ * seconds + 0.5 * sweep * seconds * seconds);
    let window = 0.5 - 0.5 * (TAU * seconds / length).cos();
    window * phase.sin()
}

/// Positions in `samples` (at [`EAR_RATE_HZ`]) where a chirp begins.
pub fn find_chirps(samples: &[i16]) -> Vec<usize> {
    /// Normalised correlation from which on a match counts: codecs leave 0.7 and more of a real
    /// chirp, tones and noise stay below 0.3.
    const MATCH_MIN: f32 = 0.5;
    let rate = EAR_RATE_HZ as f32;
    let length = (u64::from(EAR_RATE_HZ) * CHIRP_MS / 1_000) as usize;
    let template: Vec<f32> = (0..length).map(|i| chirp_sample(i as f32 / rate)).collect();
    let template_energy: f32 = template.iter().map(|t| t * t).sum();
    if samples.len() < length {
        return Vec::new();
    }
    // The probe's tones lie below the chirp's band; without them the match is clean.
    let samples = high_pass(samples);
    let mut found: Vec<(usize, f32)> = Vec::new();
    for start in 0..=samples.len() - length {
        let piece = &samples[start..start + length];
        let energy: f32 = piece.iter().map(|s| s * s).sum();
        if energy < 1.0e6 {
            continue; // Silence: any noise would correlate.
        }
        let product: f32 = piece.iter().zip(&template).map(|(s, t)| s * t).sum();
        let score = product.abs() / (energy * template_energy).sqrt();
        if score < MATCH_MIN {
            continue;
        }
        match found.last_mut() {
            Some((at, best)) if start - *at < length => {
                if score > *best {
                    (*at, *best) = (start, score);
                }
            }
            _ => found.push((start, score)),
        }
    }
    found.into_iter().map(|(at, _)| at).collect()
}

/// Takes away what lies below the chirp's band: a linear-phase filter whose delay is put back.
fn high_pass(samples: &[i16]) -> Vec<f32> {
    const HALF: isize = 40;
    let cutoff = (CHIRP_LOW_HZ - 150.0) / EAR_RATE_HZ as f32;
    let kernel: Vec<f32> = (-HALF..=HALF)
        .map(|n| {
            let window = 0.54 + 0.46 * (TAU * n as f32 / (2 * HALF + 1) as f32).cos();
            let low = match n {
                0 => 2.0 * cutoff,
                n => (TAU * cutoff * n as f32).sin() / (TAU / 2.0 * n as f32),
            };
            window * (if n == 0 { 1.0 } else { 0.0 } - low)
        })
        .collect();
    (0..samples.len() as isize)
        .map(|i| {
            let from = (i - HALF).max(0);
            let to = (i + HALF).min(samples.len() as isize - 1);
            (from..=to)
                .map(|j| f32::from(samples[j as usize]) * kernel[(j - i + HALF) as usize])
                .sum()
        })
        .collect()
}

/// Share of the power of `samples` (at [`EAR_RATE_HZ`]) that lies at `tone_hz`, 0.0–1.0; zero
/// for silence. Needs 100 ms or more to tell tones 25 Hz apart.
pub fn tone_share(samples: &[i16], tone_hz: f32) -> f32 {
    let n = samples.len();
    if n == 0 {
        return 0.0;
    }
    let step = TAU * tone_hz / EAR_RATE_HZ as f32;
    let (mut re, mut im, mut power, mut window_sum, mut window_power) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, &sample) in samples.iter().enumerate() {
        // Hann: a strong tone must not leak into the frequencies we ask about.
        let window = 0.5 - 0.5 * (TAU * i as f32 / n as f32).cos();
        let value = f32::from(sample) * window;
        re += value * (step * i as f32).cos();
        im += value * (step * i as f32).sin();
        power += value * value;
        window_sum += window;
        window_power += window * window;
    }
    if power / window_power < 100.0 {
        return 0.0; // Below −70 dBov: silence and codec noise.
    }
    // A sine of amplitude A gives |X| = A·Σw/2 and power A²·Σw²/2.
    let amplitude_squared = 4.0 * (re * re + im * im) / (window_sum * window_sum);
    (amplitude_squared * window_power / 2.0 / power).min(1.0)
}

/// Root mean square, 0–32768.
pub fn loudness(samples: &[i16]) -> f32 {
    let power: f32 = samples.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
    (power / samples.len().max(1) as f32).sqrt()
}

/// One sample into G.711.
pub fn compand(law: Law, sample: i16) -> u8 {
    match law {
        Law::Ulaw => {
            let sign = if sample < 0 { 0x80 } else { 0 };
            let magnitude = (i32::from(sample).abs()).min(32_635) + 0x84;
            let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 7;
            let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
            !(sign | (exponent << 4) as u8 | mantissa as u8)
        }
        Law::Alaw => {
            let (sign, magnitude) = match sample {
                0.. => (0x80, i32::from(sample) >> 3),
                _ => (0, !i32::from(sample) >> 3),
            };
            let code = if magnitude < 32 {
                magnitude >> 1
            } else {
                let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 4;
                (exponent << 4) | ((magnitude >> exponent) & 0x0f)
            };
            (sign | code as u8) ^ 0x55
        }
    }
}

/// One byte of G.711 as a sample.
pub fn expand(law: Law, byte: u8) -> i16 {
    match law {
        Law::Ulaw => {
            let code = !byte;
            let (exponent, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 0x0f));
            let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
            (if code & 0x80 != 0 {
                -magnitude
            } else {
                magnitude
            }) as i16
        }
        Law::Alaw => {
            let code = byte ^ 0x55;
            let (exponent, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 0x0f));
            let magnitude = match exponent {
                0 => (mantissa << 4) + 8,
                e => ((mantissa << 4) + 0x108) << (e - 1),
            };
            (if code & 0x80 != 0 {
                magnitude
            } else {
                -magnitude
            }) as i16
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_keeps_a_sample_within_its_step_and_every_code_comes_back() {
        for law in [Law::Ulaw, Law::Alaw] {
            for sample in (-32_000..32_000).step_by(77) {
                let back = i32::from(expand(law, compand(law, sample as i16)));
                assert!(
                    (back - sample).abs() <= sample.abs() / 16 + 16,
                    "{law:?} {sample} {back}"
                );
            }
            for byte in 0..=255u8 {
                let sample = expand(law, byte);
                assert_eq!(expand(law, compand(law, sample)), sample, "{law:?} {byte}");
            }
        }
        // ITU-T G.711 tables: silence is 0xff in µ-law and 0xd5 in A-law.
        assert_eq!(compand(Law::Ulaw, 0), 0xff);
        assert_eq!(compand(Law::Alaw, 0), 0xd5);
    }

    #[test]
    fn a_tone_is_told_from_its_neighbours_and_from_silence() {
        let mut samples = vec![0; 3_200];
        Voice::tone(950.0, EAR_RATE_HZ).fill(&mut samples);
        assert!(tone_share(&samples, 950.0) > 0.6);
        assert!(tone_share(&samples, 550.0) < 0.001);
        assert_eq!(tone_share(&[0; 3_200], 950.0), 0.0);
        assert_eq!(tone_share(&[], 950.0), 0.0);
    }

    #[test]
    fn chirps_are_found_where_they_were_put_through_g711_and_beside_another_tone() {
        let mut voice = Voice::marked(550.0, EAR_RATE_HZ);
        let mut other = Voice::tone(950.0, EAR_RATE_HZ);
        let (mut samples, mut mixed) = (vec![0; 16_000], vec![0; 16_000]);
        voice.fill(&mut samples);
        other.fill(&mut mixed);
        for (m, s) in mixed.iter_mut().zip(&samples) {
            let code = compand(Law::Alaw, *m / 2 + *s / 2);
            *m = expand(Law::Alaw, code);
        }
        let found = find_chirps(&mixed);
        let period = EAR_RATE_HZ as usize * CHIRP_PERIOD_MS as usize / 1_000;
        assert_eq!(found.len(), 4, "{found:?}");
        for (i, at) in found.into_iter().enumerate() {
            assert!(at.abs_diff(i * period) <= 2, "chirp {i} at {at}");
        }
    }

    #[test]
    fn speech_like_tones_hold_no_chirp() {
        let mut samples = vec![0; 16_000];
        Voice::tone(1_900.0, EAR_RATE_HZ).fill(&mut samples);
        assert_eq!(find_chirps(&samples), Vec::<usize>::new());
    }
}
