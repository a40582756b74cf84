//! Configuration: what was typed (`raw`), what it means (`Config`), and the SIP profiles.
//!
//! Every setting stands once, in [`setting::SETTINGS`]: flag, file key, environment variable,
//! default and help all come from that row, so none can be forgotten in one of the places.
//! Precedence: flag, then environment, then file, then default. Unknown keys are refused.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use ipnet::IpNet;

use crate::sip::auth::DigestAlgorithm;
use crate::sip::gate::GateConfig;

mod describe;
pub mod error;
pub mod glob;
pub mod profile;
mod profile_file;
pub mod raw;
mod resolve;
pub mod setting;

pub use error::{ConfigError, Origin};
pub use profile::{Profile, Profiles};
pub use raw::Raw;

/// Exit code of a process that was configured or called wrongly (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// The settings as they stand now; SIGHUP puts others in their place.
pub type CurrentConfig = Arc<ArcSwap<Config>>;

/// What the process shall do, checked and complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Folder of the store, generated certificates and `first-call.json`.
    pub data_dir: PathBuf,
    /// SIP over UDP and TCP.
    pub sip: SocketAddr,
    /// SIP over TLS, with the certificate of `https`; `None` when switched off.
    pub sips: Option<SocketAddr>,
    /// Join page, REST and signalling, plain.
    pub http: SocketAddr,
    /// The same over TLS; `None` when switched off.
    pub https: Option<SocketAddr>,
    /// PEM files: certificate chain, then key. `None`: a self-signed one is made.
    pub https_certificate: Option<(PathBuf, PathBuf)>,
    /// Metrics and admin calls.
    pub admin: SocketAddr,
    /// Local address of RTP and WebRTC sockets.
    pub media_address: IpAddr,
    /// Ports of phone legs.
    pub rtp_ports: RtpPorts,
    /// UDP port of worker 0; worker k uses this + k. 0 = chosen by the kernel.
    pub webrtc_port: u16,
    /// Media threads, at least 1.
    pub workers: usize,
    /// What SDP, Contact and ICE tell others; empty = found from the machine's interfaces.
    pub public_addresses: Vec<IpAddr>,
    /// Networks that are not public and that webhooks may reach all the same.
    pub webhook_networks: Vec<IpNet>,
    /// Kinds of SIP peers.
    pub profiles: Profiles,
    /// Hashes offered in challenges, in this order; a profile may override them.
    pub sip_algorithms: Vec<DigestAlgorithm>,
    /// How phones' voices are encoded towards browsers.
    pub opus: OpusConfig,
    /// Bounds an operator may lower or raise.
    pub limits: LimitsConfig,
    /// What strangers and known sources may send, and bans.
    pub gate: GateConfig,
    /// How long calls in progress may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Inclusive range of UDP ports; both 0: the kernel chooses (tests).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPorts {
    /// First port, even.
    pub low: u16,
    /// Last port.
    pub high: u16,
}

impl RtpPorts {
    /// The kernel chooses.
    pub const ANY: Self = Self { low: 0, high: 0 };

    /// Legs that fit (each takes an RTP and an RTCP port); `None` where the kernel chooses.
    pub fn pairs(self) -> Option<usize> {
        let ports = usize::from(self.high - self.low) + 1;
        (self != Self::ANY).then_some(ports / 2)
    }
}

/// Settings of the Opus encoder of phone legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusConfig {
    /// Bits per second, 6,000–128,000.
    pub bitrate_bps: u32,
    /// 0 (cheap) – 10 (best).
    pub complexity: u8,
}

/// Bounds an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Phone calls at a time; one more is refused with 503 and Retry-After.
    pub calls_max: usize,
    /// Share of its core, in percent, at which a media worker refuses newcomers; 100: never.
    pub worker_load_max_percent: u8,
}

/// How log lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// Directives as in `RUST_LOG`, such as `info,ringbridge::sip=debug`.
    pub filter: String,
    /// Numbers, addresses and user names appear unredacted. Secrets never do.
    pub personal_data: bool,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}
