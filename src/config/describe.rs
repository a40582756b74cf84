//! A configuration in words, for `ringbridge check`.

use std::fmt::Write as _;

use super::profile::{Authentication, Profile};
use super::{Config, LogFormat, RtpPorts};
use crate::sip::auth::DigestAlgorithm;

/// The kernel's ephemeral ports, by default; other programs' outgoing sockets land here.
const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

impl Config {
    /// What the process would do, a line a subject.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (subject, meaning) in self.meanings() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{subject:<16} {meaning}");
        }
        for profile in self.profiles.iter() {
            let _ = writeln!(
                text,
                "{:<16} {}",
                format!("  {}", profile.name),
                in_words(profile)
            );
        }
        for note in self.notes() {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    fn meanings(&self) -> Vec<(&'static str, String)> {
        let https = match (&self.https, &self.https_certificate) {
            (None, _) => "off".to_owned(),
            (Some(address), None) => format!("{address}, a self-signed certificate is made"),
            (Some(address), Some((file, _))) => format!("{address}, {}", file.display()),
        };
        let public = match self.public_addresses.as_slice() {
            [] => "found from this machine's interfaces".to_owned(),
            addresses => joined(addresses),
        };
        let rtp = match self.rtp_ports.pairs() {
            None => "chosen by the kernel".to_owned(),
            Some(pairs) => {
                let RtpPorts { low, high } = self.rtp_ports;
                format!("udp {low}-{high}: {pairs} calls")
            }
        };
        let webrtc = match (self.webrtc_port, self.workers) {
            (0, _) => "chosen by the kernel".to_owned(),
            (base, 1) => format!("udp {base}"),
            (base, workers) => format!("udp {base}-{}", usize::from(base) + workers - 1),
        };
        let algorithms: Vec<_> = self.sip_algorithms.iter().map(|one| name(*one)).collect();
        vec![
            ("data", self.data_in_words()),
            (
                "sip",
                format!("{} udp and tcp, digest {}", self.sip, joined(&algorithms)),
            ),
            (
                "sips",
                self.sips
                    .map_or("off".to_owned(), |address| format!("{address} tls")),
            ),
            ("http", self.http.to_string()),
            ("https", https),
            ("admin", self.admin.to_string()),
            ("public address", public),
            ("rtp", format!("{rtp}, on {}", self.media_address)),
            ("webrtc", webrtc),
            ("workers", format!("{} media threads", self.workers)),
            (
                "opus",
                format!(
                    "{} bit/s, complexity {}",
                    self.opus.bitrate_bps, self.opus.complexity
                ),
            ),
            ("calls", format!("at most {}", self.limits.calls_max)),
            ("sip floods", self.floods_in_words()),
            ("drain", format!("{:?} after SIGTERM", self.drain_timeout)),
            (
                "log",
                format!("{}, {}", log_form(self.log.format), self.log.filter),
            ),
            ("profiles", format!("{}", self.profiles.iter().count())),
        ]
    }

    fn floods_in_words(&self) -> String {
        let gate = &self.gate;
        let rate = |rate: u32| match rate {
            0 => "any number".to_owned(),
            rate => rate.to_string(),
        };
        let ban = match gate.ban_failures {
            0 => "never banned".to_owned(),
            failures => format!("banned for {:?} after {failures} failures", gate.ban_time),
        };
        format!(
            "{} messages a second of a stranger, {} of all, {} of a known source; {ban}",
            rate(gate.stranger_rate),
            rate(gate.strangers_rate),
            rate(gate.known_rate)
        )
    }

    fn data_in_words(&self) -> String {
        let path = self.data_dir.display();
        match self.data_dir.exists() {
            true => format!("{path}"),
            false => format!("{path}, made at the first start with a demo meeting"),
        }
    }

    /// What is allowed but probably not meant.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.https.is_none() && !self.http.ip().is_loopback() {
            notes.push(
                "https is off: browsers give a microphone to http pages on localhost only".into(),
            );
        }
        if !self.admin.ip().is_loopback() {
            notes.push(format!("admin on {} can be reached by others", self.admin));
        }
        if self.log.personal_data {
            notes.push("log-personal-data: numbers and addresses will stand in the logs".into());
        }
        if self
            .rtp_ports
            .pairs()
            .is_some_and(|pairs| pairs < self.limits.calls_max)
        {
            notes.push(format!(
                "max-calls is {}, but rtp-ports hold {} calls",
                self.limits.calls_max,
                self.rtp_ports.pairs().unwrap_or_default()
            ));
        }
        let RtpPorts { low, high } = self.rtp_ports;
        if low != 0 && high >= *EPHEMERAL_PORTS.start() && low <= *EPHEMERAL_PORTS.end() {
            notes.push(format!(
                "rtp-ports {low}-{high} overlap the kernel's ephemeral ports: some will be taken"
            ));
        }
        notes
    }
}

fn joined<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

fn log_form(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn name(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Md5 => "md5",
        DigestAlgorithm::Sha256 => "sha-256",
    }
}

impl Profile {
    /// What it does, in one line.
    pub fn in_words(&self) -> String {
        in_words(self)
    }
}

fn in_words(profile: &Profile) -> String {
    if !profile.enabled {
        return format!("{} (disabled)", profile.description);
    }
    let codecs: Vec<_> = profile
        .codecs
        .iter()
        .map(|codec| codec.encoding_name())
        .collect();
    let authentication = match &profile.authentication {
        Authentication::Digest { .. } => "digest".to_owned(),
        Authentication::Cidr { acts_as } => {
            format!(
                "no password from {}, as {acts_as}",
                joined(&profile.rules.sources)
            )
        }
    };
    format!(
        "{}: {}, {authentication}",
        profile.description,
        codecs.join(" ")
    )
}
