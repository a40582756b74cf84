//! A Session with browsers and phones around it, in virtual time: who hears whom, by tones.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::audio::opus::{Decoder, Encoded, Encoder};
use crate::audio::tone::{ToneGenerator, power_at};
use crate::meeting::leg::{LegTaste, OpusFormat, PhoneCodec};
use crate::meeting::participant::ParticipantKind;
use crate::meeting::peer::Certificate;
use crate::meeting::peer::double::Browser as BrowserDouble;
use crate::meeting::preset::Preset;
use crate::meeting::signal::ClientMessage;
use crate::rtp::packet::Packet;

mod chat;
mod codecs;
mod coder;
mod congestion;
mod host;
mod loss;
mod simulcast;
mod sound;
mod waiting;
mod webrtc_phone;

use self::coder::Coder;

const EPOCH: Duration = Duration::from_secs(1_700_000_000);
const STEP: Duration = Duration::from_millis(5);

struct BrowserSide {
    id: ParticipantId,
    double: BrowserDouble,
    messages: Vec<ServerMessage>,
    voice: Option<(ToneGenerator, Encoder)>,
    gone: bool,
}

struct PhoneSide {
    id: ParticipantId,
    address: SocketAddr,
    coder: Coder,
    voice: Option<ToneGenerator>,
    /// A tone beside it.
    second: Option<ToneGenerator>,
    /// Sends nothing at all.
    mute: bool,
    ticks_per_packet: u32,
    unsent: Vec<u8>,
    sequence: u16,
    timestamp: u32,
    /// Payloads it sent, and was sent.
    said: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    /// At 8 kHz, and at its own rate.
    heard: Vec<i16>,
    heard_whole: Vec<i16>,
    packets: usize,
    events: Vec<LegEvent>,
    report: Option<crate::meeting::leg::LegReport>,
}

/// One session and everyone in it.
struct World {
    now: Instant,
    steps: u64,
    session: Session,
    server: SocketAddr,
    browsers: BTreeMap<SeatId, BrowserSide>,
    phones: BTreeMap<SeatId, PhoneSide>,
    routes: BTreeMap<String, SeatId>,
    changes: Vec<SessionChange>,
    /// Phones whose media was told to be lost.
    lost: Vec<SeatId>,
    next: u64,
    network: loss::Network,
    /// Share of the RTP to browsers that is lost, and what decides which.
    loss: f64,
    /// Share of the phones' RTP that is lost on its way to the server.
    phone_loss: f64,
    chance: StdRng,
    /// Phones' tones come and go four times a second, as speech does: codecs take a steady one for
    /// background.
    syllables: bool,
}

impl World {
    fn new() -> Self {
        let server: SocketAddr = "192.0.2.9:7000".parse().unwrap();
        let addresses: [IpAddr; 1] = [server.ip()];
        let certificate = Certificate::generate().unwrap();
        let settings = SessionSettings {
            peer: PeerSetup::new(certificate, server, &addresses),
            opus: EncoderSettings {
                dtx: false,
                ..EncoderSettings::narrowband_voice()
            },
        };
        let name = SessionName {
            id: SessionId::from_random(7),
            meeting: MeetingId::from_random(8),
            organization: OrganizationId::from_random(9),
            title: "Demo".to_owned(),
        };
        let now = Instant::now();
        Self {
            now,
            steps: 0,
            session: Session::new(now, EPOCH, name, Arc::new(settings), [3; 32]),
            server,
            browsers: BTreeMap::new(),
            phones: BTreeMap::new(),
            routes: BTreeMap::new(),
            changes: Vec::new(),
            lost: Vec::new(),
            next: 0,
            network: loss::Network::default(),
            loss: 0.0,
            phone_loss: 0.0,
            chance: StdRng::seed_from_u64(11),
            syllables: false,
        }
    }

    fn joining(&mut self, kind: ParticipantKind) -> (SeatId, Joining) {
        self.next += 1;
        let joining = Joining {
            id: ParticipantId::from_random(u128::from(self.next)),
            custom_participant_id: None,
            name: format!("someone {}", self.next),
            picture: None,
            kind,
            preset: Preset::host(),
            pin: None,
            attributes: BTreeMap::new(),
        };
        (SeatId(self.next), joining)
    }

    /// A browser joins, playing a tone into its microphone if one is given.
    fn browser(&mut self, tone_hz: Option<f64>) -> SeatId {
        let (seat, joining) = self.joining(ParticipantKind::Browser);
        self.browser_as(seat, joining, tone_hz)
    }

    fn browser_as(&mut self, seat: SeatId, joining: Joining, tone_hz: Option<f64>) -> SeatId {
        self.browser_showing(seat, joining, tone_hz, &[])
    }

    /// A browser whose camera sends these layers.
    fn layered_browser(&mut self, rids: &[&str]) -> SeatId {
        let (seat, joining) = self.joining(ParticipantKind::Browser);
        self.browser_showing(seat, joining, None, rids)
    }

    fn browser_showing(
        &mut self,
        seat: SeatId,
        joining: Joining,
        tone_hz: Option<f64>,
        rids: &[&str],
    ) -> SeatId {
        let address = SocketAddr::from(([198, 51, 100, 1], 20_000 + seat.0 as u16));
        let mut double = BrowserDouble::with_layers(self.now, address, seat.0 as u32 * 1_000, rids);
        let id = joining.id;
        self.session
            .join_browser(self.now, seat, joining, "resume".to_owned())
            .unwrap();
        let offer = double.offer(self.now);
        let voice = tone_hz.map(|hz| {
            let settings = EncoderSettings {
                dtx: false,
                ..EncoderSettings::narrowband_voice()
            };
            let encoder = Encoder::new(settings).unwrap();
            (ToneGenerator::new(8_000, hz, 0.25), encoder)
        });
        let side = BrowserSide {
            id,
            double,
            messages: Vec::new(),
            voice,
            gone: false,
        };
        self.browsers.insert(seat, side);
        self.session.handle_client(self.now, seat, offer);
        self.deliver();
        seat
    }

    fn phone(&mut self, codec: PhoneCodec, tone_hz: Option<f64>) -> SeatId {
        let (seat, joining) = self.joining(ParticipantKind::Robo);
        self.phone_as(seat, joining, codec, tone_hz)
    }

    fn phone_as(
        &mut self,
        seat: SeatId,
        joining: Joining,
        codec: PhoneCodec,
        tone_hz: Option<f64>,
    ) -> SeatId {
        let address = SocketAddr::from(([203, 0, 113, 1], 30_000 + seat.0 as u16 * 2));
        let id = joining.id;
        let coder = Coder::new(codec);
        self.session
            .join_phone(self.now, seat, joining, leg_media(codec, address))
            .unwrap();
        let side = PhoneSide {
            id,
            address,
            voice: tone_hz.map(|hz| ToneGenerator::new(coder.rate_hz(), hz, 0.25)),
            coder,
            second: None,
            mute: false,
            ticks_per_packet: 1,
            unsent: Vec::new(),
            sequence: 65_000,
            timestamp: u32::MAX - 20_000,
            said: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            heard_whole: Vec::new(),
            packets: 0,
            events: Vec::new(),
            report: None,
        };
        self.phones.insert(seat, side);
        self.deliver();
        seat
    }

    /// A phone whose microphone is off: it sends nothing.
    fn silent_phone(&mut self, codec: PhoneCodec) -> SeatId {
        let seat = self.phone(codec, None);
        self.phones.get_mut(&seat).unwrap().mute = true;
        seat
    }

    fn rate_of(&self, phone: SeatId) -> u32 {
        self.phones[&phone].coder.rate_hz()
    }

    /// The phone speaks another codec from now on, its tone going on.
    fn change_codec(&mut self, phone: SeatId, codec: PhoneCodec) {
        let side = self.phones.get_mut(&phone).unwrap();
        side.coder = Coder::new(codec);
        side.voice = Some(ToneGenerator::new(side.coder.rate_hz(), 1_100.0, 0.25));
    }

    fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.step();
        }
    }

    /// Runs until `done`, at most half a minute.
    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..6_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("{what} did not happen");
    }

    fn all_connected(&mut self) {
        self.run_until("all browsers connected", |world| {
            let sides = world.browsers.values().filter(|side| !side.gone);
            sides.into_iter().all(|side| side.double.connected)
        });
        // Offers are debounced, then answered.
        self.run(Duration::from_millis(200));
    }

    fn step(&mut self) {
        self.now += STEP;
        self.steps += 1;
        let tick = self.steps.is_multiple_of(4);
        for (seat, bytes) in self.network.passes(self.now) {
            if let Some(side) = self.browsers.get_mut(&seat) {
                side.double.handle_datagram(self.now, self.server, &bytes);
            }
        }
        for (seat, side) in &mut self.browsers {
            side.double.handle_timeout(self.now);
            if let (true, true, Some((tone, encoder))) =
                (tick, side.double.connected, &mut side.voice)
            {
                let mut frame = [0; 160];
                tone.generate(&mut frame);
                let mut packet = [0; 1_000];
                if let Encoded::Packet(length) = encoder.encode(&frame, &mut packet) {
                    let timestamp = (self.steps / 4) as u32 * 960;
                    side.double
                        .speak(self.now, timestamp, 15, &packet[..length]);
                }
            }
            while let Some((to, bytes)) = side.double.poll_transmit() {
                assert_eq!(to, self.server);
                if self.network.loses_upward(&bytes) {
                    continue;
                }
                let from = side.double.address();
                self.session.handle_datagram(self.now, *seat, from, &bytes);
            }
        }
        if tick {
            self.phones_speak();
            self.session
                .tick(self.now, Duration::from_secs(1_700_000_000), 0);
        }
        self.session.handle_timeout(self.now);
        self.deliver();
    }

    fn phones_speak(&mut self) {
        for (seat, side) in &mut self.phones {
            let rate = side.coder.rate_hz();
            let mut frame = vec![0; rate as usize / 50];
            if let Some(tone) = &mut side.voice {
                tone.generate(&mut frame);
            }
            if let Some(tone) = &mut side.second {
                for sample in &mut frame {
                    *sample += tone.next_sample();
                }
            }
            for (at, sample) in frame.iter_mut().enumerate().filter(|_| self.syllables) {
                let seconds = self.steps as f64 * 0.005 + at as f64 / f64::from(rate);
                let gain = (std::f64::consts::TAU * 4.0 * seconds).sin().max(0.0);
                *sample = (f64::from(*sample) * gain) as i16;
            }
            if side.mute {
                side.timestamp = side.timestamp.wrapping_add(side.coder.units());
                continue;
            }
            let payload = side.coder.encode(&frame);
            side.unsent.extend(payload);
            if !(self.steps / 4).is_multiple_of(u64::from(side.ticks_per_packet)) {
                continue;
            }
            let payload = std::mem::take(&mut side.unsent);
            side.said.push(payload.clone());
            side.sequence = side.sequence.wrapping_add(1);
            let timestamp = side.timestamp;
            let units = side.coder.units() * side.ticks_per_packet;
            side.timestamp = timestamp.wrapping_add(units);
            if self.chance.random_bool(self.phone_loss) {
                continue;
            }
            let packet = Packet {
                sequence: side.sequence,
                timestamp,
                ssrc: seat.0 as u32,
                marker: false,
                payload_type: side.coder.payload_type(),
                payload: &payload,
            };
            let mut bytes = [0; 1_500];
            let length = packet.write(&mut bytes).unwrap();
            let _ = self.session.handle_phone_rtp(
                self.now,
                Duration::from_secs(1_700_000_000),
                *seat,
                side.address,
                &bytes[..length],
            );
        }
    }

    /// Hands out everything the session has to send and say, until it is silent.
    fn deliver(&mut self) {
        loop {
            self.deliver_packets();
            let Some(output) = self.session.poll_output() else {
                return;
            };
            self.deliver_output(output);
        }
    }

    fn deliver_packets(&mut self) {
        let packets: Vec<_> = self.session.egress().browsers.drain(..).collect();
        for (seat, socket, to, bytes) in self.session.egress().phones() {
            let side = self.phones.get_mut(&seat).unwrap();
            if socket == LegSocket::Rtp {
                assert_eq!(to, side.address);
                let packet = Packet::parse(bytes).unwrap();
                if packet.payload_type == 101 {
                    continue;
                }
                assert_eq!(packet.payload_type, side.coder.payload_type());
                let pcm = side.coder.decode(packet.payload);
                let step = side.coder.rate_hz() as usize / 8_000;
                side.heard.extend(pcm.iter().step_by(step));
                side.heard_whole.extend(pcm);
                side.sent.push(packet.payload.to_vec());
                side.packets += 1;
            }
        }
        self.session.egress().clear();
        for packet in packets {
            let is_rtp = (128..192).contains(&packet.bytes[0])
                && !(64..=95).contains(&(packet.bytes[1] & 0x7F));
            if is_rtp && self.chance.random_bool(self.loss) {
                continue;
            }
            if let Some(side) = self.browsers.get_mut(&packet.seat) {
                assert_eq!(packet.to, side.double.address());
                if self.network.loses_downward(&packet.bytes) {
                    continue;
                }
                if self
                    .network
                    .holds_back(self.now, packet.seat, &packet.bytes)
                {
                    continue;
                }
                side.double
                    .handle_datagram(self.now, self.server, &packet.bytes);
            }
        }
    }

    fn deliver_output(&mut self, output: SessionOutput) {
        match output {
            SessionOutput::Signal { seat, message } => {
                let side = self.browsers.get_mut(&seat);
                // `Joined` comes before the test has put the browser on its list.
                let Some(side) = side else { return };
                let reply = side.double.handle_message(self.now, &message);
                side.messages.push(message);
                if let Some(reply) = reply {
                    self.session.handle_client(self.now, seat, reply);
                }
            }
            SessionOutput::Route { seat, ufrag } => {
                self.routes.insert(ufrag, seat);
            }
            SessionOutput::BrowserGone { seat } => {
                if let Some(side) = self.browsers.get_mut(&seat) {
                    side.gone = true;
                }
            }
            SessionOutput::Leg { seat, event } => {
                if event == LegEvent::MediaLost {
                    self.lost.push(seat);
                }
                if let Some(side) = self.phones.get_mut(&seat) {
                    side.events.push(event);
                }
            }
            SessionOutput::LegGone { seat, report } => {
                if let Some(side) = self.phones.get_mut(&seat) {
                    side.report = Some(report);
                }
            }
            SessionOutput::Change(change) => self.changes.push(change),
        }
    }

    /// Forgets what everyone has heard so far.
    fn listen_anew(&mut self) {
        for side in self.browsers.values_mut() {
            side.double.streams.clear();
        }
        for side in self.phones.values_mut() {
            side.heard.clear();
            side.heard_whole.clear();
            side.sent.clear();
            side.packets = 0;
        }
    }

    /// What a browser hears of a participant, decoded.
    fn browser_hears(&self, seat: SeatId, participant: ParticipantId) -> Vec<i16> {
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut heard = Vec::new();
        let side = &self.browsers[&seat];
        for packet in side.double.heard(participant, Source::Microphone) {
            let mut pcm = [0; 960];
            if let Some(samples) = decoder.decode(&packet.payload, &mut pcm) {
                heard.extend_from_slice(&pcm[..samples]);
            }
        }
        heard
    }

    /// A browser whose holder has this preset.
    fn browser_with(&mut self, preset: Preset, tone_hz: Option<f64>) -> SeatId {
        let (seat, mut joining) = self.joining(ParticipantKind::Browser);
        joining.preset = preset;
        self.browser_as(seat, joining, tone_hz)
    }

    fn say(&mut self, seat: SeatId, message: ClientMessage) {
        self.session.handle_client(self.now, seat, message);
        self.deliver();
    }

    fn id(&self, seat: SeatId) -> ParticipantId {
        let browser = self.browsers.get(&seat).map(|side| side.id);
        browser.unwrap_or_else(|| self.phones[&seat].id)
    }

    /// Forgets what was said to a browser so far.
    fn read(&mut self, seat: SeatId) -> Vec<ServerMessage> {
        std::mem::take(&mut self.browsers.get_mut(&seat).unwrap().messages)
    }

    /// The code of the last thing said to a browser, which must be a refusal.
    #[track_caller]
    fn refusal(&mut self, seat: SeatId) -> String {
        match self.read(seat).pop() {
            Some(ServerMessage::Error { code, .. }) => code,
            other => panic!("no refusal but {other:?}"),
        }
    }

    fn messages(&self, seat: SeatId) -> &[ServerMessage] {
        &self.browsers[&seat].messages
    }
}

fn leg_media(codec: PhoneCodec, address: SocketAddr) -> LegMedia {
    let payload_type = Coder::new(codec).payload_type();
    LegMedia {
        codec,
        opus: OpusFormat::default(),
        taste: LegTaste::default(),
        webrtc_offer: None,
        receive_payload_type: payload_type,
        send_payload_type: payload_type,
        dtmf_payload_type: Some(101),
        dtmf_send_payload_type: Some(101),
        ptime: Duration::from_millis(20),
        remote_rtp: address,
        remote_rtcp: SocketAddr::new(address.ip(), address.port() + 1),
        rtcp_mux: false,
        srtp: None,
        may_send: true,
        may_receive: true,
    }
}

/// Does `samples` hold a tone of about the amplitude the world's tones have?
fn holds_tone(samples: &[i16], hz: f64) -> bool {
    // The beginning is filled by jitter buffers.
    let settled = &samples[samples.len().min(4_000)..];
    assert!(settled.len() >= 4_000, "only {} samples", samples.len());
    let full = f64::from(i16::MAX).powi(2);
    // A quarter of full scale is −15 dB as mean square; 10 dB below that still counts.
    power_at(settled, 8_000, hz) / full > 0.25 * 0.25 / 2.0 / 10.0
}

#[test]
fn a_phone_and_a_browser_hear_each_other_and_not_themselves() {
    for phone_first in [true, false] {
        let mut world = World::new();
        let (browser, phone) = if phone_first {
            let phone = world.phone(PhoneCodec::Pcmu, Some(440.0));
            world.run(Duration::from_millis(300));
            (world.browser(Some(1_000.0)), phone)
        } else {
            let browser = world.browser(Some(1_000.0));
            world.run(Duration::from_millis(300));
            (browser, world.phone(PhoneCodec::Pcma, Some(440.0)))
        };
        world.all_connected();
        world.listen_anew();
        world.run(Duration::from_secs(2));
        let heard = &world.phones[&phone].heard;
        assert!(holds_tone(heard, 1_000.0), "phone hears the browser");
        assert!(!holds_tone(heard, 440.0), "phone hears itself");
        assert_eq!(world.phones[&phone].packets, 100);
        let heard = world.browser_hears(browser, world.phones[&phone].id);
        assert!(holds_tone(&heard, 440.0), "browser hears the phone");
        assert!(!holds_tone(&heard, 1_000.0), "browser hears itself");
        assert!(
            world
                .browser_hears(browser, world.browsers[&browser].id)
                .is_empty(),
            "a browser must not get its own track"
        );
    }
}

#[test]
fn three_phones_and_three_browsers_hear_everyone_but_themselves() {
    let mut world = World::new();
    let tones = [350.0, 530.0, 710.0, 910.0, 1_130.0, 1_370.0];
    let browsers = [0, 1, 2].map(|i| world.browser(Some(tones[i])));
    let codecs = [PhoneCodec::Pcmu, PhoneCodec::Pcma, PhoneCodec::Pcmu];
    let phones = [0, 1, 2].map(|i| world.phone(codecs[i], Some(tones[3 + i])));
    world.all_connected();
    world.listen_anew();
    world.run(Duration::from_secs(2));
    for (index, phone) in phones.iter().enumerate() {
        for (other, tone) in tones.iter().enumerate() {
            let heard = holds_tone(&world.phones[phone].heard, *tone);
            assert_eq!(heard, other != 3 + index, "phone {index} and {tone} Hz");
        }
    }
    for (index, browser) in browsers.iter().enumerate() {
        let ids = browsers.map(|seat| world.browsers[&seat].id);
        let ids = ids
            .into_iter()
            .chain(phones.map(|seat| world.phones[&seat].id));
        for (other, id) in ids.enumerate() {
            let heard = world.browser_hears(*browser, id);
            if other == index {
                assert!(heard.is_empty());
            } else {
                assert!(
                    holds_tone(&heard, tones[other]),
                    "browser {index} and {other}"
                );
            }
        }
        let levels = world.messages(*browser).iter().rev().find_map(|m| match m {
            ServerMessage::Levels { levels } => Some(levels.len()),
            _ => None,
        });
        assert_eq!(levels, Some(6), "all six show on the meters");
    }
}

#[test]
fn video_reaches_others_whole_and_keyframe_requests_its_publisher() {
    let mut world = World::new();
    let publisher = world.browser(None);
    let watcher = world.browser(None);
    world.all_connected();
    let id = world.browsers[&publisher].id;
    let mut sent = Vec::new();
    for frame in 0..100u32 {
        let now = world.now;
        let double = &mut world.browsers.get_mut(&publisher).unwrap().double;
        for part in 0..3u8 {
            let payload = [&frame.to_be_bytes()[..], &[part; 500]].concat();
            double.show(now, frame * 3_000, part == 2, &payload);
            sent.push(payload);
        }
        if frame % 5 == 0 {
            double.show(now, frame * 3_000, false, &[]);
        }
        world.run(Duration::from_millis(30));
    }
    let watching = &world.browsers[&watcher].double;
    let heard = watching.heard(id, Source::Camera);
    assert!(
        heard.len() > 250,
        "{} of {} packets",
        heard.len(),
        sent.len()
    );
    let first = sent.iter().position(|payload| *payload == heard[0].payload);
    for (packet, payload) in heard.iter().zip(&sent[first.unwrap()..]) {
        assert_eq!(packet.payload, *payload);
    }
    for pair in heard.windows(2) {
        assert_eq!(
            pair[1].sequence,
            pair[0].sequence.wrapping_add(1),
            "padding must leave no gap"
        );
    }
    let asked = world.browsers[&publisher].double.keyframes_asked;
    assert!(asked > 0, "a new watcher needs a keyframe");
    let now = world.now;
    let double = &mut world.browsers.get_mut(&watcher).unwrap().double;
    double.ask_keyframe(now, id);
    world.run(Duration::from_millis(700));
    assert!(world.browsers[&publisher].double.keyframes_asked > asked);
}

#[test]
fn leaving_in_every_way_frees_the_seat_and_tells_the_others() {
    let mut world = World::new();
    let stays = world.browser(Some(500.0));
    let says_so = world.browser(None);
    let closes = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, None);
    world.all_connected();
    world
        .session
        .handle_client(world.now, says_so, ClientMessage::Leave);
    world.deliver();
    assert!(world.browsers[&says_so].gone);
    assert!(matches!(
        world.messages(says_so).last(),
        Some(ServerMessage::Bye {
            reason: ByeReason::Left
        })
    ));
    world.browsers.get_mut(&closes).unwrap().double.close();
    world.run(Duration::from_millis(100));
    assert!(world.browsers[&closes].gone, "pc.close() is seen at once");
    let phone_id = world.phones[&phone].id;
    assert_eq!(world.session.kick(world.now, &[phone_id]), 1);
    world.deliver();
    let removed = LegEvent::Removed(LegRemoval::Kicked);
    assert_eq!(world.phones[&phone].events.last(), Some(&removed));
    assert!(
        world.phones[&phone]
            .report
            .as_ref()
            .unwrap()
            .packets_received
            > 0
    );
    let left = world
        .messages(stays)
        .iter()
        .filter(|message| matches!(message, ServerMessage::ParticipantLeft { .. }));
    assert_eq!(left.count(), 3);
    world.run(Duration::from_millis(200));
    assert!(world.browsers[&stays].double.tracks.is_empty());
    assert_eq!(world.session.population(), (1, 0));
    assert!(world.session.empty_since().is_none());
    world.session.end(world.now, ByeReason::SessionEnded);
    world.deliver();
    assert!(world.session.empty_since().is_some());
    assert!(world.session.tracks.is_empty());
}

#[test]
fn a_browser_whose_packets_stop_is_removed_as_lost() {
    let mut world = World::new();
    let stays = world.browser(None);
    let vanishes = world.browser(None);
    world.all_connected();
    // Its datagrams end, without a word.
    let silent = world.browsers.remove(&vanishes).unwrap();
    world.run_until("the lost browser is removed", |world| {
        world.session.population().0 == 1
    });
    drop(silent);
    assert!(!world.browsers[&stays].gone);
}

#[test]
fn people_come_and_go_and_m_lines_are_used_again() {
    let mut world = World::new();
    let stays = world.browser(Some(500.0));
    world.all_connected();
    let mut offers = 0;
    for round in 0..6 {
        let tone = 700.0 + 100.0 * f64::from(round);
        let browser = world.browser(Some(tone));
        let phone = world.phone(PhoneCodec::Pcmu, Some(tone + 50.0));
        world.all_connected();
        world.listen_anew();
        world.run(Duration::from_millis(1_500));
        let ids = [world.browsers[&browser].id, world.phones[&phone].id];
        for (id, tone) in ids.into_iter().zip([tone, tone + 50.0]) {
            let heard = world.browser_hears(stays, id);
            assert!(holds_tone(&heard, tone), "round {round}, {tone} Hz");
        }
        assert!(holds_tone(&world.phones[&phone].heard, 500.0));
        world
            .session
            .handle_client(world.now, browser, ClientMessage::Leave);
        world.session.remove(world.now, phone, ByeReason::Left);
        world.deliver();
        world.run(Duration::from_millis(200));
        let side = &world.browsers[&stays];
        assert!(side.double.offers_answered > offers);
        offers = side.double.offers_answered;
    }
    let last_offer = world
        .messages(stays)
        .iter()
        .rev()
        .find_map(|message| match message {
            ServerMessage::Offer { sdp, .. } => Some(sdp.clone()),
            _ => None,
        });
    let m_lines = last_offer.unwrap().matches("m=").count();
    assert_eq!(
        m_lines, 5,
        "microphone, camera, data, and two that are used again"
    );
}

#[test]
fn a_second_join_of_the_same_participant_takes_the_seat() {
    let mut world = World::new();
    let first = world.browser(Some(600.0));
    let phone = world.phone(PhoneCodec::Pcmu, None);
    world.all_connected();
    let (seat, mut joining) = world.joining(ParticipantKind::Browser);
    joining.id = world.browsers[&first].id;
    let second = world.browser_as(seat, joining, Some(800.0));
    assert!(world.browsers[&first].gone);
    assert!(matches!(
        world.messages(first).last(),
        Some(ServerMessage::Bye {
            reason: ByeReason::Replaced
        })
    ));
    world.browsers.get_mut(&first).unwrap().voice = None;
    world.all_connected();
    world.listen_anew();
    world.run(Duration::from_secs(1));
    let heard = &world.phones[&phone].heard;
    assert!(holds_tone(heard, 800.0) && !holds_tone(heard, 600.0));
    assert!(!world.browsers[&second].gone);
    assert_eq!(world.session.population(), (1, 1));
}

#[test]
fn mute_at_the_server_and_by_oneself_silence_a_source_for_everyone() {
    let mut world = World::new();
    let talker = world.browser(Some(600.0));
    let listener = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, Some(900.0));
    world.all_connected();
    let (talker_id, phone_id) = (world.browsers[&talker].id, world.phones[&phone].id);
    let mute = ClientMessage::Mute {
        source: Source::Microphone,
        muted: true,
    };
    world.session.handle_client(world.now, talker, mute);
    assert!(
        world
            .session
            .mute(world.now, phone_id, Source::Microphone, true)
    );
    world.run(Duration::from_millis(500));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    assert!(world.browser_hears(listener, talker_id).is_empty());
    assert!(!holds_tone(&world.phones[&phone].heard, 600.0));
    let silent = world.browser_hears(listener, phone_id);
    assert!(silent.iter().all(|sample| sample.abs() < 300));
    let unmute = ClientMessage::Mute {
        source: Source::Microphone,
        muted: false,
    };
    world.session.handle_client(world.now, talker, unmute);
    assert!(
        world
            .session
            .mute(world.now, phone_id, Source::Microphone, false)
    );
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.browser_hears(listener, talker_id), 600.0));
    assert!(holds_tone(&world.browser_hears(listener, phone_id), 900.0));
    assert!(holds_tone(&world.phones[&phone].heard, 600.0));
}

#[test]
fn keys_pressed_reach_browsers_the_call_and_the_world() {
    let mut world = World::new();
    let browser = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, None);
    world.all_connected();
    let address = world.phones[&phone].address;
    let payload = crate::rtp::dtmf::EventPayload::parse(&[5, 10, 0, 160]).unwrap();
    for copy in 0..3u16 {
        let packet = Packet {
            sequence: 40_000 + copy,
            timestamp: 1,
            ssrc: phone.0 as u32,
            marker: copy == 0,
            payload_type: 101,
            payload: &payload.to_bytes(),
        };
        let mut bytes = [0; 100];
        let length = packet.write(&mut bytes).unwrap();
        let _ = world.session.handle_phone_rtp(
            world.now,
            Duration::from_secs(1),
            phone,
            address,
            &bytes[..length],
        );
    }
    world.deliver();
    let expected = ServerMessage::Dtmf {
        participant_id: world.phones[&phone].id,
        digit: '5',
    };
    let told = world.messages(browser).iter().filter(|m| **m == expected);
    assert_eq!(told.count(), 1);
    let events = &world.phones[&phone].events;
    assert_eq!(
        events.iter().filter(|e| **e == LegEvent::Dtmf('5')).count(),
        1
    );
    let change = SessionChange::Dtmf {
        participant: world.phones[&phone].id,
        digit: '5',
    };
    assert!(world.changes.contains(&change));
}

#[test]
fn descriptions_that_cannot_be_used_are_refused_and_the_session_goes_on() {
    let mut world = World::new();
    let (seat, joining) = world.joining(ParticipantKind::Browser);
    world
        .session
        .join_browser(world.now, seat, joining, String::new())
        .unwrap();
    let m_lines = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n".repeat(100);
    for sdp in [
        "",
        "v=0",
        "garbage\r\n",
        m_lines.as_str(),
        &"x".repeat(600_000),
    ] {
        let offer = ClientMessage::Offer {
            sdp: sdp.to_owned(),
            sources: Vec::new(),
        };
        world.session.handle_client(world.now, seat, offer);
        let refused = std::iter::from_fn(|| world.session.poll_output()).any(|output| {
            matches!(
                output,
                SessionOutput::Signal {
                    message: ServerMessage::Error { .. },
                    ..
                }
            )
        });
        assert!(refused, "{:?}", &sdp[..sdp.len().min(20)]);
    }
    let answer = ClientMessage::Answer {
        sdp: "v=0".to_owned(),
    };
    world.session.handle_client(world.now, seat, answer);
    assert_eq!(world.session.population(), (1, 0));
}

#[test]
fn silence_is_sent_to_a_phone_that_is_alone() {
    let mut world = World::new();
    let phone = world.phone(PhoneCodec::Pcma, None);
    world.run(Duration::from_secs(1));
    assert_eq!(world.phones[&phone].packets, 50);
    assert_eq!(
        world.phones[&phone].heard.iter().map(|s| s.abs()).max(),
        Some(8)
    );
}

#[test]
fn an_ice_restart_keeps_the_seat_and_the_sound() {
    let mut world = World::new();
    let browser = world.browser(Some(600.0));
    let phone = world.phone(PhoneCodec::Pcmu, Some(900.0));
    world.all_connected();
    let now = world.now;
    let double = &mut world.browsers.get_mut(&browser).unwrap().double;
    let offer = double.restart_ice(now);
    world.session.handle_client(now, browser, offer);
    world.deliver();
    world.run(Duration::from_secs(1));
    world.listen_anew();
    world.run(Duration::from_secs(2));
    assert!(!world.browsers[&browser].gone);
    assert!(holds_tone(&world.phones[&phone].heard, 600.0));
    let heard = world.browser_hears(browser, world.phones[&phone].id);
    assert!(holds_tone(&heard, 900.0));
    let ufrag = world
        .session
        .peer(browser)
        .and_then(|peer| peer.ice_ufrag());
    assert_eq!(world.routes.get(&ufrag.unwrap()), Some(&browser));
}

#[test]
fn an_offer_while_ours_is_unanswered_is_refused_and_ours_still_counts() {
    let mut world = World::new();
    let browser = world.browser(None);
    world.all_connected();
    let (seat, joining) = world.joining(ParticipantKind::Robo);
    let media = leg_media(PhoneCodec::Pcmu, "203.0.113.1:4000".parse().unwrap());
    world
        .session
        .join_phone(world.now, seat, joining, media)
        .unwrap();
    let later = world.now + Duration::from_millis(40);
    world.session.handle_timeout(later);
    let outputs: Vec<_> = std::iter::from_fn(|| world.session.poll_output()).collect();
    let ours = outputs.into_iter().find_map(|output| match output {
        SessionOutput::Signal { message, .. } => {
            matches!(message, ServerMessage::Offer { .. }).then_some(message)
        }
        _ => None,
    });
    let theirs = ClientMessage::Offer {
        sdp: "v=0".to_owned(),
        sources: Vec::new(),
    };
    world.session.handle_client(later, browser, theirs);
    let refused = std::iter::from_fn(|| world.session.poll_output()).any(|output| {
        matches!(output, SessionOutput::Signal { message: ServerMessage::Error { code, .. }, .. }
            if code == "glare")
    });
    assert!(refused);
    let double = &mut world.browsers.get_mut(&browser).unwrap().double;
    let answer = double.handle_message(later, &ours.unwrap()).unwrap();
    world.session.handle_client(later, browser, answer);
    let errors = std::iter::from_fn(|| world.session.poll_output()).any(|output| {
        let SessionOutput::Signal { message, .. } = output else {
            return false;
        };
        matches!(
            message,
            ServerMessage::Error { .. } | ServerMessage::Bye { .. }
        )
    });
    assert!(!errors);
}

#[test]
fn after_a_stall_time_has_passed_for_phones_and_browsers_alike() {
    let mut world = World::new();
    let browser = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, Some(500.0));
    world.all_connected();
    let id = world.phones[&phone].id;
    let last = |world: &World| {
        world.browsers[&browser]
            .double
            .heard(id, Source::Microphone)
            .last()
            .cloned()
    };
    let before = last(&world).unwrap();
    // Ten ticks fall out; the eleventh is done.
    world.now += Duration::from_millis(220);
    let wallclock = Duration::from_secs(1_700_000_000);
    world.session.tick(world.now, wallclock, 10);
    world.deliver();
    world.run(Duration::from_millis(40));
    let after = last(&world).unwrap();
    let ticks = after.timestamp.wrapping_sub(before.timestamp) / 960;
    assert!((11..=14).contains(&ticks), "{ticks} ticks of media time");
    let packets = after.sequence.wrapping_sub(before.sequence);
    assert!(packets <= 4, "{packets} packets are no replay");
}
