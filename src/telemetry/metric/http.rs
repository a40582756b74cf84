//! REST and signalling.

use prometheus_client::registry::Registry;

/// REST and signalling.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {}

impl HttpMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}
