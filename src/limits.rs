//! Every bound of the process, its reason, and what happens when it is reached.
//!
//! Units and the bound stand last in a name (`…_BYTES_MAX`). Relations between bounds are proved
//! by const assertions below them. One section per module, in the order of `lib.rs`.

use std::time::Duration;

// ── sip ───────────────────────────────────────────────────────────────────────────────────────

// ── sdp ───────────────────────────────────────────────────────────────────────────────────────

// ── rtp, audio ────────────────────────────────────────────────────────────────────────────────

// ── call ──────────────────────────────────────────────────────────────────────────────────────

// ── meeting ───────────────────────────────────────────────────────────────────────────────────

// ── config, telemetry, store ──────────────────────────────────────────────────────────────────

// ── net, run ──────────────────────────────────────────────────────────────────────────────────

/// A released RTP port pair rests this long: a phone that missed our BYE gives up within 32 s
/// (64·T1), most sooner. When every pair rests or serves, a call is refused with 503.
pub const RTP_PORT_DRAIN: Duration = Duration::from_secs(30);

// ── api ───────────────────────────────────────────────────────────────────────────────────────

// ── probe ─────────────────────────────────────────────────────────────────────────────────────
