//! Bridged calls on one core, all talking.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::engine::{Counted, Engine};
use super::fleet::Fleet;
use super::registry::{Between, Reading};
use super::server::Server;
use super::speech::Speech;
use super::{ServerArgs, calibrate, process};

const LATENESS: &str = "ringbridge_media_tick_lateness_seconds";
const SKIPPED: &str = "ringbridge_media_ticks_skipped_total";

/// Bridged calls.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Numbers of calls, rising.
    #[arg(long, value_delimiter = ',', default_value = "10,50,100,150,180,200")]
    calls: Vec<usize>,
    /// Length of each measurement, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Time between the last set-up and the measurement, in seconds.
    #[arg(long, default_value_t = 3)]
    settle: u64,
}

struct Row {
    calls: usize,
    wall: Duration,
    server: Duration,
    generator: Duration,
    server_core: Duration,
    resident_kib: u64,
    lateness: Between,
    skipped: Option<f64>,
    counted: Counted,
}

pub async fn run(args: &CapacityArgs) -> Result<(), Box<dyn Error>> {
    calibrate::print(&args.server);
    let server = Server::start(&args.server).await?;
    let speech = Arc::new(Speech::make()?);
    let engine = Engine::start(speech);
    let mut fleet = Fleet::new(server.rest()?, server.card.clone(), engine.orders());
    let empty_kib = process::resident_kib(server.pid());
    println!(
        "Bridged calls: one G.711 phone and one Opus browser (DTLS-SRTP) each, all talking; server \
         on core {}, ready after {} ms, {} MiB when empty; {} s a row",
        args.server.server_core,
        server.ready_after.as_millis(),
        empty_kib / 1_024,
        args.seconds
    );
    print_head();
    let mut best: Option<(usize, f64)> = None;
    for &calls in &args.calls {
        if let Err(error) = fleet.grow_to(calls).await {
            println!("stopped at {} calls: {error}", fleet.len());
            break;
        }
        tokio::time::sleep(Duration::from_secs(args.settle)).await;
        let row = measure(args, &server, &engine, fleet.len()).await?;
        row.print(empty_kib);
        let p99_ms = row.lateness.quantile(0.99).unwrap_or(f64::INFINITY) * 1_000.0;
        if p99_ms <= 5.0 {
            best = Some((row.calls, row.ms_per_call_second()));
        }
        if row.server.as_secs_f64() / row.wall.as_secs_f64() > 0.98 {
            println!("the server's core is full");
            break;
        }
    }
    match best {
        Some((calls, ms)) => println!(
            "\nmost calls with p99 tick lateness within 5 ms: {calls}, at {ms:.2} ms of CPU per \
             call-second (= {:.0} calls at 100 % of a core)",
            1_000.0 / ms
        ),
        None => println!("\nno row had its p99 tick lateness within 5 ms"),
    }
    println!(
        "goals: >= 200 calls per core with p99 tick lateness < 5 ms, <= 150 KiB per call; peers \
         measured elsewhere: Janus 72, Asterisk 72 calls per core"
    );
    fleet.end().await;
    calibrate::print(&args.server);
    Ok(())
}

async fn measure(
    args: &CapacityArgs,
    server: &Server,
    engine: &Engine,
    calls: usize,
) -> Result<Row, Box<dyn Error>> {
    let ours = std::process::id();
    engine.reset();
    let before = Reading::parse(&server.metrics().await?);
    let begun = Instant::now();
    let (cpu, own) = (process::cpu_time(server.pid()), process::cpu_time(ours));
    let core = process::core_busy(args.server.server_core);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let wall = begun.elapsed();
    let server_cpu = process::cpu_time(server.pid()) - cpu;
    let generator = process::cpu_time(ours) - own;
    let server_core = process::core_busy(args.server.server_core) - core;
    let counted = engine.counted().await;
    let after = Reading::parse(&server.metrics().await?);
    let skipped = after
        .sum(SKIPPED)
        .map(|now| now - before.sum(SKIPPED).unwrap_or(0.0));
    Ok(Row {
        calls,
        wall,
        server: server_cpu,
        generator,
        server_core,
        resident_kib: process::resident_kib(server.pid()),
        lateness: Between::of(LATENESS, &before, &after),
        skipped,
        counted,
    })
}

fn print_head() {
    println!(
        "\n{:>5} | {:>7} {:>8} {:>6} | {:>7} {:>6} {:>6} {:>6} {:>6} | {:>6} | {:>9} {:>9} {:>7} | {:>6} {:>6} {:>6}",
        "calls",
        "CPU %",
        "ms/call·s",
        "/core",
        "p99 ms",
        ">1 ms",
        ">5 ms",
        ">20 ms",
        "skip",
        "KiB/c",
        "→phone",
        "→browser",
        "sound",
        "gen %",
        "late",
        "other%"
    );
}

impl Row {
    fn ms_per_call_second(&self) -> f64 {
        self.server.as_secs_f64() * 1_000.0 / self.wall.as_secs_f64() / self.calls as f64
    }

    fn print(&self, empty_kib: u64) {
        let ms = self.ms_per_call_second();
        let percent = |part: Duration| 100.0 * part.as_secs_f64() / self.wall.as_secs_f64();
        let others = self.server_core.saturating_sub(self.server);
        let p99 = self
            .lateness
            .quantile(0.99)
            .map_or("-".to_owned(), |s| format!("<={:.1}", s * 1_000.0));
        let lost = |expected: u64, received: u64| {
            let lost = expected.saturating_sub(received);
            format!("{:.2}%", 100.0 * lost as f64 / expected.max(1) as f64)
        };
        let c = &self.counted;
        println!(
            "{:>5} | {:>7.1} {:>8.2} {:>6.0} | {:>7} {:>6.0} {:>6.0} {:>6.0} {:>6} | {:>6} | {:>9} {:>9} {:>7} | {:>6.1} {:>6} {:>6.1}",
            self.calls,
            percent(self.server),
            ms,
            1_000.0 / ms,
            p99,
            self.lateness.above(0.001),
            self.lateness.above(0.005),
            self.lateness.above(0.02),
            self.skipped.map_or("-".to_owned(), |s| format!("{s:.0}")),
            self.resident_kib.saturating_sub(empty_kib) / self.calls as u64,
            lost(c.phone_expected, c.phone_received),
            lost(c.browser_expected, c.browser_received),
            format!("{}/{}", c.calls_with_sound, c.calls),
            percent(self.generator),
            c.late_slots,
            percent(others),
        );
        if c.unsent > 0 {
            println!(
                "      | the generator could not send {} datagrams",
                c.unsent
            );
        }
        let due = self.wall.as_millis() as u64 / 20 * c.calls;
        for (what, got) in [
            ("phones", c.phone_received),
            ("browsers", c.browser_received),
        ] {
            if got * 100 < due * 97 {
                println!("      | {what} received {got} packets where {due} were due");
            }
        }
    }
}
