//! What happens between us and phones, one struct each; see [`super::event`].

use std::net::IpAddr;
use std::time::Duration;

use crate::call::record::CallRecord;
use crate::sip::auth::AuthFailure;
use crate::telemetry::metric::sip::{CallEnd, SipMetrics};
use crate::telemetry::pii::Pii;

/// A call is over: one line with everything.
pub struct CallEnded<'a> {
    /// What is kept of it.
    pub record: &'a CallRecord,
}

impl CallEnded<'_> {
    /// Writes the log line and counts.
    pub fn emit(self, metrics: &SipMetrics) {
        let record = self.record;
        let (outcome, reason) = (record.outcome.label(), record.reason);
        metrics
            .calls_ended
            .get_or_create(&CallEnd { outcome, reason })
            .inc();
        if let Some(setup) = record.setup {
            metrics.call_setup.observe(setup.as_secs_f64());
        }
        let lasted_ns = record.ended_at_unix_ns - record.started_at_unix_ns;
        let report = record.report.clone().unwrap_or_default();
        tracing::info!(
            call = %record.id,
            meeting = record.meeting.map(tracing::field::display),
            caller = %Pii(&record.caller),
            profile = %record.profile,
            outcome,
            reason,
            sip_status = record.sip_status,
            setup_ms = record.setup.map(|setup| setup.as_millis()),
            lasted_ms = lasted_ns / 1_000_000,
            packets_received = report.packets_received,
            packets_lost = report.packets_lost,
            packets_sent = report.packets_sent,
            concealed_ms = report.concealed_ms,
            jitter_ms = report.jitter_ms,
            "call ended"
        );
    }
}

/// A call was refused before it became one: the process has no room, or its credentials are gone.
pub struct CallTurnedAway {
    /// `Outcome::label`.
    pub outcome: &'static str,
    /// `Refusal::label`.
    pub reason: &'static str,
}

impl CallTurnedAway {
    /// Writes the log line and counts.
    pub fn emit(self, metrics: &SipMetrics) {
        let Self { outcome, reason } = self;
        metrics
            .calls_ended
            .get_or_create(&CallEnd { outcome, reason })
            .inc();
        tracing::info!(outcome, reason, "call turned away");
    }
}

/// Credentials were sent and refused. The wording is stable: operators feed it to fail2ban.
pub struct AuthenticationFailed {
    /// Who sent them.
    pub source: IpAddr,
    /// What was wrong.
    pub failure: AuthFailure,
    /// Further failures since the last line, that were only counted.
    pub suppressed: u64,
}

impl AuthenticationFailed {
    /// Writes the log line. It is counted where it is decided whether there is one.
    pub fn emit(self) {
        // A firewall must be told the address, so it is shown whatever the log's privacy.
        let source = Pii(self.source);
        tracing::warn!(
            source = %source.for_security(),
            failure = self.failure.label(),
            suppressed = self.suppressed,
            "sip authentication failed"
        );
    }
}

/// A source is no longer heard: it guesses passwords. The wording is stable, for fail2ban.
pub struct SourceBanned {
    /// An IPv4 address, or the first of an IPv6 /64.
    pub source: IpAddr,
    /// For how long.
    pub length: Duration,
    /// How many bans it has had, this one included.
    pub count: u32,
}

impl SourceBanned {
    /// Writes the log line and counts.
    pub fn emit(self, metrics: &SipMetrics) {
        metrics.bans.inc();
        // As above: the firewall must know.
        let source = Pii(self.source);
        tracing::warn!(
            source = %source.for_security(),
            seconds = self.length.as_secs(),
            count = self.count,
            "sip source banned"
        );
    }
}
