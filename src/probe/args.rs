//! What the probe is told: flags, or the server's `first-call.json`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::failure::{Failure, Stage};
use crate::id::MeetingId;

/// End-to-end self-test against a running server: joins a meeting as a WebRTC participant, calls
/// it from a SIP telephone, and finds each one's tone at the other end.
///
/// Exit code 0: all stages passed. 1: the stage named in the last line failed. 64: bad arguments.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// The server's `first-call.json`; flags win over what it says.
    #[arg(long, value_name = "FILE")]
    pub first_call: Option<PathBuf>,
    /// Base address of the REST API, e.g. http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub api_base: Option<String>,
    /// Organisation: user name of the REST API.
    #[arg(long, value_name = "UUID")]
    pub organization_id: Option<String>,
    /// API key: password of the REST API.
    #[arg(
        long,
        value_name = "KEY",
        env = "RINGBRIDGE_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<String>,
    /// Address to call, e.g. sip:MEETING@host:5060;transport=tcp
    #[arg(long, value_name = "URI")]
    pub sip_uri: Option<String>,
    /// SIP user name.
    #[arg(long, value_name = "NAME")]
    pub sip_username: Option<String>,
    /// SIP password.
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "RINGBRIDGE_SIP_PASSWORD",
        hide_env_values = true
    )]
    pub sip_password: Option<String>,
    /// Meeting to test; nobody else should be in it.
    #[arg(long, value_name = "UUID")]
    pub meeting_id: Option<MeetingId>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// Longest wait of each stage, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
    /// How long delay and loss are measured, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=25))]
    pub seconds: u64,
    /// Believe any TLS certificate, a self-signed one for example.
    #[arg(long)]
    pub accept_any_certificate: bool,
}

/// The parts of `first-call.json` that the probe uses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct FirstCallFile {
    api_base: Option<String>,
    organization_id: Option<String>,
    api_key: Option<String>,
    sip_uri: Option<String>,
    sip_username: Option<String>,
    sip_password: Option<String>,
    meeting_id: Option<MeetingId>,
}

/// Everything a run needs.
#[derive(Debug, Clone)]
pub struct Target {
    /// REST base without a trailing slash or `/v2`.
    pub api_base: String,
    /// REST user.
    pub organization_id: String,
    /// REST password.
    pub api_key: String,
    /// Where the phone calls.
    pub sip_uri: String,
    /// Digest username.
    pub sip_username: String,
    /// Digest password.
    pub sip_password: String,
    /// Where both meet.
    pub meeting_id: MeetingId,
    /// Longest wait of a stage.
    pub stage_wait: Duration,
    /// Length of the measurement.
    pub measured: Duration,
    /// For REST and signalling over TLS.
    pub accept_any_certificate: bool,
}

impl ProbeArgs {
    /// Joins flags and file.
    ///
    /// # Errors
    /// The file is unreadable, or something is given nowhere: the operator's to mend.
    pub fn target(&self) -> Result<Target, Failure> {
        let wrong = |text: String| Failure::new(Stage::Arguments, text);
        let file = match &self.first_call {
            None => FirstCallFile::default(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))
                .and_then(|text| {
                    serde_json::from_str(&text)
                        .map_err(|error| wrong(format!("{}: {error}", path.display())))
                })?,
        };
        let pick = |flag: &Option<String>, file: Option<String>, name: &str| {
            flag.clone()
                .or(file)
                .ok_or_else(|| wrong(format!("give --{name} or --first-call FILE")))
        };
        let api_base = pick(&self.api_base, file.api_base, "api-base")?;
        let api_base = api_base.trim_end_matches('/');
        let sip_uri = pick(&self.sip_uri, file.sip_uri, "sip-uri")?;
        let dialled = || user_of(&sip_uri).and_then(|user| user.parse().ok());
        let meeting_id = self
            .meeting_id
            .or_else(|| self.sip_uri.as_ref().and_then(|_| dialled()))
            .or(file.meeting_id)
            .or_else(dialled)
            .ok_or_else(|| wrong("give --meeting-id or --first-call FILE".to_owned()))?;
        Ok(Target {
            api_base: api_base.strip_suffix("/v2").unwrap_or(api_base).to_owned(),
            organization_id: pick(
                &self.organization_id,
                file.organization_id,
                "organization-id",
            )?,
            api_key: pick(&self.api_key, file.api_key, "api-key")?,
            sip_uri: with_user(&sip_uri, &meeting_id.to_string()),
            sip_username: pick(&self.sip_username, file.sip_username, "sip-username")?,
            sip_password: pick(&self.sip_password, file.sip_password, "sip-password")?,
            meeting_id,
            stage_wait: Duration::from_secs(self.timeout),
            measured: Duration::from_secs(self.seconds),
            accept_any_certificate: self.accept_any_certificate,
        })
    }
}

/// User part of a SIP URI.
fn user_of(uri: &str) -> Option<&str> {
    let (scheme_and_user, _) = uri.split_once('@')?;
    scheme_and_user.split_once(':').map(|(_, user)| user)
}

/// The same host and parameters under another user.
pub fn with_user(uri: &str, user: &str) -> String {
    let scheme = uri.split(':').next().unwrap_or("sip");
    let host = match uri.split_once('@') {
        Some((_, host)) => host,
        None => uri.split_once(':').map_or(uri, |(_, host)| host),
    };
    format!("{scheme}:{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        probe: ProbeArgs,
    }

    fn parse(arguments: &[&str]) -> ProbeArgs {
        use clap::Parser as _;
        let line = ["probe"].iter().chain(arguments);
        Line::try_parse_from(line).ok().unwrap().probe
    }

    const ALL: [&str; 14] = [
        "--api-base",
        "http://h:1/v2/",
        "--organization-id",
        "o",
        "--api-key",
        "k",
        "--sip-username",
        "u",
        "--sip-password",
        "p",
        "--sip-uri",
        "sip:6f9619ff-8b86-4d01-b42d-00cf4fc964ff@h:2;transport=tcp",
        "--timeout",
        "3",
    ];

    #[test]
    fn flags_alone_suffice_and_the_dialled_meeting_is_the_tested_one() {
        let target = parse(&ALL).target().unwrap();
        assert_eq!(target.api_base, "http://h:1");
        assert_eq!(
            target.meeting_id.to_string(),
            "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
        );
        assert!(target.sip_uri.ends_with("@h:2;transport=tcp"));
        assert_eq!(target.stage_wait, Duration::from_secs(3));
    }

    #[test]
    fn another_meeting_changes_what_is_dialled() {
        let other = "00000000-8b86-4d01-b42d-00cf4fc964ff";
        let line: Vec<&str> = ALL.iter().copied().chain(["--meeting-id", other]).collect();
        let target = parse(&line).target().unwrap();
        assert_eq!(target.sip_uri, format!("sip:{other}@h:2;transport=tcp"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = parse(&ALL[2..]).target().unwrap_err();
        assert_eq!(failure.stage, Stage::Arguments);
        assert!(failure.error.contains("--api-base"));
    }
}
