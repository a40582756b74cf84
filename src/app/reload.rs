//! SIGHUP: settings, profiles and certificates read anew. All are checked before any is used; when
//! one cannot be used everything stays as it was, and the log says why.

use std::sync::Arc;

use super::trunks;
use crate::config::{Config, ConfigError, CurrentConfig};
use crate::net::tls::TlsAcceptor;
use crate::run::bans::SharedGate;
use crate::run::calls::Calls;
use crate::store::Store;
use crate::telemetry::event::{ConfigKept, ConfigNoted, ConfigReloaded};
use crate::telemetry::log;

/// What a reload reaches.
pub(super) struct Reloader {
    pub config: CurrentConfig,
    pub gate: SharedGate,
    pub calls: Calls,
    pub tls: Vec<TlsAcceptor>,
    pub store: Store,
}

impl Reloader {
    /// Puts what was read to use, or says why not.
    pub fn reload(&self, read: Result<Config, ConfigError>) {
        let read = match read {
            Ok(read) => read,
            Err(error) => return kept(&error),
        };
        let old = self.config.load_full();
        // Both listeners have the same files, so that only the first can fail.
        for acceptor in &self.tls {
            if let Err(error) = acceptor.reload() {
                return kept(&error);
            }
        }
        if let Err(error) = log::refilter(&read.log.filter) {
            return kept(&error);
        }
        let restart = needing_restart(&old, &read);
        let new = Config {
            profiles: read.profiles,
            sip_algorithms: read.sip_algorithms,
            limits: read.limits,
            gate: read.gate,
            drain_timeout: read.drain_timeout,
            log: crate::config::LogConfig {
                filter: read.log.filter,
                ..old.log.clone()
            },
            ..Config::clone(&old)
        };
        self.calls.set_max(new.limits.calls_max);
        self.gate.configure(new.gate, trunks(&new, &self.store));
        let notes = new.notes();
        self.config.store(Arc::new(new));
        for note in notes {
            ConfigNoted { note: &note }.emit();
        }
        ConfigReloaded { restart: &restart }.emit();
    }
}

fn kept(reason: &dyn std::fmt::Display) {
    let reason = reason.to_string();
    ConfigKept { reason: &reason }.emit();
}

/// Settings that differ and that a running process cannot change.
fn needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("data", old.data_dir != new.data_dir),
        ("sip", old.sip != new.sip),
        ("sips", old.sips != new.sips),
        ("http", old.http != new.http),
        ("https", old.https != new.https),
        (
            "https-certificate, https-key",
            old.https_certificate != new.https_certificate,
        ),
        ("admin", old.admin != new.admin),
        ("media-address", old.media_address != new.media_address),
        ("rtp-ports", old.rtp_ports != new.rtp_ports),
        ("webrtc-port", old.webrtc_port != new.webrtc_port),
        (
            "public-address",
            old.public_addresses != new.public_addresses,
        ),
        ("workers", old.workers != new.workers),
        ("opus-bitrate, opus-complexity", old.opus != new.opus),
        (
            "log-format, log-personal-data",
            (old.log.format, old.log.personal_data) != (new.log.format, new.log.personal_data),
        ),
    ];
    let names = differs.into_iter().filter(|(_, differs)| *differs);
    names.map(|(name, _)| name).collect()
}
