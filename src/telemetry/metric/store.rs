//! The store.

use prometheus_client::registry::Registry;

/// The store.
#[derive(Debug, Clone, Default)]
pub struct StoreMetrics {}

impl StoreMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}
