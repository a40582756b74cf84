//! From what was typed to what it means. Every refusal names the place, the key and the reason.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::error::ConfigError;
use super::profile::Profiles;
use super::raw::{Given, Raw};
use super::setting;
use super::{Config, LimitsConfig, LogConfig, LogFormat, OpusConfig, Origin, RtpPorts};
use crate::sip::auth::DigestAlgorithm;
use crate::sip::gate::GateConfig;

impl Config {
    /// Understands and checks `raw`; reads the profiles' folder and looks for the certificate's
    /// files, but binds and creates nothing.
    ///
    /// # Errors
    /// The first value that cannot be used: for the operator.
    pub fn resolve(raw: &Raw) -> Result<Self, ConfigError> {
        let sip = required(raw, "sip", address)?;
        let config = Self {
            data_dir: required(raw, "data", |text| Ok(PathBuf::from(text)))?,
            sip,
            sips: required(raw, "sips", switched_address)?,
            http: required(raw, "http", address)?,
            https: required(raw, "https", switched_address)?,
            https_certificate: certificate(raw)?,
            admin: required(raw, "admin", address)?,
            media_address: optional(raw, "media-address", ip)?.unwrap_or(sip.ip()),
            rtp_ports: required(raw, "rtp-ports", rtp_ports)?,
            webrtc_port: required(raw, "webrtc-port", number(0, u64::from(u16::MAX)))? as u16,
            workers: match optional(raw, "workers", number(1, 256))? {
                Some(workers) => workers as usize,
                None => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            },
            public_addresses: several(raw, "public-address", public_ip)?,
            profiles: match optional(raw, "profiles", |text| Ok(PathBuf::from(text)))? {
                Some(folder) => Profiles::load(&folder)?,
                None => Profiles::built_in(),
            },
            webhook_networks: several(raw, "webhook-networks", network)?,
            sip_algorithms: several(raw, "sip-algorithms", algorithm)?,
            opus: OpusConfig {
                bitrate_bps: required(raw, "opus-bitrate", number(6_000, 128_000))? as u32,
                complexity: required(raw, "opus-complexity", number(0, 10))? as u8,
            },
            limits: LimitsConfig {
                worker_load_max_percent: required(raw, "worker-load-max", number(1, 100))? as u8,
                calls_max: required(raw, "max-calls", number(1, 100_000))? as usize,
            },
            gate: GateConfig {
                stranger_rate: required(raw, "sip-rate", number(0, 1_000_000))? as u32,
                strangers_rate: required(raw, "sip-rate-strangers", number(0, 1_000_000))? as u32,
                known_rate: required(raw, "sip-rate-known", number(0, 1_000_000))? as u32,
                ban_failures: required(raw, "sip-ban-failures", number(0, 1_000_000))? as u32,
                ban_time: required(raw, "sip-ban-time", duration)?,
            },
            drain_timeout: required(raw, "drain-timeout", duration)?,
            log: LogConfig {
                format: required(raw, "log-format", log_format)?,
                filter: required(raw, "log-filter", log_filter)?,
                personal_data: required(raw, "log-personal-data", boolean)?,
            },
        };
        check_ports(raw, &config)?;
        Ok(config)
    }
}

/// The value given, or the setting's default in the form of a value given.
fn given_or_default(raw: &Raw, name: &str) -> Option<Given> {
    let default = || {
        setting::find(name)?.default.map(|text| Given {
            texts: vec![text.to_owned()],
            origin: Origin::Default,
            key: name.to_owned(),
        })
    };
    raw.given(name).cloned().or_else(default)
}

fn optional<T>(
    raw: &Raw,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let Some(given) = given_or_default(raw, name) else {
        return Ok(None);
    };
    let text = given.texts.last().map_or("", String::as_str);
    match parse(text) {
        Ok(value) => Ok(Some(value)),
        Err(reason) => Err(given.refuse(reason)),
    }
}

fn required<T>(
    raw: &Raw,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let value = optional(raw, name, parse)?;
    Ok(value.expect("a setting read as required has a default in the table"))
}

fn several<T: PartialEq>(
    raw: &Raw,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    let Some(given) = given_or_default(raw, name) else {
        return Ok(Vec::new());
    };
    let mut values = Vec::new();
    for text in given.texts.iter().flat_map(|text| text.split(',')) {
        let value = parse(text.trim()).map_err(|reason| given.refuse(reason))?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not ADDRESS:PORT (such as 0.0.0.0:5060 or [::]:5060)"))
}

fn switched_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "off" | "none" => Ok(None),
        _ => address(text).map(Some),
    }
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an IP address"))
}

fn public_ip(text: &str) -> Result<IpAddr, String> {
    let address = ip(text)?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("{address} is no address others could send to"));
    }
    Ok(address)
}

fn network(text: &str) -> Result<IpNet, String> {
    let net = text.parse::<IpNet>();
    net.map_err(|_| format!("`{text}` is no network such as 10.0.0.0/8"))
}

fn number(low: u64, high: u64) -> impl Fn(&str) -> Result<u64, String> {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("`{text}` is not a number from {low} to {high}"))
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn rtp_ports(text: &str) -> Result<RtpPorts, String> {
    if text == "0" || text == "0-0" {
        return Ok(RtpPorts::ANY);
    }
    let (low, high) = text
        .split_once('-')
        .ok_or_else(|| format!("`{text}` is not LO-HI (such as 10000-19999)"))?;
    let port = |text: &str| -> Result<u16, String> {
        text.trim()
            .parse()
            .ok()
            .filter(|port| *port >= 1_024)
            .ok_or_else(|| format!("`{text}` is not a port from 1024 to 65535"))
    };
    let (low, high) = (port(low)?, port(high)?);
    if low % 2 != 0 {
        return Err(format!(
            "the first port, {low}, must be even: RTP is even, RTCP odd"
        ));
    }
    if high <= low {
        return Err(format!("`{text}` holds no pair of ports"));
    }
    Ok(RtpPorts { low, high })
}

fn algorithm(text: &str) -> Result<DigestAlgorithm, String> {
    match text.to_ascii_lowercase().as_str() {
        "md5" => Ok(DigestAlgorithm::Md5),
        "sha-256" | "sha256" => Ok(DigestAlgorithm::Sha256),
        _ => Err(format!("`{text}` is neither md5 nor sha-256")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let bad = || format!("`{text}` is not a time (such as 500ms, 30s, 10m, 1h)");
    let count: u64 = digits.parse().map_err(|_| bad())?;
    let ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    count
        .checked_mul(ms)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= Duration::from_secs(24 * 3_600))
        .ok_or_else(|| format!("`{text}` is more than a day"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is neither text nor json")),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    crate::telemetry::log::check_filter(text)
        .map(|()| text.to_owned())
        .map_err(|error| format!("`{text}` is not a log filter: {error}"))
}

fn certificate(raw: &Raw) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let path = |text: &str| match std::fs::metadata(text) {
        Ok(facts) if facts.is_file() => Ok(PathBuf::from(text)),
        Ok(_) => Err(format!("`{text}` is not a file")),
        Err(error) => Err(format!("`{text}` cannot be read: {error}")),
    };
    let certificate = optional(raw, "https-certificate", path)?;
    let key = optional(raw, "https-key", path)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(lonely(raw, "https-certificate", "https-key")),
        (None, Some(_)) => Err(lonely(raw, "https-key", "https-certificate")),
    }
}

fn lonely(raw: &Raw, given: &str, missing: &str) -> ConfigError {
    refuse(raw, given, format!("needs {missing} beside it"))
}

fn refuse(raw: &Raw, name: &str, reason: String) -> ConfigError {
    let given = given_or_default(raw, name);
    given
        .expect("refused values were given or have a default")
        .refuse(reason)
}

/// Listeners that would take each other's ports are named here, where the keys are still known,
/// instead of as "address in use" later.
fn check_ports(raw: &Raw, config: &Config) -> Result<(), ConfigError> {
    let streams = [
        ("sip", Some(config.sip)),
        ("sips", config.sips),
        ("http", Some(config.http)),
        ("https", config.https),
        ("admin", Some(config.admin)),
    ];
    for (at, (name, address)) in streams.iter().enumerate() {
        for (other_name, other) in &streams[..at] {
            if let (Some(address), Some(other)) = (address, other)
                && clash(*address, *other)
            {
                let reason = format!("{address} is the address of {other_name} too");
                return Err(refuse(raw, name, reason));
            }
        }
    }
    let last_webrtc = usize::from(config.webrtc_port) + config.workers - 1;
    if config.webrtc_port != 0 && last_webrtc > usize::from(u16::MAX) {
        let reason = format!("{} workers need ports up to {last_webrtc}", config.workers);
        return Err(refuse(raw, "webrtc-port", reason));
    }
    let in_rtp = |low: usize, high: usize| {
        config.rtp_ports != RtpPorts::ANY
            && low <= usize::from(config.rtp_ports.high)
            && high >= usize::from(config.rtp_ports.low)
    };
    if config.webrtc_port != 0 && in_rtp(usize::from(config.webrtc_port), last_webrtc) {
        let reason = format!(
            "{}-{} holds the ports of webrtc-port ({}-{last_webrtc})",
            config.rtp_ports.low, config.rtp_ports.high, config.webrtc_port
        );
        return Err(refuse(raw, "rtp-ports", reason));
    }
    let sip = usize::from(config.sip.port());
    if sip != 0 && in_rtp(sip, sip) {
        let reason = format!("the range holds the port of sip, {sip}");
        return Err(refuse(raw, "rtp-ports", reason));
    }
    Ok(())
}

fn clash(left: SocketAddr, right: SocketAddr) -> bool {
    left.port() != 0
        && left.port() == right.port()
        && (left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &[&str]) -> Result<Config, String> {
        let command = Raw::augment(clap::Command::new("ringbridge").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).expect("flags parse");
        Raw::gather(&matches, [])
            .and_then(|raw| Config::resolve(&raw))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_ones_the_readme_promises() {
        let config = resolve(&[]).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("./ringbridge-data"));
        assert_eq!(
            config.sip,
            "0.0.0.0:5060".parse::<std::net::SocketAddr>().unwrap()
        );
        assert_eq!(
            config.sips,
            Some("0.0.0.0:5061".parse::<std::net::SocketAddr>().unwrap())
        );
        assert_eq!(
            config.http,
            "0.0.0.0:8080".parse::<std::net::SocketAddr>().unwrap()
        );
        assert_eq!(
            config.https,
            Some("0.0.0.0:8443".parse::<std::net::SocketAddr>().unwrap())
        );
        assert_eq!(
            config.admin,
            "127.0.0.1:9090".parse::<std::net::SocketAddr>().unwrap()
        );
        assert_eq!(config.media_address, config.sip.ip());
        assert_eq!(config.rtp_ports.pairs(), Some(5_000));
        assert_eq!(config.sip_algorithms, [DigestAlgorithm::Md5]);
        assert_eq!(config.drain_timeout, Duration::from_secs(30));
        assert!(config.workers >= 1);
        assert!(config.public_addresses.is_empty());
        assert!(!config.log.personal_data);
    }

    #[test]
    fn every_flag_has_its_effect() {
        let config = resolve(&[
            "--data=/tmp/x",
            "--sip=127.0.0.1:0",
            "--sips=off",
            "--http=[::1]:0",
            "--https=off",
            "--admin=127.0.0.1:0",
            "--media-address=127.0.0.2",
            "--rtp-ports=0",
            "--webrtc-port=0",
            "--public-address=192.0.2.1",
            "--public-address=2001:db8::1",
            "--workers=2",
            "--sip-algorithms=sha-256",
            "--sip-algorithms=MD5",
            "--opus-bitrate=32000",
            "--opus-complexity=10",
            "--max-calls=7",
            "--sip-rate=1",
            "--sip-rate-strangers=2",
            "--sip-rate-known=3",
            "--sip-ban-failures=4",
            "--sip-ban-time=5s",
            "--worker-load-max=60",
            "--drain-timeout=1500ms",
            "--log-format=json",
            "--log-filter=debug",
            "--log-personal-data=true",
        ])
        .unwrap();
        assert_eq!(config.https, None);
        assert_eq!(config.sips, None);
        assert_eq!(config.http.port(), 0);
        assert_eq!(config.media_address, "127.0.0.2".parse::<IpAddr>().unwrap());
        assert_eq!(config.rtp_ports, RtpPorts::ANY);
        assert_eq!(config.public_addresses.len(), 2);
        assert_eq!(config.workers, 2);
        assert_eq!(
            config.sip_algorithms,
            [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
        );
        assert_eq!(
            (config.opus.bitrate_bps, config.opus.complexity),
            (32_000, 10)
        );
        assert_eq!(config.limits.calls_max, 7);
        assert_eq!(
            config.gate,
            GateConfig {
                stranger_rate: 1,
                strangers_rate: 2,
                known_rate: 3,
                ban_failures: 4,
                ban_time: Duration::from_secs(5),
            }
        );
        assert_eq!(config.limits.worker_load_max_percent, 60);
        assert_eq!(config.drain_timeout, Duration::from_millis(1_500));
        assert_eq!(config.log.format, LogFormat::Json);
        assert!(config.log.personal_data);
    }

    #[test]
    fn a_bad_value_is_refused_in_one_line_with_its_key() {
        for (flag, part) in [
            ("--sip=5060", "--sip: `5060` is not ADDRESS:PORT"),
            ("--rtp-ports=10001-10010", "--rtp-ports: the first port"),
            (
                "--rtp-ports=10000-10000",
                "--rtp-ports: `10000-10000` holds no pair",
            ),
            (
                "--rtp-ports=7000-8000",
                "--rtp-ports: 7000-8000 holds the ports of webrtc-port",
            ),
            (
                "--rtp-ports=5000-6000",
                "--rtp-ports: the range holds the port of sip",
            ),
            (
                "--opus-complexity=11",
                "--opus-complexity: `11` is not a number from 0 to 10",
            ),
            (
                "--public-address=0.0.0.0",
                "--public-address: 0.0.0.0 is no address",
            ),
            ("--http=0.0.0.0:9090", "9090"),
            ("--drain-timeout=30", "--drain-timeout: `30` is not a time"),
            (
                "--sip-algorithms=sha1",
                "--sip-algorithms: `sha1` is neither",
            ),
            (
                "--log-filter=a=b=c",
                "--log-filter: `a=b=c` is not a log filter",
            ),
            (
                "--https-key=Cargo.toml",
                "--https-key: needs https-certificate",
            ),
            (
                "--https-certificate=/nowhere",
                "--https-certificate: `/nowhere` cannot be read",
            ),
            (
                "--workers=0",
                "--workers: `0` is not a number from 1 to 256",
            ),
            ("--profiles=/nowhere", "/nowhere"),
        ] {
            let error = resolve(&[flag]).unwrap_err();
            assert!(error.contains(part), "{flag}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
