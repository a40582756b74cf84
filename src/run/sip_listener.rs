//! Where SIP arrives: one UDP socket, a TCP listener beside it, and a TLS listener if there is one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::limits;
use crate::net::seats::{ConnectionSeat, ConnectionSeats};
use crate::net::stream::{self, FlowIds, StreamEvent};
use crate::net::tls::TlsAcceptor;
use crate::sip::flow::{Flow, Transport};

/// The bound listeners.
pub struct SipListeners {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    pub(super) tls: Option<(TcpListener, TlsAcceptor)>,
    /// Where both are bound.
    pub address: SocketAddr,
}

impl SipListeners {
    /// Binds UDP and TCP on one address and port. With port 0 the kernel chooses one that is free
    /// for both.
    ///
    /// # Errors
    /// The address is not ours, or the port is in use for either.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tries = if address.port() == 0 { 16 } else { 1 };
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..tries {
            let udp = bind_udp(address)?;
            let bound = udp.local_addr()?;
            match TcpListener::bind(bound).await {
                Ok(tcp) => {
                    return Ok(Self {
                        udp,
                        tcp,
                        tls: None,
                        address: bound,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl SipListeners {
    /// Serves TLS too, on a listener bound before.
    pub fn with_tls(self, listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let tls = Some((listener, acceptor));
        Self { tls, ..self }
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    // A burst of set-ups must wait in the kernel, not be lost; the kernel caps what it grants.
    let _ = socket.set_recv_buffer_size(4 << 20);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Lets stream connections in. The seats are shared by all listeners; clones share everything.
#[derive(Clone)]
pub struct StreamDoor {
    seats: ConnectionSeats,
    flows: FlowIds,
    events: mpsc::Sender<StreamEvent>,
}

impl StreamDoor {
    /// A door and what comes through it.
    pub fn new() -> (Self, mpsc::Receiver<StreamEvent>) {
        let (events, queue) = mpsc::channel(limits::STREAM_EVENTS_MAX);
        let seats = ConnectionSeats::new(
            limits::STREAM_CONNECTIONS_MAX,
            limits::STREAM_CONNECTIONS_PER_ADDRESS_MAX,
        );
        let door = Self {
            seats,
            flows: FlowIds::default(),
            events,
        };
        (door, queue)
    }

    /// A seat for a connection from `address`; `None` when there is none left.
    pub fn seat(&self, address: IpAddr) -> Option<ConnectionSeat> {
        self.seats.take(address)
    }

    /// Numbers for flows.
    pub(super) fn flows(&self) -> FlowIds {
        self.flows.clone()
    }

    /// Names a connection.
    pub fn flow(&self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            id: self.flows.next(),
            transport,
            local,
            remote: canonical(remote),
        }
    }

    /// Where its messages go.
    pub fn events(&self) -> mpsc::Sender<StreamEvent> {
        self.events.clone()
    }

    /// Accepts until it is dropped.
    pub(super) async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let Ok(local) = listener.local_addr() else {
            return;
        };
        let transport = match tls {
            Some(_) => Transport::Tls,
            None => Transport::Tcp,
        };
        loop {
            let (connection, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Descriptors exhausted: waiting is all that helps, spinning would not.
                    warn!(%error, "A SIP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(seat) = self.seats.take(remote.ip()) else {
                continue;
            };
            let flow = self.flow(transport, local, remote);
            let (tls, events) = (tls.clone(), self.events.clone());
            tokio::spawn(attend(connection, tls, flow, events, seat));
        }
    }
}

async fn attend(
    connection: TcpStream,
    tls: Option<TlsAcceptor>,
    flow: Flow,
    events: mpsc::Sender<StreamEvent>,
    _seat: ConnectionSeat,
) {
    tune(&connection);
    let Some(tls) = tls else {
        return stream::serve(connection, flow, events).await;
    };
    // Scanners open TLS ports all day: a handshake that fails is no news.
    match timeout(limits::TLS_HANDSHAKE_TIME_MAX, tls.accept(connection)).await {
        Ok(Ok(connection)) => stream::serve(connection, flow, events).await,
        Ok(Err(error)) => debug!(%error, "A TLS handshake of SIP failed"),
        Err(_) => debug!("A TLS handshake of SIP took too long"),
    }
}

/// Small messages, each awaited by somebody; and a peer that vanished without a word is noticed,
/// since its connection may idle for ever otherwise.
pub(super) fn tune(connection: &TcpStream) {
    let _ = connection.set_nodelay(true);
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(limits::STREAM_KEEP_ALIVE)
        .with_interval(limits::STREAM_KEEP_ALIVE / 4);
    let _ = socket2::SockRef::from(connection).set_tcp_keepalive(&keep_alive);
}

/// A dual-stack socket shows IPv4 peers as mapped IPv6; SIP headers and ACLs want IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
