//! The eventfd that ends a worker's sleep when a command arrives.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::net::batch;

/// Writes to, and reads from, one eventfd.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    eventfd: Arc<File>,
}

impl Waker {
    /// A new eventfd, non-blocking.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            eventfd: Arc::new(batch::eventfd()?),
        })
    }

    /// Makes the worker's `epoll_pwait2` return. A full counter means it is already awake.
    pub fn wake(&self) {
        let _already_awake = (&*self.eventfd).write(&1u64.to_ne_bytes());
    }

    /// Takes the wake-up back.
    pub fn clear(&self) {
        let mut count = [0u8; 8];
        let _was_clear = (&*self.eventfd).read(&mut count);
    }

    /// For epoll.
    pub fn fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}
