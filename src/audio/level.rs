//! Audio level as RFC 6464 counts it: −dBov, 0 loudest, 127 silence.

/// Level of digital silence.
pub const SILENCE_DBOV: u8 = 127;

/// Level of a frame in −dBov, 0 (loudest) to 127 (silence): 20·log10 of its RMS over full scale
/// (RFC 6464 §4; a full-scale sine gives 3, a full-scale square wave 0).
pub fn level_dbov(samples: &[i16]) -> u8 {
    let energy: u64 = samples
        .iter()
        .map(|sample| i64::from(*sample).pow(2).unsigned_abs())
        .sum();
    if energy == 0 || samples.is_empty() {
        return SILENCE_DBOV;
    }
    let mean = energy as f32 / samples.len() as f32;
    let dbov = 10.0 * (mean / (32_768.0 * 32_768.0)).log10();
    (-dbov).round().clamp(0.0, f32::from(SILENCE_DBOV)) as u8
}

/// The level octet of RFC 6464 §3: voice-activity flag and level.
pub fn level_octet(level_dbov: u8, voice: bool) -> u8 {
    u8::from(voice) << 7 | level_dbov.min(SILENCE_DBOV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_127_and_full_scale_is_0() {
        assert_eq!(level_dbov(&[0; 160]), SILENCE_DBOV);
        assert_eq!(level_dbov(&[]), SILENCE_DBOV);
        assert_eq!(level_dbov(&[i16::MIN; 160]), 0);
    }

    #[test]
    fn ten_times_less_amplitude_is_20_db_less() {
        assert_eq!(level_dbov(&[3_277; 160]), 20);
        assert_eq!(level_dbov(&[328; 160]), 40);
        assert_eq!(level_octet(40, true), 0xA8);
    }
}
