//! Set-ups per second with digest, from one UDP socket: thousands of calls, each INVITE → 401 →
//! ACK → INVITE → 200 → ACK → BYE → 200.

use std::collections::HashMap;
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use clap::Args;
use ringbridge::meeting::leg::PhoneCodec;
use ringbridge::probe::args::with_user;
use ringbridge::probe::phone::digest::Credentials;
use ringbridge::probe::phone::message::Message;
use ringbridge::probe::phone::resolve;
use ringbridge::probe::phone::uac::{Transport, Uac, UacConfig, UacEvent, UacOutput};

use super::server::Server;
use super::{ServerArgs, calibrate, process};

/// Meetings that the calls go to, in turn.
const MEETINGS: usize = 50;

/// Set-ups.
#[derive(Debug, Args)]
pub struct SetupArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Calls per second, rising.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,500,1000,1500,2000,4000"
    )]
    rates: Vec<u64>,
    /// Length of each row, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Debug, Default)]
struct Outcome {
    started: u64,
    answered: u64,
    ended: u64,
    refused: HashMap<u16, u64>,
    timed_out: u64,
    /// INVITE to 200, with the challenge between, in µs.
    set_up_us: Vec<u64>,
}

struct Ongoing {
    uac: Uac,
    begun: Instant,
}

pub async fn run(args: &SetupArgs) -> Result<(), Box<dyn Error>> {
    calibrate::print(&args.server);
    println!(
        "Set-ups with digest over UDP, hung up at once, into {MEETINGS} meetings; a fresh server on \
         core {} for each row of {} s",
        args.server.server_core, args.seconds
    );
    println!(
        "\n{:>6} | {:>8} {:>8} {:>7} {:>8} | {:>8} {:>8} {:>8} | {:>7} {:>8} {:>7} | {:>6}",
        "rate",
        "answered",
        "ended",
        "refused",
        "no reply",
        "p50 ms",
        "p99 ms",
        "max ms",
        "CPU %",
        "ms/call",
        "/core",
        "gen %"
    );
    for &rate in &args.rates {
        let outcome = row(args, rate).await?;
        if outcome.answered * 100 < outcome.started * 95 {
            println!("stopped: fewer than 95 % were answered");
            break;
        }
    }
    println!("\ngoals: >= 4,000 set-ups/s per core, p99 INVITE to 200 <= 10 ms at 1,000/s");
    Ok(())
}

/// One rate against a server of its own: transactions stay in memory for 32 s (RFC 3261 timer J),
/// and an earlier row's would count against the next.
async fn row(args: &SetupArgs, rate: u64) -> Result<Outcome, Box<dyn Error>> {
    let server = Server::start(&args.server).await?;
    let rest = server.rest()?;
    let mut uris = Vec::new();
    for k in 0..MEETINGS {
        let meeting = rest.create_meeting(&format!("set-up {k}")).await?;
        uris.push(with_user(&server.card.sip_uri, &meeting.to_string()));
    }
    let sip = resolve(&server.card.sip_uri).await?;
    let credentials = Credentials {
        username: server.card.sip_username.clone(),
        password: server.card.sip_password.clone(),
    };
    let ours = std::process::id();
    let (cpu, own) = (process::cpu_time(server.pid()), process::cpu_time(ours));
    let begun = Instant::now();
    let seconds = args.seconds;
    let load = move || offer(sip, &uris, &credentials, rate, seconds);
    let outcome = tokio::task::spawn_blocking(load).await??;
    let wall = begun.elapsed().as_secs_f64();
    let cpu = (process::cpu_time(server.pid()) - cpu).as_secs_f64();
    let own = (process::cpu_time(ours) - own).as_secs_f64();
    print(rate, &outcome, wall, cpu, own);
    Ok(outcome)
}

/// Offers `rate` calls a second and sees all through.
fn offer(
    sip: SocketAddr,
    uris: &[String],
    credentials: &Credentials,
    rate: u64,
    seconds: u64,
) -> std::io::Result<Outcome> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    // Everybody's RTP arrives here and is not read: the kernel drops what does not fit.
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    let (local, rtp) = (socket.local_addr()?, sink.local_addr()?);
    let mut outcome = Outcome::default();
    let mut calls: HashMap<String, Ongoing> = HashMap::new();
    let total = rate * seconds;
    let begun = Instant::now();
    let give_up = begun + Duration::from_secs(seconds + 5);
    let mut buffer = [0u8; 65_535];
    let mut timers_at = begun;
    while (outcome.started < total || !calls.is_empty()) && Instant::now() < give_up {
        let mut idle = true;
        let now = Instant::now();
        let due = (now - begun).as_micros() as u64 * rate / 1_000_000;
        while outcome.started < due.min(total) {
            let uri = uris[outcome.started as usize % uris.len()].clone();
            let mut uac = Uac::new(config(uri, local, rtp, credentials));
            uac.start(now);
            outcome.started += 1;
            let call = Ongoing { uac, begun: now };
            let id = call.uac.call_id().to_owned();
            calls.insert(id.clone(), call);
            drain(&socket, sip, &id, &mut calls, &mut outcome);
            idle = false;
        }
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            idle = false;
            let Some(message) = Message::parse(&buffer[..length]) else {
                continue;
            };
            let Some(id) = message.header("Call-ID").map(str::to_owned) else {
                continue;
            };
            if let Some(call) = calls.get_mut(&id) {
                call.uac.handle_message(Instant::now(), &message);
                drain(&socket, sip, &id, &mut calls, &mut outcome);
            }
        }
        if timers_at <= now {
            timers_at = now + Duration::from_millis(20);
            let late: Vec<String> = calls
                .iter()
                .filter(|(_, call)| call.uac.next_timeout().is_some_and(|at| at <= now))
                .map(|(id, _)| id.clone())
                .collect();
            for id in late {
                if let Some(call) = calls.get_mut(&id) {
                    call.uac.handle_timeout(now);
                }
                drain(&socket, sip, &id, &mut calls, &mut outcome);
            }
        }
        if idle {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    outcome.timed_out += calls.len() as u64;
    Ok(outcome)
}

fn drain(
    socket: &UdpSocket,
    sip: SocketAddr,
    id: &str,
    calls: &mut HashMap<String, Ongoing>,
    outcome: &mut Outcome,
) {
    let Some(call) = calls.get_mut(id) else {
        return;
    };
    while let Some(output) = call.uac.poll_output() {
        match output {
            UacOutput::Send(bytes) => {
                // What the kernel refuses is repeated as any lost request is.
                let _lost = socket.send_to(&bytes, sip);
            }
            UacOutput::Event(UacEvent::Answered(_)) => {
                outcome.answered += 1;
                let took = call.begun.elapsed().as_micros() as u64;
                outcome.set_up_us.push(took);
                // Behind the ACK, which the next round sends.
                call.uac.hang_up(Instant::now());
            }
            UacOutput::Event(UacEvent::HungUp(200)) => outcome.ended += 1,
            UacOutput::Event(UacEvent::Refused { status, .. }) => {
                *outcome.refused.entry(status).or_default() += 1;
            }
            UacOutput::Event(UacEvent::TimedOut { .. }) => outcome.timed_out += 1,
            UacOutput::Event(_) => {}
        }
    }
    if call.uac.is_over() {
        calls.remove(id);
    }
}

fn config(uri: String, local: SocketAddr, rtp: SocketAddr, who: &Credentials) -> UacConfig {
    UacConfig {
        uri,
        local,
        transport: Transport::Udp,
        from_user: who.username.clone(),
        display_name: "Load".to_owned(),
        credentials: Some(who.clone()),
        headers: Vec::new(),
        codecs: vec![PhoneCodec::Pcmu, PhoneCodec::Pcma],
        rtp,
        delayed_offer: false,
    }
}

fn print(rate: u64, outcome: &Outcome, wall: f64, cpu: f64, own: f64) {
    let mut set_up = outcome.set_up_us.clone();
    set_up.sort_unstable();
    let at = |q: f64| {
        let index = (set_up.len() as f64 * q) as usize;
        let us = set_up.get(index.min(set_up.len().saturating_sub(1)));
        us.map_or(f64::NAN, |us| *us as f64 / 1_000.0)
    };
    let per_call = cpu * 1_000.0 / outcome.answered.max(1) as f64;
    let refused: u64 = outcome.refused.values().sum();
    println!(
        "{rate:>6} | {:>8} {:>8} {refused:>7} {:>8} | {:>8.2} {:>8.2} {:>8.2} | {:>7.1} {per_call:>8.3} {:>7.0} | {:>6.1}",
        outcome.answered,
        outcome.ended,
        outcome.timed_out,
        at(0.5),
        at(0.99),
        at(1.0),
        100.0 * cpu / wall,
        1_000.0 / per_call,
        100.0 * own / wall,
    );
    if !outcome.refused.is_empty() {
        println!("       | refused with {:?}", outcome.refused);
    }
}
