//! Comfort noise: what one hears when nothing is heard, so that the line does not seem dead.

/// Comfort noise that follows the background of a source: its level is learnt from the quietest
/// stretches of real audio.
#[derive(Debug, Clone)]
pub struct ComfortNoise {
    state: u32,
    /// One-pole low-pass memory: room noise is duller than white.
    smooth: f32,
    /// RMS in sample units.
    level: f32,
    /// Smallest frame RMS of the running window, and frames left in it.
    window_min: f32,
    window_left: u32,
}

/// Frames per window of the minimum search: two seconds.
const WINDOW_FRAMES: u32 = 100;

/// Never louder than −50 dBov, whatever was learnt: noise must not be mistaken for a voice.
const LEVEL_MAX: f32 = 104.0;

/// Never silent: −75 dBov, audible as "alive" on a handset and to nobody as noise.
const LEVEL_MIN: f32 = 5.8;

impl ComfortNoise {
    /// Quiet noise; `seed` tells sources apart.
    pub fn new(seed: u32) -> Self {
        Self {
            state: seed | 1,
            smooth: 0.0,
            level: LEVEL_MIN,
            window_min: f32::MAX,
            window_left: WINDOW_FRAMES,
        }
    }

    /// Learns from one frame of real audio.
    pub fn learn(&mut self, frame: &[i16]) {
        let energy: f32 = frame.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let rms = (energy / frame.len().max(1) as f32).sqrt();
        self.window_min = self.window_min.min(rms);
        // Downwards at once, upwards window by window.
        self.level = self.level.min(rms.max(LEVEL_MIN));
        self.window_left -= 1;
        if self.window_left == 0 {
            self.level = self.window_min.clamp(LEVEL_MIN, LEVEL_MAX);
            self.window_min = f32::MAX;
            self.window_left = WINDOW_FRAMES;
        }
    }

    /// Takes the level from a comfort-noise packet (RFC 3389 §3: −dBov, 0–127).
    pub fn set_level_dbov(&mut self, level_dbov: u8) {
        let rms = 32_768.0 * 10f32.powf(-f32::from(level_dbov & 0x7F) / 20.0);
        self.level = rms.clamp(0.0, LEVEL_MAX);
    }

    /// RMS of the noise in sample units.
    pub fn level(&self) -> f32 {
        self.level
    }

    /// The next sample.
    pub fn next_sample(&mut self) -> f32 {
        // xorshift32; uniform in ±1 has an RMS of 0.577, and the low-pass halves power to a third.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let white = self.state as i32 as f32 / 2_147_483_648.0;
        self.smooth += 0.5 * (white - self.smooth);
        self.smooth * self.level * 3.0
    }

    /// Fills a frame.
    pub fn generate(&mut self, frame: &mut [i16]) {
        for sample in frame {
            *sample = self.next_sample() as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::level_dbov;

    #[test]
    fn noise_has_the_level_it_was_told_and_never_more_than_the_cap() {
        let mut noise = ComfortNoise::new(7);
        let mut frame = [0i16; 1_600];
        noise.set_level_dbov(60);
        noise.generate(&mut frame);
        assert!(
            (58..=62).contains(&level_dbov(&frame)),
            "{}",
            level_dbov(&frame)
        );
        noise.set_level_dbov(10);
        noise.generate(&mut frame);
        assert!(level_dbov(&frame) >= 48);
    }

    #[test]
    fn the_level_follows_the_pauses_of_speech_not_the_speech() {
        let mut noise = ComfortNoise::new(7);
        for second in 0..4 {
            for frame in 0..50 {
                let loud = frame % 10 != 0;
                noise.learn(&[if loud { 8_000 } else { 30 }; 160]);
            }
            if second >= 2 {
                assert!((29.0..31.0).contains(&noise.level()), "{}", noise.level());
            }
        }
    }
}
