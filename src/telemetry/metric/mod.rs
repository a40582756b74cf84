//! All metrics, one struct per part of the process, registered once at start. Labels are bounded
//! enums; handles are resolved before the hot path, so that a media thread only adds to an atomic.

use prometheus_client::registry::Registry;

pub mod http;
pub mod media;
pub mod sip;
pub mod store;

/// Every metric of the process.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// REST and signalling.
    pub http: http::HttpMetrics,
    /// Workers, sessions, legs.
    pub media: media::MediaMetrics,
    /// Signalling with phones, and calls.
    pub sip: sip::SipMetrics,
    /// The store's thread and queue.
    pub store: store::StoreMetrics,
}

impl Metrics {
    /// Registers everything under the prefix `ringbridge`.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("ringbridge");
        Self {
            http: http::HttpMetrics::register(registry),
            media: media::MediaMetrics::register(registry),
            sip: sip::SipMetrics::register(registry),
            store: store::StoreMetrics::register(registry),
        }
    }
}
