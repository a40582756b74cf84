//! Starting and ending the worker threads.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::command::CommandSender;
use super::health::HealthCell;
use super::machine::{Worker, WorkerParts};
use super::wake::Waker;
use super::{StartError, WorkerConfig};
use crate::id::MeetingId;
use crate::meeting::peer::Certificate;
use crate::run::clock;
use crate::run::directory::SessionEvent;

/// Kernel buffers of a browsers' socket: a few video frames to a few hundred subscribers.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// What a worker tells the directory. Never lost: a worker keeps what does not fit.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Something happened in a session.
    Event(SessionEvent),
    /// The meeting has no session here any more; it had taken or refused this many joins.
    JoinsHandled { meeting: MeetingId, joins: u64 },
}

/// The directory's side of one worker.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    /// Its door.
    pub commands: CommandSender,
    /// Its state.
    pub health: Arc<HealthCell>,
    ending: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl WorkerHandle {
    /// Asks the thread to say goodbye to everyone and end; the flag is seen even when the queue is
    /// full.
    pub fn ask_to_end(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Waits for a thread that has ended or is about to.
    pub fn join(self) {
        let _panicked_thread_has_ended_too = self.thread.join();
    }
}

/// Says that the thread has ended, however it did.
struct EndOfThread(Arc<HealthCell>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Binds all sockets first, then starts the threads: a port in use starts nothing.
pub(crate) fn start_all(
    config: WorkerConfig,
    notices: mpsc::Sender<Notice>,
) -> Result<Vec<WorkerHandle>, StartError> {
    if config.workers == 0 {
        return Err(StartError::Config("at least one media worker is needed"));
    }
    if config.candidate_addresses.is_empty() {
        return Err(StartError::Config("no address to offer to browsers"));
    }
    let sockets = bind_all(&config)?;
    let certificate = Certificate::generate().map_err(StartError::Certificate)?;
    let mut workers = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.into_iter().enumerate() {
        let worker = start(index, socket, &config, certificate.clone(), notices.clone())?;
        workers.push(worker);
    }
    Ok(workers)
}

fn bind_all(config: &WorkerConfig) -> Result<Vec<UdpSocket>, StartError> {
    let port_range = StartError::PortRange {
        base: config.webrtc_port,
        workers: config.workers,
    };
    let mut sockets = Vec::with_capacity(config.workers);
    for index in 0..config.workers {
        let port = match config.webrtc_port {
            0 => 0,
            base => match u16::try_from(usize::from(base) + index) {
                Ok(port) => port,
                Err(_) => return Err(port_range),
            },
        };
        let address = SocketAddr::new(config.webrtc_bind, port);
        sockets.push(bind(address).map_err(|source| StartError::Bind { address, source })?);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
    if address.is_ipv6() {
        // One dual-stack socket serves candidates of both families.
        socket.set_only_v6(false)?;
    }
    // Bursts of video must fit; the kernel caps it at its own maximum.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn start(
    index: usize,
    socket: UdpSocket,
    config: &WorkerConfig,
    certificate: Certificate,
    notices: mpsc::Sender<Notice>,
) -> Result<WorkerHandle, StartError> {
    let local = socket.local_addr().map_err(StartError::Thread)?;
    let health = Arc::new(HealthCell::new(index, local, clock::now()));
    let waker = Waker::new().map_err(StartError::Thread)?;
    let ending = Arc::new(AtomicBool::new(false));
    let (commands, receiver) = CommandSender::new(waker.clone());
    let worker = Worker::new(WorkerParts {
        config: config.clone(),
        certificate,
        socket,
        commands: receiver,
        door: commands.clone(),
        waker: waker.clone(),
        notices,
        health: Arc::clone(&health),
        ending: Arc::clone(&ending),
    })
    .map_err(StartError::Thread)?;
    let thread = std::thread::Builder::new()
        .name(format!("media-{index}"))
        .spawn({
            let health = Arc::clone(&health);
            move || {
                // Also when the loop itself panics.
                let _ended = EndOfThread(health);
                worker.run();
            }
        })
        .map_err(StartError::Thread)?;
    Ok(WorkerHandle {
        commands,
        health,
        ending,
        waker,
        thread,
    })
}
