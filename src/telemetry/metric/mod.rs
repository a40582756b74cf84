//! All metrics, one struct per part of the process, registered once at start. Labels are bounded
//! enums; handles are resolved before the hot path, so that a media thread only adds to an atomic.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub mod http;
pub mod media;
pub mod process;
mod quality;
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

/// Media type of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text that `/metrics` answers with.
///
/// # Errors
/// A metric that cannot be written: a programmer's error, answered with 500.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut page = String::new();
    text::encode(&mut page, registry)?;
    Ok(page)
}

impl Metrics {
    /// Registers everything: ours under the prefix `ringbridge`, the process's own figures under
    /// the names Prometheus's users know.
    pub fn register(registry: &mut Registry) -> Self {
        process::register(registry);
        let registry = registry.sub_registry_with_prefix("ringbridge");
        Self {
            http: http::HttpMetrics::register(registry),
            media: media::MediaMetrics::register(registry),
            sip: sip::SipMetrics::register(registry),
            store: store::StoreMetrics::register(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_our_prefix_the_process_and_an_end() {
        let mut registry = Registry::default();
        let _metrics = Metrics::register(&mut registry);
        let page = encode(&registry).unwrap();
        assert!(page.contains("process_open_fds "), "{page}");
        assert!(page.contains("process_resident_memory_bytes "), "{page}");
        assert!(page.contains("ringbridge_build_info{version=\""), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }
}
