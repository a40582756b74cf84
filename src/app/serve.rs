//! Serves what was built, and drains.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::App;
use crate::api;
use crate::call::end::EndReason;
use crate::config::{Config, ConfigError};
use crate::limits::{HANG_UP_WAIT_MAX, HEARTBEAT_INTERVAL, STORE_REPLY_MAX};
use crate::run::calls::Calls;
use crate::run::history;
use crate::run::shutdown::Hangups;
use crate::run::webhook::target::Guard;
use crate::run::webhook::{Webhooks, deliver};
use crate::store::Store;
use crate::telemetry::event::{Draining, Listening, Stopped};

impl App {
    /// Serves until `stop` resolves, then drains: new calls are refused with 503, `/readyz` and
    /// OPTIONS say so, calls in progress may go on for the configured time and are then hung up.
    /// At each of `hangups`, what `read` reads takes the place of the settings.
    pub async fn serve(
        self,
        stop: impl Future<Output = ()>,
        mut hangups: Hangups,
        read: impl Fn() -> Result<Config, ConfigError>,
    ) {
        self.announce();
        let Self {
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
            ..
        } = self;
        let sip = tokio::spawn(sip.run());
        let history = context.directory.take_events().map(|events| {
            tokio::spawn(history::follow(
                context.store.clone(),
                context.webhooks.clone(),
                events,
            ))
        });
        let keeper = tokio::spawn(registrations.clone().keep(context.store.clone()));
        let ledger = tokio::spawn(ledger.keep());
        let guard = Guard::new(&config.webhook_networks);
        let wake = context.webhooks.wake();
        let posting = tokio::spawn(deliver::run(context.store.clone(), guard, wake));
        let heartbeat = tokio::spawn(beat(context.calls.clone(), context.store.clone()));
        let (close_http, closing) = watch::channel(false);
        let mut servers = JoinSet::new();
        let listen = |listener, tls, router| {
            api::serve::serve(
                listener,
                tls,
                router,
                api.metrics().http.clone(),
                closing.clone(),
            )
        };
        servers.spawn(listen(http, None, api::router(api.clone())));
        if let Some((listener, tls)) = https {
            servers.spawn(listen(listener, Some(tls), api::router(api.clone())));
        }
        servers.spawn(listen(admin, None, api::admin_router(api.clone())));

        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = hangups.next() => reloader.reload(read()),
            }
        }
        let config = reloader.config.load_full();

        let calls = context.calls.count();
        Draining {
            calls,
            timeout: config.drain_timeout,
        }
        .emit();
        available.send_replace(false);
        let drained = timeout(config.drain_timeout, context.calls.wait_until_none())
            .await
            .is_ok();
        let calls_ended = if drained { 0 } else { context.calls.count() };
        if !drained {
            context.calls.hang_up_all(EndReason::Shutdown);
            // BYE and its answer take a round trip; a phone that is gone must not hold us up.
            let _ = timeout(HANG_UP_WAIT_MAX, context.calls.wait_until_none()).await;
        }
        context.directory.clone().shutdown().await;
        close_http.send_replace(true);
        while servers.join_next().await.is_some() {}
        sip.abort();
        keeper.abort();
        registrations.write(&context.store).await;
        posting.abort();
        settle(&context.store, &context.webhooks, history).await;
        ledger.abort();
        heartbeat.abort();
        Stopped { calls_ended }.emit();
    }

    fn announce(&self) {
        let addresses = self.addresses();
        let listening = |listener, address| Listening { listener, address }.emit();
        listening("sip", addresses.sip);
        if let Some(sips) = addresses.sips {
            listening("sips", sips);
        }
        listening("http", addresses.http);
        if let Some(https) = addresses.https {
            listening("https", https);
        }
        listening("admin", addresses.admin);
        for webrtc in &addresses.webrtc {
            listening("webrtc", *webrtc);
        }
    }
}

/// While there are calls, writes now and then that we live: when a crash ends them, this is when
/// they were last known to go on.
async fn beat(calls: Calls, store: Store) {
    loop {
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
        if calls.count() > 0
            && let Err(error) = store.is_writable().await
        {
            tracing::warn!(%error, "the store takes no writes: call records wait in memory");
        }
    }
}

/// Lets the sessions' ends be written, then leaves the store as one file.
async fn settle(store: &Store, webhooks: &Webhooks, history: Option<JoinHandle<()>>) {
    if let Some(history) = history {
        // The directory is gone, so its events end; a store that hangs must not hold us up.
        let _in_time = timeout(STORE_REPLY_MAX, history).await;
    }
    let _in_time = timeout(STORE_REPLY_MAX, webhooks.flush()).await;
    if let Err(error) = store.flush().await {
        tracing::warn!(%error, "the store's log was not folded in; the next start does it");
    }
}
