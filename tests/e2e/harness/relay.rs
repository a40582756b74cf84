//! A network between browsers and the server: a datagram relay that is narrow, or loses packets,
//! on the way to the browsers.
//!
//! The server believes that it is reached at 127.0.0.2; there the relay listens, on the port of
//! the server's own socket.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::server::Server;

/// Arguments of a server that stands behind a relay.
pub const BEHIND_RELAY: [&str; 4] = ["--public-address", "127.0.0.2", "--workers", "1"];

/// A packet that would have to wait longer is lost, as behind a home router.
const QUEUE_MAX: Duration = Duration::from_millis(400);
const LOOK_EVERY: Duration = Duration::from_micros(500);
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// A running relay; ended when dropped.
pub struct Relay {
    conditions: Arc<Conditions>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Conditions {
    /// Bit/s to each browser; 0: as much as there is.
    bps: AtomicU64,
    /// One in so many media packets to the browsers is lost; 0: none.
    lose_every: AtomicU64,
    lost: AtomicU64,
    over: AtomicBool,
}

/// One browser's socket, as the server sees it.
struct Client {
    upstream: UdpSocket,
    queue: VecDeque<(Instant, Vec<u8>)>,
    free_at: Instant,
    media: u64,
}

impl Relay {
    /// Before a server started with [`BEHIND_RELAY`].
    pub fn before(server: &Server) -> Relay {
        let target = server.webrtc();
        let front = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), target.port()));
        let front = UdpSocket::bind(front).expect("the second loopback address is free");
        front.set_nonblocking(true).expect("a socket option");
        let conditions = Arc::<Conditions>::default();
        let thread = std::thread::spawn({
            let conditions = Arc::clone(&conditions);
            move || run(&front, target, &conditions)
        });
        Relay {
            conditions,
            thread: Some(thread),
        }
    }

    /// How much it carries to each browser, bit/s; 0: everything.
    pub fn narrow(&self, bps: u64) {
        self.conditions.bps.store(bps, Ordering::Relaxed);
    }

    /// Loses one in so many media packets to the browsers; 0: none.
    pub fn lose_every(&self, packets: u64) {
        self.conditions.lose_every.store(packets, Ordering::Relaxed);
    }

    /// Packets it has lost.
    pub fn lost(&self) -> u64 {
        self.conditions.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.conditions.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(front: &UdpSocket, target: SocketAddr, conditions: &Conditions) {
    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    while !conditions.over.load(Ordering::Relaxed) {
        loop {
            match front.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let client = clients.entry(from).or_insert_with(|| Client::new(target));
                    let _ = client.upstream.send(&buffer[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        let now = Instant::now();
        for (address, client) in &mut clients {
            while let Ok(length) = client.upstream.recv(&mut buffer) {
                client.take(now, &buffer[..length], conditions);
            }
            while client.queue.front().is_some_and(|(at, _)| *at <= now) {
                let (_, datagram) = client.queue.pop_front().expect("it is there");
                let _ = front.send_to(&datagram, address);
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Client {
    fn new(target: SocketAddr) -> Client {
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        upstream.connect(target).expect("the server's address");
        upstream.set_nonblocking(true).expect("a socket option");
        Client {
            upstream,
            queue: VecDeque::new(),
            free_at: Instant::now(),
            media: 0,
        }
    }

    fn take(&mut self, now: Instant, datagram: &[u8], conditions: &Conditions) {
        // RTP and not RTCP (RFC 5761 §4).
        let is_media = matches!(datagram, [128..=191, second, ..]
            if !(64..=95).contains(&(second & 0x7F)));
        self.media += u64::from(is_media);
        let every = conditions.lose_every.load(Ordering::Relaxed);
        let unlucky = is_media && every > 0 && self.media.is_multiple_of(every);
        let mut at = now;
        let bps = conditions.bps.load(Ordering::Relaxed);
        if bps > 0 {
            let takes = Duration::from_secs_f64(datagram.len() as f64 * 8.0 / bps as f64);
            at = self.free_at.max(now) + takes;
        }
        if unlucky || at - now > QUEUE_MAX {
            conditions.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.free_at = at;
        self.queue.push_back((at, datagram.to_vec()));
    }
}
