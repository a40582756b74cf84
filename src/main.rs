//! Arguments, configuration, log, exit code. No logic.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use ringbridge::app::App;
use ringbridge::config::{Config, ConfigError, EXIT_USAGE, Raw};
use ringbridge::run::shutdown::{self, Hangups};
use ringbridge::telemetry::{event, log};

/// Threads for signalling, HTTP and calls; media has threads of its own. Two, so that one slow
/// request never holds up SIP.
const CONTROL_THREADS: usize = 2;

fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refuse_arguments(&error),
    };
    match matches.subcommand() {
        None => serve(&matches),
        Some(("serve", matches)) => serve(matches),
        Some(("check", matches)) => check(matches),
        Some(("probe", matches)) => ringbridge::probe::main(matches),
        Some(("version", _)) => version(),
        Some(("completions", matches)) => completions(matches),
        Some(("man", _)) => manual(),
        Some((name, matches)) => ringbridge::operator::main(name, matches)
            .unwrap_or_else(|| unreachable!("clap knows no subcommand {name}")),
    }
}

fn command() -> Command {
    let about = "SIP-to-WebRTC telephony gateway: any phone that can dial joins a browser meeting";
    let root = Command::new("ringbridge")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(
            "Every setting is also RINGBRIDGE_NAME in the environment and a key in --config FILE.",
        )
        .args_conflicts_with_subcommands(true);
    Raw::augment(root)
        .subcommand(Raw::augment(
            Command::new("serve").about("Run the gateway (the default)"),
        ))
        .subcommand(Raw::augment(
            Command::new("check").about("Check the settings and say what they mean; bind nothing"),
        ))
        .subcommand(ringbridge::probe::command())
        .subcommands(ringbridge::operator::commands())
        .subcommand(
            Command::new("completions")
                .about("Print what a shell needs to complete these commands")
                .arg(
                    Arg::new("shell")
                        .required(true)
                        .value_parser(clap::value_parser!(clap_complete::Shell)),
                ),
        )
        .subcommand(Command::new("man").about("Print the manual page"))
        .subcommand(Command::new("version").about("Print the version"))
}

/// Help and version are answers; all else is a usage error.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed standard output here.
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::from(EXIT_USAGE),
        false => ExitCode::SUCCESS,
    }
}

fn configuration(matches: &ArgMatches) -> Result<(Raw, Config), ExitCode> {
    read(matches).map_err(|error| {
        eprintln!("ringbridge: {error}");
        ExitCode::from(EXIT_USAGE)
    })
}

fn read(matches: &ArgMatches) -> Result<(Raw, Config), ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(key, text)| Some((key.into_string().ok()?, text.into_string().ok()?)));
    let raw = Raw::gather(matches, environment)?;
    let config = Config::resolve(&raw)?;
    Ok((raw, config))
}

fn check(matches: &ArgMatches) -> ExitCode {
    let (raw, config) = match configuration(matches) {
        Ok(configuration) => configuration,
        Err(code) => return code,
    };
    let file = match raw.file() {
        Some(path) => path.display().to_string(),
        None => "no file".to_owned(),
    };
    say(&format!(
        "{file}: valid. It means:\n\n{}",
        config.describe()
    ))
}

fn serve(matches: &ArgMatches) -> ExitCode {
    let (raw, config) = match configuration(matches) {
        Ok(configuration) => configuration,
        Err(code) => return code,
    };
    if let Err(error) = log::start(&config.log) {
        eprintln!("ringbridge: log: {error}");
        return ExitCode::FAILURE;
    }
    event::Starting {
        config: raw.file(),
        workers: config.workers,
    }
    .emit();
    for note in config.notes() {
        event::ConfigNoted { note: &note }.emit();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("control")
        .worker_threads(CONTROL_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ringbridge: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let stop = shutdown::requested();
        let hangups = Hangups::listen();
        let app = match App::build(config).await {
            Ok(app) => app,
            Err(error) => {
                eprintln!("ringbridge: {error}");
                return ExitCode::FAILURE;
            }
        };
        say(&format!("{}\n", app.first_call()));
        // Flags and environment stay as they were at start; the files are read again.
        app.serve(stop, hangups, || read(matches).map(|(_, config)| config))
            .await;
        ExitCode::SUCCESS
    })
}

fn completions(matches: &ArgMatches) -> ExitCode {
    let mut text = Vec::new();
    if let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") {
        clap_complete::generate(*shell, &mut command(), "ringbridge", &mut text);
    }
    say(&String::from_utf8_lossy(&text))
}

fn manual() -> ExitCode {
    let mut text = Vec::new();
    match ringbridge::operator::manual(command(), &mut text) {
        Ok(()) => say(&String::from_utf8_lossy(&text)),
        Err(_) => ExitCode::FAILURE,
    }
}

fn version() -> ExitCode {
    say(concat!("ringbridge ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// To standard output; a closed one (`ringbridge check | head -1`) is not a failure.
fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
