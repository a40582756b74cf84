//! Builds everything without serving; announces addresses; serves; drains.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

mod first_call;

pub use first_call::FirstCall;

use crate::call::end::EndReason;
use crate::config::Config;
use crate::net::advertise::{Advertise, routed_source};
use crate::net::ports::PortPool;
use crate::run::call_task::{self, CallContext};
use crate::run::calls::Calls;
use crate::run::clock;
use crate::run::directory::{Directory, StartError as MediaStartError, WorkerConfig};
use crate::run::sip_task::{SipHandle, SipListeners, SipTask};
use crate::sip::endpoint::{Endpoint, EndpointConfig};
use crate::store::{DEFAULT_REALM, OpenError, Store, StoreClock, StoreOptions};
use crate::telemetry::metric::Metrics;

/// Why the server could not start; each names what the operator must change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's port is in use or its address is not ours.
    #[error("cannot listen on {address} for {purpose}: {source}")]
    Listen {
        /// Configuration key.
        purpose: &'static str,
        /// As configured.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The media workers.
    #[error(transparent)]
    Media(#[from] MediaStartError),
    /// The HTTPS certificate.
    #[error("cannot use the HTTPS certificate: {0}")]
    Certificate(String),
    /// The first-call card.
    #[error("cannot write {path}: {source}")]
    Card {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

/// Where everything is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// SIP, UDP and TCP.
    pub sip: SocketAddr,
    /// Join page, REST, signalling.
    pub http: SocketAddr,
    /// The same over TLS.
    pub https: Option<SocketAddr>,
    /// Metrics and admin calls.
    pub admin: SocketAddr,
    /// Browsers' media, one per worker.
    pub webrtc: Vec<SocketAddr>,
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip udp+tcp {}, http {}", self.sip, self.http)?;
        if let Some(https) = self.https {
            write!(f, ", https {https}")?;
        }
        write!(f, ", admin {}", self.admin)?;
        for webrtc in &self.webrtc {
            write!(f, ", webrtc udp {webrtc}")?;
        }
        Ok(())
    }
}
