//! Keys heard in the sound itself: the tone pairs of ITU-T Q.23, found by Goertzel's filter with
//! the tolerances of Q.24. For phones and lines that have no other way to send them.

use std::f32::consts::TAU;

const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// 12.8 ms: a tone of 40 ms, the shortest that must be heard, fills two blocks wherever it begins.
const BLOCKS_PER_SECOND: u32 = 78;

/// Blocks in a row with the same key that make a press, and without it that end one.
const PRESSED_BLOCKS: u32 = 2;
const RELEASED_BLOCKS: u32 = 2;

/// Mean square below which nothing is a key: −36 dBov.
const POWER_MIN: f32 = 270_000.0;

/// Share of a block's power that the pair must have: voices spread theirs.
const SHARE_MIN: f32 = 0.7;

/// How much stronger the row may be than the column, and the column than the row (Q.24: 8 and 4
/// dB, and a little), as ratios of power.
const ROW_OVER_COLUMN_MAX: f32 = 8.0;
const COLUMN_OVER_ROW_MAX: f32 = 4.0;

/// By this ratio of power the strongest tone of a group must exceed the others of it: 6 dB.
const OVER_OTHERS_MIN: f32 = 4.0;

/// Hears one voice.
#[derive(Debug, Clone)]
pub struct KeyToneDetector {
    block: usize,
    coefficients: [f32; 8],
    states: [[f32; 2]; 8],
    power: f32,
    filled: usize,
    /// Heard in the last block, and in how many before it.
    candidate: Option<char>,
    blocks: u32,
    pressed: bool,
}

impl KeyToneDetector {
    /// For PCM at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate = sample_rate_hz as f32;
        let mut coefficients = [0.0; 8];
        let tones = ROWS_HZ.iter().chain(&COLUMNS_HZ);
        for (coefficient, hz) in coefficients.iter_mut().zip(tones) {
            *coefficient = 2.0 * (TAU * hz / rate).cos();
        }
        Self {
            block: (sample_rate_hz / BLOCKS_PER_SECOND) as usize,
            coefficients,
            states: [[0.0; 2]; 8],
            power: 0.0,
            filled: 0,
            candidate: None,
            blocks: 0,
            pressed: false,
        }
    }

    /// Takes the next samples; returns a key when it has been pressed, once per press.
    pub fn hear(&mut self, samples: &[i16]) -> Option<char> {
        let mut pressed = None;
        for sample in samples {
            let sample = f32::from(*sample);
            self.power += sample * sample;
            for (state, coefficient) in self.states.iter_mut().zip(&self.coefficients) {
                let next = sample + coefficient * state[0] - state[1];
                *state = [next, state[0]];
            }
            self.filled += 1;
            if self.filled == self.block {
                pressed = self.finish_block().or(pressed);
            }
        }
        pressed
    }

    fn finish_block(&mut self) -> Option<char> {
        let key = self.key_of_block();
        self.states = [[0.0; 2]; 8];
        self.power = 0.0;
        self.filled = 0;
        if key == self.candidate {
            self.blocks = self.blocks.saturating_add(1);
        } else {
            self.candidate = key;
            self.blocks = 1;
        }
        match key {
            None if self.blocks >= RELEASED_BLOCKS => self.pressed = false,
            Some(_) if self.blocks >= PRESSED_BLOCKS && !self.pressed => {
                self.pressed = true;
                return key;
            }
            _ => {}
        }
        None
    }

    fn key_of_block(&self) -> Option<char> {
        let samples = self.block as f32;
        if self.power / samples < POWER_MIN {
            return None;
        }
        let mut powers = [0.0f32; 8];
        for ((power, [s1, s2]), coefficient) in
            powers.iter_mut().zip(&self.states).zip(&self.coefficients)
        {
            *power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
        }
        let (row, row_power) = strongest(&powers[..4])?;
        let (column, column_power) = strongest(&powers[4..])?;
        // A sine's share of a block's power is 2·|X|²/(N·Σx²).
        let share = 2.0 * (row_power + column_power) / (samples * self.power);
        let fits = share >= SHARE_MIN
            && row_power <= ROW_OVER_COLUMN_MAX * column_power
            && column_power <= COLUMN_OVER_ROW_MAX * row_power;
        fits.then(|| KEYS[row][column])
    }
}

/// The strongest of a group and its power, if it clearly exceeds the others.
fn strongest(powers: &[f32]) -> Option<(usize, f32)> {
    let (index, power) = powers
        .iter()
        .copied()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let mut others = powers
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    let exceeds = others.all(|(_, other)| power >= OVER_OTHERS_MIN * other);
    exceeds.then_some((index, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::ToneGenerator;

    /// `ms` of the key's tones, each at `amplitude`, off by `off` of their frequency.
    fn tones(rate: u32, key: char, ms: usize, amplitude: (f64, f64), off: f64) -> Vec<i16> {
        let row = KEYS.iter().position(|row| row.contains(&key)).unwrap();
        let column = KEYS[row].iter().position(|one| *one == key).unwrap();
        let hz = |hz: f32| f64::from(hz) * (1.0 + off);
        let mut low = ToneGenerator::new(rate, hz(ROWS_HZ[row]), amplitude.0);
        let mut high = ToneGenerator::new(rate, hz(COLUMNS_HZ[column]), amplitude.1);
        let samples = rate as usize * ms / 1_000;
        (0..samples)
            .map(|_| low.next_sample() + high.next_sample())
            .collect()
    }

    fn hear(detector: &mut KeyToneDetector, pcm: &[i16]) -> String {
        let frames = pcm.chunks(detector.block * 2 - 1);
        frames.filter_map(|frame| detector.hear(frame)).collect()
    }

    #[test]
    fn every_key_is_heard_once_at_every_rate_however_it_begins() {
        for rate in [8_000, 16_000, 48_000] {
            for shift in [0, 3, 7] {
                let mut detector = KeyToneDetector::new(rate);
                let mut heard = String::new();
                let keys = "0123456789*#ABCD55";
                hear(&mut detector, &vec![0; rate as usize * shift / 1_000]);
                for key in keys.chars() {
                    let pcm = tones(rate, key, 45, (0.2, 0.2), 0.0);
                    heard += &hear(&mut detector, &pcm);
                    heard += &hear(&mut detector, &vec![0; rate as usize * 45 / 1_000]);
                }
                assert_eq!(heard, keys, "{rate} Hz, {shift} ms");
            }
        }
    }

    #[test]
    fn long_uneven_and_slightly_wrong_tones_are_one_key_each() {
        for (amplitude, off) in [
            ((0.3, 0.12), 0.0),
            ((0.15, 0.25), 0.0),
            ((0.2, 0.2), 0.015),
            ((0.2, 0.2), -0.015),
            ((0.03, 0.03), 0.0),
        ] {
            let mut detector = KeyToneDetector::new(8_000);
            let pcm = tones(8_000, '7', 900, amplitude, off);
            assert_eq!(hear(&mut detector, &pcm), "7", "{amplitude:?} {off}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_heard() {
        let mut detector = KeyToneDetector::new(8_000);
        // Too short, one tone only, too uneven, far off, too quiet.
        let short = tones(8_000, '1', 12, (0.2, 0.2), 0.0);
        assert_eq!(hear(&mut detector, &short), "");
        assert_eq!(hear(&mut detector, &[0; 800]), "");
        for (amplitude, off) in [
            ((0.3, 0.0), 0.0),
            ((0.0, 0.3), 0.0),
            ((0.4, 0.05), 0.0),
            ((0.2, 0.2), 0.05),
            ((0.005, 0.005), 0.0),
        ] {
            let pcm = tones(8_000, '5', 300, amplitude, off);
            assert_eq!(hear(&mut detector, &pcm), "", "{amplitude:?} {off}");
            assert_eq!(hear(&mut detector, &[0; 800]), "");
        }
        // Harmonics of a voice, and noise.
        let mut voice = vec![0i16; 16_000];
        for harmonic in 1..20 {
            let hz = 140.0 * f64::from(harmonic);
            let mut tone = ToneGenerator::new(8_000, hz, 0.3 / f64::from(harmonic));
            for sample in &mut voice {
                *sample = sample.saturating_add(tone.next_sample());
            }
        }
        assert_eq!(hear(&mut detector, &voice), "");
        let mut state = 1u32;
        let noise: Vec<i16> = (0..80_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 17) as i16 - 16_384
            })
            .collect();
        assert_eq!(hear(&mut detector, &noise), "");
    }
}
