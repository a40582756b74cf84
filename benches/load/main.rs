//! The load generator: real SIP phones and real DTLS-SRTP peers against the release server, which
//! it starts on a core of its own. Prints plain tables with the figures as they are, beside the
//! goals; run it by `scripts/bench`.

mod calibrate;
mod capacity;
mod engine;
mod fleet;
mod latency;
mod peer;
mod process;
mod registry;
mod server;
mod setup;
mod speech;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Load generator of Ringbridge.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
    /// `cargo bench` adds it.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// N bridged calls, one phone and one browser each, all talking: CPU, late ticks, memory.
    Capacity(capacity::CapacityArgs),
    /// Set-ups with digest: INVITE, 401, ACK, INVITE, 200, ACK, BYE, 200.
    Setup(setup::SetupArgs),
    /// Transit of sound, with and without background calls.
    Latency(latency::LatencyArgs),
    /// What one frame of Opus costs on this core now: the yardstick for all else.
    #[command(hide = true)]
    Calibrate,
}

/// The server under test.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The server's binary.
    #[arg(long, default_value = "target/release/ringbridge")]
    server: PathBuf,
    /// Core the server is pinned to.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// Niceness of the server, for a machine that others use as well; below 0 takes root.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    server_nice: i32,
    /// Further arguments of the server; repeatable.
    #[arg(long, allow_hyphen_values = true)]
    server_arg: Vec<String>,
}

fn main() -> ExitCode {
    let line = Line::parse();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match threads {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match &line.command {
            Command::Capacity(args) => capacity::run(args).await,
            Command::Setup(args) => setup::run(args).await,
            Command::Latency(args) => latency::run(args).await,
            Command::Calibrate => calibrate::run(),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
