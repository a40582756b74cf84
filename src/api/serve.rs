//! HTTP listeners, plain and TLS: bounded connections, handshakes that hold up nobody, a
//! graceful end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_http::add_extension::AddExtension;

use crate::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_CONNECTIONS_PER_ADDRESS_MAX, HTTP_HEAD_TIME_MAX,
    HTTP_SHUTDOWN_GRACE, TLS_HANDSHAKE_TIME_MAX,
};
use crate::net::seats::{ConnectionSeat, ConnectionSeats};
use crate::net::tls::TlsAcceptor;
use crate::telemetry::metric::http::HttpMetrics;

/// Out of descriptors or such: wait for some to be returned instead of spinning.
const ACCEPT_FAILED_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener`, with TLS if there is an acceptor, until `shutdown` turns true
/// or its sender is gone. Then nothing new is accepted, and what is under way may finish within
/// [`HTTP_SHUTDOWN_GRACE`]. WebSockets live on in tasks of their own; the directory ends them.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    metrics: HttpMetrics,
    mut shutdown: watch::Receiver<bool>,
) {
    let door = Door {
        tls,
        router,
        metrics,
        shutdown: shutdown.clone(),
    };
    let seats = ConnectionSeats::new(HTTP_CONNECTIONS_MAX, HTTP_CONNECTIONS_PER_ADDRESS_MAX);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = told_to_stop(&mut shutdown) => break,
        };
        match accepted {
            Ok((stream, peer)) => match seats.take(peer.ip()) {
                Some(seat) => {
                    connections.spawn(door.clone().attend(stream, peer, seat));
                }
                None => {
                    door.metrics.connections_refused.inc();
                }
            },
            Err(error) => accept_failed(&error).await,
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(HTTP_SHUTDOWN_GRACE, rest)
        .await
        .is_err()
    {
        tracing::info!("closed HTTP connections that were still busy");
    }
}

async fn accept_failed(error: &io::Error) {
    // A peer that gave up before we came is its own affair.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::warn!(%error, "an HTTP connection could not be accepted");
    tokio::time::sleep(ACCEPT_FAILED_PAUSE).await;
}

async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever wanted us to serve.
    let _sender_gone = shutdown.wait_for(|stop| *stop).await;
}

/// What every connection needs.
#[derive(Clone)]
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    metrics: HttpMetrics,
    shutdown: watch::Receiver<bool>,
}

impl Door {
    async fn attend(self, stream: TcpStream, peer: SocketAddr, _seat: ConnectionSeat) {
        self.metrics.connections.inc();
        let connections = self.metrics.connections.clone();
        // Small replies leave at once; without it only latency suffers, so a refusal is no error.
        let _delayed = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.converse(stream, peer).await,
            Some(tls) => {
                match tokio::time::timeout(TLS_HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.converse(stream, peer).await,
                    Ok(Err(_)) | Err(_) => {
                        self.metrics.connections_refused.inc();
                    }
                }
            }
        }
        connections.dec();
    }

    async fn converse<S>(mut self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = AddExtension::new(self.router, ConnectInfo(peer));
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEAD_TIME_MAX);
        let connection = builder.serve_connection_with_upgrades(
            TokioIo::new(stream),
            TowerToHyperService::new(service),
        );
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = told_to_stop(&mut self.shutdown) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }
}
