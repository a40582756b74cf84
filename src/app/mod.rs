//! Builds everything without serving; announces addresses; serves; drains.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

mod card;
mod first_call;
mod reload;
mod serve;

pub use first_call::FirstCall;

use reload::Reloader;

use crate::api::{ApiParts, ApiState, Readiness};
use crate::config::profile::Peer;
use crate::config::{Config, CurrentConfig};
use crate::net::advertise::Advertise;
use crate::net::ports::PortPool;
use crate::net::routes::Routes;
use crate::net::stream::StreamEvent;
use crate::net::tls::{TlsAcceptor, TlsError};
use crate::run::bans::{Bans, SharedGate};
use crate::run::call_task::{self, CallContext};
use crate::run::calls::Calls;
use crate::run::clock;
use crate::run::directory::{Directory, StartError as MediaStartError, WorkerConfig};
use crate::run::registrations::Registrations;
use crate::run::route::trusted;
use crate::run::sip_listener::{SipListeners, StreamDoor};
use crate::run::sip_task::{OnInvite, SipCommand, SipHandle, SipTask, TlsNames};
use crate::run::webhook::{Ledger, Webhooks};
use crate::sip::endpoint::{Endpoint, EndpointConfig};
use crate::sip::flow::Flow;
use crate::sip::gate::{Gate, Trunks};
use crate::store::{CredentialBook, DEFAULT_REALM, OpenError, Store, StoreClock, StoreOptions};
use crate::telemetry::event::ConfigNoted;
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
    Certificate(#[from] TlsError),
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
    /// SIP over TLS.
    pub sips: Option<SocketAddr>,
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
        if let Some(sips) = self.sips {
            write!(f, ", sips {sips}")?;
        }
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

/// Everything bound and built, nothing served yet.
pub struct App {
    config: Arc<Config>,
    reloader: Reloader,
    context: Arc<CallContext>,
    sip: SipTask<CredentialsNow>,
    registrations: Registrations,
    available: watch::Sender<bool>,
    api: ApiState,
    http: TcpListener,
    https: Option<(TcpListener, TlsAcceptor)>,
    admin: TcpListener,
    addresses: Addresses,
    card: FirstCall,
    /// What has been told to webhooks and is not on the disk yet.
    ledger: Ledger,
}

/// The credentials as they stand at each request.
type CredentialsNow = Box<dyn Fn() -> Arc<CredentialBook> + Send>;

impl App {
    /// Opens the store, starts the workers, binds every listener and writes the first-call card.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; what was bound is released.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let options = StoreOptions {
            realm: DEFAULT_REALM.to_owned(),
            clock: StoreClock {
                unix_ns: clock::unix_ns,
                now: clock::now,
            },
            metrics: metrics.store.clone(),
        };
        let store = Store::open(&config.data_dir, options)?;
        let advertise = Advertise::new(config.public_addresses.clone());
        if !advertise.reaches_others(config.media_address) {
            let note = "no address found that others could send media to (no default route): give \
                        --public-address";
            ConfigNoted { note }.emit();
        }
        let mut listeners = SipListeners::bind(config.sip)
            .await
            .map_err(listen("sip", config.sip))?;
        let sips = bind_switched("sips", config.sips).await?;
        let http = bind("http", config.http).await?;
        let https = bind_switched("https", config.https).await?;
        let admin = bind("admin", config.admin).await?;
        let directory = Directory::start(WorkerConfig {
            workers: config.workers,
            webrtc_bind: config.media_address,
            webrtc_port: config.webrtc_port,
            candidate_addresses: advertise.candidates(config.media_address),
            opus_bitrate_bps: config.opus.bitrate_bps,
            opus_complexity: config.opus.complexity,
            load_max_percent: config.limits.worker_load_max_percent,
            metrics: metrics.media.clone(),
            ..WorkerConfig::loopback()
        })?;
        let addresses = Addresses {
            sip: listeners.address,
            sips: sips.as_ref().map(local),
            http: local(&http),
            https: https.as_ref().map(local),
            admin: local(&admin),
            webrtc: directory
                .workers()
                .iter()
                .map(|worker| worker.webrtc_addr)
                .collect(),
        };
        let names = advertise.candidates(addresses.http.ip());
        // No HTTP/2: nobody here needs it, and each connection stays one request at a time, which
        // is what the listeners' caps count.
        let mut certificates = Vec::new();
        let https = match https {
            Some(listener) => {
                let tls = tls_acceptor(&config, &names, &[b"http/1.1"])?;
                certificates.push(tls.clone());
                Some((listener, tls))
            }
            None => None,
        };
        if let Some(listener) = sips {
            // Without ALPN: some carriers refuse the protocol name `sip`.
            let tls = tls_acceptor(&config, &names, &[])?;
            certificates.push(tls.clone());
            listeners = listeners.with_tls(listener, tls);
        }
        let (sip_handle, commands) = SipHandle::new();
        let streams = StreamDoor::new();
        // What cannot be read is registered anew by the phones' next refresh.
        let kept = store.registrations(clock::unix_ns()).await;
        let kept = kept.unwrap_or_else(|error| {
            tracing::warn!(%error, "registrations could not be read");
            Vec::new()
        });
        let registrations = Registrations::restored(&kept);
        let (webhooks, ledger) = Webhooks::new(store.clone());
        let current: CurrentConfig = Arc::new(ArcSwap::new(Arc::clone(&config)));
        let context = Arc::new(CallContext {
            ports: PortPool::new(
                config.media_address,
                config.rtp_ports.low,
                config.rtp_ports.high,
            ),
            calls: Calls::new(config.limits.calls_max),
            sip: sip_handle,
            metrics: metrics.sip.clone(),
            webhooks: webhooks.clone(),
            store: store.clone(),
            directory: directory.clone(),
            advertise: advertise.clone(),
            routes: Arc::default(),
            config: Arc::clone(&current),
        });
        let (available, is_available) = watch::channel(true);
        let gate = SharedGate::new(Gate::new(config.gate, trunks(&config, &store)));
        let urls = card::urls(&advertise, &addresses);
        let api = ApiState::new(ApiParts {
            readiness: readiness(&context, &available),
            registry: Arc::new(registry),
            store: store.clone(),
            directory,
            calls: context.calls.clone(),
            bans: Bans::new(gate.clone(), context.sip.clone()),
            sip_door: streams.0.clone(),
            registrations: registrations.clone(),
            metrics: metrics.clone(),
            urls,
            profiles: config.profiles.names(),
            webhooks,
        });
        let card = card::write(&config.data_dir, &api, &advertise, &addresses)?;
        let inputs = (listeners, streams, commands);
        let reloader = Reloader {
            config: current,
            gate: gate.clone(),
            calls: context.calls.clone(),
            tls: certificates,
            store: store.clone(),
        };
        let mut sip = sip_task(&context, inputs, is_available, gate, registrations.clone());
        for kept in kept {
            let registration = kept.registration;
            sip.endpoint
                .restore_registration(clock::now(), registration);
        }
        Ok(Self {
            config,
            reloader,
            context,
            ledger,
            sip,
            registrations,
            available,
            api,
            http,
            https,
            admin,
            addresses,
            card,
        })
    }

    /// Where everything is bound.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What a newcomer needs.
    pub fn first_call(&self) -> &FirstCall {
        &self.card
    }
}

/// What the SIP task hears.
type SipInputs = (
    SipListeners,
    (StreamDoor, mpsc::Receiver<StreamEvent>),
    mpsc::Receiver<SipCommand>,
);

fn sip_task(
    context: &Arc<CallContext>,
    (listeners, streams, commands): SipInputs,
    available: watch::Receiver<bool>,
    gate: SharedGate,
    registrations: Registrations,
) -> SipTask<CredentialsNow> {
    let config = endpoint_config(context);
    let spawn_into = Arc::clone(context);
    let on_invite: OnInvite = Box::new(move |invite, events, trace| {
        let context = Arc::clone(&spawn_into);
        tokio::spawn(call_task::run(context, invite, events, trace));
    });
    let store = context.store.clone();
    SipTask {
        endpoint: Endpoint::new(config, rand::random(), rand::random()),
        listeners,
        streams,
        commands,
        credentials: Box::new(move || store.credentials()),
        on_invite,
        available,
        gate,
        metrics: context.metrics.clone(),
        tls_names: tls_names(&context.config),
        registrations,
    }
}

/// What a profile says about who answers at its peers' addresses.
fn tls_names(config: &CurrentConfig) -> TlsNames {
    let config = Arc::clone(config);
    Arc::new(move |source| {
        let peer = Peer {
            source,
            user_agent: None,
            username: None,
        };
        let config = config.load();
        config.profiles.choose(&peer).quirks.tls_name.clone()
    })
}

/// Whether a source is a trunk by its address.
fn trunks(config: &Config, store: &Store) -> Trunks {
    let (profiles, store) = (config.profiles.clone(), store.clone());
    Box::new(move |source| trusted(&profiles, &store.trunk_book(), source).is_some())
}

fn endpoint_config(context: &CallContext) -> EndpointConfig {
    let advertise = context.advertise.clone();
    let routes: Arc<Routes> = Arc::clone(&context.routes);
    let realm = context.store.settings().realm.clone();
    let book = context.store.clone();
    let (trunks, challenges) = (Arc::clone(&context.config), Arc::clone(&context.config));
    let told = move |flow: &Flow| {
        let remote = flow.remote.ip();
        let routed = routes.source(clock::now(), remote);
        let host = match advertise.toward(remote, routed) {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        (host, flow.local.port())
    };
    EndpointConfig {
        algorithms: Box::new(move |flow| {
            let peer = Peer {
                source: flow.remote.ip(),
                user_agent: None,
                username: None,
            };
            let config = challenges.load();
            let profile = config.profiles.choose(&peer);
            profile.algorithms(&config.sip_algorithms).to_vec()
        }),
        trunk: Box::new(move |source| trusted(&trunks.load().profiles, &book.trunk_book(), source)),
        ..EndpointConfig::new(realm, Box::new(told))
    }
}

fn readiness(context: &Arc<CallContext>, available: &watch::Sender<bool>) -> Readiness {
    let (directory, store) = (context.directory.clone(), context.store.clone());
    let (ports, available) = (context.ports.clone(), available.subscribe());
    Readiness {
        // A listener that cannot be bound keeps the process from starting.
        listeners: Box::new(|| Ok(())),
        workers: Box::new(move || directory.workers()),
        store: Box::new(move || {
            let store = store.clone();
            Box::pin(async move { store.is_writable().await.map_err(|error| error.to_string()) })
        }),
        rtp_ports_free: Box::new(move || ports.free().unwrap_or(usize::MAX)),
        draining: Box::new(move || !*available.borrow()),
        store_checked: Default::default(),
    }
}

fn tls_acceptor(
    config: &Config,
    addresses: &[IpAddr],
    protocols: &[&[u8]],
) -> Result<TlsAcceptor, TlsError> {
    match &config.https_certificate {
        Some((certificate, key)) => TlsAcceptor::from_files(certificate, key, protocols),
        None => TlsAcceptor::self_signed(&config.data_dir, addresses, protocols),
    }
}

async fn bind_switched(
    purpose: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, StartError> {
    match address {
        Some(address) => bind(purpose, address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(purpose: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(listen(purpose, address))
}

fn listen(purpose: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Listen {
        purpose,
        address,
        source,
    }
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener
        .local_addr()
        .expect("a bound listener has an address")
}
