//! Media workers: one OS thread each, which owns its sockets and all its sessions.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::telemetry::metric::media::MediaMetrics;

mod admission;
pub(crate) mod command;
mod entry;
mod governor;
pub(crate) mod health;
mod machine;
pub(crate) mod meter;
mod phone_socket;
mod routes;
mod rule;
mod schedule;
mod sessions;
pub(crate) mod thread;
pub(crate) mod wake;

pub use command::MeetingInfo;
pub use health::WorkerHealth;
pub use routes::stun_ufrag;

/// How the workers are started.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Threads; at least one, one per core is right.
    pub workers: usize,
    /// Address the browsers' sockets bind to, usually unspecified.
    pub webrtc_bind: IpAddr,
    /// Worker k binds this port plus k; 0 lets the kernel choose each.
    pub webrtc_port: u16,
    /// Addresses offered to browsers as host candidates, most wanted first.
    pub candidate_addresses: Vec<IpAddr>,
    /// Opus encoder towards browsers, bit/s per phone; 6 000–128 000.
    pub opus_bitrate_bps: u32,
    /// Opus encoder complexity, 0–10.
    pub opus_complexity: u8,
    /// Share of a core, in percent, at which a worker refuses newcomers; from 100 on it never does.
    pub load_max_percent: u8,
    /// Where workers read their load.
    pub(crate) load_source: meter::LoadSource,
    /// A session ends this long after its last participant left, so that a reload finds it again.
    pub session_linger: Duration,
    /// Counters and histograms.
    pub metrics: MediaMetrics,
}

impl WorkerConfig {
    /// One worker on loopback with ports chosen by the kernel: what tests and a first try need.
    pub fn loopback() -> Self {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        Self {
            workers: 1,
            webrtc_bind: loopback,
            webrtc_port: 0,
            candidate_addresses: vec![loopback],
            opus_bitrate_bps: 24_000,
            opus_complexity: 5,
            load_max_percent: 85,
            load_source: meter::LoadSource::Thread,
            session_linger: Duration::from_secs(2),
            metrics: MediaMetrics::default(),
        }
    }
}

/// Why the workers could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A browsers' socket could not be bound.
    #[error("cannot bind the WebRTC socket {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// `webrtc_port` + `workers` passes 65535.
    #[error("WebRTC port {base} plus {workers} workers passes 65535")]
    PortRange {
        /// Configured.
        base: u16,
        /// Configured.
        workers: usize,
    },
    /// Zero workers, or no candidate address.
    #[error("{0}")]
    Config(&'static str),
    /// The certificate for DTLS could not be made.
    #[error("cannot make the DTLS certificate: {0}")]
    Certificate(String),
    /// The operating system refused a thread, an eventfd or an epoll.
    #[error("cannot start a media thread: {0}")]
    Thread(#[source] std::io::Error),
}
