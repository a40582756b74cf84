//! REST and signalling.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// One kind of request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// HTTP method, or `other`.
    pub method: &'static str,
    /// Pattern of the path.
    pub route: String,
    /// HTTP status.
    pub status: u16,
}

/// Pattern of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabel {
    /// Pattern of the path.
    pub route: String,
}

/// How an attempt to join went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JoinLabel {
    /// `joined`, or the code of the error.
    pub result: &'static str,
}

/// Time buckets in seconds: from memory 0.2 ms, one commit some ms, busy 2 s.
const DURATION_BUCKETS: [f64; 8] = [0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 2.5, 10.0];

/// REST and signalling.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Time to answer them.
    pub durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    /// Connections open, all listeners.
    pub connections: Gauge,
    /// Connections refused for their number, or for a TLS handshake that failed.
    pub connections_refused: Counter,
    /// Signalling WebSockets open.
    pub signal_sockets: Gauge,
    /// Attempts to join by browsers.
    pub joins: Family<JoinLabel, Counter>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            signal_sockets: Gauge::default(),
            joins: Family::default(),
        }
    }
}

impl HttpMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "http_requests",
            "Requests answered",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer a request",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "http_connections",
            "HTTP connections open",
            metrics.connections.clone(),
        );
        registry.register(
            "http_connections_refused",
            "HTTP connections refused: too many, or no TLS handshake",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "signal_sockets",
            "Signalling WebSockets open",
            metrics.signal_sockets.clone(),
        );
        registry.register(
            "signal_joins",
            "Attempts to join by browsers, by result",
            metrics.joins.clone(),
        );
        metrics
    }

    /// A request was answered.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels {
            method,
            route: route.to_owned(),
            status,
        };
        self.requests.get_or_create(&labels).inc();
        let label = RouteLabel {
            route: route.to_owned(),
        };
        self.durations
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// A browser joined, or was refused with this code.
    pub fn join(&self, result: &'static str) {
        self.joins.get_or_create(&JoinLabel { result }).inc();
    }
}
