//! G.711 (ITU-T G.711, RFC 3551 §4.5.14): µ-law and A-law by tables built at compile time.

/// Silence in µ-law.
pub const ULAW_SILENCE: u8 = 0xFF;

/// Silence in A-law.
pub const ALAW_SILENCE: u8 = 0xD5;

static ULAW_TO_LINEAR: [i16; 256] = ulaw_decode_table();
static ALAW_TO_LINEAR: [i16; 256] = alaw_decode_table();
// Linear to companded by the upper 14 (µ) and 13 (A) bits of the sample: the codes resolve no more.
static LINEAR_TO_ULAW: [u8; 1 << 14] = ulaw_encode_table();
static LINEAR_TO_ALAW: [u8; 1 << 13] = alaw_encode_table();

/// Which of the two laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// µ-law, PCMU.
    Ulaw,
    /// A-law, PCMA.
    Alaw,
}

impl Law {
    /// One code to linear 16 bits.
    pub fn decode_sample(self, code: u8) -> i16 {
        match self {
            Self::Ulaw => ULAW_TO_LINEAR[usize::from(code)],
            Self::Alaw => ALAW_TO_LINEAR[usize::from(code)],
        }
    }

    /// One linear sample to its code.
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Ulaw => LINEAR_TO_ULAW[usize::from(sample as u16 >> 2)],
            Self::Alaw => LINEAR_TO_ALAW[usize::from(sample as u16 >> 3)],
        }
    }

    /// Decodes as many samples as both slices hold; returns that number.
    pub fn decode(self, codes: &[u8], samples: &mut [i16]) -> usize {
        let table = match self {
            Self::Ulaw => &ULAW_TO_LINEAR,
            Self::Alaw => &ALAW_TO_LINEAR,
        };
        for (sample, code) in samples.iter_mut().zip(codes) {
            *sample = table[usize::from(*code)];
        }
        codes.len().min(samples.len())
    }

    /// Encodes as many samples as both slices hold; returns that number.
    pub fn encode(self, samples: &[i16], codes: &mut [u8]) -> usize {
        for (code, sample) in codes.iter_mut().zip(samples) {
            *code = self.encode_sample(*sample);
        }
        samples.len().min(codes.len())
    }

    /// The code of silence.
    pub fn silence(self) -> u8 {
        match self {
            Self::Ulaw => ULAW_SILENCE,
            Self::Alaw => ALAW_SILENCE,
        }
    }
}

const fn ulaw_decode(code: u8) -> i16 {
    const BIAS: i32 = 0x84;
    let code = !code;
    let exponent = (code >> 4) & 7;
    let magnitude = ((((code & 0x0F) as i32) << 3) + BIAS) << exponent;
    let linear = magnitude - BIAS;
    (if code & 0x80 != 0 { -linear } else { linear }) as i16
}

const fn alaw_decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = ((code & 0x0F) as i32) << 4;
    let linear = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (exponent - 1),
    };
    (if code & 0x80 != 0 { linear } else { -linear }) as i16
}

const fn ulaw_encode(sample: i32) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let negative = sample < 0;
    let magnitude = if negative { -sample } else { sample };
    let magnitude = (if magnitude > CLIP { CLIP } else { magnitude }) + BIAS;
    // Of the highest bit set, from bit 7 (segment 0) to bit 14 (segment 7).
    let exponent = 31 - magnitude.leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    let sign = if negative { 0x80 } else { 0 };
    !((sign | (exponent << 4) | mantissa) as u8)
}

const fn alaw_encode(sample: i32) -> u8 {
    let negative = sample < 0;
    // One's complement for negatives: code steps are symmetric around -1/0.
    let magnitude = if negative { !sample } else { sample } >> 3;
    let (exponent, mantissa) = if magnitude < 32 {
        (0, magnitude >> 1)
    } else {
        let exponent = 31 - magnitude.leading_zeros() as i32 - 4;
        (exponent, (magnitude >> exponent) & 0x0F)
    };
    let sign = if negative { 0 } else { 0x80 };
    ((sign | (exponent << 4) | mantissa) as u8) ^ 0x55
}

const fn ulaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw_decode(code as u8);
        code += 1;
    }
    table
}

const fn alaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw_decode(code as u8);
        code += 1;
    }
    table
}

const fn ulaw_encode_table() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        // The middle of the four samples that share the index.
        let sample = ((index as u16) << 2) as i16 as i32;
        table[index] = ulaw_encode(sample + if sample < 0 { 1 } else { 2 });
        index += 1;
    }
    table
}

const fn alaw_encode_table() -> [u8; 1 << 13] {
    let mut table = [0; 1 << 13];
    let mut index = 0;
    while index < 1 << 13 {
        table[index] = alaw_encode(((index as u16) << 3) as i16 as i32);
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for law in [Law::Ulaw, Law::Alaw] {
            for code in 0..=255u8 {
                let again = law.encode_sample(law.decode_sample(code));
                // µ-law has two zeros; both decode to 0.
                let same = again == code || law == Law::Ulaw && code == 0x7F && again == 0xFF;
                assert!(same, "{law:?} {code:#04x} came back as {again:#04x}");
            }
        }
    }

    #[test]
    fn known_values_of_the_recommendation() {
        // ITU-T G.711 tables 1 and 2: extremes and smallest steps, scaled to 16 bits.
        assert_eq!(Law::Ulaw.decode_sample(0x80), 32_124);
        assert_eq!(Law::Ulaw.decode_sample(0x00), -32_124);
        assert_eq!(Law::Ulaw.decode_sample(0xFF), 0);
        assert_eq!(Law::Ulaw.decode_sample(0xFE), 8);
        assert_eq!(Law::Alaw.decode_sample(0xAA), 32_256);
        assert_eq!(Law::Alaw.decode_sample(0x2A), -32_256);
        assert_eq!(Law::Alaw.decode_sample(0xD5), 8);
        assert_eq!(Law::Alaw.decode_sample(0x55), -8);
        assert_eq!(Law::Ulaw.encode_sample(0), ULAW_SILENCE);
        assert_eq!(Law::Alaw.encode_sample(0), ALAW_SILENCE);
    }

    #[test]
    fn companding_error_stays_within_half_a_step_for_all_samples() {
        for law in [Law::Ulaw, Law::Alaw] {
            for sample in i16::MIN..=i16::MAX {
                let error =
                    i32::from(law.decode_sample(law.encode_sample(sample))) - i32::from(sample);
                let allowed = 16 + i32::from(sample).abs() / 30;
                let clipped = i32::from(sample).abs() > 32_000;
                assert!(
                    error.abs() <= allowed || clipped,
                    "{law:?} {sample}: {error}"
                );
            }
        }
    }
}
