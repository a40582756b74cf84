//! The directory and its worker threads over real loopback sockets, in real time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::*;
use crate::audio::g711::Law;
use crate::audio::opus::{Decoder, Encoded, Encoder, EncoderSettings};
use crate::audio::tone::{ToneGenerator, find_peak};
use crate::meeting::leg::{LegEvent, LegRemoval, LegTaste, OpusFormat, PhoneCodec};
use crate::meeting::participant::ParticipantKind;
use crate::meeting::peer::double::Browser;
use crate::meeting::preset::Preset;
use crate::meeting::signal::{ByeReason, ClientMessage, ServerMessage};
use crate::rtp::packet::Packet;

mod admission;

const DEADLINE: Duration = Duration::from_secs(20);

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn directory() -> Directory {
    Directory::start(WorkerConfig {
        session_linger: Duration::from_millis(100),
        workers: 2,
        ..WorkerConfig::loopback()
    })
    .unwrap()
}

fn meeting(number: u128) -> MeetingInfo {
    MeetingInfo {
        id: MeetingId::from_random(number),
        organization: OrganizationId::from_random(1),
        title: "Demo".to_owned(),
    }
}

fn joining(number: u128, kind: ParticipantKind) -> Joining {
    Joining {
        id: ParticipantId::from_random(number),
        custom_participant_id: None,
        name: format!("participant {number}"),
        picture: None,
        kind,
        preset: Preset::host(),
        pin: None,
        attributes: BTreeMap::new(),
    }
}

async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let by = Instant::now() + DEADLINE;
    while !done().await {
        assert!(Instant::now() < by, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn leg_media(address: SocketAddr) -> LegMedia {
    LegMedia {
        codec: PhoneCodec::Pcmu,
        opus: OpusFormat::default(),
        taste: LegTaste::default(),
        webrtc_offer: None,
        receive_payload_type: 0,
        send_payload_type: 0,
        dtmf_payload_type: Some(101),
        dtmf_send_payload_type: Some(101),
        ptime: Duration::from_millis(20),
        remote_rtp: address,
        remote_rtcp: SocketAddr::new(address.ip(), address.port().wrapping_add(1)),
        rtcp_mux: false,
        srtp: None,
        may_send: true,
        may_receive: true,
    }
}

/// Joins a phone that plays a tone and returns what it hears.
async fn phone(
    directory: &Directory,
    meeting: &MeetingInfo,
    number: u128,
    tone_hz: f64,
) -> (PhoneSeat, mpsc::Receiver<Vec<i16>>, SocketAddr) {
    let socket = UdpSocket::bind((loopback(), 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let media = leg_media(address);
    let sockets = RtpSockets::bind_any(loopback()).unwrap();
    let server = sockets.local;
    let joining = joining(number, ParticipantKind::Robo);
    let seat = directory
        .join_phone(meeting, joining, media, sockets)
        .await
        .unwrap();
    let (heard, receiver) = mpsc::channel(1_000);
    tokio::spawn(play_phone(socket, server, tone_hz, heard));
    (seat, receiver, server)
}

async fn play_phone(
    socket: UdpSocket,
    server: SocketAddr,
    tone_hz: f64,
    heard: mpsc::Sender<Vec<i16>>,
) {
    let mut tone = ToneGenerator::new(8_000, tone_hz, 0.25);
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut sequence = 0u16;
    let mut buffer = [0; 2_000];
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let mut frame = [0; 160];
                tone.generate(&mut frame);
                let mut codes = [0; 160];
                Law::Ulaw.encode(&frame, &mut codes);
                sequence = sequence.wrapping_add(1);
                let packet = Packet {
                    sequence,
                    timestamp: u32::from(sequence) * 160,
                    ssrc: 77,
                    marker: false,
                    payload_type: 0,
                    payload: &codes,
                };
                let mut bytes = [0; 200];
                let length = packet.write(&mut bytes).unwrap();
                let _ = socket.send_to(&bytes[..length], server).await;
            }
            received = socket.recv(&mut buffer) => {
                let Ok(length) = received else { continue };
                let packet = Packet::parse(&buffer[..length]).unwrap();
                let mut pcm = vec![0; packet.payload.len()];
                Law::Ulaw.decode(packet.payload, &mut pcm);
                match heard.try_send(pcm) {
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                    Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                }
            }
        }
    }
}

/// What a running browser has seen.
#[derive(Default)]
struct Seen {
    heard: BTreeMap<ParticipantId, Vec<i16>>,
    bye: Option<ByeReason>,
}

struct Running {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
    seen: Arc<std::sync::Mutex<Seen>>,
}

impl Running {
    fn bye(&self) -> Option<ByeReason> {
        self.seen.lock().unwrap().bye
    }

    /// The loudest frequency of the last second heard of `participant`.
    fn hears_hz(&self, participant: ParticipantId) -> Option<f64> {
        let seen = self.seen.lock().unwrap();
        let samples = seen.heard.get(&participant)?;
        let second = samples.len().checked_sub(8_000)?;
        find_peak(&samples[second..], 8_000).map(|peak| peak.frequency_hz)
    }
}

/// Joins a browser that plays a tone.
async fn browser(
    directory: &Directory,
    meeting: &MeetingInfo,
    number: u128,
    tone_hz: f64,
) -> Running {
    let joining = joining(number, ParticipantKind::Browser);
    let seat = directory
        .join_browser(meeting, joining, "resume".to_owned())
        .await
        .unwrap();
    let socket = UdpSocket::bind((loopback(), 0)).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(std::sync::Mutex::new(Seen::default()));
    let task = tokio::spawn(run_browser(
        seat,
        socket,
        number as u32 * 1_000,
        tone_hz,
        Arc::clone(&stop),
        Arc::clone(&seen),
    ));
    Running { stop, task, seen }
}

async fn run_browser(
    mut seat: BrowserSeat,
    socket: UdpSocket,
    ssrc: u32,
    tone_hz: f64,
    stop: Arc<AtomicBool>,
    seen: Arc<std::sync::Mutex<Seen>>,
) {
    let address = socket.local_addr().unwrap();
    let mut double = Browser::new(Instant::now(), address, ssrc);
    // The seat may have been taken away before this task ran.
    let _ = seat.send(double.offer(Instant::now()));
    let mut tone = ToneGenerator::new(8_000, tone_hz, 0.25);
    let settings = EncoderSettings {
        dtx: false,
        ..EncoderSettings::narrowband_voice()
    };
    let mut encoder = Encoder::new(settings).unwrap();
    let mut ears = Ears::default();
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut timestamp = 0u32;
    let mut buffer = [0; 2_000];
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            message = seat.outgoing.recv() => {
                let Some(message) = message else { return };
                if let ServerMessage::Bye { reason } = message {
                    seen.lock().unwrap().bye = Some(reason);
                }
                let reply = double.handle_message(Instant::now(), &message);
                if let Some(reply) = reply {
                    let _ = seat.send(reply);
                }
            }
            received = socket.recv_from(&mut buffer) => {
                if let Ok((length, from)) = received {
                    double.handle_datagram(Instant::now(), from, &buffer[..length]);
                }
            }
            _ = clock.tick() => {
                let now = Instant::now();
                double.handle_timeout(now);
                let mut frame = [0; 160];
                tone.generate(&mut frame);
                let mut packet = [0; 1_000];
                timestamp = timestamp.wrapping_add(960);
                if let (true, Encoded::Packet(length)) =
                    (double.connected, encoder.encode(&frame, &mut packet))
                {
                    double.speak(now, timestamp, 15, &packet[..length]);
                }
                ears.listen(&double, &mut seen.lock().unwrap().heard);
            }
        }
        while let Some((to, bytes)) = double.poll_transmit() {
            let _ = socket.send_to(&bytes, to).await;
        }
    }
}

/// Decodes what came since the last look.
#[derive(Default)]
struct Ears {
    decoders: BTreeMap<ParticipantId, (Decoder, usize)>,
}

impl Ears {
    fn listen(&mut self, double: &Browser, heard: &mut BTreeMap<ParticipantId, Vec<i16>>) {
        for track in &double.tracks {
            let id = track.participant_id;
            let packets = double.heard(id, Source::Microphone);
            let entry = self.decoders.entry(id);
            let (decoder, taken) =
                entry.or_insert_with(|| (Decoder::new(8_000).unwrap(), packets.len()));
            for packet in &packets[(*taken).min(packets.len())..] {
                let mut pcm = [0; 960];
                if let Some(samples) = decoder.decode(&packet.payload, &mut pcm) {
                    heard.entry(id).or_default().extend(&pcm[..samples]);
                }
            }
            *taken = packets.len();
        }
    }
}

fn near(found: Option<f64>, wanted: f64) -> bool {
    found.is_some_and(|found| (found - wanted).abs() < 10.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_and_a_browser_hear_each_other_over_sockets_and_nothing_is_left_behind() {
    let directory = directory();
    let mut events = directory.take_events().unwrap();
    let meeting = meeting(1);
    let (seat, mut heard, leg_socket) = phone(&directory, &meeting, 11, 440.0).await;
    let browser = browser(&directory, &meeting, 12, 1_000.0).await;
    let phone_id = ParticipantId::from_random(11);
    eventually("the browser hears the phone", async || {
        near(browser.hears_hz(phone_id), 440.0)
    })
    .await;
    let mut recording: Vec<i16> = Vec::new();
    eventually("the phone hears the browser", async || {
        while let Ok(pcm) = heard.try_recv() {
            recording.extend(pcm);
        }
        let last = recording.len().saturating_sub(4_000);
        let peak = find_peak(&recording[last..], 8_000);
        near(peak.map(|peak| peak.frequency_hz), 1_000.0)
    })
    .await;
    // By now long since told; what is live is known a moment after the join is answered.
    assert_eq!(directory.live_meetings().await.len(), 1);
    let snapshot = directory.snapshot(meeting.id).await.unwrap();
    assert_eq!(snapshot.participants.len(), 2);
    assert_eq!(snapshot.session_id, seat.session_id);

    let live = directory.leg_report(meeting.id, phone_id).await.unwrap();
    assert!(live.received.packets > 10 && live.received.buffer_ms.is_some());
    let other = ParticipantId::from_random(12);
    assert_eq!(directory.leg_report(meeting.id, other).await, None);

    let report = seat.leave().await;
    assert!(report.packets_received > 10 && report.packets_sent > 10);
    browser.stop.store(true, Ordering::Relaxed);
    browser.task.await.unwrap();
    eventually("the session ends", async || {
        directory.live_meetings().await.is_empty()
    })
    .await;
    for worker in directory.workers() {
        assert_eq!((worker.sessions, worker.peers, worker.legs), (0, 0, 0));
        assert!(worker.running && worker.last_tick_age < Duration::from_secs(2));
    }
    UdpSocket::bind(leg_socket)
        .await
        .expect("the leg's port is free again");
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(match event.what {
            SessionChange::Started => "started",
            SessionChange::EndedByHost => "ended by host",
            SessionChange::Ended => "ended",
            SessionChange::ParticipantJoined(_) => "joined",
            SessionChange::ParticipantLeft(_) => "left",
            SessionChange::Dtmf { .. } => "dtmf",
        });
    }
    assert_eq!(
        told,
        ["started", "joined", "joined", "left", "left", "ended"]
    );
    directory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kick_shutdown_and_a_second_join_say_why() {
    let directory = directory();
    let (first, second) = (meeting(21), meeting(22));
    let (mut kicked, _heard, _) = phone(&directory, &first, 31, 440.0).await;
    let replaced = browser(&directory, &first, 32, 500.0).await;
    let replacing = browser(&directory, &first, 32, 600.0).await;
    let elsewhere = browser(&directory, &second, 33, 700.0).await;
    eventually("each meeting has a worker of its own", async || {
        let workers = directory.workers();
        let live = directory.live_meetings().await.len();
        live == 2 && workers.iter().all(|worker| worker.sessions == 1)
    })
    .await;
    let someone = ParticipantId::from_random(31);
    assert_eq!(directory.kick(first.id, &[someone]).await, 1);
    assert_eq!(directory.kick(first.id, &[someone]).await, 0);
    let removed = LegEvent::Removed(LegRemoval::Kicked);
    eventually("the phone is told", async || {
        kicked.events.try_recv().is_ok_and(|event| event == removed)
    })
    .await;
    eventually("the first is replaced", async || {
        replaced.bye() == Some(ByeReason::Replaced)
    })
    .await;
    assert_eq!(replacing.bye(), None);
    assert_eq!(directory.kick_all(first.id).await, 1);
    eventually("everyone is removed", async || {
        replacing.bye() == Some(ByeReason::SessionEnded)
    })
    .await;
    let again = directory.clone();
    directory.shutdown().await;
    eventually("the other meeting ends too", async || {
        elsewhere.bye() == Some(ByeReason::Shutdown)
    })
    .await;
    let late = joining(34, ParticipantKind::Browser);
    let refused = again.join_browser(&first, late, String::new()).await;
    assert_eq!(refused.unwrap_err(), JoinRefusal::Draining);
    assert!(again.workers().iter().all(|worker| !worker.running));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_does_not_read_is_removed_and_the_others_stay() {
    let directory = directory();
    let meeting = meeting(41);
    let deaf = joining(51, ParticipantKind::Browser);
    let deaf = directory
        .join_browser(&meeting, deaf, String::new())
        .await
        .unwrap();
    let stays = joining(52, ParticipantKind::Browser);
    let stays = directory
        .join_browser(&meeting, stays, String::new())
        .await
        .unwrap();
    let by = Instant::now() + DEADLINE;
    // Every ping is answered into the queue that nobody reads.
    eventually("the seat is gone", async || {
        let _ = deaf.send(ClientMessage::Ping);
        assert!(Instant::now() < by);
        let present = directory.snapshot(meeting.id).await.unwrap().participants;
        present.len() == 1
    })
    .await;
    drop(deaf);
    assert!(stays.send(ClientMessage::Ping).is_ok());
    directory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bug_in_one_session_ends_that_session_alone() {
    let directory = Directory::start(WorkerConfig::loopback()).unwrap();
    let (broken, sound) = (meeting(61), meeting(62));
    let victim = browser(&directory, &broken, 71, 500.0).await;
    let (mut leg, _heard, _) = phone(&directory, &broken, 72, 500.0).await;
    let other = browser(&directory, &sound, 73, 500.0).await;
    assert!(directory.break_session(broken.id).await);
    eventually("the browser is told", async || {
        victim.bye() == Some(ByeReason::Internal)
    })
    .await;
    let removed = LegEvent::Removed(LegRemoval::WorkerFailed);
    eventually("the phone is told", async || {
        leg.events.try_recv().is_ok_and(|event| event == removed)
    })
    .await;
    eventually("only the other is live", async || {
        directory.live_meetings().await.len() == 1
    })
    .await;
    assert_eq!(other.bye(), None);
    let again = browser(&directory, &broken, 74, 500.0).await;
    assert!(directory.snapshot(broken.id).await.is_some());
    assert_eq!(again.bye(), None);
    directory.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_and_go_for_a_while_and_the_worker_is_empty_after_them() {
    let directory = directory();
    for round in 0..5u128 {
        let meeting = meeting(100 + round % 2);
        let id = 200 + round * 10;
        let mut browsers = Vec::new();
        let mut phones = Vec::new();
        for member in 0..3 {
            browsers.push(browser(&directory, &meeting, id + member, 500.0).await);
            phones.push(phone(&directory, &meeting, id + 5 + member, 440.0).await);
        }
        let phone_id = ParticipantId::from_random(id + 5);
        eventually("someone is heard", async || {
            near(browsers[0].hears_hz(phone_id), 440.0)
        })
        .await;
        for browser in browsers {
            browser.stop.store(true, Ordering::Relaxed);
            browser.task.await.unwrap();
        }
        drop(phones);
    }
    eventually("everything is gone", async || {
        let live = directory.live_meetings().await;
        let workers = directory.workers();
        let left = workers.iter().map(|w| w.sessions + w.peers + w.legs);
        live.is_empty() && left.sum::<usize>() == 0
    })
    .await;
    directory.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_or_no_worker_at_all_is_said_at_the_start() {
    let taken = std::net::UdpSocket::bind((loopback(), 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let start = |change: fn(&mut WorkerConfig), port| {
        let mut config = WorkerConfig {
            webrtc_port: port,
            ..WorkerConfig::loopback()
        };
        change(&mut config);
        Directory::start(config).unwrap_err()
    };
    assert!(matches!(start(|_| {}, port), StartError::Bind { .. }));
    let none = start(|config| config.workers = 0, 0);
    assert!(matches!(none, StartError::Config(_)));
    let mute = start(|config| config.candidate_addresses.clear(), 0);
    assert!(matches!(mute, StartError::Config(_)));
    let high = start(|config| config.workers = 3, 65_534);
    assert!(matches!(
        high,
        StartError::PortRange { .. } | StartError::Bind { .. }
    ));
}
