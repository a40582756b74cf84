//! G.722 (ITU-T G.722, 64 kbit/s): wideband voice at 16 kHz in two ADPCM sub-bands.
//!
//! An octet holds a pair of samples: six bits of the band below 4 kHz, two of the band above. RTP
//! counts octets: its clock is 8 kHz, whatever the name says (RFC 3551 §4.5.2). All arithmetic is
//! the Recommendation's, in integers; `fixtures/g722` holds what another implementation makes of
//! the same speech, bit for bit.

/// PCM rate in Hz.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Octets a second, and so units of the RTP clock.
pub const CLOCK_RATE_HZ: u32 = 8_000;

/// Taps of the quadrature mirror filters (table 11); the other half is this one mirrored.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's 60-level quantiser (table 14).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940,
    1_023, 1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];

/// Its code for a negative and a positive difference in each interval (table 14).
const LOW_NEGATIVE: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
    10, 9, 8, 7, 6, 5, 4,
];
const LOW_POSITIVE: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39,
    38, 37, 36, 35, 34, 33, 32,
];

/// Output levels of the lower band's inverse quantiser with all six bits, and with four (the ones
/// that adapt, so that bits robbed from the octet do not part the two ends).
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];

/// Output levels of the upper band's inverse quantiser.
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];

/// Logarithmic scale factor multipliers of the lower band, by its four-bit code, and of the upper.
const WL: [i32; 16] = [
    -60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60,
];
const WH: [i32; 4] = [798, -214, 798, -214];

/// Logarithm to linear (table 17).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// The largest logarithmic scale factors, and where their linear range begins.
const LOW: Scale = Scale {
    log_max: 18_432,
    shift: 8,
};
const HIGH: Scale = Scale {
    log_max: 22_528,
    shift: 10,
};

#[derive(Debug, Clone, Copy)]
struct Scale {
    log_max: i32,
    shift: i32,
}

/// Makes octets of PCM. Small and `Copy`: a stream that parts in two goes on in both.
#[derive(Debug, Clone, Copy)]
pub struct G722Encoder {
    low: Band,
    high: Band,
    history: [i32; 24],
}

impl G722Encoder {
    /// The state both ends begin with.
    pub fn new() -> Self {
        Self {
            low: Band::new(32),
            high: Band::new(8),
            history: [0; 24],
        }
    }

    /// Encodes pairs of samples at 16 kHz, as many as both slices hold; returns the octets.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        let mut count = 0;
        for (pair, octet) in samples.chunks_exact(2).zip(octets) {
            *octet = self.encode_pair(i32::from(pair[0]), i32::from(pair[1]));
            count += 1;
        }
        count
    }

    fn encode_pair(&mut self, first: i32, second: i32) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[22] = first;
        self.history[23] = second;
        let (odd, even) = filter(&self.history);
        let low = self.encode_low((even + odd) >> 14);
        let high = self.encode_high((even - odd) >> 14);
        high << 6 | low
    }

    fn encode_low(&mut self, input: i32) -> u8 {
        let band = &mut self.low;
        let difference = saturate(input - band.estimate);
        let magnitude = if difference < 0 {
            -(difference + 1)
        } else {
            difference
        };
        let interval = (1..30)
            .find(|level| magnitude < (Q6[*level] * band.scale) >> 12)
            .unwrap_or(30);
        let code = match difference < 0 {
            true => LOW_NEGATIVE[interval],
            false => LOW_POSITIVE[interval],
        };
        let coarse = usize::from(code >> 2);
        let quantised = (band.scale * QM4[coarse]) >> 15;
        band.adapt_scale(WL[coarse], LOW);
        band.predict(quantised);
        code
    }

    fn encode_high(&mut self, input: i32) -> u8 {
        let band = &mut self.high;
        let difference = saturate(input - band.estimate);
        let magnitude = if difference < 0 {
            -(difference + 1)
        } else {
            difference
        };
        let large = magnitude >= (564 * band.scale) >> 12;
        let code: u8 = match (difference < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        let quantised = (band.scale * QM2[usize::from(code)]) >> 15;
        band.adapt_scale(WH[usize::from(code)], HIGH);
        band.predict(quantised);
        code
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes PCM of octets.
#[derive(Debug, Clone, Copy)]
pub struct G722Decoder {
    low: Band,
    high: Band,
    history: [i32; 24],
}

impl G722Decoder {
    /// The state both ends begin with.
    pub fn new() -> Self {
        Self {
            low: Band::new(32),
            high: Band::new(8),
            history: [0; 24],
        }
    }

    /// Decodes octets to pairs of samples at 16 kHz, as many as both slices hold; returns the
    /// samples.
    pub fn decode(&mut self, octets: &[u8], samples: &mut [i16]) -> usize {
        let mut count = 0;
        for (octet, pair) in octets.iter().zip(samples.chunks_exact_mut(2)) {
            let (first, second) = self.decode_octet(*octet);
            pair[0] = first;
            pair[1] = second;
            count += 2;
        }
        count
    }

    fn decode_octet(&mut self, octet: u8) -> (i16, i16) {
        let low = self.decode_low(octet & 0x3F);
        let high = self.decode_high(octet >> 6);
        self.history.copy_within(2.., 0);
        self.history[22] = low + high;
        self.history[23] = low - high;
        let (second, first) = filter(&self.history);
        (saturate(first >> 11) as i16, saturate(second >> 11) as i16)
    }

    fn decode_low(&mut self, code: u8) -> i32 {
        let band = &mut self.low;
        let fine = (band.scale * QM6[usize::from(code)]) >> 15;
        let output = (band.estimate + fine).clamp(-16_384, 16_383);
        let coarse = usize::from(code >> 2);
        let quantised = (band.scale * QM4[coarse]) >> 15;
        band.adapt_scale(WL[coarse], LOW);
        band.predict(quantised);
        output
    }

    fn decode_high(&mut self, code: u8) -> i32 {
        let band = &mut self.high;
        let quantised = (band.scale * QM2[usize::from(code)]) >> 15;
        let output = (band.estimate + quantised).clamp(-16_384, 16_383);
        band.adapt_scale(WH[usize::from(code)], HIGH);
        band.predict(quantised);
        output
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// One sub-band's adaptive predictor: two poles, six zeros, and the quantiser's scale.
#[derive(Debug, Clone, Copy)]
struct Band {
    /// `s`: the predicted sample, and `sz`, the zeros' share of it.
    estimate: i32,
    estimate_zeros: i32,
    /// `nb` and `det`: logarithm of the quantiser's scale, and the scale.
    log_scale: i32,
    scale: i32,
    /// `a1`, `a2`; reconstructed signals `r1`, `r2`; partially reconstructed `p1`, `p2`.
    poles: [i32; 2],
    reconstructed: [i32; 2],
    partial: [i32; 2],
    /// `b1`–`b6` and the differences `d1`–`d6` they weigh.
    zeros: [i32; 6],
    differences: [i32; 6],
}

impl Band {
    fn new(scale: i32) -> Self {
        Self {
            estimate: 0,
            estimate_zeros: 0,
            log_scale: 0,
            scale,
            poles: [0; 2],
            reconstructed: [0; 2],
            partial: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
        }
    }

    /// LOGSCL and SCALEL, LOGSCH and SCALEH.
    fn adapt_scale(&mut self, weight: i32, scale: Scale) {
        let log = ((self.log_scale * 127) >> 7) + weight;
        self.log_scale = log.clamp(0, scale.log_max);
        let mantissa = ILB[(self.log_scale >> 6 & 31) as usize];
        let shift = scale.shift - (self.log_scale >> 11);
        let linear = match shift < 0 {
            true => mantissa << -shift,
            false => mantissa >> shift,
        };
        self.scale = linear << 2;
    }

    /// Block 4: adapts the predictor to the quantised difference and predicts the next sample.
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.estimate_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);

        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];

        let weigh = |weight: i32, signal: i32| (weight * saturate(signal + signal)) >> 15;
        let poles = saturate(
            weigh(self.poles[0], self.reconstructed[0])
                + weigh(self.poles[1], self.reconstructed[1]),
        );
        let terms = self.zeros.iter().zip(&self.differences);
        let zeros: i32 = terms.map(|(weight, signal)| weigh(*weight, *signal)).sum();
        self.estimate_zeros = saturate(zeros);
        self.estimate = saturate(poles + self.estimate_zeros);
    }

    /// UPPOL1 and UPPOL2.
    fn adapt_poles(&mut self, partial: i32) {
        let sign = partial < 0;
        let with_last = sign == (self.partial[0] < 0);
        let with_before = sign == (self.partial[1] < 0);
        let four_times = saturate(self.poles[0] << 2);
        let turned = if with_last {
            (-four_times).min(32_767)
        } else {
            four_times
        };
        let step = if with_before { 128 } else { -128 };
        let second = step + (turned >> 7) + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let step = if with_last { 192 } else { -192 };
        let first = saturate(step + ((self.poles[0] * 32_640) >> 15));
        // Keeps the filter stable.
        let bound = saturate(15_360 - second);
        self.poles = [first.clamp(-bound, bound), second];
    }

    /// UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let same = (*earlier < 0) == (difference < 0);
            let step = if same { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }
    }
}

/// Both halves of the 24-tap quadrature mirror filter: over the first and over the second sample of
/// each pair.
fn filter(history: &[i32; 24]) -> (i32, i32) {
    let (mut odd, mut even) = (0, 0);
    for (tap, pair) in history.chunks_exact(2).enumerate() {
        odd += pair[0] * QMF[tap];
        even += pair[1] * QMF[11 - tap];
    }
    (odd, even)
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{ToneGenerator, find_peak, signal_to_noise_db};

    fn samples(bytes: &[u8]) -> Vec<i16> {
        let pairs = bytes.chunks_exact(2);
        pairs
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    const SPEECH: &[u8] = include_bytes!("../../fixtures/g722/input.s16");
    const FOREIGN_OCTETS: &[u8] = include_bytes!("../../fixtures/g722/spandsp.g722");
    const FOREIGN_PCM: &[u8] = include_bytes!("../../fixtures/g722/spandsp.s16");

    #[test]
    fn encoding_gives_the_octets_that_spandsp_gives() {
        let input = samples(SPEECH);
        let mut octets = vec![0; input.len() / 2];
        assert_eq!(G722Encoder::new().encode(&input, &mut octets), octets.len());
        let first_different = octets.iter().zip(FOREIGN_OCTETS).position(|(a, b)| a != b);
        assert_eq!(
            (first_different, octets.len()),
            (None, FOREIGN_OCTETS.len())
        );
    }

    #[test]
    fn decoding_gives_the_samples_that_spandsp_gives() {
        let expected = samples(FOREIGN_PCM);
        let mut pcm = vec![0; expected.len()];
        assert_eq!(
            G722Decoder::new().decode(FOREIGN_OCTETS, &mut pcm),
            pcm.len()
        );
        // At the rails spandsp wraps where the Recommendation saturates.
        let wrapped = |ours: i16, theirs: i16| {
            (ours == i16::MAX && theirs < 0) || (ours == i16::MIN && theirs > 0)
        };
        let different: Vec<_> = (0..pcm.len())
            .map(|at| (at, pcm[at], expected[at]))
            .filter(|(_, ours, theirs)| ours != theirs && !wrapped(*ours, *theirs))
            .collect();
        assert_eq!(different, []);
    }

    #[test]
    fn a_tone_of_either_band_comes_back_at_its_pitch_and_level() {
        for hz in [440.0, 1_900.0, 5_200.0] {
            let mut pcm = vec![0i16; 16_000];
            ToneGenerator::new(16_000, hz, 0.25).generate(&mut pcm);
            let mut octets = vec![0u8; 8_000];
            G722Encoder::new().encode(&pcm, &mut octets);
            let mut heard = vec![0i16; 16_000];
            G722Decoder::new().decode(&octets, &mut heard);
            let peak = find_peak(&heard[4_000..], 16_000).unwrap();
            assert!((peak.frequency_hz - hz).abs() < 1.0, "{hz}: {peak:?}");
            let purity = signal_to_noise_db(&heard[4_000..], 16_000, hz);
            assert!(purity > 15.0, "{hz} Hz: {purity} dB");
            let power =
                |pcm: &[i16]| -> f64 { pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum() };
            let gain_db = 10.0 * (power(&heard[4_000..]) / power(&pcm[4_000..])).log10();
            assert!(gain_db.abs() < 1.0, "{hz} Hz: {gain_db} dB");
        }
    }

    #[test]
    fn no_octets_make_it_overflow() {
        let mut decoder = G722Decoder::new();
        let mut encoder = G722Encoder::new();
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as u16
        };
        for round in 0..400 {
            let octets: [u8; 160] = std::array::from_fn(|at| match round % 4 {
                0 => random() as u8,
                1 => 0x3F,
                2 => (at as u8 & 1) * 0xFF,
                _ => 0x04,
            });
            let mut pcm = [0i16; 320];
            decoder.decode(&octets, &mut pcm);
            let loud: [i16; 320] = std::array::from_fn(|at| match round % 3 {
                0 => random() as i16,
                1 if at % 2 == 0 => i16::MAX,
                _ => i16::MIN,
            });
            let mut out = [0u8; 160];
            encoder.encode(&loud, &mut out);
        }
    }
}
