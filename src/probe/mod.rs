//! `ringbridge probe`: the end-to-end self-test that an operator runs against any running server,
//! and the real clients it is made of: a SIP telephone and a WebRTC participant.

pub mod args;
pub mod browser;
pub mod ear;
pub mod failure;
pub mod phone;
pub mod report;
pub mod rest;
pub mod run;
pub mod sound;
mod tls;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};

use self::args::ProbeArgs;
use self::failure::Stage;
use self::report::Report;
use crate::config::EXIT_USAGE;

/// The `probe` subcommand.
pub fn command() -> Command {
    let about = "Call a running server from a phone, join it as a browser, and listen at both ends";
    ProbeArgs::augment_args(Command::new("probe")).about(about)
}

/// Runs the `probe` subcommand and prints its report.
pub fn main(matches: &ArgMatches) -> ExitCode {
    let args = match ProbeArgs::from_arg_matches(matches) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let report = match args.target() {
        Err(failure) => Report {
            failure: Some(failure),
            ..Report::default()
        },
        Ok(target) => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(run::run(&target)),
            Err(error) => {
                eprintln!("ringbridge: no runtime: {error}");
                return ExitCode::FAILURE;
            }
        },
    };
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).unwrap_or_default(),
        false => report.to_string(),
    };
    // A reader that closed the pipe wants no more; the exit code still tells.
    let _reader_gone = writeln!(std::io::stdout(), "{text}");
    match &report.failure {
        None => ExitCode::SUCCESS,
        Some(failure) if failure.stage == Stage::Arguments => ExitCode::from(EXIT_USAGE),
        Some(_) => ExitCode::FAILURE,
    }
}
