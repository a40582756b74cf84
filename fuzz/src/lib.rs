//! The targets of the fuzzers; see `targets.rs`.

include!("targets.rs");
