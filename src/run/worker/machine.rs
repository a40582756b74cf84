//! The worker's loop: due ticks first, then datagrams, then commands, then everything there is to
//! send in one batch, then sleep.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;

use super::WorkerConfig;
use super::command::{Command, CommandSender, SeatKey};
use super::entry::Entry;
use super::governor::Governor;
use super::health::HealthCell;
use super::meter::{CpuMeter, LoadSource};
use super::routes::Routes;
use super::schedule::Schedule;
use super::thread::Notice;
use super::wake::Waker;
use crate::audio::opus::EncoderSettings;
use crate::id::MeetingId;
use crate::meeting::peer::{Certificate, PeerSetup};
use crate::meeting::session::SessionSettings;
use crate::meeting::signal::ByeReason;
use crate::meeting::track::SeatId;
use crate::net::batch::{self, Poller, ReceiveRing, SendBatch};
use crate::run::clock::{self, StampAnchor};
use crate::telemetry::metric::media::MediaMetrics;

/// Batches of 32 datagrams taken from the browsers' socket before the next deadline is looked at.
const RECEIVE_BATCHES_MAX: usize = 8;

/// Of these, how many are taken even when a sub-tick is due: what has come before it belongs into
/// it. Were ticks served first, then under load the datagrams would wait for each other behind
/// them, unseen by the jitter buffers, which go by the kernel's stamps (measured at 97 % of a core:
/// 180 ms from browser to phone instead of 22).
const RECEIVE_BATCHES_FIRST: usize = 4;

/// Commands taken before the next deadline is looked at.
const COMMANDS_PER_ROUND_MAX: usize = 64;

/// A packet cannot have waited longer in the kernel than this; a stamp that says so means that the
/// wallclock was set.
pub(super) const STAMP_AGE_MAX: Duration = Duration::from_millis(500);

/// Sub-ticks between two looks for seats whose owner is gone, and sessions that are over.
const SWEEP_SUB_TICKS: u64 = 50;

/// What a worker is made of.
pub(super) struct WorkerParts {
    pub config: WorkerConfig,
    pub certificate: Certificate,
    pub socket: UdpSocket,
    pub commands: mpsc::Receiver<Command>,
    pub door: CommandSender,
    pub waker: Waker,
    pub notices: mpsc::Sender<Notice>,
    pub health: Arc<HealthCell>,
    pub ending: Arc<AtomicBool>,
}

/// One media thread's state.
pub(super) struct Worker {
    socket: UdpSocket,
    commands: mpsc::Receiver<Command>,
    waker: Waker,
    notices: mpsc::Sender<Notice>,
    pub(super) health: Arc<HealthCell>,
    ending: Arc<AtomicBool>,
    poller: Poller,
    /// Taken out while its packets are being handed to sessions.
    browser_ring: Option<ReceiveRing>,
    /// For phones' sockets.
    pub(super) ring: ReceiveRing,
    schedule: Option<Schedule>,
    pub(super) governor: Governor,
    load_source: LoadSource,
    /// Load and complexity, as the metrics show them.
    pub(super) gauges: (Gauge<f64, AtomicU64>, Gauge),
    /// Made by the thread it measures.
    pub(super) meter: Option<CpuMeter>,
    pub(super) door: CommandSender,
    pub(super) settings: Arc<SessionSettings>,
    pub(super) linger: Duration,
    pub(super) metrics: MediaMetrics,
    pub(super) sessions: HashMap<MeetingId, Entry>,
    pub(super) phases: [Vec<MeetingId>; super::schedule::PHASES],
    pub(super) routes: Routes,
    pub(super) batch: SendBatch,
    pub(super) next_seat: u64,
    /// Number of the present 20 ms tick.
    pub(super) tick: u64,
    /// Notices the directory has not taken yet.
    pub(super) backlog: VecDeque<Notice>,
    /// Empty, kept for its room.
    scratch: Vec<MeetingId>,
    /// Last population told to the metrics: sessions, browsers, phones.
    pub(super) population: (usize, usize, usize),
}

impl Worker {
    /// Ready to run.
    pub fn new(parts: WorkerParts) -> io::Result<Self> {
        let poller = Poller::new(2)?;
        poller.add(parts.waker.fd(), 0)?;
        poller.add(parts.socket.as_raw_fd(), 1)?;
        batch::enable_receive_stamps(&parts.socket)?;
        let bound = parts.socket.local_addr()?;
        let config = parts.config;
        let index = parts.health.look(clock::now()).index;
        let opus = EncoderSettings {
            bitrate: config.opus_bitrate_bps,
            complexity: config.opus_complexity,
            // The leg decides when its phone is silent.
            dtx: false,
            ..EncoderSettings::narrowband_voice()
        };
        let peer = PeerSetup::new(parts.certificate, bound, &config.candidate_addresses);
        Ok(Self {
            socket: parts.socket,
            commands: parts.commands,
            waker: parts.waker,
            notices: parts.notices,
            health: parts.health,
            ending: parts.ending,
            poller,
            browser_ring: Some(ReceiveRing::new()),
            ring: ReceiveRing::new(),
            schedule: None,
            governor: Governor::new(
                f32::from(config.load_max_percent) / 100.0,
                config.opus_complexity,
            ),
            load_source: config.load_source,
            gauges: config.metrics.of_worker(index),
            meter: None,
            door: parts.door,
            settings: Arc::new(SessionSettings { peer, opus }),
            linger: config.session_linger,
            metrics: config.metrics,
            sessions: HashMap::new(),
            phases: Default::default(),
            routes: Routes::default(),
            batch: SendBatch::new(),
            next_seat: 0,
            tick: 0,
            backlog: VecDeque::new(),
            scratch: Vec::new(),
            population: (0, 0, 0),
        })
    }

    /// Until asked to end.
    pub fn run(mut self) {
        self.schedule = Some(Schedule::new(clock::now()));
        self.meter = Some(CpuMeter::new(self.load_source.clone()));
        while !self.ending.load(Ordering::Acquire) {
            let more_datagrams = self.take_datagrams();
            self.run_due_ticks();
            let more_commands = self.take_commands();
            self.send_batch();
            self.hand_out_notices();
            if !(more_datagrams || more_commands) && self.sleep().is_err() {
                // epoll itself fails only for want of memory: a worker that cannot sleep spins,
                // but its calls go on.
                std::thread::yield_now();
            }
        }
        self.shut_down();
    }

    fn sleep(&mut self) -> io::Result<()> {
        let next = self.schedule.as_ref().map(Schedule::next_at);
        let now = clock::now();
        let timeout = next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        let woken = self.poller.wait(timeout)?.any(|token| token == 0);
        if woken {
            self.waker.clear();
        }
        Ok(())
    }

    // ── time ──────────────────────────────────────────────────────────────────────────────────

    fn run_due_ticks(&mut self) {
        let now = clock::now();
        let Some(due) = self
            .schedule
            .as_mut()
            .and_then(|schedule| schedule.take(now))
        else {
            return;
        };
        self.metrics.tick_lateness.observe(due.late);
        self.governor.handle_sub_tick(due.late);
        self.health.ticked(now);
        for sub_tick in due.first..=due.last {
            let (tick, phase) = Schedule::tick_and_phase(sub_tick);
            self.tick = tick;
            for index in 0..self.phases[phase].len() {
                let Some(meeting) = self.phases[phase].get(index).copied() else {
                    break;
                };
                self.tick_session(meeting, tick);
            }
            if sub_tick.is_multiple_of(SWEEP_SUB_TICKS) {
                self.sweep(now);
            }
        }
        self.give_timeouts(now);
        self.tell_population();
        self.govern(now);
    }

    fn give_timeouts(&mut self, now: Instant) {
        let mut meetings = std::mem::take(&mut self.scratch);
        meetings.extend(self.sessions.keys().copied());
        for meeting in meetings.drain(..) {
            self.call(meeting, |session| session.handle_timeout(now));
        }
        self.scratch = meetings;
    }

    /// Ends sessions that have been empty for the linger time, and seats nobody holds any more (a
    /// seat that could not send its `Leave` because the queue was full).
    fn sweep(&mut self, now: Instant) {
        let over: Vec<MeetingId> = self
            .sessions
            .iter()
            .filter(|(_, entry)| {
                let empty = entry.session().empty_since();
                empty.is_some_and(|since| now.saturating_duration_since(since) >= self.linger)
            })
            .map(|(meeting, _)| *meeting)
            .collect();
        for meeting in over {
            self.end_session(now, meeting);
        }
        let mut abandoned: Vec<SeatKey> = Vec::new();
        for (meeting, entry) in &self.sessions {
            let browsers = entry.browsers.iter();
            let browsers = browsers.filter(|(_, sender)| sender.is_closed());
            let phones = entry.phones.iter();
            let phones = phones.filter(|(_, link)| link.events.is_closed());
            let seats = browsers.map(|(seat, _)| *seat);
            let seats = seats.chain(phones.map(|(seat, _)| *seat));
            abandoned.extend(seats.map(|SeatId(seat)| SeatKey {
                meeting: *meeting,
                seat,
            }));
        }
        for key in abandoned {
            self.leave(now, key);
        }
    }

    pub(super) fn tell_population(&mut self) {
        let mut population = (self.sessions.len(), 0, 0);
        for entry in self.sessions.values() {
            population.1 += entry.browsers.len();
            population.2 += entry.phones.len();
        }
        if population == self.population {
            return;
        }
        self.health
            .populated(population.0, population.1, population.2);
        let step = |new: usize, old: usize| new as i64 - old as i64;
        let old = std::mem::replace(&mut self.population, population);
        self.metrics.sessions.inc_by(step(population.0, old.0));
        self.metrics.peers.inc_by(step(population.1, old.1));
        self.metrics.legs.inc_by(step(population.2, old.2));
    }

    // ── browsers' datagrams ───────────────────────────────────────────────────────────────────

    /// Takes a bounded number of datagrams; true if more may be waiting.
    fn take_datagrams(&mut self) -> bool {
        for batch in 1..=RECEIVE_BATCHES_MAX {
            let mut ring = self.browser_ring.take().unwrap_or_default();
            let received = ring.receive(&self.socket);
            let anchor = StampAnchor::read();
            let (count, more) = received.unwrap_or((0, false));
            self.metrics
                .datagrams
                .browsers_received
                .inc_by(count as u64);
            for index in 0..count {
                let Some(packet) = ring.packet(index) else {
                    continue;
                };
                let Some(key) = self.routes.find(packet.from, packet.bytes) else {
                    self.metrics.datagrams.unrouted.inc();
                    continue;
                };
                let stamp = packet.stamp_ns;
                let arrival = stamp.map_or(anchor.now(), |ns| anchor.place(ns, STAMP_AGE_MAX));
                let seat = SeatId(key.seat);
                self.call(key.meeting, |session| {
                    session.handle_datagram(arrival, seat, packet.from, packet.bytes);
                });
            }
            self.browser_ring = Some(ring);
            if !more {
                return false;
            }
            let next = self.schedule.as_ref().map(Schedule::next_at);
            if batch >= RECEIVE_BATCHES_FIRST && next.is_some_and(|next| next <= anchor.now()) {
                return true;
            }
        }
        true
    }

    fn send_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let outcome = self.batch.flush(&self.socket);
        let datagrams = &self.metrics.datagrams;
        datagrams.browsers_sent.inc_by(outcome.sent as u64);
        datagrams.browsers_unsent.inc_by(outcome.failed as u64);
    }

    // ── commands and notices ──────────────────────────────────────────────────────────────────

    fn take_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_ROUND_MAX {
            match self.commands.try_recv() {
                Ok(command) => self.handle_command(clock::now(), command),
                Err(_) => return false,
            }
        }
        true
    }

    /// What the directory has no room for waits here; it is bounded by what sessions can do while
    /// the directory's task, which never waits for us, is not running.
    fn hand_out_notices(&mut self) {
        while let Some(notice) = self.backlog.pop_front() {
            match self.notices.try_send(notice) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(notice)) => {
                    self.backlog.push_front(notice);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }

    fn shut_down(&mut self) {
        let now = clock::now();
        let meetings: Vec<MeetingId> = self.sessions.keys().copied().collect();
        for meeting in meetings {
            self.call(meeting, |session| session.end(now, ByeReason::Shutdown));
            self.end_session(now, meeting);
        }
        self.send_batch();
        self.tell_population();
        while let Some(notice) = self.backlog.pop_front() {
            // The directory drains its queue until the last worker has ended.
            if self.notices.blocking_send(notice).is_err() {
                return;
            }
        }
    }
}
