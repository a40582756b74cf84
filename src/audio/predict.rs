//! Linear prediction: a short stretch of voice as a filter (the mouth) and what drives it (the
//! throat). Concealment repeats the drive and keeps the filter ringing, so that nothing breaks off.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// Coefficients of the filter: one formant per pair, up to 4 kHz.
pub const ORDER: usize = 12;

/// Samples the filter is fitted to: 30 ms at 8 kHz.
pub const ANALYSIS_SAMPLES: usize = 240;

/// The window rises over nine tenths of the samples and falls over the last: the latest count most.
const RISE: f32 = 0.9;

/// Lag window in Hz and white noise added, which keep the fit stable on pure tones.
const LAG_WINDOW_HZ: f32 = 60.0;
const WHITE_NOISE: f32 = 1.000_1;

/// Each coefficient is damped a little more than the one before: the filter rings out.
const DAMPING: f32 = 0.998;

/// A prediction filter with its memory.
#[derive(Debug, Clone, Default)]
pub struct Predictor {
    coefficients: [f32; ORDER],
    /// The last samples made, latest first.
    memory: [f32; ORDER],
}

impl Predictor {
    /// Fits the filter to the end of `history` and fills its memory from there.
    pub fn fit(&mut self, history: &[i16], sample_rate_hz: f32) {
        let recent = &history[history.len().saturating_sub(ANALYSIS_SAMPLES)..];
        let correlation = windowed_autocorrelation(recent, sample_rate_hz);
        self.coefficients = solve(&correlation);
        let mut damping = 1.0;
        for coefficient in &mut self.coefficients {
            damping *= DAMPING;
            *coefficient *= damping;
        }
        let latest = history.iter().rev().map(|sample| f32::from(*sample));
        self.memory = [0.0; ORDER];
        for (memory, sample) in self.memory.iter_mut().zip(latest) {
            *memory = sample;
        }
    }

    /// What of `history[at]` the filter did not foresee. `at` is at least [`ORDER`].
    pub fn residual(&self, history: &[i16], at: usize) -> f32 {
        let before = history[at - ORDER..at].iter().rev();
        let foreseen = self.coefficients.iter().zip(before);
        let foreseen: f32 = foreseen.map(|(c, sample)| c * f32::from(*sample)).sum();
        f32::from(history[at]) - foreseen
    }

    /// The next sample when the filter is driven by `residual`.
    pub fn next_sample(&mut self, residual: f32) -> f32 {
        let foreseen = self.coefficients.iter().zip(&self.memory);
        let sample = residual + foreseen.map(|(c, memory)| c * memory).sum::<f32>();
        let sample = sample.clamp(-32_768.0, 32_767.0);
        self.memory.copy_within(..ORDER - 1, 1);
        self.memory[0] = sample;
        sample
    }
}

fn windowed_autocorrelation(recent: &[i16], sample_rate_hz: f32) -> [f32; ORDER + 1] {
    let count = recent.len();
    let mut windowed = [0.0f32; ANALYSIS_SAMPLES];
    let rise = count as f32 * RISE;
    for (at, (sample, windowed)) in recent.iter().zip(&mut windowed).enumerate() {
        let along = at as f32 + 0.5;
        let weight = match along < rise {
            true => 0.5 - 0.5 * (PI * along / rise).cos(),
            false => (FRAC_PI_2 * (count as f32 - along) / (count as f32 - rise)).sin(),
        };
        *windowed = f32::from(*sample) * weight;
    }
    let mut correlation = [0.0f32; ORDER + 1];
    for (lag, value) in correlation.iter_mut().enumerate() {
        let pairs = windowed[lag..].iter().zip(&windowed);
        let sum: f32 = pairs.map(|(late, early)| late * early).sum();
        let angle = TAU * LAG_WINDOW_HZ / sample_rate_hz * lag as f32;
        *value = sum * (-0.5 * angle * angle).exp();
    }
    correlation[0] = correlation[0] * WHITE_NOISE + 100.0;
    correlation
}

/// Levinson and Durbin's recursion.
fn solve(correlation: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut coefficients = [0.0f32; ORDER];
    let mut error = correlation[0];
    for order in 0..ORDER {
        let known = coefficients[..order].iter().enumerate();
        let explained: f32 = known.map(|(at, c)| c * correlation[order - at]).sum();
        let reflection = (correlation[order + 1] - explained) / error;
        let before = coefficients;
        for at in 0..order {
            coefficients[at] = before[at] - reflection * before[order - 1 - at];
        }
        coefficients[order] = reflection;
        error *= 1.0 - reflection * reflection;
        if error <= 0.0 {
            break;
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::ToneGenerator;

    #[test]
    fn a_tone_is_foreseen_almost_wholly_and_its_residual_gives_it_back() {
        let mut history = vec![0i16; 600];
        ToneGenerator::new(8_000, 500.0, 0.5).generate(&mut history);
        let mut predictor = Predictor::default();
        predictor.fit(&history[..400], 8_000.0);
        for at in 400..600 {
            let residual = predictor.residual(&history, at);
            assert!(residual.abs() < 1_700.0, "{residual} at {at}");
            let again = predictor.next_sample(residual);
            assert!((again - f32::from(history[at])).abs() < 2.0);
        }
    }

    #[test]
    fn silence_and_full_scale_noise_leave_a_filter_that_dies_out() {
        let mut state = 1u32;
        let noise: Vec<i16> = (0..500)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16
            })
            .collect();
        for history in [&[0i16; 500][..], &[i16::MAX; 500], &noise, &[]] {
            let mut predictor = Predictor::default();
            predictor.fit(history, 8_000.0);
            let last = (0..8_000)
                .map(|_| predictor.next_sample(0.0))
                .last()
                .unwrap();
            assert!(last.abs() < 400.0, "{last}");
        }
    }
}
