//! The mixer between phones and browsers of one Session, one step every 20 ms.
//!
//! The cheapest frame is the one not touched: a browser's Opus is decoded once for all phones, at
//! the highest rate at which one of them listens, and only if it is among the loudest by what its
//! packets say of themselves; phones that hear the same share one mix and one encoding.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::audio::buses::Buses;
use crate::audio::frame::Band;
use crate::audio::level::SILENCE_DBOV;
use crate::audio::opus::EncoderSettings;
use crate::audio::playout::{Played, Playout, PlayoutCodec, PlayoutConfig};
use crate::limits::MIXED_BROWSERS_MAX;
use crate::meeting::ears::{Ears, SharedEars};
use crate::meeting::peer::IncomingRtp;
use crate::meeting::phone::PhoneLeg;
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
    frame: Vec<i16>,
}

/// See the module.
pub struct AudioBridge {
    /// Boxed, for a map's node has room for eleven.
    inputs: BTreeMap<TrackId, Box<Input>>,
    buses: Buses,
    shared: SharedEars,
    /// The highest rate at which a phone listens; `None` while none does.
    band: Option<Band>,
    seed: u32,
}

impl AudioBridge {
    /// Mixes nothing yet. `settings` are those of voices encoded for phones that speak Opus; `seed`
    /// tells the comfort noise of its inputs apart.
    pub fn new(settings: EncoderSettings, seed: u32) -> Self {
        Self {
            inputs: BTreeMap::new(),
            buses: Buses::new(),
            shared: SharedEars::new(settings),
            band: None,
            seed,
        }
    }

    /// Takes a packet of a browser's microphone. To be called only while a phone listens.
    pub fn handle_packet(&mut self, track: TrackId, packet: &IncomingRtp) {
        let Some(band) = self.band else {
            return;
        };
        let level = packet.level.unwrap_or(LEVEL_UNKNOWN_DBOV);
        let chosen_now = self.inputs.values().filter(|input| input.chosen).count();
        let silent = || Input {
            playout: None,
            level: SILENCE_DBOV,
            level_at: packet.arrival,
            heard_at: packet.arrival,
            chosen: false,
            frame: vec![0; band.samples()],
        };
        let entry = self.inputs.entry(track);
        let input = entry.or_insert_with(|| Box::new(silent()));
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
            input.playout = opus_playout(band, self.seed);
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
        let inputs = self.inputs.values();
        inputs.filter(|input| input.playout.is_some()).count()
    }

    /// The microphone is gone or muted.
    pub fn remove(&mut self, track: TrackId) {
        self.inputs.remove(&track);
    }

    /// No phone listens any more.
    pub fn clear(&mut self) {
        self.inputs.clear();
        self.shared.clear();
        self.band = None;
    }

    /// Sums what browsers and `legs` say in this tick, at every rate at which one of them listens.
    pub fn sum<'a>(&mut self, now: Instant, legs: impl Iterator<Item = &'a PhoneLeg> + Clone) {
        let mut listened = [false; 3];
        for leg in legs.clone().filter(|leg| leg.has_ear()) {
            listened[leg.band().index()] = true;
        }
        let highest = Band::ALL.into_iter().rev();
        self.set_band(highest.into_iter().find(|band| listened[band.index()]));
        self.buses.begin(listened);
        let Some(band) = self.band else {
            return;
        };
        self.choose(now);
        for input in self.inputs.values_mut() {
            let Some(playout) = &mut input.playout else {
                continue;
            };
            if playout.play(now, &mut input.frame) != Played::Silence {
                self.buses.add(band, &input.frame);
            }
        }
        for leg in legs {
            if let Some(voice) = leg.voice() {
                self.buses.add(leg.band(), voice);
            }
        }
        self.buses.finish();
    }

    /// Browsers are decoded at another rate from now on, or not at all. What waits undecoded is
    /// lost: a syllable at most, when the first phone of a wider codec comes or the last one goes.
    fn set_band(&mut self, band: Option<Band>) {
        if band == self.band {
            return;
        }
        self.band = band;
        let Some(band) = band else {
            return self.inputs.clear();
        };
        for input in self.inputs.values_mut() {
            input.frame = vec![0; band.samples()];
            if input.playout.is_some() {
                self.seed = self.seed.wrapping_add(1);
                input.playout = opus_playout(band, self.seed);
            }
        }
    }

    /// Starts handing out what was summed; one call per tick, then [`Ears::hear`] per leg. `tick`
    /// counts the session's ticks.
    pub fn ears(&mut self, tick: u64) -> Ears<'_> {
        Ears::new(&self.buses, &mut self.shared, tick)
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

fn opus_playout(band: Band, seed: u32) -> Option<Playout> {
    let config = PlayoutConfig {
        codec: PlayoutCodec::Opus,
        sample_rate_hz: band.sample_rate_hz(),
        seed,
    };
    // Without memory for a decoder the voice is missing; everything else goes on.
    Playout::new(config).ok()
}
