//! One remote source: packets in as they arrive, 20 ms of PCM out at each tick.
//!
//! Packets wait undecoded, by media time, so their length does not matter. At a tick what is due is
//! decoded to a short [`timeline`]; what is missing is restored, invented, or silence. How long
//! packets wait follows how late they come ([`delays`]): the buffer holds just enough that all but
//! one packet in 128 of the last ten seconds would have been in time. It grows and shrinks by
//! repeating or leaving out whole periods of the voice, and a sender's clock that runs fast or slow
//! ([`drift`]) is met by resampling.
//!
//! # Bounds
//! A steady source waits until the next tick and no longer: 0–23 ms, 11 ms on average. The delay
//! grows as soon as packets come late, and shrinks after ten quiet seconds, by about a tenth of the
//! time that passes; it never exceeds jitter by more than two ticks for long, nor
//! [`PLAYOUT_DELAY_MS_MAX`](crate::limits::PLAYOUT_DELAY_MS_MAX) at all.

mod clock;
mod control;
mod delays;
mod drift;
mod fill;
mod ingress;
mod store;
mod timeline;
mod voice;

use std::time::Instant;

use self::control::Control;
use self::delays::Delays;
use self::drift::DriftMeter;
use self::ingress::Stream;
use self::store::Store;
use self::timeline::Timeline;
use self::voice::Voice;
use super::frame;
use super::g711::Law;
use super::g722;
use super::noise::ComfortNoise;
use super::opus::{self, OpusError, PACKET_MS_MAX};
use super::resample::DriftResampler;
use crate::rtp::discard::Discard;
use crate::rtp::packet::Packet;

/// Codec of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayoutCodec {
    /// G.711; `sample_rate_hz` must be 8,000.
    G711(Law),
    /// G.722; `sample_rate_hz` must be 16,000.
    G722,
    /// Opus, decoded to mono at `sample_rate_hz`.
    Opus,
}

impl PlayoutCodec {
    /// RTP clock rate in Hz.
    pub fn clock_rate_hz(self) -> u32 {
        match self {
            Self::G711(_) => 8_000,
            Self::G722 => g722::CLOCK_RATE_HZ,
            Self::Opus => opus::CLOCK_RATE_HZ,
        }
    }
}

/// Settings of a [`Playout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// What the payloads are. The caller sorts packets by payload type.
    pub codec: PlayoutCodec,
    /// Of the PCM played: 8,000 for everything a narrowband leg hears.
    pub sample_rate_hz: u32,
    /// Tells the comfort noise of sources apart.
    pub seed: u32,
}

/// What a tick played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// What the source sent.
    Voice,
    /// Invented, at least in part: a packet is late or lost.
    Concealed,
    /// Nothing: the frame is all zeros and need not be mixed.
    Silence,
}

/// Figures of one source. Times are sums since the beginning unless they say "now".
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlayoutStats {
    /// Packets taken.
    pub packets_accepted: u64,
    /// Packets refused, by [`Discard::index`].
    pub packets_discarded: [u64; Discard::ALL.len()],
    /// Audio played, silence not counted, in ms.
    pub played_ms: u64,
    /// Audio invented for late or lost packets, in ms.
    pub concealed_ms: u64,
    /// Lost audio restored from the next packet's copy (Opus FEC), in ms.
    pub restored_ms: u64,
    /// Times the buffer ran empty in the middle of speech.
    pub underruns: u64,
    /// Delay added by stretching, in ms.
    pub stretched_ms: u64,
    /// Delay taken out by squeezing, in ms.
    pub squeezed_ms: u64,
    /// Audio skipped unheard: stalls of ours, delay beyond all bounds, in ms.
    pub skipped_ms: u64,
    /// Now: time between the arrival of the fastest packets and their being played, in ms.
    pub delay_ms: f32,
    /// Now: how much later than the fastest the slower packets come, in ms.
    pub jitter_ms: f32,
    /// Now: clock of the sender against ours, in ppm; positive: fast. 0 until measured.
    pub drift_ppm: f32,
    /// Now: is the drift being corrected?
    pub resampling: bool,
}

/// The playout of one remote source.
#[derive(Debug)]
pub struct Playout {
    config: PlayoutConfig,
    /// Samples of a tick.
    frame: usize,
    voice: Voice,
    noise: ComfortNoise,
    stream: Stream,
    store: Store,
    timeline: Timeline,
    /// Media position after the timeline's last sample.
    end: i64,
    /// Samples at the timeline's end that were invented because nothing had come; a packet that
    /// comes late after all takes their place.
    invented: usize,
    /// Of that, in ms, what counts as concealed until the next packet tells that nothing was lost.
    unproven_ms: u64,
    /// Media position after the packet decoded last.
    decoded_end: i64,
    /// Media position from which on the source has said that it is silent.
    quiet_from: Option<i64>,
    /// Nothing is played, and the next packet begins anew.
    idle: bool,
    control: Control,
    delays: Delays,
    drift: DriftMeter,
    /// Allocated when first needed: most clocks are good.
    resampler: Option<Box<DriftResampler>>,
    scratch: Vec<i16>,
    epoch: Option<Instant>,
    next_tick_us: Option<i64>,
    stats: PlayoutStats,
}

impl Playout {
    /// A source that has sent nothing. About 30 KiB, and libopus' state for Opus.
    ///
    /// # Errors
    /// libopus does not know the sample rate: the caller's.
    pub fn new(config: PlayoutConfig) -> Result<Self, OpusError> {
        let rate = config.sample_rate_hz as usize;
        let longest_packet = rate * PACKET_MS_MAX / 1_000;
        // A tick, what a squeeze leaves out, the longest packet, and the stretch it all may get.
        let future = 4 * frame::samples(config.sample_rate_hz) + longest_packet;
        let history = rate * 80 / 1_000;
        Ok(Self {
            config,
            frame: frame::samples(config.sample_rate_hz),
            voice: Voice::new(config.codec, config.sample_rate_hz)?,
            noise: ComfortNoise::new(config.seed),
            stream: Stream::new(config.codec.clock_rate_hz(), config.sample_rate_hz),
            store: Store::new(),
            timeline: Timeline::new(history, future),
            end: 0,
            invented: 0,
            unproven_ms: 0,
            decoded_end: 0,
            quiet_from: None,
            idle: true,
            control: Control::new(config.sample_rate_hz),
            delays: Delays::new(),
            drift: DriftMeter::new(),
            resampler: None,
            scratch: vec![0; longest_packet],
            epoch: None,
            next_tick_us: None,
            stats: PlayoutStats::default(),
        })
    }

    /// Takes one packet of the source; `arrival` is the kernel's receive time, not the time it was
    /// read.
    ///
    /// # Errors
    /// The packet is not used, for the reason given, which is already counted.
    pub fn handle_packet(&mut self, arrival: Instant, packet: Packet<'_>) -> Result<(), Discard> {
        let arrival_us = self.micros(arrival);
        let result = self.take(arrival_us, &packet);
        match result {
            Ok(()) => self.stats.packets_accepted += 1,
            Err(reason) => self.stats.packets_discarded[reason.index()] += 1,
        }
        result
    }

    /// Takes a comfort-noise packet (RFC 3389, payload type 13): its level colours the silence that
    /// it announces, which is then no loss.
    pub fn handle_comfort_noise(&mut self, packet: &Packet<'_>) {
        if let Some(level) = packet.payload.first() {
            self.noise.set_level_dbov(*level);
            self.note_silence(packet);
        }
    }

    /// Plays the tick of `now` into `out`, whose length is 20 ms at the sample rate. Ticks are 20
    /// ms apart; where one or more were left out, their audio is left out too.
    ///
    /// # Panics
    /// If `out` is not one frame long.
    pub fn play(&mut self, now: Instant, out: &mut [i16]) -> Played {
        assert_eq!(out.len(), self.frame, "a tick is one frame");
        let now_us = self.micros(now);
        let tick_us = self.begin_tick(now_us);
        if self.idle && !self.try_begin(tick_us) {
            out.fill(0);
            return Played::Silence;
        }
        self.follow_clock();
        let needed = self.samples_needed();
        let filled = self.fill(needed);
        if filled == Played::Voice {
            self.adjust_delay(tick_us, needed);
        }
        self.stats.delay_ms = self.delay_us(tick_us) as f32 / 1e3;
        self.output(needed, out);
        self.rest_if_faded(out);
        self.stats.played_ms += 20;
        filled
    }

    /// Figures so far.
    pub fn stats(&self) -> PlayoutStats {
        PlayoutStats {
            jitter_ms: (self.delays.high_us() - self.delays.low_us()) as f32 / 1e3,
            drift_ppm: self.drift.estimate().map_or(0.0, |drift| drift.ppm),
            resampling: self.control.is_resampling(),
            ..self.stats
        }
    }

    /// µs since the first thing that happened here.
    fn micros(&mut self, at: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(at);
        match at.checked_duration_since(epoch) {
            Some(after) => after.as_micros() as i64,
            None => -(epoch.duration_since(at).as_micros() as i64),
        }
    }

    /// Media position of the next sample to be played (or resampled).
    fn position(&self) -> i64 {
        self.end - self.timeline.future_len() as i64
    }

    fn samples_to_us(&self, samples: i64) -> i64 {
        samples_to_us(samples, self.config.sample_rate_hz)
    }
}

/// Duration of samples in µs; exact over days.
fn samples_to_us(samples: i64, sample_rate_hz: u32) -> i64 {
    let rate = i64::from(sample_rate_hz);
    samples.div_euclid(rate) * 1_000_000 + samples.rem_euclid(rate) * 1_000_000 / rate
}
