//! Finds tones in recordings by their frequency.

use std::f64::consts::TAU;

/// Long enough to tell tones 20 Hz apart, short enough to show when they came.
const BLOCK_MS: usize = 250;

/// Mono PCM.
#[derive(Debug, Clone)]
pub struct Recording {
    /// In Hz.
    pub rate_hz: u32,
    /// Signed 16 bit.
    pub samples: Vec<i16>,
}

impl Recording {
    /// Its last `ms` milliseconds, or all if it is shorter.
    pub fn last_ms(&self, ms: usize) -> Recording {
        let wanted = (self.rate_hz as usize).saturating_mul(ms) / 1000;
        let from = self.samples.len().saturating_sub(wanted);
        Recording {
            rate_hz: self.rate_hz,
            samples: self.samples[from..].to_vec(),
        }
    }

    /// Milliseconds of sound.
    pub fn duration_ms(&self) -> usize {
        self.samples.len() * 1000 / self.rate_hz as usize
    }

    /// Power of the tone `hz` in each quarter second, in dBFS (a full-scale sine is 0).
    fn blocks_dbfs(&self, hz: f64) -> Vec<f64> {
        let length = self.rate_hz as usize * BLOCK_MS / 1000;
        self.samples
            .chunks_exact(length)
            .map(|block| tone_dbfs(block, self.rate_hz, hz))
            .collect()
    }

    /// The tone's power in the middle one of the blocks, sorted by power: one bad block in either
    /// direction decides nothing.
    pub fn tone_dbfs(&self, hz: f64) -> f64 {
        let mut blocks = self.blocks_dbfs(hz);
        assert!(
            !blocks.is_empty(),
            "only {} ms were recorded",
            self.duration_ms()
        );
        blocks.sort_by(f64::total_cmp);
        blocks[blocks.len() / 2]
    }

    /// The tone's power where it is strongest.
    pub fn tone_max_dbfs(&self, hz: f64) -> f64 {
        self.blocks_dbfs(hz)
            .into_iter()
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Whether the tone is there most of the time, at a level a person would call present.
    pub fn has_tone(&self, hz: f64) -> bool {
        self.duration_ms() >= 3 * BLOCK_MS && self.tone_dbfs(hz) > PRESENT_DBFS
    }

    /// Whether the tone is nowhere in it.
    pub fn lacks_tone(&self, hz: f64) -> bool {
        self.tone_max_dbfs(hz) < ABSENT_DBFS
    }

    /// How evenly the tone is there.
    pub fn steadiness(&self, hz: f64) -> Steadiness {
        let length = self.rate_hz as usize / 50;
        let frames: Vec<f64> = self
            .samples
            .chunks_exact(length)
            .map(|frame| tone_dbfs(frame, self.rate_hz, hz))
            .collect();
        let mut sorted = frames.clone();
        sorted.sort_by(f64::total_cmp);
        let median_dbfs = sorted[sorted.len() / 2];
        let gap_ms = frames
            .iter()
            .filter(|dbfs| **dbfs < median_dbfs - 6.0)
            .count()
            * 20;
        let power: f64 = self
            .samples
            .iter()
            .map(|s| (f64::from(*s) / 32768.0).powi(2))
            .sum();
        let rms_dbfs = 10.0 * (power / self.samples.len() as f64 * 2.0).max(1e-12).log10();
        Steadiness {
            median_dbfs,
            rms_dbfs,
            gap_ms,
        }
    }

    /// For failure messages: the levels of some tones.
    pub fn describe(&self, tones_hz: &[f64]) -> String {
        let levels: Vec<String> = tones_hz
            .iter()
            .map(|hz| {
                format!(
                    "{hz} Hz: {:.0} dBFS (max {:.0})",
                    self.tone_dbfs(*hz),
                    self.tone_max_dbfs(*hz)
                )
            })
            .collect();
        format!("{} ms; {}", self.duration_ms(), levels.join(", "))
    }
}

/// See [`Recording::steadiness`].
#[derive(Debug, Clone, Copy)]
pub struct Steadiness {
    /// The tone's power in the middle one of all 20 ms frames.
    pub median_dbfs: f64,
    /// Power of everything, on the same scale: equal when there is nothing but the tone.
    pub rms_dbfs: f64,
    /// How long the tone was at less than half its usual amplitude.
    pub gap_ms: usize,
}

/// The quietest that counts as heard: the tones are played at about -10 dBFS.
const PRESENT_DBFS: f64 = -30.0;
/// The loudest that counts as not heard: codec noise and leakage between bins are below.
const ABSENT_DBFS: f64 = -45.0;

/// Goertzel with a Hann window.
fn tone_dbfs(block: &[i16], rate_hz: u32, hz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hz / f64::from(rate_hz)).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    let last = (block.len() - 1) as f64;
    for (i, sample) in block.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * i as f64 / last).cos();
        let s0 = f64::from(*sample) / 32768.0 * window + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    // The window halves the amplitude; a sine of amplitude 1 has magnitude N/2.
    let amplitude = power.max(0.0).sqrt() * 4.0 / block.len() as f64;
    20.0 * amplitude.max(1e-9).log10()
}

/// A sine, for a phone to play.
pub fn sine(rate_hz: u32, hz: f64, seconds: u32, dbfs: f64) -> Recording {
    let amplitude = 10f64.powf(dbfs / 20.0) * 32767.0;
    let samples = (0..rate_hz * seconds)
        .map(|i| (amplitude * (TAU * hz * f64::from(i) / f64::from(rate_hz)).sin()) as i16)
        .collect();
    Recording { rate_hz, samples }
}

#[test]
fn a_tone_is_found_by_its_frequency_and_no_other_is() {
    let recording = sine(8000, 620.0, 2, -10.0);
    assert!((recording.tone_dbfs(620.0) + 10.0).abs() < 0.5);
    assert!(recording.has_tone(620.0));
    for other in [440.0, 590.0, 660.0, 1130.0, 1240.0] {
        assert!(
            recording.lacks_tone(other),
            "{}",
            recording.describe(&[other])
        );
    }
}
