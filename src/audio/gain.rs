//! Gentle automatic gain: a quiet caller is brought nearer to the others, a loud one less so; so
//! slowly that nobody hears it move, and never in a pause.

use super::frame::TICKS_PER_SECOND;

/// Where speech is brought: −23 dBov, what headsets and browsers send.
const TARGET_DBOV: f32 = -23.0;

/// What it may do at most, in dB.
const GAIN_MIN_DB: f32 = -6.0;
const GAIN_MAX_DB: f32 = 12.0;

/// How fast it may change, in dB a second.
const SLEW_DB_PER_SECOND: f32 = 3.0;

/// Quieter than this is no speech, whatever the background.
const SPEECH_MIN_DBOV: f32 = -55.0;

/// Speech stands by this much above the background.
const OVER_BACKGROUND_DB: f32 = 12.0;

/// How fast the measured background rises where it is louder than thought, in dB a second.
const BACKGROUND_RISE_DB_PER_SECOND: f32 = 1.0;

/// Time in which the measured speech follows, in seconds.
const SPEECH_SECONDS: f32 = 1.0;

/// Loudest sample that a gain above one may make.
const PEAK_MAX: f32 = 30_000.0;

const TICK_SECONDS: f32 = 1.0 / TICKS_PER_SECOND as f32;

/// The gain of one voice.
#[derive(Debug, Clone)]
pub struct AutomaticGain {
    gain_db: f32,
    /// Applied to the last sample.
    applied: f32,
    speech_dbov: f32,
    background_dbov: f32,
}

impl AutomaticGain {
    /// Gain 1.
    pub fn new() -> Self {
        Self {
            gain_db: 0.0,
            applied: 1.0,
            speech_dbov: TARGET_DBOV,
            background_dbov: SPEECH_MIN_DBOV - OVER_BACKGROUND_DB,
        }
    }

    /// Gain in force, in dB.
    pub fn gain_db(&self) -> f32 {
        self.gain_db
    }

    /// Applies it to one tick.
    pub fn apply(&mut self, frame: &mut [i16]) {
        let (power, peak) = frame
            .iter()
            .fold((0.0f32, 0.0f32), |(power, peak), sample| {
                let sample = f32::from(*sample);
                (power + sample * sample, peak.max(sample.abs()))
            });
        let mean = power / frame.len().max(1) as f32;
        if mean > 0.0 {
            self.follow(10.0 * (mean / (32_768.0 * 32_768.0)).log10());
        }
        let wanted = 10f32.powf(self.gain_db / 20.0);
        let bound = (PEAK_MAX / peak.max(1.0)).max(1.0);
        let to = wanted.min(bound);
        // A peak was not seen coming: no ramp then.
        self.applied = self.applied.min(bound);
        let step = (to - self.applied) / frame.len().max(1) as f32;
        for sample in frame {
            self.applied += step;
            *sample = (f32::from(*sample) * self.applied).clamp(-32_768.0, 32_767.0) as i16;
        }
        self.applied = to;
    }

    fn follow(&mut self, level_dbov: f32) {
        let rise = BACKGROUND_RISE_DB_PER_SECOND * TICK_SECONDS;
        self.background_dbov = level_dbov.min(self.background_dbov + rise);
        let speaks =
            level_dbov > SPEECH_MIN_DBOV && level_dbov > self.background_dbov + OVER_BACKGROUND_DB;
        if !speaks {
            return;
        }
        let share = TICK_SECONDS / SPEECH_SECONDS;
        self.speech_dbov += share * (level_dbov - self.speech_dbov);
        let wanted = (TARGET_DBOV - self.speech_dbov).clamp(GAIN_MIN_DB, GAIN_MAX_DB);
        let slew = SLEW_DB_PER_SECOND * TICK_SECONDS;
        self.gain_db += (wanted - self.gain_db).clamp(-slew, slew);
    }
}

impl Default for AutomaticGain {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::level_dbov;
    use crate::audio::tone::ToneGenerator;

    /// Syllables of a tone at so many dBov for so many seconds; levels of the loud ticks of the
    /// last second, and the gain.
    fn speak(gain: &mut AutomaticGain, dbov: f64, seconds: usize) -> (u8, f32) {
        let amplitude = 10f64.powf(dbov / 20.0) * std::f64::consts::SQRT_2;
        let mut tone = ToneGenerator::new(8_000, 300.0, amplitude);
        let mut loudest = 127;
        for tick in 0..seconds * 50 {
            let mut frame = [0i16; 160];
            tone.generate(&mut frame);
            if tick % 25 >= 15 {
                frame = frame.map(|sample| sample / 200);
            }
            gain.apply(&mut frame);
            if tick >= (seconds - 1) * 50 {
                loudest = loudest.min(level_dbov(&frame));
            }
        }
        (loudest, gain.gain_db())
    }

    #[test]
    fn a_quiet_voice_comes_up_a_loud_one_down_and_an_ordinary_one_stays() {
        let (level, gain) = speak(&mut AutomaticGain::new(), -33.0, 15);
        assert!((22..=25).contains(&level), "−{level} dBov at {gain} dB");
        let (level, gain) = speak(&mut AutomaticGain::new(), -18.0, 15);
        assert!((22..=24).contains(&level), "−{level} dBov at {gain} dB");
        let (_, gain) = speak(&mut AutomaticGain::new(), -23.0, 15);
        assert!(gain.abs() < 0.5, "{gain} dB");
    }

    #[test]
    fn it_moves_slowly_and_stays_within_its_bounds() {
        let mut gain = AutomaticGain::new();
        let (_, after_a_second) = speak(&mut gain, -50.0, 1);
        assert!(after_a_second <= SLEW_DB_PER_SECOND, "{after_a_second} dB");
        let (_, later) = speak(&mut gain, -50.0, 30);
        assert!(
            (GAIN_MAX_DB - 0.1..=GAIN_MAX_DB).contains(&later),
            "{later} dB"
        );
    }

    #[test]
    fn pauses_and_the_noise_of_the_line_move_nothing() {
        let mut gain = AutomaticGain::new();
        speak(&mut gain, -30.0, 10);
        let before = gain.gain_db();
        for _ in 0..1_000 {
            gain.apply(&mut [20; 160]);
            gain.apply(&mut [0; 160]);
        }
        assert_eq!(gain.gain_db(), before);
    }

    #[test]
    fn a_shout_after_whispers_is_not_clipped() {
        let mut gain = AutomaticGain::new();
        speak(&mut gain, -45.0, 20);
        let mut tone = ToneGenerator::new(8_000, 300.0, 0.9);
        let mut frames = Vec::new();
        for _ in 0..10 {
            let mut frame = [0i16; 160];
            tone.generate(&mut frame);
            gain.apply(&mut frame);
            frames.extend(frame);
        }
        let peak = frames.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(peak < Some(32_000), "{peak:?}");
    }
}
