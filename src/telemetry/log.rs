//! The log: one subscriber for the process, set up once at start.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use super::pii;
use crate::config::{LogConfig, LogFormat};

/// Crates whose warnings are about every peer and say nothing an operator could act on
/// ("conn.remote_addr is empty", "Unsupported Extension Type", three times a handshake). Stand
/// before the operator's directives, which may override them.
const QUIET_CRATES: &str = "rtc_dtls=error,rtc_sctp=error,rtc_ice=error,rtc_srtp=error,rtc_interceptor=error,\
     rtc=error,webrtc=error,sqlite=warn";

/// Modules that write whole messages at `trace`, join tokens among them: secrets enter no log, so
/// these stand after the operator's directives, which cannot override them.
const SECRETIVE_MODULES: [&str; 4] = [
    "tungstenite",
    "tungstenite::protocol",
    "tungstenite::protocol::frame",
    "tungstenite::protocol::frame::frame",
];

/// Whether `directives` can be understood.
///
/// # Errors
/// For the operator who wrote them.
pub fn check_filter(directives: &str) -> Result<(), ParseError> {
    filter(directives).map(|_| ())
}

/// Starts logging to standard error. Standard output belongs to the first-call card and to
/// reports.
///
/// # Errors
/// Someone else has set up a subscriber already, or the filter is not understood: programmer
/// errors, since the configuration was checked.
pub fn start(config: &LogConfig) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    pii::allow(config.personal_data);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            keep(move |filter| handle.reload(filter).is_ok());
            builder.try_init()
        }
        LogFormat::Json => {
            let builder = builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            keep(move |filter| handle.reload(filter).is_ok());
            builder.try_init()
        }
    }
}

/// Puts another filter in place; false when there is no log any more.
type Refilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static REFILTER: OnceLock<Refilter> = OnceLock::new();

fn keep(refilter: impl Fn(EnvFilter) -> bool + Send + Sync + 'static) {
    // A second log is refused by `try_init` anyway.
    let _second = REFILTER.set(Box::new(refilter));
}

/// Logs by other directives from now on; without a log nothing changes.
///
/// # Errors
/// They are not understood.
pub fn refilter(directives: &str) -> Result<(), ParseError> {
    let filter = filter(directives)?;
    if let Some(refilter) = REFILTER.get() {
        refilter(filter);
    }
    Ok(())
}

fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    let mut filter = EnvFilter::builder().parse(format!("{QUIET_CRATES},{directives}"))?;
    let loud: EnvFilter = EnvFilter::builder().parse(directives)?;
    if loud.max_level_hint() == Some(LevelFilter::TRACE) {
        for module in SECRETIVE_MODULES {
            filter = filter.add_directive(format!("{module}=info").parse()?);
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_understood_is_refused() {
        assert!(check_filter("info").is_ok());
        assert!(check_filter("warn,ringbridge::sip=debug").is_ok());
        assert!(check_filter("a=b=c").is_err());
    }

    #[test]
    fn handshake_noise_is_silent_unless_the_operator_asks_for_it() {
        let quiet = filter("info").unwrap().to_string();
        assert!(quiet.contains("rtc_dtls=error"), "{quiet}");
        let loud = filter("info,rtc_dtls=debug").unwrap().to_string();
        assert!(loud.contains("rtc_dtls=debug"), "{loud}");
        assert!(!loud.contains("rtc_dtls=error"), "{loud}");
    }

    #[test]
    fn messages_that_hold_tokens_are_not_written_however_loud_the_log() {
        for directives in ["trace", "tungstenite=trace", "tungstenite::protocol=trace"] {
            let filter = filter(directives).unwrap().to_string();
            assert!(filter.contains("tungstenite::protocol=info"), "{filter}");
            assert!(!filter.contains("tungstenite::protocol=trace"), "{filter}");
        }
        assert!(!filter("info").unwrap().to_string().contains("tungstenite"));
    }
}
