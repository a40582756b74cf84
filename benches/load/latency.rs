//! Transit of sound through the server: chirps from one end, found at the other, no jitter on the
//! way; the server's jitter buffers are on.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ringbridge::probe::args::with_user;
use ringbridge::probe::browser::{Browser, Join};
use ringbridge::probe::ear::Ear;
use ringbridge::probe::phone::Dial;
use ringbridge::probe::phone::media::Spoken;
use ringbridge::probe::report::Delay;
use ringbridge::probe::sound::Voice;

use super::engine::Engine;
use super::fleet::Fleet;
use super::server::Server;
use super::speech::Speech;
use super::{ServerArgs, calibrate};

const WAIT: Duration = Duration::from_secs(10);

/// Transit.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Background calls, rising; 0 for none.
    #[arg(long, value_delimiter = ',', default_value = "0,100")]
    calls: Vec<usize>,
    /// Length of each measurement, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

pub async fn run(args: &LatencyArgs) -> Result<(), Box<dyn Error>> {
    calibrate::print(&args.server);
    let server = Server::start(&args.server).await?;
    let engine = Engine::start(Arc::new(Speech::make()?));
    let mut fleet = Fleet::new(server.rest()?, server.card.clone(), engine.orders());
    println!(
        "Transit from mouth to ear, without packetisation and the ends' playout; server on core {}",
        args.server.server_core
    );
    println!(
        "\n{:>5} | {:<16} | {:>9} {:>8} {:>8} {:>7}",
        "calls", "way", "median ms", "min", "max", "markers"
    );
    for &calls in &args.calls {
        fleet.grow_to(calls).await?;
        measure(args, &server, fleet.len()).await?;
    }
    println!("\ngoals: median <= 25 ms phone to phone, <= 32 ms to and from Opus");
    fleet.end().await;
    Ok(())
}

async fn measure(args: &LatencyArgs, server: &Server, calls: usize) -> Result<(), Box<dyn Error>> {
    let rest = server.rest()?;
    let meeting = rest.create_meeting("latency").await?;
    let token = rest.join_token(meeting, "latency").await?;
    let join = Join::new(&rest.signal_url(), &token, "latency");
    let browser = Browser::join(&join, Voice::silence(48_000)).await?;
    let uri = with_user(&server.card.sip_uri, &meeting.to_string());
    let dial = Dial::new(&uri, &server.card.sip_username, &server.card.sip_password);
    let (mut first, mut second) = (dial.call().await?, dial.call().await?);
    let speaker = first.media(Voice::marked(550.0, 8_000))?;
    let listener = second.media(Voice::silence(8_000))?;
    let phone = browser
        .wait_for_phone(WAIT)
        .await
        .ok_or("no phone in the meeting")?;
    let ear = loop {
        // Either of the two may have come first; the one that speaks is the one meant.
        let ears: Vec<Ear> = browser.room().heard().into_iter().map(|h| h.ear).collect();
        if let Some(ear) = ears.iter().find(|ear| ear.tone_share(550.0) > 0.1) {
            break ear.clone();
        }
        if browser.times.begun.elapsed() > WAIT {
            return Err(format!("the phone {} is not heard", phone.name).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let window = Duration::from_secs(args.seconds);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let since = Instant::now();
    tokio::time::sleep(window).await;
    print(
        calls,
        "phone to phone",
        &speaker.spoken(),
        listener.ear(),
        since,
    );
    print(calls, "phone to browser", &speaker.spoken(), &ear, since);
    speaker.say(Voice::silence(8_000)).await;
    browser.say(Voice::marked(950.0, 48_000)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let since = Instant::now();
    tokio::time::sleep(window).await;
    print(
        calls,
        "browser to phone",
        &browser.spoken(),
        listener.ear(),
        since,
    );
    let stats = (listener.ear().stats(), ear.stats());
    println!(
        "      | lost: {} at the phone, {} at the browser",
        stats.0.lost(),
        stats.1.lost()
    );
    let (_first, _second) = (first.hang_up().await, second.hang_up().await);
    browser.leave().await;
    Ok(())
}

fn print(calls: usize, way: &str, spoken: &Spoken, ear: &Ear, since: Instant) {
    match Delay::between(&spoken.chirps, &ear.chirps_since(since)) {
        Some(delay) => println!(
            "{calls:>5} | {way:<16} | {:>9.1} {:>8.1} {:>8.1} {:>7}",
            delay.median, delay.min, delay.max, delay.markers
        ),
        None => println!("{calls:>5} | {way:<16} | no marker was heard"),
    }
}
