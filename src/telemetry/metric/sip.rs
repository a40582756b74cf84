//! Signalling with phones, and calls.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// How a call ended: both labels come from closed enums (`call::end`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallEnd {
    /// `Outcome::label`.
    pub outcome: &'static str,
    /// `Refusal::label` or `EndReason::label`.
    pub reason: &'static str,
}

/// Signalling with phones, and calls.
#[derive(Debug, Clone)]
pub struct SipMetrics {
    /// Datagrams received on SIP listeners.
    pub datagrams_received: Counter,
    /// Datagrams sent from SIP listeners.
    pub datagrams_sent: Counter,
    /// Open stream connections.
    pub connections: Gauge,
    /// Wrong or replayed credentials.
    pub auth_failures: Counter,
    /// Registrations and refreshes accepted.
    pub registrations_received: Counter,
    /// Calls in progress, from the authorised INVITE on.
    pub calls: Gauge,
    /// Calls ended, by outcome and reason.
    pub calls_ended: Family<CallEnd, Counter>,
    /// INVITE to 200.
    pub call_setup: Histogram,
}

impl Default for SipMetrics {
    fn default() -> Self {
        Self {
            datagrams_received: Counter::default(),
            datagrams_sent: Counter::default(),
            connections: Gauge::default(),
            auth_failures: Counter::default(),
            registrations_received: Counter::default(),
            calls: Gauge::default(),
            calls_ended: Family::default(),
            call_setup: Histogram::new([0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0]),
        }
    }
}

impl SipMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        let counters = [
            (
                "sip_datagrams_received",
                "SIP datagrams received",
                &all.datagrams_received,
            ),
            (
                "sip_datagrams_sent",
                "SIP datagrams sent",
                &all.datagrams_sent,
            ),
            (
                "sip_auth_failures",
                "SIP requests with wrong credentials",
                &all.auth_failures,
            ),
            (
                "sip_registrations_received",
                "Registrations accepted",
                &all.registrations_received,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "sip_connections",
            "Open SIP connections",
            all.connections.clone(),
        );
        registry.register("calls", "Calls in progress", all.calls.clone());
        registry.register("calls_ended", "Calls ended", all.calls_ended.clone());
        registry.register_with_unit(
            "call_setup",
            "From INVITE to 200",
            Unit::Seconds,
            all.call_setup.clone(),
        );
        all
    }
}
