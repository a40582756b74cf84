//! How a call sounds, estimated from what the network does to it: the E-model (ITU-T G.107),
//! with every parameter that a gateway cannot measure at its default value (clause 7.7, table 2:
//! no echo beyond a TELR of 65 dB, ordinary handsets and rooms, advantage factor 0).
//!
//! Of G.107 itself: the rating of an undisturbed call, Ie-eff (eq. 7-29) with BurstR 1 (loss taken
//! as random; the share given is what had to be invented, bursts included), and the score (annex
//! B). Not of G.107: the delay impairment is the two-line fit to it by Cole and Rosenbluth
//! (Computer Communication Review 31(2), 2001), within one point of R up to 400 ms. Assumed, not
//! from a standard: [`OPUS`].

use std::time::Duration;

/// Rating of an undisturbed narrowband call: G.107 with all default values.
const UNDISTURBED: f32 = 93.2;

/// Delay from which conversation suffers, in ms (Cole and Rosenbluth's fit).
const DELAY_KNEE_MS: f32 = 177.3;

/// How a codec bears loss (ITU-T G.113, appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodecImpairment {
    /// Ie: impairment without loss.
    pub base: f32,
    /// Bpl: the higher, the better loss is concealed.
    pub robustness: f32,
}

/// G.711 with concealment (G.113 table I.2: Ie 0, Bpl 25.1 with Appendix I).
pub const G711: CodecImpairment = CodecImpairment {
    base: 0.0,
    robustness: 25.1,
};

/// Opus at narrowband voice rates. G.113 lists no values; these are assumed and not yet fitted to
/// measurements.
pub const OPUS: CodecImpairment = CodecImpairment {
    base: 2.0,
    robustness: 30.0,
};

/// What one direction of a call goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// How its codec bears loss.
    pub codec: CodecImpairment,
    /// Mouth to ear: half the round trip, the buffer, and packetisation.
    pub delay: Duration,
    /// Share of audio lost or too late, 0.0–1.0.
    pub loss: f32,
}

/// The transmission rating factor R, 0–93: 80 and more satisfies, below 60 nobody is satisfied.
pub fn rating(path: Path) -> f32 {
    let delay_ms = path.delay.as_secs_f32() * 1e3;
    let delay_impairment = 0.024 * delay_ms + 0.11 * (delay_ms - DELAY_KNEE_MS).max(0.0);
    let loss_percent = path.loss.clamp(0.0, 1.0) * 100.0;
    let codec = path.codec;
    let loss_impairment =
        codec.base + (95.0 - codec.base) * loss_percent / (loss_percent + codec.robustness);
    (UNDISTURBED - delay_impairment - loss_impairment).clamp(0.0, 100.0)
}

/// Mean opinion score, 1.0–4.5, from the rating (G.107 annex B).
pub fn mean_opinion_score(path: Path) -> f32 {
    let rating = rating(path);
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    score.clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(delay_ms: u64, loss: f32) -> f32 {
        mean_opinion_score(Path {
            codec: G711,
            delay: Duration::from_millis(delay_ms),
            loss,
        })
    }

    #[test]
    fn a_clean_call_scores_4_4_and_a_bad_one_below_3() {
        assert!((score(20, 0.0) - 4.4).abs() < 0.05, "{}", score(20, 0.0));
        assert!((3.8..4.3).contains(&score(50, 0.03)), "{}", score(50, 0.03));
        assert!(score(400, 0.1) < 3.0, "{}", score(400, 0.1));
        assert!((1.0..1.1).contains(&score(2_000, 1.0)));
    }

    #[test]
    fn more_delay_and_more_loss_never_score_better() {
        for step in 0..50u16 {
            let (delay, loss) = (u64::from(step) * 10, f32::from(step) / 100.0);
            assert!(score(delay + 10, 0.0) <= score(delay, 0.0));
            assert!(score(20, loss + 0.01) <= score(20, loss));
        }
    }
}
