//! HTTP listeners, plain and TLS: bounded connections, handshakes that hold up nobody, a
//! graceful end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
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
    shutdown: watch::Receiver<bool>,
) {
    let door = Door {
        tls,
        router,
        metrics,
        shutdown,
        patience: Patience::default(),
    };
    door.serve(listener).await;
}

/// Where a request came in; an extension of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Our address.
    pub local: SocketAddr,
    /// Over TLS.
    pub is_tls: bool,
}

/// How long peers may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    handshake: Duration,
    head: Duration,
    shutdown: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: TLS_HANDSHAKE_TIME_MAX,
            head: HTTP_HEAD_TIME_MAX,
            shutdown: HTTP_SHUTDOWN_GRACE,
        }
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
    patience: Patience,
}

impl Door {
    async fn serve(self, listener: TcpListener) {
        let mut shutdown = self.shutdown.clone();
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
                        connections.spawn(self.clone().attend(stream, peer, seat));
                    }
                    None => {
                        self.metrics.connections_refused.inc();
                    }
                },
                Err(error) => accept_failed(&error).await,
            }
        }
        drop(listener);
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience.shutdown, rest)
            .await
            .is_err()
        {
            tracing::info!("closed HTTP connections that were still busy");
        }
    }

    async fn attend(self, stream: TcpStream, peer: SocketAddr, _seat: ConnectionSeat) {
        self.metrics.connections.inc();
        let connections = self.metrics.connections.clone();
        let arrival = Arrival {
            // An address that cannot be told is that of nobody we answer.
            local: stream.local_addr().unwrap_or(peer),
            is_tls: self.tls.is_some(),
        };
        // Small replies leave at once; without it only latency suffers, so a refusal is no error.
        let _delayed = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.converse(stream, peer, arrival).await,
            Some(tls) => {
                match tokio::time::timeout(self.patience.handshake, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.converse(stream, peer, arrival).await,
                    Ok(Err(_)) | Err(_) => {
                        self.metrics.connections_refused.inc();
                    }
                }
            }
        }
        connections.dec();
    }

    async fn converse<S>(mut self, stream: S, peer: SocketAddr, arrival: Arrival)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = AddExtension::new(self.router, ConnectInfo(peer));
        let service = AddExtension::new(service, arrival);
        // HTTP/1.1 alone: one connection is one request at a time, which is what the caps count.
        // Its clock runs from the first moment, so that a silent peer is closed too.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Far less than a peer's own patience, far more than a handshake takes.
    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    async fn start(tls: Option<TlsAcceptor>, handler: Router) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = watch::channel(false);
        let door = Door {
            tls,
            router: handler,
            metrics: HttpMetrics::default(),
            shutdown,
            patience: Patience {
                handshake: SHORT,
                head: SHORT,
                shutdown: LONG,
            },
        };
        tokio::spawn(door.serve(listener));
        (address, stop)
    }

    /// What the peer says until it closes, which it must.
    async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
        let mut heard = Vec::new();
        let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut heard)).await;
        // A reset is a close, too.
        let _reset = closed.expect("the server keeps the connection");
        heard
    }

    #[tokio::test]
    async fn who_says_nothing_or_never_ends_its_head_is_closed() {
        let (address, _stop) = start(None, Router::new()).await;
        let silent = TcpStream::connect(address).await.unwrap();
        assert!(until_closed(silent).await.is_empty());
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let heard = String::from_utf8(until_closed(slow).await).unwrap();
        assert!(
            heard.is_empty() || heard.starts_with("HTTP/1.1 408"),
            "{heard}"
        );
        let mut idle = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        idle.write_all(request).await.unwrap();
        assert!(until_closed(idle).await.starts_with(b"HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn who_connects_to_tls_and_says_nothing_is_closed() {
        let dir = std::env::temp_dir().join(format!("ringbridge-{:032x}", rand::random::<u128>()));
        std::fs::create_dir(&dir).unwrap();
        let tls = TlsAcceptor::self_signed(&dir, &[], &[b"http/1.1"]).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let (address, _stop) = start(Some(tls), Router::new()).await;
        let silent = TcpStream::connect(address).await.unwrap();
        assert!(until_closed(silent).await.is_empty());
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // An alert at most, never a page.
        assert!(!until_closed(plain).await.starts_with(b"HTTP"));
    }

    #[tokio::test]
    async fn http_2_without_being_asked_is_refused() {
        let (address, _stop) = start(None, Router::new()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let heard = until_closed(stream).await;
        assert!(
            heard.is_empty() || heard.starts_with(b"HTTP/1.1 4"),
            "{heard:?}"
        );
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_after_the_listener_has_closed() {
        let (arrived, arrival) = tokio::sync::oneshot::channel::<()>();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let once = std::sync::Arc::new(std::sync::Mutex::new(Some((arrived, released))));
        let handler = get(move || {
            let (arrived, released) = once.lock().unwrap().take().unwrap();
            async move {
                arrived.send(()).unwrap();
                released.await.unwrap();
                "done"
            }
        });
        let (address, stop) = start(None, Router::new().route("/", handler)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        arrival.await.unwrap();
        stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + LONG;
        while TcpStream::connect(address).await.is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "still accepting");
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        let heard = String::from_utf8(until_closed(stream).await).unwrap();
        assert!(heard.ends_with("done"), "{heard}");
    }
}
