//! The process itself: memory, descriptors, threads, CPU, version. Read when scraped, from /proc.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Ticks of `/proc/self/stat` per second: fixed at 100 for user space on Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the figures under Prometheus's usual names (`process_…`) and the build's version.
pub fn register(registry: &mut Registry) {
    registry.register(
        "ringbridge_build",
        "Version of the running program",
        Info::new([("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry.register_collector(Box::new(ProcessCollector));
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauges = [
            (
                "process_open_fds",
                "Open file descriptors",
                None,
                open_descriptors(),
            ),
            (
                "process_threads",
                "Threads",
                None,
                status_number("Threads:"),
            ),
            (
                "process_resident_memory",
                "Resident memory",
                Some(Unit::Bytes),
                status_number("VmRSS:").map(|kib| kib * 1_024),
            ),
        ];
        for (name, help, unit, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let metric = encoder.encode_descriptor(
                "process_cpu",
                "User and system CPU time",
                Some(&Unit::Seconds),
                counter.metric_type(),
            )?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

fn open_descriptors() -> Option<i64> {
    // The descriptor of the folder being read counts itself.
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(count as i64 - 1)
}

fn status_number(key: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold blanks: fields count from behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}
