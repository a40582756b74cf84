//! How much of a core the worker's thread has used.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[cfg(test)]
use std::sync::{Arc, atomic::AtomicU64};

/// Where a worker reads its CPU time.
#[derive(Debug, Clone, Default)]
pub(crate) enum LoadSource {
    /// The kernel's account of the thread.
    #[default]
    Thread,
    /// So many nanoseconds, as a test says.
    #[cfg(test)]
    Told(Arc<AtomicU64>),
}

/// See the module. Belongs to the thread that made it.
#[derive(Debug)]
pub(super) struct CpuMeter {
    source: LoadSource,
    /// `schedstat` of this thread; without it nothing is measured.
    file: Option<File>,
}

impl CpuMeter {
    /// Of the calling thread.
    pub fn new(source: LoadSource) -> Self {
        let file = File::open("/proc/thread-self/schedstat").ok();
        Self { source, file }
    }

    /// Time used since the thread began; `None` if the kernel does not tell.
    pub fn used(&self) -> Option<Duration> {
        match &self.source {
            LoadSource::Thread => {}
            #[cfg(test)]
            LoadSource::Told(ns) => {
                let ns = ns.load(std::sync::atomic::Ordering::Relaxed);
                return Some(Duration::from_nanos(ns));
            }
        }
        // "time on a core, time waiting for one, turns", in ns (kernel: sched-stats.rst).
        let mut text = [0; 64];
        let length = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let ns = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_measured_and_waiting_is_not() {
        let meter = CpuMeter::new(LoadSource::Thread);
        let before = meter.used().unwrap();
        let mut sum = 0u64;
        while meter.used().unwrap() - before < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        let begun = crate::run::clock::now();
        let before = meter.used().unwrap();
        // Blocked, not sleeping: nobody ever sends.
        let (_sender, receiver) = std::sync::mpsc::sync_channel::<()>(1);
        let _nothing = receiver.recv_timeout(Duration::from_millis(50));
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert!(meter.used().unwrap() - before < Duration::from_millis(25));
    }
}
