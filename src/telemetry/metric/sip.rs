//! Signalling with phones, and calls.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::sip::endpoint::Counters;
use crate::sip::gate::Excess;

/// How a call ended: both labels come from closed enums (`call::end`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallEnd {
    /// `Outcome::label`.
    pub outcome: &'static str,
    /// `Refusal::label` or `EndReason::label`.
    pub reason: &'static str,
}

/// Why a message was dropped unread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DropLabel {
    /// `Excess::label`.
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
    /// Messages dropped unread, by reason.
    pub messages_dropped: Family<DropLabel, Counter>,
    /// Bans of sources that guess passwords.
    pub bans: Counter,
    /// What the endpoint counts.
    pub endpoint: EndpointMetrics,
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
            messages_dropped: Family::default(),
            bans: Counter::default(),
            endpoint: EndpointMetrics::default(),
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
            (
                "sip_bans",
                "Bans of sources that guess passwords",
                &all.bans,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        for excess in [Excess::Source, Excess::Strangers, Excess::Banned] {
            let reason = excess.label();
            // From the start, so that an alert on their growth has a zero to grow from.
            all.messages_dropped
                .get_or_create(&DropLabel { reason })
                .inc_by(0);
        }
        registry.register(
            "sip_messages_dropped",
            "SIP messages dropped unread",
            all.messages_dropped.clone(),
        );
        all.endpoint.register(registry);
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

    /// A message was dropped unread.
    pub fn dropped(&self, excess: Excess) {
        let reason = excess.label();
        self.messages_dropped
            .get_or_create(&DropLabel { reason })
            .inc();
    }

    /// The endpoint's counters, and what they were when last noted.
    pub fn note(&self, now: &Counters, before: &Counters) {
        self.endpoint.note(now, before);
    }
}

/// [`Counters`] as metrics.
#[derive(Debug, Clone, Default)]
pub struct EndpointMetrics {
    requests: Counter,
    responses: Counter,
    malformed: Counter,
    noise: Counter,
    retransmissions: Counter,
    challenges: Counter,
    overloads: Counter,
    transactions: Gauge,
    dialogs: Gauge,
    bindings: Gauge,
}

impl EndpointMetrics {
    fn register(&self, registry: &mut Registry) {
        let counters = [
            ("requests", "Well-formed SIP requests", &self.requests),
            ("responses", "Well-formed SIP responses", &self.responses),
            (
                "malformed",
                "SIP requests refused for their form",
                &self.malformed,
            ),
            ("noise", "Messages that were not SIP", &self.noise),
            (
                "retransmissions",
                "Copies of SIP requests",
                &self.retransmissions,
            ),
            ("challenges", "401 sent", &self.challenges),
            ("overloads", "503 sent by the SIP endpoint", &self.overloads),
        ];
        for (name, help, counter) in counters {
            registry.register(format!("sip_{name}"), help, counter.clone());
        }
        let gauges = [
            (
                "transactions",
                "SIP transactions running",
                &self.transactions,
            ),
            ("dialogs", "SIP dialogs", &self.dialogs),
            ("bindings", "Registered contacts", &self.bindings),
        ];
        for (name, help, gauge) in gauges {
            registry.register(format!("sip_{name}"), help, gauge.clone());
        }
    }

    fn note(&self, now: &Counters, before: &Counters) {
        for (counter, now, before) in [
            (&self.requests, now.requests, before.requests),
            (&self.responses, now.responses, before.responses),
            (&self.malformed, now.malformed, before.malformed),
            (&self.noise, now.noise, before.noise),
            (
                &self.retransmissions,
                now.retransmissions,
                before.retransmissions,
            ),
            (&self.challenges, now.challenges, before.challenges),
            (&self.overloads, now.overloads, before.overloads),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
        let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        self.transactions.set(size(now.transactions));
        self.dialogs.set(size(now.dialogs));
        self.bindings.set(size(now.bindings));
    }
}
