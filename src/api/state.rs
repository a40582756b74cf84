//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::console::ConsoleSessions;
use super::health::Readiness;
use super::rates::Rates;
use super::token::TokenKey;
use super::whip::OneShots;
use crate::id::MeetingId;
use crate::limits::SIGNAL_SOCKETS_MAX;
use crate::run::bans::Bans;
use crate::run::calls::Calls;
use crate::run::directory::Directory;
use crate::run::registrations::Registrations;
use crate::run::sip_listener::StreamDoor;
use crate::run::webhook::Webhooks;
use crate::store::Store;
use crate::telemetry::metric::Metrics;

/// How the world reaches this server; put into replies and links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrls {
    /// Where people join: `https://host[:port]`, or http; no slash at the end.
    pub join_base: String,
    /// Host and, if it is not 5060, port that phones dial: `host[:port]`.
    pub sip_host: String,
}

impl PublicUrls {
    /// The link that lets its holder join. The token stands in the fragment, which browsers keep
    /// to themselves.
    pub fn join_url(&self, token: &str) -> String {
        format!("{}/join#token={token}", self.join_base)
    }

    /// What a phone dials to join.
    pub fn sip_uri(&self, meeting: MeetingId) -> String {
        format!("sip:{meeting}@{}", self.sip_host)
    }
}

/// What an [`ApiState`] is made of.
pub struct ApiParts {
    /// What is kept.
    pub store: Store,
    /// What is live.
    pub directory: Directory,
    /// The phones' calls in progress.
    pub calls: Calls,
    /// Who is shut out of SIP.
    pub bans: Bans,
    /// Where SIP over WebSocket goes.
    pub sip_door: StreamDoor,
    /// Registered phones.
    pub registrations: Registrations,
    /// Where figures go.
    pub metrics: Metrics,
    /// Where figures are read from.
    pub registry: Arc<Registry>,
    /// Whether new calls are welcome.
    pub readiness: Readiness,
    /// How the world reaches us.
    pub urls: PublicUrls,
    /// Names of the SIP profiles that trunks may have.
    pub profiles: Vec<String>,
    /// Where what happens is told.
    pub webhooks: Webhooks,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ApiParts,
    tokens: TokenKey,
    console: ConsoleSessions,
    signal_sockets: Arc<Semaphore>,
    rates: Rates,
    one_shots: OneShots,
}

impl ApiState {
    /// Of these parts; join tokens are signed with the store's secret.
    pub fn new(parts: ApiParts) -> Self {
        let tokens = TokenKey::new(&parts.store.settings().token_secret);
        Self {
            inner: Arc::new(Inner {
                parts,
                tokens,
                console: ConsoleSessions::default(),
                signal_sockets: Arc::new(Semaphore::new(SIGNAL_SOCKETS_MAX)),
                rates: Rates::default(),
                one_shots: OneShots::default(),
            }),
        }
    }

    /// What is kept.
    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// Where SIP over WebSocket goes.
    pub(super) fn sip_door(&self) -> &StreamDoor {
        &self.inner.parts.sip_door
    }

    /// Registered phones.
    pub(super) fn registrations(&self) -> &Registrations {
        &self.inner.parts.registrations
    }

    /// What is live.
    pub fn directory(&self) -> &Directory {
        &self.inner.parts.directory
    }

    /// The phones' calls in progress.
    pub fn calls(&self) -> &Calls {
        &self.inner.parts.calls
    }

    /// Who is shut out of SIP.
    pub fn bans(&self) -> &Bans {
        &self.inner.parts.bans
    }

    /// Where figures go.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.parts.metrics
    }

    /// Where figures are read from.
    pub fn registry(&self) -> &Registry {
        &self.inner.parts.registry
    }

    /// Whether new calls are welcome.
    pub fn readiness(&self) -> &Readiness {
        &self.inner.parts.readiness
    }

    /// How the world reaches us.
    pub fn urls(&self) -> &PublicUrls {
        &self.inner.parts.urls
    }

    /// Names of the SIP profiles that trunks may have.
    pub fn profiles(&self) -> &[String] {
        &self.inner.parts.profiles
    }

    /// Where what happens is told.
    pub fn webhooks(&self) -> &Webhooks {
        &self.inner.parts.webhooks
    }

    /// Signs and checks join tokens.
    pub fn tokens(&self) -> &TokenKey {
        &self.inner.tokens
    }

    /// WHIP publishers and WHEP players.
    pub(super) fn one_shots(&self) -> &OneShots {
        &self.inner.one_shots
    }

    /// Who is logged in to the console.
    pub(super) fn console(&self) -> &ConsoleSessions {
        &self.inner.console
    }

    /// How often the API may be called.
    pub(super) fn rates(&self) -> &Rates {
        &self.inner.rates
    }

    /// One permit for each signalling WebSocket, publisher and player.
    pub(super) fn signal_sockets(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.signal_sockets)
    }
}

impl FromRef<ApiState> for Store {
    fn from_ref(state: &ApiState) -> Self {
        state.store().clone()
    }
}
