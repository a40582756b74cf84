//! The worker's loop.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::WorkerConfig;
use super::command::{Command, CommandSender};
use super::health::HealthCell;
use super::thread::Notice;
use super::wake::Waker;
use crate::net::batch::Poller;
use crate::run::clock;
use crate::run::directory::JoinRefusal;

/// What a worker is made of.
pub(super) struct WorkerParts {
    pub config: WorkerConfig,
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
    parts: WorkerParts,
    poller: Poller,
}

impl Worker {
    /// Ready to run.
    pub fn new(parts: WorkerParts) -> io::Result<Self> {
        let poller = Poller::new(64)?;
        poller.add(parts.waker.fd(), 0)?;
        Ok(Self { parts, poller })
    }

    /// Until asked to end.
    pub fn run(mut self) {
        while !self.parts.ending.load(Ordering::Acquire) {
            self.parts.health.ticked(clock::now());
            while let Ok(command) = self.parts.commands.try_recv() {
                match command {
                    Command::JoinBrowser { reply, .. } => {
                        let _asker_gone = reply.send(Err(JoinRefusal::WorkerFailed));
                    }
                    Command::JoinPhone { reply, .. } => {
                        let _asker_gone = reply.send(Err(JoinRefusal::WorkerFailed));
                    }
                    _ => {}
                }
            }
            self.parts.waker.clear();
            match self.poller.wait(Duration::from_millis(5)) {
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}
