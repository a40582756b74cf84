//! Signalling with phones, and calls.

use prometheus_client::registry::Registry;

/// Signalling with phones, and calls.
#[derive(Debug, Clone, Default)]
pub struct SipMetrics {}

impl SipMetrics {
    /// Registers all under `registry`'s prefix.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}
