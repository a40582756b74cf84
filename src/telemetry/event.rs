//! What happens, one struct each. `emit()` writes the log line and counts the metric, so that the
//! two cannot disagree; nobody calls `tracing` or a counter for these things by hand.
//!
//! Fields come before the message, in snake_case; personal data through [`super::pii::Pii`].

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The process begins to build itself.
pub struct Starting<'a> {
    /// The configuration file, if one was read.
    pub config: Option<&'a Path>,
    /// Media threads.
    pub workers: usize,
}

impl Starting<'_> {
    /// Writes the log line.
    pub fn emit(self) {
        let config = self.config.map(|path| path.display().to_string());
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            config = config.as_deref().unwrap_or("none"),
            workers = self.workers,
            "starting"
        );
    }
}

/// Something is allowed but probably not meant.
pub struct ConfigNoted<'a> {
    /// The note, a sentence.
    pub note: &'a str,
}

impl ConfigNoted<'_> {
    /// Writes the log line.
    pub fn emit(self) {
        tracing::warn!(note = self.note, "configuration");
    }
}

/// A listener is bound.
pub struct Listening {
    /// Which, such as `sip-udp` or `https`.
    pub listener: &'static str,
    /// Where it really is (the port may have been left to the kernel).
    pub address: SocketAddr,
}

impl Listening {
    /// Writes the log line.
    pub fn emit(self) {
        tracing::info!(listener = self.listener, address = %self.address, "listening");
    }
}

/// SIGHUP: what was read is in use.
pub struct ConfigReloaded<'a> {
    /// Settings that differ and wait for a restart.
    pub restart: &'a [&'static str],
}

impl ConfigReloaded<'_> {
    /// Writes the log line.
    pub fn emit(self) {
        let waiting = self.restart.join(", ");
        tracing::info!(needs_restart = waiting, "configuration reloaded");
    }
}

/// SIGHUP: what was read cannot be used, and nothing has changed.
pub struct ConfigKept<'a> {
    /// Why.
    pub reason: &'a str,
}

impl ConfigKept<'_> {
    /// Writes the log line.
    pub fn emit(self) {
        tracing::error!(reason = self.reason, "configuration kept");
    }
}

/// New calls are refused from now on; the process ends when the present ones have.
pub struct Draining {
    /// Calls in progress.
    pub calls: usize,
    /// How long they may go on.
    pub timeout: Duration,
}

impl Draining {
    /// Writes the log line.
    pub fn emit(self) {
        tracing::info!(calls = self.calls, timeout = ?self.timeout, "draining");
    }
}

/// The process ends.
pub struct Stopped {
    /// Calls that had to be ended.
    pub calls_ended: usize,
}

impl Stopped {
    /// Writes the log line.
    pub fn emit(self) {
        tracing::info!(calls_ended = self.calls_ended, "stopped");
    }
}
