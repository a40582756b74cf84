//! Senders that restart, jump, pause, race or send rubbish, and a worker that stalls.

use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::audio::playout::{Played, Playout, PlayoutCodec, PlayoutConfig};
use ringbridge::audio::tone::ToneGenerator;
use ringbridge::limits;
use ringbridge::rtp::discard::Discard;
use ringbridge::rtp::packet::Packet;

use crate::audio_sim::Random;

/// A phone that sends a tone, packet by packet, and the playout that hears it.
struct Scene {
    epoch: Instant,
    /// Ticks since the beginning.
    tick: u64,
    playout: Playout,
    tone: ToneGenerator,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Scene {
    fn new(codec: PlayoutCodec) -> Self {
        let config = PlayoutConfig {
            codec,
            sample_rate_hz: 8_000,
            seed: 1,
        };
        Self {
            epoch: Instant::now(),
            tick: 0,
            playout: Playout::new(config).unwrap(),
            tone: ToneGenerator::new(8_000, 440.0, 0.3),
            sequence: 65_000,
            timestamp: u32::MAX - 50_000,
            ssrc: 1,
        }
    }

    fn phone() -> Self {
        Self::new(PlayoutCodec::G711(Law::Ulaw))
    }

    fn now(&self) -> Instant {
        self.epoch + Duration::from_millis(20 * self.tick)
    }

    /// Sends one packet of 20 ms, 8 ms before the next tick.
    fn send(&mut self) -> Result<(), Discard> {
        let mut pcm = [0i16; 160];
        self.tone.generate(&mut pcm);
        let mut payload = [0u8; 160];
        Law::Ulaw.encode(&pcm, &mut payload);
        let arrival = self.now() - Duration::from_millis(8);
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(160);
        let packet = Packet {
            sequence,
            timestamp,
            ssrc: self.ssrc,
            marker: false,
            payload_type: 0,
            payload: &payload,
        };
        self.playout.handle_packet(arrival, packet)
    }

    fn play(&mut self) -> Played {
        let mut frame = [0i16; 160];
        let played = self.playout.play(self.now(), &mut frame);
        self.tick += 1;
        played
    }

    /// Sends and plays for so many ticks; returns how many played the voice.
    fn talk(&mut self, ticks: u64) -> u64 {
        if self.tick == 0 {
            self.tick = 1;
        }
        let mut voiced = 0;
        for _ in 0..ticks {
            self.send().unwrap();
            voiced += u64::from(self.play() == Played::Voice);
        }
        voiced
    }
}

#[test]
fn a_new_ssrc_is_played_on_at_once_and_stragglers_of_the_old_one_are_not() {
    // Twilio changes it between the ringing and the answered call.
    let mut scene = Scene::phone();
    scene.talk(100);
    scene.ssrc = 2;
    scene.sequence = 7;
    scene.timestamp = 123_456_789;
    assert!(scene.talk(100) >= 96, "{:?}", scene.playout.stats());
    (scene.ssrc, scene.sequence, scene.timestamp) = (3, 500, 0);
    assert!(scene.send().is_ok());
    (scene.ssrc, scene.sequence) = (2, 107);
    assert_eq!(scene.send(), Err(Discard::Late));
}

#[test]
fn a_timestamp_that_jumps_either_way_costs_a_moment_only() {
    for jump in [8_000 * 60, 8_000 * 60_000, -8_000 * 60] {
        let mut scene = Scene::phone();
        scene.talk(100);
        scene.timestamp = scene.timestamp.wrapping_add(jump as u32);
        let voiced = scene.talk(100);
        assert!(
            voiced >= 96,
            "jump {jump}: {voiced}, {:?}",
            scene.playout.stats()
        );
        assert!(scene.playout.stats().delay_ms < 40.0);
    }
}

#[test]
fn a_sender_that_paused_without_counting_time_is_heard_from_its_first_packet_on() {
    let mut scene = Scene::phone();
    scene.talk(100);
    let silent = (0..250).filter(|_| scene.play() == Played::Silence).count();
    assert!(silent > 230, "{silent}");
    assert!(scene.talk(100) >= 97, "{:?}", scene.playout.stats());
    assert!(scene.playout.stats().delay_ms < 40.0);
}

#[test]
fn a_stall_of_ours_leaves_out_what_was_to_be_played_and_adds_no_delay() {
    let mut scene = Scene::phone();
    scene.talk(200);
    let before = scene.playout.stats().delay_ms;
    for stalled_ticks in [1, 5, 15] {
        for _ in 0..stalled_ticks {
            scene.send().unwrap();
            scene.tick += 1;
        }
        scene.talk(100);
        let stats = scene.playout.stats();
        let grown = stats.delay_ms - before;
        assert!(
            grown.abs() < 21.0,
            "{stalled_ticks} ticks: {grown} ms, {stats:?}"
        );
    }
    assert_eq!(scene.playout.stats().skipped_ms, 21 * 20);
}

#[test]
fn a_sender_at_twice_the_rate_is_bounded_and_heard_again_when_it_behaves() {
    let mut scene = Scene::phone();
    scene.talk(100);
    for _ in 0..500 {
        for _ in 0..2 {
            let _ = scene.send();
        }
        scene.play();
        let stats = scene.playout.stats();
        assert!(stats.delay_ms < 1_300.0, "{stats:?}");
    }
    scene.talk(1_500);
    let stats = scene.playout.stats();
    assert!(stats.delay_ms < 60.0, "{stats:?}");
    let concealed = stats.concealed_ms;
    assert!(scene.talk(100) == 100, "{:?}", scene.playout.stats());
    assert_eq!(scene.playout.stats().concealed_ms, concealed);
}

#[test]
fn empty_huge_and_undecodable_payloads_are_refused_by_reason() {
    let huge = vec![0x55u8; limits::PLAYOUT_PAYLOAD_BYTES_MAX + 1];
    let mut phone = Scene::phone();
    let mut browser = Scene::new(PlayoutCodec::Opus);
    let at = phone.epoch;
    let packet = |payload| Packet {
        sequence: 1,
        timestamp: 1,
        ssrc: 1,
        marker: false,
        payload_type: 0,
        payload,
    };
    for scene in [&mut phone, &mut browser] {
        let playout = &mut scene.playout;
        assert_eq!(playout.handle_packet(at, packet(&[])), Err(Discard::Empty));
        let refused = playout.handle_packet(at, packet(&huge));
        assert_eq!(refused, Err(Discard::BadPayload));
        let counted = playout.stats().packets_discarded;
        assert_eq!(counted[Discard::BadPayload.index()], 1);
    }
    // A code-3 packet that claims 63 frames of 60 ms.
    let lying = [0x1B, 0x3F, 0, 0];
    let refused = browser.playout.handle_packet(at, packet(&lying));
    assert_eq!(refused, Err(Discard::BadPayload));
}

#[test]
fn no_rubbish_makes_it_panic_or_be_late() {
    for codec in [PlayoutCodec::G711(Law::Alaw), PlayoutCodec::Opus] {
        let mut random = Random::new(99);
        let mut scene = Scene::new(codec);
        let mut bytes = [0u8; 1_400];
        for _ in 0..20_000 {
            for byte in &mut bytes[..64] {
                *byte = random.next() as u8;
            }
            let length = random.next() as usize % if random.chance(0.1) { 1_400 } else { 64 };
            let jump = random.chance(0.05);
            scene.sequence = match jump {
                true => random.next() as u16,
                false => scene.sequence.wrapping_add(random.next() as u16 % 4),
            };
            scene.timestamp = match jump {
                true => random.next() as u32,
                false => scene.timestamp.wrapping_add(random.next() as u32 % 700),
            };
            let early = Duration::from_micros(random.next() % 300_000);
            let packet = Packet {
                sequence: scene.sequence,
                timestamp: scene.timestamp,
                ssrc: u32::from(random.chance(0.01)),
                marker: random.chance(0.5),
                payload_type: 0,
                payload: &bytes[..length],
            };
            let arrival = scene.now() + Duration::from_secs(1) - early;
            let _ = scene.playout.handle_packet(arrival, packet);
            if random.chance(0.7) {
                scene.play();
            }
        }
    }
}
