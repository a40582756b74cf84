//! Workers, sessions and legs. All handles are atomics: a media thread never waits for a scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::quality::LegQuality;
use crate::rtp::discard::Discard;

/// Bounds in seconds: a tick is heard as late from 5 ms on, and lost at 20 ms.
const LATENESS_BOUNDS: [f64; 8] = [0.000_25, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2];

/// Workers, sessions and legs.
#[derive(Debug, Clone, Default)]
pub struct MediaMetrics {
    /// How long after its time a sub-tick began.
    pub tick_lateness: Lateness,
    /// 20 ms ticks of a session that fell out.
    pub ticks_skipped: Counter,
    /// Live sessions.
    pub sessions: Gauge,
    /// Browsers.
    pub peers: Gauge,
    /// Phones.
    pub legs: Gauge,
    /// Sessions that began.
    pub sessions_started: Counter,
    /// Sessions ended by a bug of ours.
    pub session_panics: Counter,
    /// Datagrams to and from browsers and phones.
    pub datagrams: Datagrams,
    /// RTP of phones not used, by reason.
    pub discarded: Discarded,
    /// Session events nobody took in time.
    pub events_dropped: Counter,
    /// How the legs that have ended sounded.
    pub legs_quality: LegQuality,
    /// Share of a core each worker used in the last second.
    load: Family<WorkerLabel, Gauge<f64, AtomicU64>>,
    /// Effort of each worker's Opus encoders.
    complexity: Family<WorkerLabel, Gauge>,
    /// Joins refused because a worker would not have been in time.
    pub joins_refused: Counter,
}

impl MediaMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_with_unit(
            "media_tick_lateness",
            "How long after its time a media sub-tick (5 ms) began",
            Unit::Seconds,
            metrics.tick_lateness.clone(),
        );
        let counters = [
            (
                "media_ticks_skipped",
                "Ticks (20 ms) of a session that fell out after a stall",
                &metrics.ticks_skipped,
            ),
            (
                "media_sessions_started",
                "Sessions that began",
                &metrics.sessions_started,
            ),
            (
                "media_session_panics",
                "Sessions ended by a bug of ours",
                &metrics.session_panics,
            ),
            (
                "media_session_events_dropped",
                "Session events nobody took in time",
                &metrics.events_dropped,
            ),
            (
                "media_joins_refused",
                "Joins refused because the worker could not have carried one more in time",
                &metrics.joins_refused,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            ("media_sessions", "Live sessions", &metrics.sessions),
            (
                "media_peers",
                "Browsers connected or connecting",
                &metrics.peers,
            ),
            ("media_legs", "Phones", &metrics.legs),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "media_worker_load_ratio",
            "Share of a core the worker used in the last second",
            metrics.load.clone(),
        );
        registry.register(
            "media_worker_opus_complexity",
            "Effort of the worker's Opus encoders: below the configured one under load",
            metrics.complexity.clone(),
        );
        metrics.legs_quality.register(registry);
        metrics.datagrams.register(registry);
        metrics.discarded.register(registry);
        metrics
    }
}

impl MediaMetrics {
    /// The gauges of one worker: its load and its encoders' effort.
    pub fn of_worker(&self, worker: usize) -> (Gauge<f64, AtomicU64>, Gauge) {
        let label = WorkerLabel { worker };
        (
            self.load.get_or_create_owned(&label),
            self.complexity.get_or_create_owned(&label),
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkerLabel {
    worker: usize,
}

/// A histogram without a lock.
#[derive(Debug, Clone, Default)]
pub struct Lateness(Arc<LatenessCells>);

#[derive(Debug, Default)]
struct LatenessCells {
    counts: [AtomicU64; LATENESS_BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl Lateness {
    /// Counts one sub-tick.
    pub fn observe(&self, late: Duration) {
        let seconds = late.as_secs_f64();
        let bucket = LATENESS_BOUNDS.partition_point(|bound| seconds > *bound);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let ns = late.as_nanos() as u64;
        self.0.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Sub-ticks counted that were later than `bound`, one of the histogram's own.
    pub fn later_than(&self, bound: Duration) -> u64 {
        let first = LATENESS_BOUNDS.partition_point(|known| *known <= bound.as_secs_f64());
        let counts = self.0.counts[first..].iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl EncodeMetric for Lateness {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let bounds = LATENESS_BOUNDS.iter().copied().chain([f64::MAX]);
        let counts = self.0.counts.iter();
        let buckets: Vec<(f64, u64)> = bounds
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
            .collect();
        let total = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Who is at the other end of a datagram, and which way it went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DatagramLabels {
    side: &'static str,
    direction: &'static str,
}

/// Counters of datagrams, resolved.
#[derive(Debug, Clone)]
pub struct Datagrams {
    family: Family<DatagramLabels, Counter>,
    /// From browsers.
    pub browsers_received: Counter,
    /// To browsers.
    pub browsers_sent: Counter,
    /// To browsers, given up because the socket would not take them.
    pub browsers_unsent: Counter,
    /// On the browsers' socket, from nobody we know.
    pub unrouted: Counter,
    /// From phones.
    pub phones_received: Counter,
    /// To phones.
    pub phones_sent: Counter,
    /// To phones, given up because the socket would not take them.
    pub phones_unsent: Counter,
}

impl Default for Datagrams {
    fn default() -> Self {
        let family = Family::<DatagramLabels, Counter>::default();
        let of = |side, direction| {
            family
                .get_or_create(&DatagramLabels { side, direction })
                .clone()
        };
        Self {
            browsers_received: of("browser", "received"),
            browsers_sent: of("browser", "sent"),
            browsers_unsent: of("browser", "unsent"),
            unrouted: of("browser", "unrouted"),
            phones_received: of("phone", "received"),
            phones_sent: of("phone", "sent"),
            phones_unsent: of("phone", "unsent"),
            family,
        }
    }
}

impl Datagrams {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "media_datagrams",
            "Datagrams of browsers and phones",
            self.family.clone(),
        );
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counters by reason, resolved.
#[derive(Debug, Clone)]
pub struct Discarded {
    family: Family<ReasonLabel, Counter>,
    counters: [Counter; Discard::ALL.len()],
}

impl Default for Discarded {
    fn default() -> Self {
        let family = Family::<ReasonLabel, Counter>::default();
        let counters = Discard::ALL.map(|reason| {
            let reason = reason.label();
            family.get_or_create(&ReasonLabel { reason }).clone()
        });
        Self { family, counters }
    }
}

impl Discarded {
    /// The counter of a reason.
    pub fn of(&self, reason: Discard) -> &Counter {
        &self.counters[reason.index()]
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "media_rtp_discarded",
            "RTP of phones not used",
            self.family.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_exposed_as_a_histogram_and_counters_by_label() {
        let mut registry = Registry::default();
        let metrics = MediaMetrics::register(&mut registry);
        metrics.tick_lateness.observe(Duration::from_micros(100));
        metrics.tick_lateness.observe(Duration::from_millis(7));
        metrics.discarded.of(Discard::Stranger).inc();
        metrics.datagrams.unrouted.inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "media_tick_lateness_seconds_bucket{le=\"0.00025\"} 1",
            "media_tick_lateness_seconds_bucket{le=\"0.01\"} 2",
            "media_tick_lateness_seconds_count 2",
            "media_rtp_discarded_total{reason=\"stranger\"} 1",
            "media_datagrams_total{side=\"browser\",direction=\"unrouted\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        let late = metrics.tick_lateness.later_than(Duration::from_millis(5));
        assert_eq!(late, 1);
    }
}
