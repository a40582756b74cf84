//! Concealment for codecs that have none of their own: the last pitch period goes on, softer and
//! softer, until there is only comfort noise (after ITU-T G.711 Appendix I, without its delay).

use super::noise::ComfortNoise;
use super::stretch::cross_fade;

/// Lowest and highest pitch looked for, in Hz.
const PITCH_HZ: (u32, u32) = (60, 400);

/// Length of history compared when looking for the pitch, in seconds.
const WINDOW_SECONDS: f32 = 0.02;

/// Invented audio of full strength, in seconds; then it fades.
const FULL_SECONDS: f32 = 0.015;

/// Invented audio until only noise is left, in seconds.
const FADED_SECONDS: f32 = 0.08;

/// Shortest and longest overlap with the first real samples after a loss, in seconds.
const RETURN_SECONDS: (f32, f32) = (0.004, 0.010);

/// Likeness below which a stretch has no pitch worth repeating tightly.
const VOICED_LIKENESS: f32 = 0.6;

/// The concealer of one source.
#[derive(Debug, Clone)]
pub struct Concealer {
    sample_rate_hz: f32,
    lag_min: usize,
    lag_max: usize,
    window: usize,
    /// What was heard last before the loss.
    past: Vec<i16>,
    /// The stretch of it that is repeated, its seam smoothed.
    template: Vec<i16>,
    /// One, two, then three periods are repeated (Appendix I §I.2.4): less buzz.
    period: usize,
    periods: usize,
    position: usize,
    /// Samples invented since the last real one.
    invented: usize,
    /// Where the history ended against where the template began, faded out at the start.
    step: f32,
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
            past: Vec::with_capacity(4 * lag_max),
            template: Vec::with_capacity(3 * lag_max),
            period: 0,
            periods: 0,
            position: 0,
            invented: 0,
            step: 0.0,
        }
    }

    /// Samples of history that [`Concealer::conceal`] makes use of.
    pub fn history_samples(&self) -> usize {
        4 * self.lag_max
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
        let full = FULL_SECONDS * self.sample_rate_hz;
        let faded = FADED_SECONDS * self.sample_rate_hz;
        let step_samples = (0.002 * self.sample_rate_hz).max(1.0);
        for sample in out {
            let at = self.invented as f32;
            let gain = (1.0 - (at - full) / (faded - full)).clamp(0.0, 1.0);
            let step = self.step * (1.0 - at / step_samples).max(0.0);
            let voice = f32::from(self.next_of_template()) + step;
            let mixed = voice * gain + noise.next_sample() * (1.0 - gain);
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
        let overlap = (overlap as usize).min(real.len());
        let mut invented = [0i16; 480];
        let overlap = overlap.min(invented.len());
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
        self.template.clear();
        self.past.clear();
        self.position = 0;
        self.periods = 1;
        self.step = 0.0;
        let Some(period) = self.find_period(history) else {
            return;
        };
        self.period = period;
        let end = history.len();
        let kept = (4 * self.lag_max).min(end);
        self.past.extend_from_slice(&history[end - kept..]);
        self.fill_template();
        // The template's first sample follows the one a period before the last.
        self.step = f32::from(history[end - 1]) - f32::from(history[end - 1 - period]);
    }

    /// Takes the last `periods` periods and smooths the seam where they repeat: their last quarter
    /// period runs into what came before their first sample.
    fn fill_template(&mut self) {
        let length = self.period * self.periods;
        let start = self.past.len() - length;
        self.template.clear();
        self.template.extend_from_slice(&self.past[start..]);
        let quarter = (self.period / 4).min(start);
        let before = &self.past[start - quarter..start];
        cross_fade(&mut self.template[length - quarter..], before);
    }

    fn next_of_template(&mut self) -> i16 {
        if self.template.is_empty() {
            return 0;
        }
        if self.position >= self.template.len() {
            self.position = 0;
            let ten_ms = self.sample_rate_hz as usize / 100;
            let wanted = (1 + self.invented / ten_ms).min(3);
            let enough = self.past.len() >= self.period * wanted + self.period / 4;
            if wanted > self.periods && enough {
                self.periods = wanted;
                self.fill_template();
            }
        }
        let sample = self.template[self.position];
        self.position += 1;
        sample
    }

    /// The lag at which the end of `history` looks most like itself.
    fn find_period(&self, history: &[i16]) -> Option<usize> {
        let end = history.len();
        if end < self.window + self.lag_max + 1 {
            return None;
        }
        let recent = &history[end - self.window..];
        let best = |lag_min: usize| {
            (lag_min..=self.lag_max)
                .map(|lag| {
                    (
                        lag,
                        likeness(recent, &history[end - self.window - lag..end - lag]),
                    )
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
