//! Concealment for codecs that have none of their own: the last pitch period goes on, softer and
//! softer, until there is only comfort noise (after ITU-T G.711 Appendix I, without its delay, and
//! with what drives the voice repeated instead of the voice itself).
//!
//! The constants were chosen by PESQ over 24 seeds of 3 % and 10 % random loss on read speech
//! (`benches/playout.rs`): 3.53 and 2.90, where repeating the waveform itself reached 3.44 and
//! 2.73, and nothing lost scores 3.96.

use super::noise::ComfortNoise;
use super::predict::{ORDER, Predictor};
use super::stretch::cross_fade;

/// Lowest and highest pitch looked for, in Hz.
const PITCH_HZ: (u32, u32) = (60, 400);

/// Length of history compared when looking for the pitch, in seconds. A short one finds what the
/// voice does now; 20 ms cost 0.03 PESQ.
const WINDOW_SECONDS: f32 = 0.010;

/// Invented audio until only noise is left, in seconds. Fading begins at once: the longer audio is
/// invented, the likelier it is wrong.
const FADED_SECONDS: f32 = 0.07;

/// Shortest and longest overlap with the first real samples after a loss, in seconds. Longer ones
/// smear what is real: 10 ms cost 0.02 PESQ.
const RETURN_SECONDS: (f32, f32) = (0.002, 0.004);

/// Longest overlap in samples, at 48 kHz.
const RETURN_SAMPLES_MAX: usize = 192;

/// Likeness below which a stretch has no pitch worth repeating tightly.
const VOICED_LIKENESS: f32 = 0.6;

/// The concealer of one source.
#[derive(Debug, Clone)]
pub struct Concealer {
    sample_rate_hz: f32,
    lag_min: usize,
    lag_max: usize,
    window: usize,
    predictor: Predictor,
    /// What drove the voice before the loss.
    past: Vec<f32>,
    period: usize,
    /// One, two, then three periods of it are repeated (Appendix I §I.2.4): less buzz.
    periods: usize,
    /// Where in them.
    position: usize,
    /// Samples invented since the last real one.
    invented: usize,
}

impl Concealer {
    /// For PCM at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        let lag_max = (sample_rate_hz / PITCH_HZ.0) as usize;
        Self {
            sample_rate_hz: sample_rate_hz as f32,
            lag_min: (sample_rate_hz / PITCH_HZ.1) as usize,
            lag_max,
            window: (sample_rate_hz as f32 * WINDOW_SECONDS) as usize,
            predictor: Predictor::default(),
            past: Vec::with_capacity(3 * lag_max),
            period: 0,
            periods: 0,
            position: 0,
            invented: 0,
        }
    }

    /// Samples of history that [`Concealer::conceal`] makes use of.
    pub fn history_samples(&self) -> usize {
        3 * self.lag_max + ORDER
    }

    /// Samples invented since the last real one.
    pub fn invented(&self) -> usize {
        self.invented
    }

    /// Only noise is left of what was heard.
    pub fn is_faded(&self) -> bool {
        self.invented as f32 >= FADED_SECONDS * self.sample_rate_hz
    }

    /// Invents what comes after `history`, whose last samples are the last ones heard.
    pub fn conceal(&mut self, history: &[i16], noise: &mut ComfortNoise, out: &mut [i16]) {
        if self.invented == 0 {
            self.begin(history);
        }
        let faded = FADED_SECONDS * self.sample_rate_hz;
        for sample in out {
            let gain = (1.0 - self.invented as f32 / faded).max(0.0);
            let mut mixed = noise.next_sample() * (1.0 - gain);
            if gain > 0.0 {
                mixed += self.next_of_voice() * gain;
            }
            *sample = mixed.clamp(-32_768.0, 32_767.0) as i16;
            self.invented += 1;
        }
    }

    /// The first real samples after a loss: fades from what would have been invented to them.
    /// Without a loss it changes nothing.
    pub fn handle_return(&mut self, noise: &mut ComfortNoise, real: &mut [i16]) {
        if self.invented == 0 {
            return;
        }
        let (shortest, longest) = RETURN_SECONDS;
        let lost_seconds = self.invented as f32 / self.sample_rate_hz;
        let overlap = (shortest + lost_seconds * 0.4).min(longest) * self.sample_rate_hz;
        let overlap = (overlap as usize).min(real.len()).min(RETURN_SAMPLES_MAX);
        let mut invented = [0i16; RETURN_SAMPLES_MAX];
        self.conceal(&[], noise, &mut invented[..overlap]);
        cross_fade(&mut invented[..overlap], &real[..overlap]);
        real[..overlap].copy_from_slice(&invented[..overlap]);
        self.invented = 0;
    }

    /// Forgets a loss: what comes next does not continue it.
    pub fn reset(&mut self) {
        self.invented = 0;
    }

    fn begin(&mut self, history: &[i16]) {
        self.past.clear();
        self.position = 0;
        self.periods = 1;
        let Some(period) = self.find_period(history) else {
            return;
        };
        self.period = period;
        self.predictor.fit(history, self.sample_rate_hz);
        let end = history.len();
        let kept = (3 * self.lag_max).min(end - ORDER);
        let residuals = (end - kept..end).map(|at| self.predictor.residual(history, at));
        self.past.extend(residuals);
    }

    fn next_of_voice(&mut self) -> f32 {
        if self.past.is_empty() {
            return 0.0;
        }
        if self.position >= self.period * self.periods {
            self.position = 0;
            let ten_ms = self.sample_rate_hz as usize / 100;
            let wanted = (1 + self.invented / ten_ms).min(3);
            if self.past.len() >= self.period * wanted {
                self.periods = self.periods.max(wanted);
            }
        }
        let start = self.past.len() - self.period * self.periods;
        let drive = self.past[start + self.position];
        self.position += 1;
        self.predictor.next_sample(drive)
    }

    /// The lag at which the end of `history` looks most like itself.
    fn find_period(&self, history: &[i16]) -> Option<usize> {
        let end = history.len();
        if end < self.window + self.lag_max + ORDER {
            return None;
        }
        let recent = &history[end - self.window..];
        let best = |lag_min: usize| {
            (lag_min..=self.lag_max)
                .map(|lag| {
                    let before = &history[end - self.window - lag..end - lag];
                    (lag, likeness(recent, before))
                })
                .max_by(|left, right| left.1.total_cmp(&right.1))
        };
        let (lag, alike) = best(self.lag_min)?;
        if alike >= VOICED_LIKENESS {
            return Some(lag);
        }
        // Noise repeated every few ms buzzes: take it as long as possible.
        Some(best(self.lag_max * 2 / 3)?.0)
    }
}

fn likeness(left: &[i16], right: &[i16]) -> f32 {
    let (mut dot, mut one, mut other) = (0.0f32, 0.0f32, 0.0f32);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (f32::from(*left), f32::from(*right));
        dot += left * right;
        one += left * left;
        other += right * right;
    }
    dot / (one * other).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::level_dbov;
    use crate::audio::tone::{ToneGenerator, signal_to_noise_db};

    fn tone(frequency_hz: f64, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        ToneGenerator::new(8_000, frequency_hz, 0.5).generate(&mut pcm);
        pcm
    }

    #[test]
    fn a_lost_frame_within_a_tone_is_hardly_heard() {
        for frequency in [200.0, 440.0, 1_000.0] {
            let whole = tone(frequency, 2_400);
            let mut heard = whole[..1_200].to_vec();
            let mut concealer = Concealer::new(8_000);
            let mut noise = ComfortNoise::new(1);
            let mut invented = [0i16; 160];
            concealer.conceal(&heard, &mut noise, &mut invented);
            heard.extend(invented);
            let mut real = whole[1_360..].to_vec();
            concealer.handle_return(&mut noise, &mut real);
            heard.extend(real);
            let snr = signal_to_noise_db(&heard, 8_000, frequency);
            assert!(snr > 18.0, "{frequency} Hz: {snr} dB");
        }
    }

    #[test]
    fn a_long_loss_fades_to_comfort_noise() {
        let heard = tone(300.0, 1_200);
        let mut concealer = Concealer::new(8_000);
        let mut noise = ComfortNoise::new(1);
        let mut out = [0i16; 160];
        let mut levels = Vec::new();
        for _ in 0..10 {
            concealer.conceal(&heard, &mut noise, &mut out);
            levels.push(level_dbov(&out));
        }
        assert!(levels[0] < 12, "{levels:?}");
        assert!(
            levels.windows(2).all(|pair| pair[0] <= pair[1] + 6),
            "{levels:?}"
        );
        assert!(concealer.is_faded());
        assert!((65..90).contains(&levels[9]), "{levels:?}");
    }

    #[test]
    fn silence_and_too_little_history_are_concealed_without_panic() {
        let mut concealer = Concealer::new(8_000);
        let mut noise = ComfortNoise::new(1);
        let mut out = [0i16; 160];
        for history in [&[][..], &[5; 10], &[0; 1_000]] {
            concealer.reset();
            concealer.conceal(history, &mut noise, &mut out);
            assert!(level_dbov(&out) > 60);
        }
    }
}
