//! Every bound of the process, its reason, and what happens when it is reached.
//!
//! Units and the bound stand last in a name (`…_BYTES_MAX`). Relations between bounds are proved
//! by const assertions below them. One section per module, in the order of `lib.rs`.

use std::time::Duration;

// ── sip ───────────────────────────────────────────────────────────────────────────────────────

// ── sdp ───────────────────────────────────────────────────────────────────────────────────────

// ── rtp, audio ────────────────────────────────────────────────────────────────────────────────

// ── call ──────────────────────────────────────────────────────────────────────────────────────

/// A name tag; longer names are cut.
pub const DISPLAY_NAME_CHARS_MAX: usize = 128;

/// Attributes one phone may bring: Twilio's 1,024 characters of `X-` headers fit; the rest is left
/// out.
pub const PHONE_ATTRIBUTES_MAX: usize = 32;

// ── meeting ───────────────────────────────────────────────────────────────────────────────────

// ── config, telemetry, store ──────────────────────────────────────────────────────────────────

// ── net, run ──────────────────────────────────────────────────────────────────────────────────

/// A released RTP port pair rests this long: a phone that missed our BYE gives up within 32 s
/// (64·T1), most sooner. When every pair rests or serves, a call is refused with 503.
pub const RTP_PORT_DRAIN: Duration = Duration::from_secs(30);

// ── api ───────────────────────────────────────────────────────────────────────────────────────

// ── probe ─────────────────────────────────────────────────────────────────────────────────────
