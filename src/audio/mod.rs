//! Samples: codecs, playout, concealment, mixing, levels, resampling. Core: nothing here reads a
//! clock, and steady state allocates nothing.
