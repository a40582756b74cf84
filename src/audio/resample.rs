//! Resampling: by a ratio near one, how a leg's clock is brought in line with ours; and between the
//! rates of the mixer's buses. The only file that knows rubato.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use super::frame::{self, Band};

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

/// Points between two samples for [`RateConverter`]: all that a ratio of 2, 3 or 6 asks for.
const CONVERTER_OVERSAMPLING: usize = 96;

/// Samples kept back, so that rounding of the position never asks for one that has not come.
const CONVERTER_SLACK: usize = 2;

/// Brings frames of one bus to the rate of another.
pub struct RateConverter {
    inner: Async<f32>,
    /// Samples given and not yet taken in.
    waiting: Vec<f32>,
    output: Vec<f32>,
}

impl std::fmt::Debug for RateConverter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = self.inner.resample_ratio();
        f.debug_struct("RateConverter")
            .field("ratio", &ratio)
            .finish()
    }
}

impl RateConverter {
    /// From one band's rate to another's. Its filter spans 64 samples of the lower rate, so the
    /// output lags by 2 ms (16 to 48 kHz) to 4.3 ms (from or to 8 kHz).
    ///
    /// # Errors
    /// rubato refused the settings: a programmer's error, found by tests.
    pub fn new(from: Band, to: Band) -> Result<Self, ResampleError> {
        let (rate_in, rate_out) = (from.sample_rate_hz(), to.sample_rate_hz());
        let narrowing = (rate_in / rate_out).max(1) as usize;
        let parameters = SincInterpolationParameters::new(
            FILTER_SAMPLES * narrowing,
            WindowFunction::BlackmanHarris,
        )
        .oversampling_factor(CONVERTER_OVERSAMPLING / narrowing)
        .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(rate_out) / f64::from(rate_in);
        let samples = to.samples();
        let inner = Async::new_sinc(ratio, 1.01, &parameters, samples, 1, FixedAsync::Output)
            .map_err(|error| ResampleError(error.to_string()))?;
        let room = from.samples() + inner.input_frames_max() + CONVERTER_SLACK;
        let mut converter = Self {
            waiting: Vec::with_capacity(room),
            output: vec![0.0; samples],
            inner,
        };
        converter.restart(from.samples());
        Ok(converter)
    }

    /// Forgets the past: silence came before. `frame` is the length of frames to come.
    pub fn restart(&mut self, frame: usize) {
        self.inner.reset();
        self.waiting.clear();
        // The first run may take in more than a frame.
        let missing = self.inner.input_frames_next().saturating_sub(frame);
        self.waiting.resize(missing + CONVERTER_SLACK, 0.0);
    }

    /// Takes in one frame and adds one frame to `sum`.
    pub fn add(&mut self, frame: &[i32], sum: &mut [i32]) {
        self.waiting
            .extend(frame.iter().map(|sample| *sample as f32));
        let needed = self.inner.input_frames_next();
        if self.waiting.len() < needed {
            self.waiting.resize(needed, 0.0);
        }
        let frames = self.output.len();
        let input = SequentialSlice::new(&self.waiting[..needed], 1, needed);
        let output = SequentialSlice::new_mut(&mut self.output, 1, frames);
        if let (Ok(input), Ok(mut output)) = (input, output) {
            // Lengths are right by construction.
            let _ = self.inner.process_into_buffer(&input, &mut output, None);
        }
        self.waiting.copy_within(needed.., 0);
        self.waiting.truncate(self.waiting.len() - needed);
        for (sum, made) in sum.iter_mut().zip(&self.output) {
            *sum += made.round() as i32;
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

    #[test]
    fn between_any_two_bands_a_tone_keeps_its_pitch_level_and_purity() {
        for (from, to) in Band::ALL
            .into_iter()
            .flat_map(|from| Band::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from != to)
        {
            let mut converter = RateConverter::new(from, to).unwrap();
            let mut tone = ToneGenerator::new(from.sample_rate_hz(), 1_000.0, 0.25);
            let (mut heard, mut waiting_max) = (Vec::new(), 0);
            // Rounding of the position would show as samples that pile up or run out.
            let frames = 200;
            for _ in 0..frames {
                let mut frame = vec![0i16; from.samples()];
                tone.generate(&mut frame);
                let frame: Vec<i32> = frame.into_iter().map(i32::from).collect();
                let mut sum = vec![0; to.samples()];
                converter.add(&frame, &mut sum);
                waiting_max = waiting_max.max(converter.waiting.len());
                heard.extend(sum.into_iter().map(|sample| sample as i16));
            }
            assert!(waiting_max < from.samples(), "{waiting_max}");
            let rate = to.sample_rate_hz();
            let late = &heard[heard.len() - rate as usize / 2..];
            // Of that very frequency: a pitch off by half a hertz would cost 40 dB.
            let purity = signal_to_noise_db(late, rate, 1_000.0);
            assert!(purity > 50.0, "{from:?} to {to:?}: {purity} dB");
            let power: f64 = late.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let level_db = 10.0 * (power / late.len() as f64 / (8_192.0f64.powi(2) / 2.0)).log10();
            assert!(level_db.abs() < 0.2, "{from:?} to {to:?}: {level_db} dB");
        }
    }

    #[test]
    fn what_a_narrower_bus_cannot_carry_is_taken_out_and_not_folded_down() {
        let mut converter = RateConverter::new(Band::Full, Band::Narrow).unwrap();
        let mut tone = ToneGenerator::new(48_000, 5_500.0, 0.5);
        let mut heard = Vec::new();
        for _ in 0..100 {
            let mut frame = vec![0i16; 960];
            tone.generate(&mut frame);
            let frame: Vec<i32> = frame.into_iter().map(i32::from).collect();
            let mut sum = vec![0; 160];
            converter.add(&frame, &mut sum);
            heard.extend(sum);
        }
        let loudest = heard[800..].iter().map(|sample| sample.abs()).max();
        assert!(loudest < Some(200), "{loudest:?} of 16384");
    }
}
