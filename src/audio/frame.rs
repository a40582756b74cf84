//! The frame: 20 ms of mono PCM, the unit of a tick.

use std::time::Duration;

/// Length of a tick and of every frame.
pub const TICK: Duration = Duration::from_millis(20);

/// Ticks in a second.
pub const TICKS_PER_SECOND: u32 = 50;

/// Samples of a frame at 8 kHz.
pub const FRAME_8K_SAMPLES: usize = samples(8_000);

/// Samples of a frame at 48 kHz, the largest used.
pub const FRAME_SAMPLES_MAX: usize = samples(48_000);

/// 20 ms at 8 kHz: what a narrowband leg hears and says per tick.
pub type Frame8k = [i16; FRAME_8K_SAMPLES];

/// A rate at which phones speak and hear: one bus of the mixer each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// 8 kHz: G.711, and Opus phones that play no more.
    Narrow,
    /// 16 kHz: G.722, and Opus phones that play no more.
    Wide,
    /// 48 kHz: Opus.
    Full,
}

impl Band {
    /// Every band, narrowest first; a band stands at its own [`Band::index`].
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Wide, Self::Full];

    /// PCM rate in Hz.
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// Samples of a frame.
    pub const fn samples(self) -> usize {
        samples(self.sample_rate_hz())
    }

    /// Its place in [`Band::ALL`], for arrays.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Samples of a frame at `sample_rate_hz`.
pub const fn samples(sample_rate_hz: u32) -> usize {
    (sample_rate_hz / TICKS_PER_SECOND) as usize
}
