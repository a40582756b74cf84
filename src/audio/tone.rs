//! Tones: made, found and judged. Used by tests, the test kit and the probe.

use std::f64::consts::TAU;

/// A sine generator with continuous phase.
#[derive(Debug, Clone)]
pub struct ToneGenerator {
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl ToneGenerator {
    /// A sine of `frequency_hz` at `amplitude` of full scale (0.0–1.0).
    pub fn new(sample_rate_hz: u32, frequency_hz: f64, amplitude: f64) -> Self {
        Self {
            phase: 0.0,
            step: TAU * frequency_hz / f64::from(sample_rate_hz),
            amplitude: amplitude.clamp(0.0, 1.0) * 32_767.0,
        }
    }

    /// Fills `samples` with what comes next.
    pub fn generate(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.next_sample();
        }
    }

    /// The next sample.
    pub fn next_sample(&mut self) -> i16 {
        let sample = (self.phase.sin() * self.amplitude).round() as i16;
        self.phase = (self.phase + self.step) % TAU;
        sample
    }
}

/// Power of one frequency in `samples`, as the mean square of its sine (Goertzel's algorithm, with
/// any frequency, not only whole bins).
pub fn power_at(samples: &[i16], sample_rate_hz: u32, frequency_hz: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let omega = TAU * frequency_hz / f64::from(sample_rate_hz);
    let coefficient = 2.0 * omega.cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let magnitude_squared = last * last + before * before - coefficient * last * before;
    let count = samples.len() as f64;
    2.0 * magnitude_squared / (count * count)
}

/// The loudest frequency of a stretch of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// In Hz.
    pub frequency_hz: f64,
    /// RMS of that frequency, 0.0–1.0 of full scale.
    pub level: f64,
    /// Its share of all power, 0.0–1.0: near 1 for a pure tone, near 0 for noise.
    pub purity: f64,
}

/// Finds the loudest frequency between 100 Hz and 0.45 of the sample rate, to about 1 Hz when
/// `samples` hold 100 ms or more. `None` for silence or fewer than 20 ms.
pub fn find_peak(samples: &[i16], sample_rate_hz: u32) -> Option<Peak> {
    if samples.len() < sample_rate_hz as usize / 50 {
        return None;
    }
    let total = mean_square(samples);
    if total < 1.0 {
        return None;
    }
    // Coarse steps of half a bin's width, then halved around the best.
    let width = f64::from(sample_rate_hz) / samples.len() as f64;
    let (low, high) = (100.0, f64::from(sample_rate_hz) * 0.45);
    let mut step = width / 2.0;
    let count = ((high - low) / step) as usize;
    let power = |frequency| power_at(samples, sample_rate_hz, frequency);
    let best = (0..=count)
        .map(|at| low + at as f64 * step)
        .map(|frequency| (frequency, power(frequency)))
        .max_by(|left, right| left.1.total_cmp(&right.1))?;
    let (mut frequency_hz, mut best_power) = best;
    while step > 0.05 {
        step /= 2.0;
        for candidate in [frequency_hz - step, frequency_hz + step] {
            let candidate_power = power(candidate);
            if candidate_power > best_power {
                (frequency_hz, best_power) = (candidate, candidate_power);
            }
        }
    }
    Some(Peak {
        frequency_hz,
        level: best_power.sqrt() / 32_768.0,
        purity: (best_power / total).min(1.0),
    })
}

/// How far a tone stands above everything else in `samples`, in dB: the sine of `frequency_hz`
/// that fits best is taken out, and what remains is noise.
pub fn signal_to_noise_db(samples: &[i16], sample_rate_hz: u32, frequency_hz: f64) -> f64 {
    let omega = TAU * frequency_hz / f64::from(sample_rate_hz);
    // Least squares fit of a·cos + b·sin.
    let (mut cc, mut cs, mut ss, mut xc, mut xs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (omega * at as f64).sin_cos();
        let value = f64::from(*sample);
        cc += cos * cos;
        cs += cos * sin;
        ss += sin * sin;
        xc += value * cos;
        xs += value * sin;
    }
    let determinant = cc * ss - cs * cs;
    if determinant.abs() < 1e-9 {
        return f64::NEG_INFINITY;
    }
    let a = (xc * ss - xs * cs) / determinant;
    let b = (xs * cc - xc * cs) / determinant;
    let (mut signal, mut noise) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (omega * at as f64).sin_cos();
        let fitted = a * cos + b * sin;
        signal += fitted * fitted;
        noise += (f64::from(*sample) - fitted).powi(2);
    }
    10.0 * (signal / noise.max(1e-9)).log10()
}

/// Mean square of samples.
pub fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    sum / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency_hz: f64, samples: usize) -> Vec<i16> {
        let mut buffer = vec![0; samples];
        ToneGenerator::new(8_000, frequency_hz, 0.5).generate(&mut buffer);
        buffer
    }

    #[test]
    fn a_tone_is_found_within_one_hertz() {
        for frequency in [300.0, 440.0, 1_001.5, 3_399.0] {
            let peak = find_peak(&tone(frequency, 1_600), 8_000).unwrap();
            assert!((peak.frequency_hz - frequency).abs() < 1.0, "{peak:?}");
            assert!(peak.purity > 0.99, "{peak:?}");
            assert!((peak.level - 0.5 / 2f64.sqrt()).abs() < 0.01, "{peak:?}");
        }
    }

    #[test]
    fn silence_has_no_peak_and_two_tones_are_impure() {
        assert_eq!(find_peak(&[0; 800], 8_000), None);
        let mixed: Vec<i16> = tone(500.0, 1_600)
            .iter()
            .zip(tone(1_700.0, 1_600))
            .map(|(left, right)| left / 2 + right / 2)
            .collect();
        assert!(find_peak(&mixed, 8_000).unwrap().purity < 0.6);
    }

    #[test]
    fn signal_to_noise_sees_sixteen_bit_rounding_and_a_single_click() {
        let mut samples = tone(1_000.3, 8_000);
        assert!(signal_to_noise_db(&samples, 8_000, 1_000.3) > 85.0);
        samples[4_000] = -samples[4_000].saturating_add(10_000);
        assert!(signal_to_noise_db(&samples, 8_000, 1_000.3) < 60.0);
    }
}
