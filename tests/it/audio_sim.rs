//! A sender, a network and a playout in virtual time, from one seed.

use std::time::{Duration, Instant};

use ringbridge::audio::frame::{FRAME_8K_SAMPLES, TICK};
use ringbridge::audio::g711::Law;
use ringbridge::audio::opus::{Encoded, Encoder, EncoderSettings};
use ringbridge::audio::playout::{Played, Playout, PlayoutCodec, PlayoutConfig, PlayoutStats};
use ringbridge::audio::tone::ToneGenerator;
use ringbridge::rtp::packet::Packet;

/// A small generator (splitmix64): the same seed gives the same call.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0.0–1.0.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// What the network does to packets.
#[derive(Clone, Copy, Default)]
pub struct Network {
    /// Each packet is delayed by 0 to this.
    pub jitter_ms: f64,
    /// Probability of losing a packet, outside of bursts.
    pub loss: f64,
    /// Probability per packet that a burst of loss begins, and its packets.
    pub burst: (f64, u32),
    /// Gilbert-Elliott: probabilities per packet of going bad and of going good again, and of
    /// losing a packet while bad.
    pub bursts: Option<(f64, f64, f64)>,
    pub duplicate: f64,
    /// Probability that a packet comes this much later than the others.
    pub late: (f64, f64),
    /// Every so many seconds everything is held back for so many ms, then comes at once.
    pub stall: Option<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Codec {
    Ulaw,
    Alaw,
    Opus,
}

/// One call.
#[derive(Clone, Copy)]
pub struct Call {
    pub seed: u64,
    pub seconds: f64,
    pub codec: Codec,
    pub ptime_ms: u32,
    /// The sender's clock against ours; positive: fast.
    pub skew_ppm: f64,
    /// What it becomes half way: a phone that grew warm, a gateway that took over.
    pub skew_then_ppm: Option<f64>,
    pub tone_hz: f64,
    pub network: Network,
    /// Between a packet's undelayed arrival and the next tick, for the first packet.
    pub phase_ms: f64,
    /// The sender talks and is silent in turns of so many ms, sending nothing in silence.
    pub turns_ms: Option<u32>,
    /// The tone comes and goes four times a second, as speech does: codecs take a steady one for
    /// background.
    pub syllables: bool,
    pub first_sequence: u16,
    pub first_timestamp: u32,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 30.0,
            codec: Codec::Ulaw,
            ptime_ms: 20,
            skew_ppm: 0.0,
            skew_then_ppm: None,
            tone_hz: 440.0,
            network: Network::default(),
            phase_ms: 7.0,
            turns_ms: None,
            syllables: false,
            first_sequence: 65_500,
            first_timestamp: u32::MAX - 16_000,
        }
    }
}

/// What was heard.
pub struct Heard {
    /// All of it.
    pub pcm: Vec<i16>,
    pub ticks: usize,
    pub concealed_ticks: usize,
    pub silent_ticks: usize,
    /// After each tick, in ms.
    pub delays_ms: Vec<f32>,
    pub stats: PlayoutStats,
}

impl Heard {
    /// Delay of the calls's part from `from` s to `to` s: mean and largest.
    pub fn delay_between(&self, from: f64, to: f64) -> (f32, f32) {
        let range = (from * 50.0) as usize..((to * 50.0) as usize).min(self.delays_ms.len());
        let part = &self.delays_ms[range];
        let mean = part.iter().sum::<f32>() / part.len() as f32;
        (mean, part.iter().copied().fold(f32::MIN, f32::max))
    }

    /// Figures on one line, for `--nocapture`.
    pub fn print(&self, name: &str) {
        let stats = &self.stats;
        let seconds = self.ticks as f64 / 50.0;
        let (mean, max) = self.delay_between(seconds / 3.0, seconds);
        let refused: u64 = stats.packets_discarded.iter().sum();
        println!(
            "{name}: delay {mean:.1} ms (max {max:.1}), concealed {} ms, restored {} ms, \
             {} underruns, stretched {} ms, squeezed {} ms, skipped {} ms, refused {refused}, \
             drift {:.1} ppm, jitter {:.1} ms, resampling {}",
            stats.concealed_ms,
            stats.restored_ms,
            stats.underruns,
            stats.stretched_ms,
            stats.squeezed_ms,
            stats.skipped_ms,
            stats.drift_ppm,
            stats.jitter_ms,
            stats.resampling,
        );
    }

    /// The worst break in a tone: how far a sample is from where the two before it point. Shifts in
    /// pitch do not count, clicks do.
    pub fn worst_click(&self, tone_hz: f64, skip_seconds: f64) -> f64 {
        let turn = 2.0 * (std::f64::consts::TAU * tone_hz / 8_000.0).cos();
        self.pcm[(skip_seconds * 8_000.0) as usize..]
            .windows(3)
            .map(|s| {
                let expected = turn * f64::from(s[1]) - f64::from(s[0]);
                (f64::from(s[2]) - expected).abs()
            })
            .fold(0.0, f64::max)
    }

    pub fn concealed_share(&self) -> f64 {
        self.concealed_ticks as f64 / self.ticks as f64
    }
}

struct Arrival {
    at_us: i64,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

impl Call {
    fn config(&self) -> PlayoutConfig {
        PlayoutConfig {
            codec: match self.codec {
                Codec::Ulaw => PlayoutCodec::G711(Law::Ulaw),
                Codec::Alaw => PlayoutCodec::G711(Law::Alaw),
                Codec::Opus => PlayoutCodec::Opus,
            },
            sample_rate_hz: 8_000,
            seed: 1,
        }
    }

    /// Runs the call from its beginning to its end.
    pub fn run(self) -> Heard {
        self.run_from(Instant::now())
    }

    fn run_from(self, epoch: Instant) -> Heard {
        let mut sender = Sender::new(self);
        let mut playout = Playout::new(self.config()).unwrap();
        let mut in_flight: Vec<Arrival> = Vec::new();
        let ticks = (self.seconds * 50.0) as usize;
        let mut heard = Heard {
            pcm: Vec::with_capacity(ticks * FRAME_8K_SAMPLES),
            ticks,
            concealed_ticks: 0,
            silent_ticks: 0,
            delays_ms: Vec::with_capacity(ticks),
            stats: PlayoutStats::default(),
        };
        let at = |us: i64| epoch + Duration::from_micros(us as u64);
        for tick in 0..ticks {
            let now_us = (self.phase_ms * 1e3) as i64 + tick as i64 * TICK.as_micros() as i64;
            // Nothing is delayed by more than two seconds, and nothing comes before it is sent.
            sender.send_until(now_us, &mut in_flight);
            in_flight.sort_by_key(|packet| packet.at_us);
            let due = in_flight.partition_point(|packet| packet.at_us <= now_us);
            for packet in in_flight.drain(..due) {
                let _ = playout.handle_packet(
                    at(packet.at_us),
                    Packet {
                        sequence: packet.sequence,
                        timestamp: packet.timestamp,
                        ssrc: 77,
                        marker: packet.marker,
                        payload_type: 0,
                        payload: &packet.payload,
                    },
                );
            }
            let mut frame = [0i16; FRAME_8K_SAMPLES];
            match playout.play(at(now_us), &mut frame) {
                Played::Voice => {}
                Played::Concealed => heard.concealed_ticks += 1,
                Played::Silence => {
                    heard.silent_ticks += 1;
                    assert_eq!(frame, [0; FRAME_8K_SAMPLES], "silence is zeros");
                }
            }
            heard.pcm.extend(frame);
            heard.delays_ms.push(playout.stats().delay_ms);
        }
        heard.stats = playout.stats();
        heard
    }
}

struct Sender {
    call: Call,
    random: Random,
    tone: ToneGenerator,
    encoder: Option<Encoder>,
    packet: u64,
    sequence: u16,
    burst_left: u32,
    /// The network is in its bad state.
    bad: bool,
    /// When the next packet is sent.
    next_us: f64,
    silent_before: bool,
}

impl Sender {
    fn new(call: Call) -> Self {
        let settings = EncoderSettings {
            dtx: false,
            complexity: 5,
            expected_loss_percent: 20,
            ..EncoderSettings::narrowband_voice()
        };
        Self {
            call,
            random: Random::new(call.seed),
            tone: ToneGenerator::new(8_000, call.tone_hz, 0.3),
            encoder: (call.codec == Codec::Opus).then(|| Encoder::new(settings).unwrap()),
            packet: 0,
            sequence: call.first_sequence,
            burst_left: 0,
            bad: false,
            next_us: 0.0,
            silent_before: true,
        }
    }

    fn send_until(&mut self, now_us: i64, in_flight: &mut Vec<Arrival>) {
        while self.next_us as i64 <= now_us {
            let sent_us = self.next_us;
            self.send(sent_us, in_flight);
            self.packet += 1;
            let half_way = sent_us >= self.call.seconds * 5e5;
            let then = self.call.skew_then_ppm.filter(|_| half_way);
            let skew = then.unwrap_or(self.call.skew_ppm);
            self.next_us += f64::from(self.call.ptime_ms) * 1e3 / (1.0 + skew * 1e-6);
        }
    }

    fn send(&mut self, sent_us: f64, in_flight: &mut Vec<Arrival>) {
        let call = self.call;
        let mut pcm = vec![0i16; (call.ptime_ms * 8) as usize];
        self.tone.generate(&mut pcm);
        let elapsed_ms = self.packet * u64::from(call.ptime_ms);
        if call.syllables {
            for (at, sample) in pcm.iter_mut().enumerate() {
                let seconds = elapsed_ms as f64 / 1e3 + at as f64 / 8e3;
                let gain = (std::f64::consts::TAU * 4.0 * seconds).sin().max(0.0);
                *sample = (f64::from(*sample) * gain) as i16;
            }
        }
        let talks = call
            .turns_ms
            .is_none_or(|turn| (elapsed_ms / u64::from(turn)).is_multiple_of(2));
        if !talks {
            self.silent_before = true;
            return;
        }
        let payload = self.encode(&pcm);
        let units = if call.codec == Codec::Opus { 48 } else { 8 } * elapsed_ms;
        let packet = Arrival {
            at_us: self.arrival_us(sent_us),
            sequence: self.sequence,
            timestamp: call.first_timestamp.wrapping_add(units as u32),
            marker: self.silent_before,
            payload,
        };
        self.silent_before = false;
        self.sequence = self.sequence.wrapping_add(1);
        if self.is_lost() {
            return;
        }
        if self.random.chance(call.network.duplicate) {
            in_flight.push(Arrival {
                at_us: packet.at_us + (self.random.unit() * 30_000.0) as i64,
                payload: packet.payload.clone(),
                ..packet
            });
        }
        in_flight.push(packet);
    }

    fn encode(&mut self, pcm: &[i16]) -> Vec<u8> {
        let law = match self.call.codec {
            Codec::Alaw => Law::Alaw,
            _ => Law::Ulaw,
        };
        let mut payload = vec![0u8; 1_275.max(pcm.len())];
        let length = match &mut self.encoder {
            None => law.encode(pcm, &mut payload),
            Some(encoder) => match encoder.encode(pcm, &mut payload) {
                Encoded::Packet(length) => length,
                Encoded::Silence => panic!("a tone is not silence"),
            },
        };
        payload.truncate(length);
        payload
    }

    fn arrival_us(&mut self, sent_us: f64) -> i64 {
        let network = self.call.network;
        let mut at_us = sent_us + self.random.unit() * network.jitter_ms * 1e3;
        if self.random.chance(network.late.0) {
            at_us += network.late.1 * 1e3;
        }
        if let Some((every_seconds, hold_ms)) = network.stall {
            let into_us = at_us % (every_seconds * 1e6);
            let begins_us = (every_seconds * 1e6) - hold_ms * 1e3;
            if into_us > begins_us {
                at_us += every_seconds * 1e6 - into_us;
            }
        }
        at_us as i64
    }

    fn is_lost(&mut self) -> bool {
        let network = self.call.network;
        if let Some((to_bad, to_good, loss)) = network.bursts {
            let turns = if self.bad { to_good } else { to_bad };
            self.bad ^= self.random.chance(turns);
            if self.bad && self.random.chance(loss) {
                return true;
            }
        }
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return true;
        }
        if self.random.chance(network.burst.0) {
            self.burst_left = network.burst.1.saturating_sub(1);
            return true;
        }
        self.random.chance(network.loss)
    }
}
