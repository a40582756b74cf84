//! Stream connections of our own: opened when the one that a call or a request came on is gone
//! (carriers close idle ones), to its Route, Contact or Via.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::debug;

use super::sip_listener::{canonical, tune};
use crate::limits;
use crate::net::stream::{self, FlowIds, StreamEvent};
use crate::net::tls::TlsConnector;
use crate::sip::flow::{Flow, FlowId, Transport};

/// The name that whoever answers at an address must prove to have, where it is configured: a
/// carrier's Route is an address, its certificate names a host.
pub type TlsNames = Arc<dyn Fn(IpAddr) -> Option<String> + Send + Sync>;

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    transport: Transport,
    host: String,
    port: u16,
}

/// Opens connections, one to each target at a time, and never waits itself.
pub(super) struct Connector {
    /// What we are reached at, for the flows.
    local: SocketAddr,
    flows: FlowIds,
    events: mpsc::Sender<StreamEvent>,
    tls_names: TlsNames,
    tls: Arc<OnceCell<TlsConnector>>,
    seats: Arc<Semaphore>,
    /// Those being opened, and those open: further messages follow the first.
    open: HashMap<Target, (FlowId, mpsc::Sender<Bytes>)>,
}

impl Connector {
    pub fn new(
        local: SocketAddr,
        flows: FlowIds,
        events: mpsc::Sender<StreamEvent>,
        tls_names: TlsNames,
    ) -> Self {
        Self {
            local,
            flows,
            events,
            tls_names,
            tls: Arc::default(),
            seats: Arc::new(Semaphore::new(limits::SIP_CONNECTS_MAX)),
            open: HashMap::new(),
        }
    }

    /// Sends one message. If nobody can be reached, its transaction times out.
    pub fn send(&mut self, transport: Transport, host: String, port: u16, bytes: Bytes) {
        let target = Target {
            transport,
            host,
            port,
        };
        if let Some((_, queue)) = self.open.get(&target) {
            if queue.try_send(bytes).is_err() {
                debug!("A SIP connection of our own does not take what is sent");
            }
            return;
        }
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            debug!("Too many SIP connections of our own");
            return;
        };
        let (outgoing, queue) = mpsc::channel(limits::STREAM_WRITES_MAX);
        let flow = self.flows.next();
        // The queue is new and holds more than one.
        let _ = outgoing.try_send(bytes);
        self.open.insert(target.clone(), (flow, outgoing.clone()));
        let opening = Opening {
            target,
            flow,
            local: self.local,
            tls_names: Arc::clone(&self.tls_names),
            tls: Arc::clone(&self.tls),
            events: self.events.clone(),
            _seat: seat,
        };
        tokio::spawn(opening.run(outgoing, queue));
    }

    /// A connection, ours or not, is gone.
    pub fn handle_closed(&mut self, flow: FlowId) {
        self.open.retain(|_, (open, _)| *open != flow);
    }
}

/// One connection from its first step to its end.
struct Opening {
    target: Target,
    flow: FlowId,
    local: SocketAddr,
    tls_names: TlsNames,
    tls: Arc<OnceCell<TlsConnector>>,
    events: mpsc::Sender<StreamEvent>,
    _seat: OwnedSemaphorePermit,
}

impl Opening {
    async fn run(self, outgoing: mpsc::Sender<Bytes>, queue: mpsc::Receiver<Bytes>) {
        let transport = self.target.transport;
        let opened = timeout(limits::SIP_CONNECT_TIME_MAX, self.connect()).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (flow, events) = (self.flow, self.events.clone());
        let flow_to = |remote| Flow {
            id: flow,
            transport,
            local: self.local,
            remote: canonical(remote),
        };
        match opened {
            Ok((remote, Connection::Plain(connection))) => {
                stream::serve_queue(connection, flow_to(remote), events, outgoing, queue).await;
            }
            Ok((remote, Connection::Tls(connection))) => {
                stream::serve_queue(connection, flow_to(remote), events, outgoing, queue).await;
            }
            Err(error) => {
                debug!(%error, %transport, "A SIP connection could not be opened");
                // The receiver is gone only when the process ends.
                let _ = events.send(StreamEvent::Closed { flow }).await;
            }
        }
    }

    async fn connect(&self) -> io::Result<(SocketAddr, Connection)> {
        let Target {
            transport,
            host,
            port,
        } = &self.target;
        let host = host.trim_matches(['[', ']']);
        let connection = TcpStream::connect((host, *port)).await?;
        tune(&connection);
        let remote = connection.peer_addr()?;
        if *transport != Transport::Tls {
            return Ok((remote, Connection::Plain(connection)));
        }
        let tls = self.tls.get_or_try_init(read_roots).await?;
        let configured = (self.tls_names)(remote.ip().to_canonical());
        let name = configured.as_deref().unwrap_or(host);
        let connection = tls.connect(name, connection).await?;
        Ok((remote, Connection::Tls(Box::new(connection))))
    }
}

enum Connection {
    Plain(TcpStream),
    Tls(Box<crate::net::tls::ClientStream<TcpStream>>),
}

async fn read_roots() -> io::Result<TlsConnector> {
    let reading = tokio::task::spawn_blocking(TlsConnector::with_platform_roots);
    reading.await.map_err(io::Error::other)?
}
