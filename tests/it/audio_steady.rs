//! In steady state the media path allocates nothing, whatever the network does.

use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::audio::mix::{Bus, Limiter};
use ringbridge::audio::noise::ComfortNoise;
use ringbridge::audio::opus::{Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use ringbridge::audio::playout::{Playout, PlayoutCodec, PlayoutConfig};
use ringbridge::audio::tone::ToneGenerator;
use ringbridge::rtp::dtmf::DtmfReceiver;
use ringbridge::rtp::egress::EgressStream;
use ringbridge::rtp::latch::Latch;
use ringbridge::rtp::packet::Packet;
use ringbridge::rtp::reception::Reception;
use ringbridge::rtp::rtcp::{REPORT_BYTES_MAX, RtcpSession};

use crate::allocations;
use crate::audio_sim::Random;

/// A phone's G.711 in, Opus out; a browser's Opus in, G.711 out; each hears the mix without itself.
#[test]
fn a_tick_of_a_bridged_call_allocates_nothing_under_loss_jitter_and_drift() {
    let mut bridge = Bridge::new();
    // Long enough for the drift to be measured and the resampler to be made.
    for tick in 0..60 * 50 {
        bridge.tick(tick);
    }
    assert!(
        bridge.phone.stats().resampling,
        "{:?}",
        bridge.phone.stats()
    );
    let allocations = allocations::during(|| {
        for tick in 60 * 50..90 * 50 {
            bridge.tick(tick);
        }
    });
    assert_eq!(allocations, 0);
    let stats = bridge.phone.stats();
    assert!(
        stats.concealed_ms > 0 && stats.packets_accepted > 4_000,
        "{stats:?}"
    );
}

struct Bridge {
    epoch: Instant,
    random: Random,
    phone: Playout,
    browser: Playout,
    tone: ToneGenerator,
    to_phone: EgressStream,
    to_browser: Encoder,
    browser_voice: Encoder,
    latch: Latch,
    dtmf: DtmfReceiver,
    reception: Reception,
    rtcp: RtcpSession,
    noise: ComfortNoise,
    bus: Bus,
    limiters: [Limiter; 2],
    sequence: u16,
}

impl Bridge {
    fn new() -> Self {
        let config = |codec| PlayoutConfig {
            codec,
            sample_rate_hz: 8_000,
            seed: 3,
        };
        let settings = EncoderSettings {
            complexity: 0,
            ..EncoderSettings::narrowband_voice()
        };
        Self {
            epoch: Instant::now(),
            random: Random::new(5),
            phone: Playout::new(config(PlayoutCodec::G711(Law::Ulaw))).unwrap(),
            browser: Playout::new(config(PlayoutCodec::Opus)).unwrap(),
            tone: ToneGenerator::new(8_000, 440.0, 0.9),
            to_phone: EgressStream::new(9, 0, 0, 0, 160),
            to_browser: Encoder::new(settings).unwrap(),
            browser_voice: Encoder::new(settings).unwrap(),
            latch: Latch::new("192.0.2.1:4000".parse().unwrap()),
            dtmf: DtmfReceiver::new(),
            reception: Reception::new(8_000),
            rtcp: RtcpSession::new(9, "anonymous"),
            noise: ComfortNoise::new(4),
            bus: Bus::new(160),
            limiters: [Limiter::new(), Limiter::new()],
            sequence: 0,
        }
    }

    fn tick(&mut self, tick: u64) {
        let mut frame = [0i16; 160];
        self.tone.generate(&mut frame);
        self.sequence = self.sequence.wrapping_add(1);
        // The phone's clock is 150 ppm fast.
        let sent_us = tick as f64 * 20_000.0 / 1.000_150;
        let arrival =
            self.epoch + Duration::from_micros(sent_us as u64 + self.random.next() % 8_000);
        if !self.random.chance(0.02) {
            self.receive(arrival, &frame);
        }
        let now = self.epoch + Duration::from_micros(tick * 20_000 + 15_000);
        let (mut from_phone, mut from_browser) = ([0i16; 160], [0i16; 160]);
        self.phone.play(now, &mut from_phone);
        self.browser.play(now, &mut from_browser);
        let bus = &mut self.bus;
        bus.clear();
        bus.add(&from_phone);
        bus.add(&from_browser);
        let mut heard = [0i16; 160];
        let mut packet = [0u8; PACKET_BYTES_MAX];
        bus.mix_minus(&from_phone, &mut self.limiters[0], &mut heard);
        self.noise.learn(&heard);
        let mut codes = [0u8; 160];
        Law::Ulaw.encode(&heard, &mut codes);
        self.to_phone.write(&codes, &mut packet).unwrap();
        bus.mix_minus(&from_browser, &mut self.limiters[1], &mut heard);
        self.to_browser.encode(&heard, &mut packet);
        self.dtmf.handle_timeout(now);
        if tick.is_multiple_of(250) {
            let mut report = [0u8; REPORT_BYTES_MAX];
            let egress = &self.to_phone;
            self.rtcp
                .write_report(now, tick, egress, &mut self.reception, &mut report);
        }
    }

    fn receive(&mut self, arrival: Instant, frame: &[i16; 160]) {
        let mut payload = [0u8; PACKET_BYTES_MAX];
        let mut datagram = [0u8; 1_500];
        let mut packet = Packet {
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 1,
            marker: false,
            payload_type: 0,
            payload: &[],
        };
        Law::Ulaw.encode(frame, &mut payload[..160]);
        packet.payload = &payload[..160];
        let length = packet.write(&mut datagram).unwrap();
        let source = "192.0.2.1:4000".parse().unwrap();
        let packet = Packet::parse(&datagram[..length]).unwrap();
        self.latch.handle_packet(arrival, source, &packet).unwrap();
        self.reception.handle_packet(arrival, &packet, true);
        let _ = self.phone.handle_packet(arrival, packet);
        if let Encoded::Packet(length) = self.browser_voice.encode(frame, &mut payload) {
            let packet = Packet {
                timestamp: u32::from(self.sequence) * 960,
                payload: &payload[..length],
                ..packet
            };
            let _ = self.browser.handle_packet(arrival, packet);
        }
    }
}
