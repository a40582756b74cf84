//! `ringbridge doctor`: binds what the settings name, for a moment, and looks at the machine. It
//! asks nobody outside, so that what it says about addresses is what can be known from here.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;

use super::show;
use crate::config::{Config, EXIT_USAGE, Raw};
use crate::limits::{HTTP_CONNECTIONS_MAX, STREAM_CONNECTIONS_MAX};
use crate::net::advertise::{Advertise, is_private};
use crate::net::tls;
use crate::run::clock;

/// Descriptors of a phone's call: RTP, RTCP, and its share of the rest.
const DESCRIPTORS_PER_CALL: usize = 3;
/// Before this no clock of ours can have been right: 2024-01-01.
const EARLIEST_NOW_S: i128 = 1_704_067_200;
/// A certificate that ends sooner wants renewing.
const CERTIFICATE_DAYS_MIN: i64 = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Doubtful,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    verdict: Verdict,
    text: String,
}

/// Exit code 0: nothing is bad. 1: the findings say what is. 64: the settings are.
pub(super) fn main(matches: &ArgMatches) -> ExitCode {
    let config = Raw::gather(matches, environment()).and_then(|raw| Config::resolve(&raw));
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("ringbridge: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let findings = examine(&config);
    let printed = match matches.get_flag("json") {
        true => {
            let text = serde_json::to_string_pretty(&findings).unwrap_or_default();
            show::print(&format!("{text}\n"))
        }
        false => show::print(&in_words(&findings)),
    };
    match findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad)
    {
        true => ExitCode::FAILURE,
        false => printed,
    }
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(key, text)| Some((key.into_string().ok()?, text.into_string().ok()?)))
}

fn in_words(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => "ok ",
            Verdict::Doubtful => "?  ",
            Verdict::Bad => "BAD",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {:<12} {}", finding.subject, finding.text);
    }
    text
}

fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![data(config)];
    findings.extend(listeners(config));
    findings.push(rtp_ports(config));
    findings.push(descriptors(config));
    findings.extend(addresses(config));
    findings.push(certificate(config));
    findings.push(clock_runs());
    findings.extend(config.notes().into_iter().map(|text| Finding {
        subject: "settings",
        verdict: Verdict::Doubtful,
        text,
    }));
    findings
}

fn finding(subject: &'static str, result: Result<String, String>) -> Finding {
    let (verdict, text) = match result {
        Ok(text) => (Verdict::Good, text),
        Err(text) => (Verdict::Bad, text),
    };
    Finding {
        subject,
        verdict,
        text,
    }
}

/// A file can be made where the store shall be.
fn data(config: &Config) -> Finding {
    let folder = &config.data_dir;
    let existing = folder.ancestors().find(|path| path.is_dir());
    let tried = match existing {
        // The empty path is the working folder's parent in name only.
        None => Ok(()),
        Some(path) => {
            let draft = path.join(format!(".ringbridge-doctor-{}", std::process::id()));
            std::fs::write(&draft, b"x").and_then(|()| std::fs::remove_file(&draft))
        }
    };
    let shown = folder.display();
    finding(
        "data",
        match tried {
            Ok(()) => Ok(format!("{shown} can be written")),
            Err(error) => Err(format!("{shown} cannot be written: {error}")),
        },
    )
}

fn listeners(config: &Config) -> Vec<Finding> {
    let tcp = |address: SocketAddr| TcpListener::bind(address).map(drop);
    let udp = |address: SocketAddr| UdpSocket::bind(address).map(drop);
    let mut tried = vec![
        ("sip udp", config.sip, udp(config.sip)),
        ("sip tcp", config.sip, tcp(config.sip)),
        ("http", config.http, tcp(config.http)),
        ("admin", config.admin, tcp(config.admin)),
    ];
    if let Some(sips) = config.sips {
        tried.push(("sips", sips, tcp(sips)));
    }
    if let Some(https) = config.https {
        tried.push(("https", https, tcp(https)));
    }
    for worker in 0..config.workers {
        let port = match config.webrtc_port {
            0 => 0,
            base => base.saturating_add(worker as u16),
        };
        let address = SocketAddr::new(config.media_address, port);
        tried.push(("webrtc udp", address, udp(address)));
    }
    tried
        .into_iter()
        .map(|(subject, address, bound)| {
            let result = match bound {
                Ok(()) => Ok(format!("{address} is free")),
                Err(error) => Err(format!("{address}: {}", cause(&error))),
            };
            finding(subject, result)
        })
        .collect()
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "in use; is the server running already?".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "no address of this machine".to_owned(),
        _ => error.to_string(),
    }
}

/// How many of the range others have taken.
fn rtp_ports(config: &Config) -> Finding {
    let Some(pairs) = config.rtp_ports.pairs() else {
        return finding("rtp ports", Ok("chosen by the kernel".to_owned()));
    };
    let ports = config.rtp_ports.low..=config.rtp_ports.high;
    let all = pairs * 2;
    let address = config.media_address;
    let taken = ports
        .filter(|port| UdpSocket::bind((address, *port)).is_err())
        .count();
    let told = format!("{taken} of {all} udp ports are taken by others");
    match taken * 10 > all {
        true => finding("rtp ports", Err(told)),
        false => finding("rtp ports", Ok(told)),
    }
}

fn descriptors(config: &Config) -> Finding {
    let needed = config.limits.calls_max * DESCRIPTORS_PER_CALL
        + HTTP_CONNECTIONS_MAX
        + STREAM_CONNECTIONS_MAX;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    let told = match soft {
        Some(soft) if soft < needed => Err(format!(
            "{soft} allowed; {} calls and all connections need {needed}: raise LimitNOFILE",
            config.limits.calls_max
        )),
        Some(soft) => Ok(format!("{soft} allowed, {needed} needed at most")),
        None => Ok("no limit".to_owned()),
    };
    let mut found = finding("open files", told);
    if found.verdict == Verdict::Bad {
        // Enough for fewer calls.
        found.verdict = Verdict::Doubtful;
    }
    found
}

/// What SDP and ICE will tell others, and what a carrier would make of it.
fn addresses(config: &Config) -> Vec<Finding> {
    let advertise = Advertise::new(config.public_addresses.clone());
    let told: Vec<IpAddr> = advertise.candidates(config.media_address);
    let reachable: Vec<String> = told
        .iter()
        .filter(|address| !address.is_loopback())
        .map(ToString::to_string)
        .collect();
    let is_public = told
        .iter()
        .any(|address| !address.is_loopback() && !is_private(*address));
    let (verdict, text) = match (reachable.is_empty(), is_public) {
        (true, _) => (
            Verdict::Doubtful,
            "only this machine can reach us: no route outward; give --public-address".to_owned(),
        ),
        (false, true) => (
            Verdict::Good,
            format!("others are told {}", reachable.join(", ")),
        ),
        (false, false) => (
            Verdict::Doubtful,
            format!(
                "others are told {}, which carriers cannot reach: behind NAT give --public-address \
                 and forward sip, rtp and webrtc ports",
                reachable.join(", ")
            ),
        ),
    };
    let mut findings = vec![Finding {
        subject: "address",
        verdict,
        text,
    }];
    for address in &config.public_addresses {
        // Behind a 1:1 NAT the address is not this machine's, and that is right.
        let is_ours = UdpSocket::bind((*address, 0)).is_ok();
        findings.push(Finding {
            subject: "nat",
            verdict: Verdict::Good,
            text: match is_ours {
                true => format!("{address} is this machine's own"),
                false => format!("{address} is not this machine's: a NAT must forward it here"),
            },
        });
    }
    findings
}

fn certificate(config: &Config) -> Finding {
    if config.https.is_none() && config.sips.is_none() {
        return finding("certificate", Ok("none needed: TLS is off".to_owned()));
    }
    let Some((file, key)) = &config.https_certificate else {
        return Finding {
            subject: "certificate",
            verdict: Verdict::Doubtful,
            text: "self-signed: browsers warn, carriers refuse; give --https-certificate".into(),
        };
    };
    if let Err(error) = tls::TlsAcceptor::from_files(file, key, &[]) {
        return finding("certificate", Err(error.to_string()));
    }
    let shown = file.display();
    match tls::days_left(file, clock::unix_ns()) {
        Some(days) if days < 0 => finding(
            "certificate",
            Err(format!("{shown} ended {} days ago", -days)),
        ),
        Some(days) if days < CERTIFICATE_DAYS_MIN => Finding {
            subject: "certificate",
            verdict: Verdict::Doubtful,
            text: format!("{shown} ends in {days} days"),
        },
        Some(days) => finding(
            "certificate",
            Ok(format!("{shown} is good for {days} days")),
        ),
        None => finding("certificate", Ok(format!("{shown} and its key fit"))),
    }
}

fn clock_runs() -> Finding {
    let now_s = clock::unix_ns() / 1_000_000_000;
    finding(
        "clock",
        match now_s > EARLIEST_NOW_S {
            true => Ok("set".to_owned()),
            false => Err("far in the past: TLS and join tokens will fail".to_owned()),
        },
    )
}
