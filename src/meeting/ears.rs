//! What phones hear, mixed and encoded: once for all that hear the same with the same codec.
//!
//! Whoever says nothing hears the whole bus, and shares its encoding with all others who say
//! nothing. Whoever speaks hears the bus without itself, in an encoding of its own. G.722 and Opus
//! remember what they encoded, so that a phone changes from one encoding to the other seldom, and
//! only where that is not heard.

use crate::audio::buses::Buses;
use crate::audio::frame::{Band, FRAME_8K_SAMPLES, FRAME_SAMPLES_MAX};
use crate::audio::g722::G722Encoder;
use crate::audio::mix::{Bus, Limiter};
use crate::audio::opus::EncoderSettings;
use crate::meeting::leg::PhoneCodec;
use crate::meeting::opus_ear::{OpusEar, OpusEarFormat};
use crate::meeting::phone::{Listener, PhoneLeg};

/// Ticks of silence after which a G.722 phone's own encoding has grown equal to the shared one:
/// all its memories fade within a second.
const G722_ALONE_TICKS: u32 = 50;

/// Ticks of silence after which an Opus phone goes back to the shared encoding: a change between
/// two encoders can be heard, so it is not made between two sentences.
const OPUS_ALONE_TICKS: u32 = 500;

/// Octets of a tick of G.711 or G.722.
const TICK_OCTETS: usize = FRAME_8K_SAMPLES;

/// Encodings of what those hear who say nothing.
pub(super) struct SharedEars {
    settings: EncoderSettings,
    limiters: [Limiter; 3],
    /// The whole bus as PCM, by band, and at which tick it was made.
    mixes: [(u64, Vec<i16>); 3],
    /// In each law.
    g711: [(u64, [u8; TICK_OCTETS]); 2],
    g722: (u64, [u8; TICK_OCTETS]),
    g722_encoder: G722Encoder,
    /// One for each format that a silent phone has.
    opus: Vec<OpusEar>,
}

impl SharedEars {
    /// Encoders begin when somebody listens.
    pub(super) fn new(settings: EncoderSettings) -> Self {
        Self {
            settings,
            limiters: Default::default(),
            mixes: Band::ALL.map(|_| (0, Vec::new())),
            g711: [(0, [0; TICK_OCTETS]); 2],
            g722: (0, [0; TICK_OCTETS]),
            g722_encoder: G722Encoder::new(),
            opus: Vec::new(),
        }
    }

    /// Forgets everything: no phone listens any more.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.settings);
    }

    fn mix<'a>(
        limiters: &mut [Limiter; 3],
        mixes: &'a mut [(u64, Vec<i16>); 3],
        tick: u64,
        band: Band,
        bus: &Bus,
    ) -> &'a [i16] {
        let (made_at, mix) = &mut mixes[band.index()];
        if *made_at != tick {
            *made_at = tick;
            mix.resize(band.samples(), 0);
            bus.mix(&mut limiters[band.index()], mix);
        }
        mix
    }
}

/// A phone's own encoding, while it speaks.
#[derive(Default)]
pub(super) struct OwnEar {
    limiter: Limiter,
    /// Ticks for which it keeps its own encoding.
    alone_left: u32,
    g722: Option<G722Encoder>,
    opus: Option<Box<OpusEar>>,
}

impl OwnEar {
    /// The codec has changed.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// What it loses of ours, as it says, 0–100.
    pub(super) fn set_expected_loss(&mut self, percent: u8) {
        if let Some(opus) = &mut self.opus {
            opus.set_expected_loss(percent);
        }
    }

    /// Steps the complexity of its encoder, 0–10.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        if let Some(opus) = &mut self.opus {
            opus.set_complexity(complexity);
        }
    }

    fn opus(&mut self, format: OpusEarFormat, settings: EncoderSettings) -> &mut OpusEar {
        self.opus
            .get_or_insert_with(|| Box::new(OpusEar::new(format, settings)))
    }

    /// Has it spoken lately?
    fn is_alone(&mut self, speaks: bool, ticks: u32) -> bool {
        self.alone_left = match speaks {
            true => ticks,
            false => self.alone_left.saturating_sub(1),
        };
        speaks || self.alone_left > 0
    }
}

/// Hands out what the phones hear in one tick.
pub struct Ears<'a> {
    buses: &'a Buses,
    shared: &'a mut SharedEars,
    /// Never 0.
    tick: u64,
}

impl<'a> Ears<'a> {
    pub(super) fn new(buses: &'a Buses, shared: &'a mut SharedEars, tick: u64) -> Self {
        let tick = tick.max(1);
        let in_use = |ear: &OpusEar| ear.made_at() + u64::from(OPUS_ALONE_TICKS) >= tick;
        shared.opus.retain(in_use);
        Self {
            buses,
            shared,
            tick,
        }
    }

    /// Gives one phone its tick: everybody but itself.
    pub fn hear(&mut self, leg: &mut PhoneLeg) {
        let codec = leg.codec();
        let listener = leg.listener();
        match codec {
            PhoneCodec::Pcmu | PhoneCodec::Pcma => self.hear_g711(codec, listener),
            PhoneCodec::G722 => self.hear_g722(listener),
            PhoneCodec::Opus => self.hear_opus(listener),
        }
    }

    /// Gives one phone that is not in the meeting yet its tick: what `sound` writes into a frame of
    /// silence at the phone's rate.
    pub fn hear_waiting(&mut self, leg: &mut PhoneLeg, sound: impl FnOnce(u32, &mut [i16])) {
        let (codec, band) = (leg.codec(), leg.band());
        let listener = leg.listener();
        let mut frame = [0; FRAME_SAMPLES_MAX];
        let frame = &mut frame[..band.samples()];
        sound(band.sample_rate_hz(), frame);
        let mut octets = [0; TICK_OCTETS];
        match codec {
            PhoneCodec::Pcmu | PhoneCodec::Pcma => {
                let law = codec.law();
                law.map(|law| law.encode(frame, &mut octets));
                listener.ear.feed(&octets);
            }
            PhoneCodec::G722 => {
                let encoder = listener.own.g722.get_or_insert_default();
                encoder.encode(frame, &mut octets);
                // It is kept until the encoding of those who hear the meeting has forgotten it.
                listener.own.alone_left = G722_ALONE_TICKS;
                listener.ear.feed(&octets);
            }
            PhoneCodec::Opus => {
                let format = OpusEarFormat::of(listener.media);
                let settings = self.shared.settings;
                let opus = listener.own.opus(format, settings);
                if let Some(packet) = opus.encode(self.tick, frame, true) {
                    listener.ear.feed(packet);
                }
            }
        }
    }

    fn hear_g711(&mut self, codec: PhoneCodec, listener: Listener<'_>) {
        let (index, law) = match codec.law() {
            Some(law) => (usize::from(codec == PhoneCodec::Pcma), law),
            None => return,
        };
        let bus = self.buses.heard(Band::Narrow);
        let mut codes = [0; TICK_OCTETS];
        if bus.voices() == 0 {
            return listener.ear.feed(&[law.silence(); TICK_OCTETS]);
        }
        if let Some(own) = listener.voice {
            let mut heard = [0; FRAME_8K_SAMPLES];
            bus.mix_minus(own, &mut listener.own.limiter, &mut heard);
            law.encode(&heard, &mut codes);
            return listener.ear.feed(&codes);
        }
        let shared = &mut *self.shared;
        let (limiters, mixes) = (&mut shared.limiters, &mut shared.mixes);
        let (made_at, codes) = &mut shared.g711[index];
        if *made_at != self.tick {
            *made_at = self.tick;
            let mix = SharedEars::mix(limiters, mixes, self.tick, Band::Narrow, bus);
            law.encode(mix, codes);
        }
        listener.ear.feed(codes);
    }

    fn hear_g722(&mut self, listener: Listener<'_>) {
        let bus = self.buses.heard(Band::Wide);
        let own = listener.own;
        if own.is_alone(listener.voice.is_some(), G722_ALONE_TICKS) {
            // It goes on from where the shared encoding stands.
            let mut encoder = match own.g722 {
                Some(encoder) => encoder,
                None => self.shared.g722_encoder,
            };
            let mut heard = [0; Band::Wide.samples()];
            match listener.voice {
                Some(voice) => bus.mix_minus(voice, &mut own.limiter, &mut heard),
                None => bus.mix(&mut own.limiter, &mut heard),
            }
            let mut octets = [0; TICK_OCTETS];
            encoder.encode(&heard, &mut octets);
            own.g722 = Some(encoder);
            return listener.ear.feed(&octets);
        }
        own.g722 = None;
        let shared = &mut *self.shared;
        let (limiters, mixes) = (&mut shared.limiters, &mut shared.mixes);
        let (made_at, octets) = &mut shared.g722;
        if *made_at != self.tick {
            *made_at = self.tick;
            let mix = SharedEars::mix(limiters, mixes, self.tick, Band::Wide, bus);
            shared.g722_encoder.encode(mix, octets);
        }
        listener.ear.feed(octets);
    }

    fn hear_opus(&mut self, listener: Listener<'_>) {
        let format = OpusEarFormat::of(listener.media);
        let bus = self.buses.heard(format.band);
        let own = listener.own;
        if own.is_alone(listener.voice.is_some(), OPUS_ALONE_TICKS) {
            let mut heard = [0; FRAME_SAMPLES_MAX];
            let heard = &mut heard[..format.band.samples()];
            match listener.voice {
                Some(voice) => bus.mix_minus(voice, &mut own.limiter, heard),
                None => bus.mix(&mut own.limiter, heard),
            }
            let others = bus.voices() > usize::from(listener.voice.is_some());
            let opus = own.opus(format, self.shared.settings);
            if let Some(packet) = opus.encode(self.tick, heard, others) {
                listener.ear.feed(packet);
            }
            return;
        }
        own.opus = None;
        let shared = &mut *self.shared;
        let known = shared.opus.iter().position(|ear| ear.format() == format);
        let index = known.unwrap_or_else(|| {
            shared.opus.push(OpusEar::new(format, shared.settings));
            shared.opus.len() - 1
        });
        let opus = &mut shared.opus[index];
        let (limiters, mixes) = (&mut shared.limiters, &mut shared.mixes);
        let packet = match opus.made_at() == self.tick {
            true => opus.packet(),
            false => {
                let mix = SharedEars::mix(limiters, mixes, self.tick, format.band, bus);
                opus.encode(self.tick, mix, bus.voices() > 0)
            }
        };
        if let Some(packet) = packet {
            listener.ear.feed(packet);
        }
    }
}
