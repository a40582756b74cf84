//! How calls sounded: one observation of each leg at its end. Atomics, as all of the media's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};

use crate::meeting::leg::LegReport;

const SCORES: &[f64] = &[1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 3.8, 4.0, 4.2, 4.4];
const SHARES: &[f64] = &[0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2];
const SECONDS: &[f64] = &[0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];

/// A histogram without a lock.
#[derive(Debug, Clone)]
struct Buckets(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// In millionths.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Cells {
            bounds,
            counts,
            sum: AtomicU64::new(0),
        }))
    }

    fn observe(&self, value: Option<f32>) {
        let Some(value) = value.map(f64::from) else {
            return;
        };
        let cells = &self.0;
        let bucket = cells.bounds.partition_point(|bound| value > *bound);
        cells.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let millionths = (value.max(0.0) * 1e6) as u64;
        cells.sum.fetch_add(millionths, Ordering::Relaxed);
    }
}

impl EncodeMetric for Buckets {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let cells = &self.0;
        let bounds = cells.bounds.iter().copied().chain([f64::MAX]);
        let counts = cells.counts.iter();
        let buckets: Vec<(f64, u64)> = bounds
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
            .collect();
        let total = buckets.iter().map(|(_, count)| count).sum();
        let sum = cells.sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Figures of legs that have ended, both ways.
#[derive(Debug, Clone)]
pub struct LegQuality {
    received_mos: Buckets,
    sent_mos: Buckets,
    received_loss: Buckets,
    sent_loss: Buckets,
    jitter: Buckets,
    round_trip: Buckets,
    concealed_ms: Counter,
}

impl Default for LegQuality {
    fn default() -> Self {
        Self {
            received_mos: Buckets::new(SCORES),
            sent_mos: Buckets::new(SCORES),
            received_loss: Buckets::new(SHARES),
            sent_loss: Buckets::new(SHARES),
            jitter: Buckets::new(SECONDS),
            round_trip: Buckets::new(SECONDS),
            concealed_ms: Counter::default(),
        }
    }
}

impl LegQuality {
    /// Takes a leg's last figures; what nobody told is not counted.
    pub fn observe(&self, report: &LegReport) {
        let seconds = |ms: Option<f32>| ms.map(|ms| ms / 1e3);
        self.received_mos.observe(report.received.mos);
        self.sent_mos.observe(report.sent.mos);
        self.received_loss.observe(report.received.loss);
        self.sent_loss.observe(report.sent.loss);
        self.jitter.observe(seconds(report.received.jitter_ms));
        self.round_trip.observe(seconds(report.round_trip_ms));
        self.concealed_ms.inc_by(report.concealed_ms);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let plain = [
            (
                "media_leg_received_mos",
                "E-model score of what phones said, a leg's mean, at its end",
                &self.received_mos,
            ),
            (
                "media_leg_sent_mos",
                "E-model score of what phones heard, as far as they report",
                &self.sent_mos,
            ),
            (
                "media_leg_received_loss_share",
                "Share of phones' packets lost on their way to us, 0 to 1",
                &self.received_loss,
            ),
            (
                "media_leg_sent_loss_share",
                "Share of our packets lost, in phones' last report, 0 to 1",
                &self.sent_loss,
            ),
        ];
        for (name, help, buckets) in plain {
            registry.register(name, help, buckets.clone());
        }
        let seconds = [
            (
                "media_leg_jitter",
                "Jitter of what phones send",
                &self.jitter,
            ),
            (
                "media_leg_round_trip",
                "Round trip to phones, by RTCP",
                &self.round_trip,
            ),
        ];
        for (name, help, buckets) in seconds {
            registry.register_with_unit(name, help, Unit::Seconds, buckets.clone());
        }
        registry.register(
            "media_leg_concealed_milliseconds",
            "Audio invented for phones' lost or late packets, of legs that have ended",
            self.concealed_ms.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::quality::DirectionReport;

    #[test]
    fn a_leg_is_counted_once_and_what_it_does_not_tell_not_at_all() {
        let mut registry = Registry::default();
        let quality = LegQuality::default();
        quality.register(&mut registry);
        quality.observe(&LegReport {
            concealed_ms: 120,
            round_trip_ms: Some(45.0),
            received: DirectionReport {
                mos: Some(4.1),
                loss: Some(0.004),
                ..DirectionReport::default()
            },
            ..LegReport::default()
        });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "media_leg_received_mos_bucket{le=\"4.0\"} 0",
            "media_leg_received_mos_bucket{le=\"4.2\"} 1",
            "media_leg_received_loss_share_bucket{le=\"0.005\"} 1",
            "media_leg_round_trip_seconds_bucket{le=\"0.05\"} 1",
            "media_leg_sent_mos_count 0",
            "media_leg_concealed_milliseconds_total 120",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
