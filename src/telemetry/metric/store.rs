//! The store.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What the store was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Operation {
    /// A query.
    Read,
    /// A change.
    Write,
    /// A call record.
    RecordCall,
    /// The health check's write.
    Probe,
}

/// The operation as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OperationLabel {
    /// Which.
    pub operation: Operation,
}

/// Time buckets in seconds: a cached read takes 20 µs, a commit on a slow disk 100 ms.
const DURATION_BUCKETS: [f64; 8] = [0.0001, 0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0];

/// The store's thread and queue.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    /// Time on the thread, by operation.
    pub durations: Family<OperationLabel, Histogram, fn() -> Histogram>,
    /// Operations the database refused.
    pub errors: Family<OperationLabel, Counter>,
    /// Callers that were not served within the limit.
    pub busy: Counter,
    /// Jobs waiting.
    pub queue_depth: Gauge,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            errors: Family::default(),
            busy: Counter::default(),
            queue_depth: Gauge::default(),
        }
    }
}

impl StoreMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_with_unit(
            "store_operation_duration",
            "Time on the store's thread",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "store_errors",
            "Operations the database refused",
            metrics.errors.clone(),
        );
        registry.register(
            "store_busy",
            "Callers not served within the limit",
            metrics.busy.clone(),
        );
        registry.register(
            "store_queue_depth",
            "Jobs waiting for the store's thread",
            metrics.queue_depth.clone(),
        );
        metrics
    }

    /// An operation was done.
    pub fn done(&self, operation: Operation, took: Duration, failed: bool) {
        let label = OperationLabel { operation };
        self.durations
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        if failed {
            self.errors.get_or_create(&label).inc();
        }
    }
}
