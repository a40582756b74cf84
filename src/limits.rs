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

/// Participants of one session, browsers and phones together: a tick and a join are linear in it.
/// Full: the join is refused with `MeetingFull`.
pub const SESSION_PARTICIPANTS_MAX: usize = 500;

// ── config, telemetry, store ──────────────────────────────────────────────────────────────────

// ── net, run ──────────────────────────────────────────────────────────────────────────────────

/// A released RTP port pair rests this long: a phone that missed our BYE gives up within 32 s
/// (64·T1), most sooner. When every pair rests or serves, a call is refused with 503.
pub const RTP_PORT_DRAIN: Duration = Duration::from_secs(30);

/// Commands waiting for one media worker. A worker takes them every few milliseconds, so this is
/// seconds of the fastest signalling. Full: the command's sender is told `Overloaded` or `SeatGone`.
pub const WORKER_COMMANDS_MAX: usize = 4_096;

/// Messages of one browser that its worker has not yet taken. A well-behaved page has one or two.
/// Full: the seat is given up, for a browser that floods signalling is not worth more.
pub const SEAT_MESSAGES_IN_FLIGHT_MAX: usize = 32;

/// Messages waiting to be written to one browser's WebSocket. Full: the browser is removed with
/// `ConnectionLost`, because signalling is never lost silently.
pub const SEAT_OUTGOING_MAX: usize = 512;

/// Events of one phone's leg waiting for its call task. Full: the leg is removed.
pub const LEG_EVENTS_MAX: usize = 64;

/// Commands waiting for the directory's task. Full: callers wait.
pub const DIRECTORY_COMMANDS_MAX: usize = 1_024;

/// Session events waiting for their consumer (webhooks, records). Full: new ones are dropped and
/// counted; calls go on.
pub const SESSION_EVENTS_MAX: usize = 4_096;

// ── api ───────────────────────────────────────────────────────────────────────────────────────

// ── probe ─────────────────────────────────────────────────────────────────────────────────────
