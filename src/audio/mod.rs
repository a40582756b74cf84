//! Samples: codecs, playout, concealment, mixing, levels, resampling. Core: nothing here reads a
//! clock, and steady state allocates nothing.
//!
//! One remote source is one [`playout::Playout`]: packets in as they arrive, 20 ms of PCM out at
//! each tick. What the ticks yield is added on a [`mix::Bus`]; each listener hears the bus minus
//! itself.

pub mod buses;
pub mod conceal;
pub mod frame;
pub mod g711;
pub mod g722;
pub mod gain;
pub mod key_tone;
pub mod level;
pub mod mix;
pub mod noise;
pub mod opus;
pub mod playout;
pub mod predict;
pub mod protection;
pub mod quality;
pub mod resample;
pub mod stretch;
pub mod tone;
