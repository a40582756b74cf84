//! Resampling by a ratio near one: how a leg's clock is brought in line with ours. The only file
//! that knows rubato.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use super::frame;

/// Length of the interpolation filter: ±4 ms at 8 kHz, flat to 3.4 kHz.
const FILTER_SAMPLES: usize = 64;

/// Points between two samples at which the filter is tabulated.
const OVERSAMPLING: usize = 128;

/// Greatest correction. Clocks of telephones stay within ±200 ppm; the rest is for catching up.
pub const CORRECTION_PPM_MAX: f32 = 2_000.0;

/// rubato refused, which with the constants above it does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rubato: {0}")]
pub struct ResampleError(String);

/// Makes frames of 20 ms out of a little more or less than that.
pub struct DriftResampler {
    inner: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl std::fmt::Debug for DriftResampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = self.inner.resample_ratio();
        f.debug_struct("DriftResampler")
            .field("ratio", &ratio)
            .finish()
    }
}

impl DriftResampler {
    /// One voice at `sample_rate_hz`, ratio 1. Allocates its filter table (about 40 KiB).
    ///
    /// # Errors
    /// rubato refused the settings: a programmer's error, found by tests.
    pub fn new(sample_rate_hz: u32) -> Result<Self, ResampleError> {
        let samples = frame::samples(sample_rate_hz);
        let parameters =
            SincInterpolationParameters::new(FILTER_SAMPLES, WindowFunction::BlackmanHarris)
                .oversampling_factor(OVERSAMPLING)
                .interpolation(SincInterpolationType::Linear);
        let inner = Async::new_sinc(1.0, 1.01, &parameters, samples, 1, FixedAsync::Output)
            .map_err(|error| ResampleError(error.to_string()))?;
        Ok(Self {
            input: vec![0.0; inner.input_frames_max() + FILTER_SAMPLES],
            output: vec![0.0; samples],
            inner,
        })
    }

    /// Samples the next frame takes in.
    pub fn input_samples(&self) -> usize {
        self.inner.input_frames_next()
    }

    /// Samples by which the output lags behind the input.
    pub const fn delay_samples() -> usize {
        FILTER_SAMPLES / 2
    }

    /// Consumes `ppm` more samples than it makes, from the next frame on, in a ramp. Negative:
    /// fewer. Beyond ±[`CORRECTION_PPM_MAX`] it is clamped.
    pub fn set_correction_ppm(&mut self, ppm: f32) {
        let ppm = f64::from(ppm.clamp(-CORRECTION_PPM_MAX, CORRECTION_PPM_MAX));
        // In bounds by the clamp.
        let _ = self
            .inner
            .set_resample_ratio(1.0 / (1.0 + ppm * 1e-6), true);
    }

    /// Starts over, as if `past` had just been put through at ratio 1: what comes out next lags
    /// [`DriftResampler::delay_samples`] behind the end of `past`, which should hold 40 ms.
    pub fn prime(&mut self, past: &[i16]) {
        self.inner.reset();
        // The first frame takes in more than a frame; whatever is missing was silence.
        let needed = self.inner.input_frames_next();
        let missing = needed.saturating_sub(past.len());
        let tail = &past[past.len() - (needed - missing)..];
        self.input[..missing].fill(0.0);
        for (sample, past) in self.input[missing..needed].iter_mut().zip(tail) {
            *sample = f32::from(*past);
        }
        self.run(needed);
    }

    /// Makes one frame. `input` holds [`DriftResampler::input_samples`], `out` one frame.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) {
        let needed = self.inner.input_frames_next();
        for (sample, given) in self.input[..needed].iter_mut().zip(input) {
            *sample = f32::from(*given);
        }
        self.run(needed);
        for (sample, made) in out.iter_mut().zip(&self.output) {
            *sample = made.round().clamp(-32_768.0, 32_767.0) as i16;
        }
    }

    /// Runs `input[..needed]` to `output`. Lengths are right by construction; if rubato ever
    /// thinks otherwise, the frame keeps what the output held.
    fn run(&mut self, needed: usize) {
        let frames = self.output.len();
        let input = SequentialSlice::new(&self.input[..needed], 1, needed);
        let output = SequentialSlice::new_mut(&mut self.output, 1, frames);
        if let (Ok(input), Ok(mut output)) = (input, output) {
            let _ = self.inner.process_into_buffer(&input, &mut output, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{ToneGenerator, find_peak, signal_to_noise_db};

    fn tone(frequency_hz: f64, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        ToneGenerator::new(8_000, frequency_hz, 0.5).generate(&mut pcm);
        pcm
    }

    #[test]
    fn after_priming_the_output_goes_on_exactly_where_the_delay_says() {
        let pcm = tone(700.0, 4_000);
        let mut resampler = DriftResampler::new(8_000).unwrap();
        let mut at = 1_000;
        resampler.prime(&pcm[..at]);
        let mut expected = at - DriftResampler::delay_samples();
        for _ in 0..10 {
            let needed = resampler.input_samples();
            let mut out = [0i16; 160];
            resampler.process(&pcm[at..at + needed], &mut out);
            at += needed;
            for (made, meant) in out.iter().zip(&pcm[expected..]) {
                assert!((made - meant).abs() < 100, "{made} instead of {meant}");
            }
            expected += 160;
        }
    }

    #[test]
    fn a_corrected_tone_stays_pure_and_moves_by_the_ratio_only() {
        for ppm in [-2_000.0, -200.0, 200.0] {
            let pcm = tone(1_000.0, 40_000);
            let mut resampler = DriftResampler::new(8_000).unwrap();
            resampler.set_correction_ppm(ppm);
            let (mut at, mut heard) = (0, Vec::new());
            while at + 200 < pcm.len() {
                let needed = resampler.input_samples();
                let mut out = [0i16; 160];
                resampler.process(&pcm[at..at + needed], &mut out);
                at += needed;
                heard.extend(out);
            }
            let meant = 1_000.0 * (1.0 + f64::from(ppm) * 1e-6);
            let peak = find_peak(&heard[800..8_800], 8_000).unwrap();
            assert!((peak.frequency_hz - meant).abs() < 0.2, "{peak:?}");
            let snr = signal_to_noise_db(&heard[800..], 8_000, meant);
            assert!(snr > 55.0, "{ppm} ppm: {snr} dB");
        }
    }
}
