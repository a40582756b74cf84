//! The mix: everybody's samples on a wide bus, each listener's own taken out again (mix-minus),
//! and a limiter where others clip.

use super::frame::FRAME_SAMPLES_MAX;

/// Gain below which nothing can fall in one step; recovers over [`Limiter::RELEASE_SECONDS`].
const FULL_SCALE: i32 = 32_767;

/// A bus of one frame, wide enough for 65,000 full-scale voices.
#[derive(Debug, Clone)]
pub struct Bus {
    /// Empty until something is added: not every bus is ever used.
    sum: Vec<i32>,
    samples: usize,
    voices: usize,
}

impl Bus {
    /// An empty bus for frames of so many samples, at most [`FRAME_SAMPLES_MAX`].
    pub fn new(samples: usize) -> Self {
        Self {
            sum: Vec::new(),
            samples: samples.min(FRAME_SAMPLES_MAX),
            voices: 0,
        }
    }

    /// Empties it for the next tick.
    pub fn clear(&mut self) {
        if self.voices > 0 {
            self.sum.fill(0);
            self.voices = 0;
        }
    }

    /// Adds one voice of one frame.
    pub fn add(&mut self, voice: &[i16]) {
        for (sum, sample) in self.wide().iter_mut().zip(voice) {
            *sum += i32::from(*sample);
        }
        self.voices += 1;
    }

    /// Adds what another bus has summed, brought to this one's rate by `write`, which adds to what
    /// it is given.
    pub(super) fn add_bus(&mut self, voices: usize, write: impl FnOnce(&mut [i32])) {
        write(self.wide());
        self.voices += voices;
    }

    /// Voices added since it was cleared.
    pub fn voices(&self) -> usize {
        self.voices
    }

    /// What was added; empty before anything ever was.
    pub(super) fn sum(&self) -> &[i32] {
        &self.sum
    }

    /// What a listener who says nothing hears, limited. `heard` is one frame long.
    pub fn mix(&self, limiter: &mut Limiter, heard: &mut [i16]) {
        if self.voices == 0 {
            return heard.fill(0);
        }
        limiter.limit(&self.sum, heard);
    }

    /// What the owner of `own`, which was added before, hears: everybody else, limited.
    pub fn mix_minus(&self, own: &[i16], limiter: &mut Limiter, heard: &mut [i16]) {
        let mut others = [0; FRAME_SAMPLES_MAX];
        let others = &mut others[..self.sum.len()];
        for ((other, sum), sample) in others.iter_mut().zip(&self.sum).zip(own) {
            *other = sum - i32::from(*sample);
        }
        limiter.limit(others, heard);
    }

    fn wide(&mut self) -> &mut [i32] {
        self.sum.resize(self.samples, 0);
        &mut self.sum
    }
}

/// Keeps one listener's mix within 16 bits by turning it down, not by clipping it: gain falls
/// within a millisecond before a peak and comes back slowly. One per listener; bit-exact
/// pass-through while nothing is too loud.
#[derive(Debug, Clone)]
pub struct Limiter {
    gain: f32,
}

impl Limiter {
    /// Time in which the gain comes back from half to nearly full.
    pub const RELEASE_SECONDS: f32 = 0.2;

    /// Blocks of a frame that get a gain each; between them it runs linearly.
    const BLOCKS: usize = 8;

    /// Gain 1.
    pub fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Gain in force, 0–1.
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// Limits one frame. `sum` and `heard` have the same length.
    pub fn limit(&mut self, sum: &[i32], heard: &mut [i16]) {
        let peak = peak(sum);
        if peak <= FULL_SCALE && self.gain >= 1.0 {
            for (sample, sum) in heard.iter_mut().zip(sum) {
                *sample = *sum as i16;
            }
            return;
        }
        let block = sum.len().div_ceil(Self::BLOCKS).max(1);
        let seconds_per_block = 0.02 / Self::BLOCKS as f32;
        let release = 1.0 - (-seconds_per_block / Self::RELEASE_SECONDS * 4.0).exp();
        for (start, part) in (0..).step_by(block).zip(heard.chunks_mut(block)) {
            // Looks one block ahead, so that the gain has arrived when the peak does.
            let seen = &sum[start..(start + 2 * block).min(sum.len())];
            let allowed = (FULL_SCALE as f32 / peak_at_least_1(seen)).min(1.0);
            let recovered = self.gain + (1.0 - self.gain) * release;
            let recovered = if recovered > 0.999 { 1.0 } else { recovered };
            let target = recovered.min(allowed);
            let own =
                (FULL_SCALE as f32 / peak_at_least_1(&sum[start..start + part.len()])).min(1.0);
            // A peak in the first block of a frame was not seen coming: no ramp then.
            let from = self.gain.min(own);
            let step = (target - from) / part.len() as f32;
            let mut gain = from;
            for (sample, sum) in part.iter_mut().zip(&sum[start..]) {
                gain += step;
                let limited = *sum as f32 * gain;
                *sample = limited.clamp(-32_768.0, 32_767.0) as i16;
            }
            self.gain = target;
        }
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

fn peak(sum: &[i32]) -> i32 {
    sum.iter().map(|sample| sample.abs()).max().unwrap_or(0)
}

fn peak_at_least_1(sum: &[i32]) -> f32 {
    peak(sum).max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{ToneGenerator, signal_to_noise_db};

    #[test]
    fn everybody_hears_the_others_exactly_and_never_themselves() {
        let voices: [[i16; 160]; 3] =
            std::array::from_fn(|who| std::array::from_fn(|at| (at as i16) * (who as i16 + 1)));
        let mut bus = Bus::new(160);
        for voice in &voices {
            bus.add(voice);
        }
        let mut heard = [0i16; 160];
        for (who, voice) in voices.iter().enumerate() {
            bus.mix_minus(voice, &mut Limiter::new(), &mut heard);
            for (at, sample) in heard.iter().enumerate() {
                let expected: i16 = (0..3).filter(|o| *o != who).map(|o| voices[o][at]).sum();
                assert_eq!(*sample, expected);
            }
        }
        bus.mix(&mut Limiter::new(), &mut heard);
        assert_eq!(heard[159], 159 * 6);
    }

    #[test]
    fn ten_loud_voices_are_turned_down_not_clipped() {
        let mut generator = ToneGenerator::new(8_000, 440.0, 0.9);
        let mut limiter = Limiter::new();
        let mut heard = Vec::new();
        for _ in 0..50 {
            let mut frame = [0i16; 160];
            generator.generate(&mut frame);
            let mut bus = Bus::new(160);
            for _ in 0..10 {
                bus.add(&frame);
            }
            let mut out = [0i16; 160];
            bus.mix(&mut limiter, &mut out);
            heard.extend(out);
        }
        // A clipped sine of this height keeps 7 dB; a turned-down one stays a sine.
        let purity = signal_to_noise_db(&heard[800..], 8_000, 440.0);
        assert!(purity > 30.0, "{purity} dB");
        assert!(
            heard
                .iter()
                .all(|sample| sample.abs() > -32_768 || *sample > -32_768)
        );
    }

    #[test]
    fn gain_returns_to_exactly_one_after_the_shouting() {
        let mut limiter = Limiter::new();
        let mut heard = [0i16; 160];
        limiter.limit(&[100_000; 160], &mut heard);
        assert!(limiter.gain() < 0.4);
        for _ in 0..50 {
            limiter.limit(&[1_000; 160], &mut heard);
        }
        assert_eq!(heard, [1_000; 160]);
        assert_eq!(limiter.gain(), 1.0);
    }
}
