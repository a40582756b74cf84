//! What a worker shows of itself while it runs: atomics, written by it alone, read by anyone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// State of one worker, for readiness, metrics and placement.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerHealth {
    /// 0-based.
    pub index: usize,
    /// Time since its last sub-tick; above 100 ms it is not ready.
    pub last_tick_age: Duration,
    /// Live sessions.
    pub sessions: usize,
    /// Browsers.
    pub peers: usize,
    /// Phones.
    pub legs: usize,
    /// Address of its socket for browsers, with the real port.
    pub webrtc_addr: SocketAddr,
    /// Share of a core it used in the last second.
    pub load: f32,
    /// Effort of its Opus encoders, 0–10: below the configured one under load.
    pub complexity: u8,
    /// Its thread runs.
    pub running: bool,
}

/// The shared side of [`WorkerHealth`].
#[derive(Debug)]
pub(crate) struct HealthCell {
    index: usize,
    webrtc_addr: SocketAddr,
    started: Instant,
    last_tick_ns: AtomicU64,
    sessions: AtomicUsize,
    peers: AtomicUsize,
    legs: AtomicUsize,
    load_permille: AtomicUsize,
    complexity: AtomicUsize,
    running: AtomicBool,
}

impl HealthCell {
    /// Of a worker that starts at `now`.
    pub fn new(index: usize, webrtc_addr: SocketAddr, now: Instant) -> Self {
        Self {
            index,
            webrtc_addr,
            started: now,
            last_tick_ns: AtomicU64::new(0),
            sessions: AtomicUsize::new(0),
            peers: AtomicUsize::new(0),
            legs: AtomicUsize::new(0),
            load_permille: AtomicUsize::new(0),
            complexity: AtomicUsize::new(0),
            running: AtomicBool::new(true),
        }
    }

    /// A sub-tick began.
    pub fn ticked(&self, now: Instant) {
        let since = now.saturating_duration_since(self.started);
        self.last_tick_ns
            .store(since.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The worker's population.
    pub fn populated(&self, sessions: usize, peers: usize, legs: usize) {
        self.sessions.store(sessions, Ordering::Relaxed);
        self.peers.store(peers, Ordering::Relaxed);
        self.legs.store(legs, Ordering::Relaxed);
    }

    /// What it measured of itself in the last round.
    pub fn measured(&self, load: f32, complexity: u8) {
        let permille = (load * 1_000.0) as usize;
        self.load_permille.store(permille, Ordering::Relaxed);
        self.complexity
            .store(usize::from(complexity), Ordering::Relaxed);
    }

    /// The thread has ended.
    pub fn ended(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// One reading.
    pub fn look(&self, now: Instant) -> WorkerHealth {
        let last_tick =
            self.started + Duration::from_nanos(self.last_tick_ns.load(Ordering::Relaxed));
        WorkerHealth {
            index: self.index,
            last_tick_age: now.saturating_duration_since(last_tick),
            sessions: self.sessions.load(Ordering::Relaxed),
            peers: self.peers.load(Ordering::Relaxed),
            legs: self.legs.load(Ordering::Relaxed),
            webrtc_addr: self.webrtc_addr,
            load: self.load_permille.load(Ordering::Relaxed) as f32 / 1_000.0,
            complexity: self.complexity.load(Ordering::Relaxed) as u8,
            running: self.running.load(Ordering::Relaxed),
        }
    }
}
