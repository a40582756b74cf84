//! # Ringbridge
//!
//! A SIP-to-WebRTC telephony gateway in one binary: any phone that can dial
//! `sip:<meetingId>@host` is authenticated and joins the meeting as a *robo participant*; its
//! G.711 becomes an Opus track that browsers hear, and the meeting, mixed without its own voice,
//! comes back to its ear. A thin embedded SFU serves the browsers.
//!
//! ## The shape
//!
//! A **pure core** turns (time, bytes, commands) into (bytes, deadlines, events). A **thin shell**
//! owns sockets, clocks and threads. The modules below stand in reading order, core first.
//!
//! ## One seam everywhere
//!
//! Every core machine has the same four kinds of method:
//!
//! | Kind | Form | Law |
//! |---|---|---|
//! | look | `fn state(&self) -> …` | any time |
//! | feed | `fn handle_<what>(&mut self, now: Instant, …)` | `now` never goes backwards |
//! | command | `fn answer(&mut self, now, …) -> Result<…, XError>` | fails only for reasons the caller can act on |
//! | drain | `fn poll_output(&mut self) -> Option<Output>`, `fn next_timeout(&self) -> Option<Instant>` | after any feed or command, drain until `None` |
//!
//! ## Invariants
//!
//! `tests/tidy.rs` checks those that text can check; `docs/ARCHITECTURE.md` lists them all. The
//! first: the core never mentions `tokio`, sockets, threads, `Instant::now` or ambient randomness.

// ── core ──────────────────────────────────────────────────────────────────────────────────────
pub mod id;
pub mod limits;

pub mod sip;

pub mod sdp;

pub mod rtp;

pub mod audio;

pub mod call;

pub mod meeting;

// ── shell ─────────────────────────────────────────────────────────────────────────────────────
pub mod config;
pub mod telemetry;

pub mod net;
pub mod store;

pub mod run;

pub mod api;

pub mod probe;

pub mod app;

pub mod operator;

#[cfg(feature = "testkit")]
pub mod testkit;
