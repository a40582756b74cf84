//! Workers, sessions and legs.

use prometheus_client::registry::Registry;

/// Workers, sessions and legs.
#[derive(Debug, Clone, Default)]
pub struct MediaMetrics {}

impl MediaMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}
