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

/// Samples of a frame at `sample_rate_hz`.
pub const fn samples(sample_rate_hz: u32) -> usize {
    (sample_rate_hz / TICKS_PER_SECOND) as usize
}
