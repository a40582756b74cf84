//! The API as its users meet it: a real server on loopback, with a real store and directory.

mod bans;
mod console;
mod health;
mod joined;
mod limits;
mod lists;
mod moderation;
mod openapi;
mod rest;
mod signal;
mod trunks;
mod web;
mod webhooks;
mod whip;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::serve::serve;
use super::{ApiParts, ApiState, PublicUrls, Readiness, admin_router, router};
use crate::net::tls::TlsAcceptor;
use crate::run::bans::{Bans, SharedGate};
use crate::run::calls::Calls;
use crate::run::clock;
use crate::run::directory::{Directory, WorkerConfig, WorkerHealth};
use crate::run::history;
use crate::run::registrations::Registrations;
use crate::run::sip_listener::StreamDoor;
use crate::run::sip_task::SipHandle;
use crate::run::webhook::target::Guard;
use crate::run::webhook::{Webhooks, deliver};
use crate::sip::gate::{Gate, GateConfig};
use crate::store::{DEFAULT_REALM, FirstStart, Store, StoreClock, StoreOptions};
use crate::telemetry::metric::Metrics;

/// A server and a client that knows its first API key. The folder goes with it.
pub(super) struct Server {
    pub base: String,
    pub admin: String,
    pub first: FirstStart,
    pub state: ApiState,
    pub gate: SharedGate,
    pub folder: PathBuf,
    pub client: reqwest::Client,
    stop: watch::Sender<bool>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(ready()).await
    }

    pub async fn start_with(readiness: Readiness) -> Self {
        crate::net::tls::install_provider();
        let folder =
            std::env::temp_dir().join(format!("ringbridge-api-{:032x}", rand::random::<u128>()));
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let store = Store::open(
            &folder,
            StoreOptions {
                realm: DEFAULT_REALM.to_owned(),
                clock: StoreClock {
                    unix_ns: clock::unix_ns,
                    now: clock::now,
                },
                metrics: metrics.store.clone(),
            },
        )
        .unwrap();
        let first = store.first_start().unwrap().clone();
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", public.local_addr().unwrap());
        let admin_base = format!("http://{}", admin.local_addr().unwrap());
        let gate = open_gate();
        let (webhooks, ledger) = Webhooks::new(store.clone());
        tokio::spawn(ledger.keep());
        let guard = Guard::new(&["127.0.0.0/8".parse().unwrap()]);
        tokio::spawn(deliver::run(store.clone(), guard, webhooks.wake()));
        let state = ApiState::new(ApiParts {
            store,
            webhooks: webhooks.clone(),
            calls: Calls::new(10),
            bans: Bans::new(gate.clone(), SipHandle::new().0),
            sip_door: StreamDoor::new().0,
            registrations: Registrations::default(),
            directory: Directory::start(WorkerConfig::loopback()).unwrap(),
            metrics: metrics.clone(),
            registry: Arc::new(registry),
            readiness,
            urls: PublicUrls {
                join_base: base.clone(),
                sip_host: "127.0.0.1:5070".to_owned(),
            },
            profiles: vec!["generic".to_owned(), "twilio".to_owned()],
        });
        let events = state.directory().take_events().unwrap();
        tokio::spawn(history::follow(state.store().clone(), webhooks, events));
        let (stop, stopped) = watch::channel(false);
        for (listener, router) in [
            (public, router(state.clone())),
            (admin, admin_router(state.clone())),
        ] {
            let (metrics, stopped) = (metrics.http.clone(), stopped.clone());
            tokio::spawn(serve(listener, None, router, metrics, stopped));
        }
        Self {
            base,
            admin: admin_base,
            first,
            state,
            gate,
            folder,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop,
        }
    }

    /// A request with the first API key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(self.first.organization_id, Some(&self.first.api_key))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> (StatusCode, Value) {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        send(self.request(Method::DELETE, path)).await
    }
}

/// A gate that bans after one failure, with no SIP behind it.
fn open_gate() -> SharedGate {
    let config = GateConfig {
        stranger_rate: 0,
        strangers_rate: 0,
        known_rate: 0,
        ban_failures: 1,
        ban_time: std::time::Duration::from_secs(600),
    };
    SharedGate::new(Gate::new(config, Box::new(|_| false)))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

/// Asserts the shape and code of an error.
#[track_caller]
pub(super) fn assert_error(answer: &(StatusCode, Value), status: u16, code: &str) {
    let (got, body) = answer;
    assert_eq!(got.as_u16(), status, "{body}");
    assert_eq!(body["success"], false);
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().is_some());
}

/// A readiness against which nothing stands.
pub(super) fn ready() -> Readiness {
    Readiness {
        listeners: Box::new(|| Ok(())),
        workers: Box::new(|| vec![worker()]),
        store: Box::new(|| Box::pin(async { Ok(()) })),
        rtp_ports_free: Box::new(|| 1),
        draining: Box::new(|| false),
        store_checked: Default::default(),
    }
}

pub(super) fn worker() -> WorkerHealth {
    WorkerHealth {
        index: 0,
        last_tick_age: std::time::Duration::from_millis(3),
        sessions: 0,
        peers: 0,
        legs: 0,
        webrtc_addr: "127.0.0.1:1".parse().unwrap(),
        load: 0.0,
        complexity: 5,
        running: true,
    }
}

#[tokio::test]
async fn the_listener_speaks_tls_with_a_certificate_it_made_and_keeps() {
    let server = Server::start().await;
    let accept = |dir| TlsAcceptor::self_signed(dir, &[], &[b"http/1.1"]).unwrap();
    let tls = accept(&server.folder);
    let file = server.folder.join(crate::net::tls::SELF_SIGNED_FILE);
    let made = std::fs::read(&file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(
        listener,
        Some(tls),
        router(server.state.clone()),
        Default::default(),
        stopped,
    ));

    // Somebody who connects and says nothing holds up nobody.
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let trust = reqwest::Certificate::from_pem(&made).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trust])
        .build()
        .unwrap();
    let began = Instant::now();
    let (status, body) = send(client.get(format!("https://{address}/healthz"))).await;
    assert_eq!((status, &body["alive"]), (StatusCode::OK, &true.into()));
    assert!(began.elapsed() < crate::limits::TLS_HANDSHAKE_TIME_MAX);
    drop(silent);

    accept(&server.folder);
    assert_eq!(std::fs::read(&file).unwrap(), made, "the same one is used");
    let moved = "192.0.2.7".parse().unwrap();
    TlsAcceptor::self_signed(&server.folder, &[moved], &[b"http/1.1"]).unwrap();
    assert_ne!(
        std::fs::read(&file).unwrap(),
        made,
        "a new address, a new one"
    );

    stop.send_replace(true);
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let dir = std::env::temp_dir().join(format!("ringbridge-tls-{:032x}", rand::random::<u128>()));
    std::fs::create_dir(&dir).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let error = |cert, key| {
        let error = TlsAcceptor::from_files(cert, key, &[]).err().unwrap();
        error.to_string()
    };
    assert!(error(&cert, &key).contains("cert.pem"));
    std::fs::write(&cert, "not PEM").unwrap();
    assert!(error(&cert, &key).contains("no certificate in it"));
    TlsAcceptor::self_signed(&dir, &[], &[]).unwrap();
    let good = dir.join(crate::net::tls::SELF_SIGNED_FILE);
    assert!(error(&good, &cert).contains("no private key"));
    std::fs::remove_dir_all(&dir).unwrap();
}
