//! The mixer between phones and browsers of one Session, one step every 20 ms.
//!
//! The cheapest frame is the one not touched: a browser's Opus is decoded once for all phones, and
//! only if it is among the loudest; phones that hear the same share one mix and one encoding.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::audio::frame::{FRAME_8K_SAMPLES, Frame8k};
use crate::audio::level::SILENCE_DBOV;
use crate::audio::mix::{Bus, Limiter};
use crate::audio::playout::{Played, Playout, PlayoutCodec, PlayoutConfig};
use crate::limits::MIXED_BROWSERS_MAX;
use crate::meeting::leg::PhoneCodec;
use crate::meeting::peer::IncomingRtp;
use crate::meeting::phone::{PhoneLeg, law_of};
use crate::meeting::track::TrackId;
use crate::rtp::packet::Packet;

/// Level taken for a browser that does not send RFC 6464 levels: ordinary speech.
const LEVEL_UNKNOWN_DBOV: u8 = 35;

/// Below this a microphone is off or in an empty room: not worth decoding.
const LEVEL_INAUDIBLE_DBOV: u8 = 100;

/// A voice stays among the loudest this long after its last loud packet: pauses between words.
const LOUD_HOLD: Duration = Duration::from_millis(700);

/// By this much a newcomer must be louder to take a place.
const LOUD_HYSTERESIS_DB: u8 = 6;

/// One browser's microphone.
struct Input {
    playout: Option<Playout>,
    /// Held peak, −dBov.
    level: u8,
    level_at: Instant,
    /// Last packet.
    heard_at: Instant,
    /// Among the loudest.
    chosen: bool,
    frame: Frame8k,
}

/// See the module.
pub struct AudioBridge {
    inputs: BTreeMap<TrackId, Input>,
    bus: Bus<FRAME_8K_SAMPLES>,
    shared_limiter: Limiter,
    seed: u32,
}

impl AudioBridge {
    /// Mixes nothing yet. `seed` tells the comfort noise of its inputs apart.
    pub fn new(seed: u32) -> Self {
        Self {
            inputs: BTreeMap::new(),
            bus: Bus::new(),
            shared_limiter: Limiter::new(),
            seed,
        }
    }

    /// Takes a packet of a browser's microphone. To be called only while a phone listens.
    pub fn handle_packet(&mut self, track: TrackId, packet: &IncomingRtp) {
        let level = packet.level.unwrap_or(LEVEL_UNKNOWN_DBOV);
        let chosen_now = self.inputs.values().filter(|input| input.chosen).count();
        let input = self.inputs.entry(track).or_insert_with(|| Input {
            playout: None,
            level: SILENCE_DBOV,
            level_at: packet.arrival,
            heard_at: packet.arrival,
            chosen: false,
            frame: [0; FRAME_8K_SAMPLES],
        });
        input.heard_at = packet.arrival;
        let held = packet.arrival.saturating_duration_since(input.level_at) < LOUD_HOLD;
        if level <= input.level || !held {
            input.level = level;
            input.level_at = packet.arrival;
        }
        // A free place is taken at once, so that the first word is heard whole; the tick decides
        // between more voices than places.
        if !input.chosen && chosen_now < MIXED_BROWSERS_MAX && level < LEVEL_INAUDIBLE_DBOV {
            input.chosen = true;
        }
        if !input.chosen {
            return;
        }
        if input.playout.is_none() {
            self.seed = self.seed.wrapping_add(1);
            input.playout = opus_playout(self.seed);
        }
        let arrival = packet.arrival;
        let packet = Packet {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            marker: packet.marker,
            payload_type: packet.payload_type,
            payload: &packet.payload,
        };
        if let Some(playout) = &mut input.playout {
            let _counted_there = playout.handle_packet(arrival, packet);
        }
    }

    /// Microphones being decoded.
    pub fn decoding(&self) -> usize {
        let decoded = |input: &&Input| input.playout.is_some();
        self.inputs.values().filter(decoded).count()
    }

    /// The microphone is gone or muted.
    pub fn remove(&mut self, track: TrackId) {
        self.inputs.remove(&track);
    }

    /// No phone listens any more.
    pub fn clear(&mut self) {
        self.inputs.clear();
    }

    /// Sums what browsers and `legs` say in this tick.
    pub fn sum<'a>(&mut self, now: Instant, legs: impl Iterator<Item = &'a PhoneLeg>) {
        self.choose(now);
        self.bus.clear();
        for input in self.inputs.values_mut() {
            let Some(playout) = &mut input.playout else {
                continue;
            };
            if playout.play(now, &mut input.frame) != Played::Silence {
                self.bus.add(&input.frame);
            }
        }
        for leg in legs {
            if let Some(voice) = leg.voice() {
                self.bus.add(voice);
            }
        }
    }

    /// Starts handing out what was summed; one call per tick, then [`Ears::hear`] per leg.
    pub fn ears(&mut self) -> Ears<'_> {
        Ears {
            bus: &self.bus,
            shared_limiter: &mut self.shared_limiter,
            shared: None,
            encoded: [None, None],
        }
    }

    /// Keeps the loudest. A chosen voice gives its place to one clearly louder, or when it has
    /// been inaudible for a while.
    fn choose(&mut self, now: Instant) {
        for input in self.inputs.values_mut() {
            let stale = now.saturating_duration_since(input.heard_at) >= LOUD_HOLD;
            if stale {
                input.level = SILENCE_DBOV;
            }
            if input.chosen && input.level >= LEVEL_INAUDIBLE_DBOV {
                input.chosen = false;
                input.playout = None;
            }
        }
        loop {
            let chosen = self.inputs.iter().filter(|(_, input)| input.chosen);
            let count = chosen.clone().count();
            let quietest = chosen.max_by_key(|(_, input)| input.level);
            let quietest = quietest.map(|(track, input)| (*track, input.level));
            let waiting = self.inputs.iter().filter(|(_, input)| !input.chosen);
            let loudest = waiting.min_by_key(|(_, input)| input.level);
            let Some((loudest, level)) = loudest.map(|(track, input)| (*track, input.level)) else {
                return;
            };
            if level >= LEVEL_INAUDIBLE_DBOV {
                return;
            }
            if count >= MIXED_BROWSERS_MAX {
                match quietest {
                    Some((track, quiet)) if level.saturating_add(LOUD_HYSTERESIS_DB) < quiet => {
                        self.set_chosen(track, false);
                    }
                    _ => return,
                }
            }
            self.set_chosen(loudest, true);
        }
    }

    fn set_chosen(&mut self, track: TrackId, chosen: bool) {
        if let Some(input) = self.inputs.get_mut(&track) {
            input.chosen = chosen;
            if !chosen {
                input.playout = None;
            }
        }
    }
}

/// What the legs hear in one tick.
pub struct Ears<'a> {
    bus: &'a Bus<FRAME_8K_SAMPLES>,
    shared_limiter: &'a mut Limiter,
    /// The mix of those who say nothing.
    shared: Option<Frame8k>,
    /// The shared mix in each law.
    encoded: [Option<[u8; FRAME_8K_SAMPLES]>; 2],
}

impl Ears<'_> {
    /// G.711 for one leg: everybody but itself.
    pub fn hear(&mut self, leg: &mut PhoneLeg) -> [u8; FRAME_8K_SAMPLES] {
        let codec = leg.codec();
        let law = law_of(codec);
        if self.bus.voices() == 0 {
            return [law.silence(); FRAME_8K_SAMPLES];
        }
        let mut codes = [0; FRAME_8K_SAMPLES];
        if let Some(own) = leg.voice().copied() {
            let mut heard = [0; FRAME_8K_SAMPLES];
            self.bus.mix_minus(&own, &mut leg.limiter, &mut heard);
            law.encode(&heard, &mut codes);
            return codes;
        }
        let index = match codec {
            PhoneCodec::Pcmu => 0,
            PhoneCodec::Pcma => 1,
        };
        if let Some(codes) = self.encoded[index] {
            return codes;
        }
        let shared = match self.shared {
            Some(shared) => shared,
            None => {
                let mut heard = [0; FRAME_8K_SAMPLES];
                self.bus.mix(self.shared_limiter, &mut heard);
                *self.shared.insert(heard)
            }
        };
        law.encode(&shared, &mut codes);
        self.encoded[index] = Some(codes);
        codes
    }
}

fn opus_playout(seed: u32) -> Option<Playout> {
    let config = PlayoutConfig {
        codec: PlayoutCodec::Opus,
        sample_rate_hz: 8_000,
        seed,
    };
    // Without memory for a decoder the voice is missing; everything else goes on.
    Playout::new(config).ok()
}
