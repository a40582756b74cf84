//! How long packets wait: enough for the late ones, and no longer.
//!
//! A packet that starts `phase` into a tick's span is needed at that tick. With the playout offset
//! `o` (tick time minus media position), packets whose arrival delay is `d` are in time if
//! `d ≤ o − phase`. The worst phase follows from the packets' length: packets of 20 ms that are
//! aligned with the ticks all have phase 0. So the delay only ever needs to change by whole common
//! divisors of packet and tick, and whatever lies between is finished at leisure.

use super::Playout;
use super::delays::Delays;
use super::samples_to_us;
use crate::audio::frame;
use crate::audio::resample::DriftResampler;
use crate::audio::stretch::SpliceLimits;
use crate::limits;

/// Slack below which the delay grows: packets are about to be late.
const GROW_BELOW_US: i64 = 1_000;

/// Slack that must remain after shrinking; above [`GROW_BELOW_US`], so that the two never chase
/// each other.
const KEEP_US: i64 = 3_000;

/// Slack to begin with, before anything is known: half a tick.
const FIRST_SLACK_US: i64 = 10_000;

/// Packets after which the measured delays are believed.
const TRUSTED_PACKETS: usize = 50;

/// Unaligned remainder worth removing.
const REMAINDER_US: i64 = 3_000;

/// Ticks between two squeezes: a tenth faster is inaudible; far too much delay is worse.
const SQUEEZE_TICKS: u32 = 5;
const SQUEEZE_TICKS_URGENT: u32 = 2;
const URGENT_US: i64 = 80_000;

/// Longest wait of samples whose delay is unlike all others.
const DELAY_US_MAX: i64 = limits::PLAYOUT_DELAY_MS_MAX as i64 * 1_000;

/// What the delay control remembers.
#[derive(Debug)]
pub(super) struct Control {
    sample_rate_hz: u32,
    frame: i64,
    limits: SpliceLimits,
    /// Samples of the latest packet.
    packet: i64,
    last_sequence: Option<i64>,
    ticks_since_squeeze: u32,
    /// Ticks for which a change has been wanted and no good place found.
    waited: u32,
    resampling: Resampling,
    correction_ppm: f32,
    /// Growth is wanted whatever the slack.
    growth_wanted: bool,
}

/// Whether the sender's clock is being corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resampling {
    No,
    Yes,
    /// For one more frame.
    Ending,
}

impl Control {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        let frame = frame::samples(sample_rate_hz) as i64;
        Self {
            sample_rate_hz,
            frame,
            limits: SpliceLimits::new(sample_rate_hz),
            packet: frame,
            last_sequence: None,
            ticks_since_squeeze: 0,
            waited: 0,
            resampling: Resampling::No,
            correction_ppm: 0.0,
            growth_wanted: false,
        }
    }

    pub(super) fn handle_packet_length(&mut self, samples: usize) {
        self.packet = samples as i64;
    }

    pub(super) fn handle_decoded(&mut self, sequence: i64) {
        let last = self
            .last_sequence
            .map_or(sequence, |last| last.max(sequence));
        self.last_sequence = Some(last);
    }

    /// A new timeline: sequence numbers tell nothing about the old one.
    pub(super) fn handle_new_timeline(&mut self) {
        self.last_sequence = None;
    }

    /// Nothing was lost between the packet decoded last and this one.
    pub(super) fn is_next_in_sequence(&self, sequence: i64) -> bool {
        self.last_sequence == Some(sequence - 1)
    }

    /// Does the next frame come from the resampler?
    pub(super) fn is_resampling(&self) -> bool {
        self.resampling != Resampling::No
    }

    pub(super) fn begin_resampling(&mut self) {
        self.resampling = Resampling::Yes;
        self.growth_wanted = false;
    }

    pub(super) fn end_resampling(&mut self) {
        self.resampling = Resampling::Ending;
    }

    /// The last resampled frame is being put out.
    pub(super) fn take_ending(&mut self) -> bool {
        let ending = self.resampling == Resampling::Ending;
        if ending {
            self.resampling = Resampling::No;
        }
        ending
    }

    /// What the resampler is to correct from the next frame on.
    pub(super) fn correction_ppm(&self) -> f32 {
        self.correction_ppm
    }

    pub(super) fn want_growth(&mut self) {
        self.growth_wanted = true;
    }

    /// Step in which the delay changes what is in time, in samples. While resampling, packets and
    /// ticks pass each other, and the delay must serve the worst moment: a whole tick.
    fn quantum(&self) -> i64 {
        match self.is_resampling() {
            true => self.frame,
            false => greatest_common_divisor(self.packet, self.frame),
        }
    }

    /// Latest start of a packet within a tick's span, when packets and ticks are aligned.
    fn worst_phase_us(&self) -> i64 {
        match self.is_resampling() {
            true => samples_to_us(self.frame, self.sample_rate_hz),
            false => samples_to_us(self.frame - self.quantum(), self.sample_rate_hz),
        }
    }

    /// Delay that late packets need, bounded.
    fn late_us(delays: &Delays) -> i64 {
        delays.high_us().min(delays.low_us() + DELAY_US_MAX)
    }

    /// Playout offset with which to begin after silence.
    pub(super) fn offset_needed_us(&self, delays: &Delays) -> i64 {
        let slack_us = match delays.count() < TRUSTED_PACKETS {
            true => FIRST_SLACK_US,
            false => KEEP_US,
        };
        Self::late_us(delays) + self.worst_phase_us() + slack_us
    }
}

impl Playout {
    /// Time the fastest packets wait, in µs, as the frame about to be put out shows it.
    pub(super) fn delay_us(&self, tick_us: i64) -> i64 {
        let held = match self.control.is_resampling() {
            true => DriftResampler::delay_samples() as i64,
            false => 0,
        };
        tick_us - self.samples_to_us(self.position() - held) - self.delays.low_us()
    }

    /// Lets the delay follow what is needed. The timeline holds `needed` real samples.
    pub(super) fn adjust_delay(&mut self, tick_us: i64, needed: usize) {
        self.control.ticks_since_squeeze += 1;
        let offset_us = tick_us - self.samples_to_us(self.position());
        let quantum = self.control.quantum();
        let quantum_us = self.samples_to_us(quantum).max(1);
        // Beyond alignment: samples of a packet whose beginning was played before.
        let remainder = match self.control.is_resampling() {
            true => 0,
            false => self.timeline.future_len() as i64 % quantum,
        };
        let remainder_us = self.samples_to_us(remainder);
        let slack_us = offset_us
            - self.control.worst_phase_us()
            - remainder_us
            - Control::late_us(&self.delays);
        if self.control.is_resampling() {
            self.control.correction_ppm = self.correction_ppm(slack_us - KEEP_US);
        }
        if slack_us > DELAY_US_MAX {
            let excess_us = slack_us - KEEP_US;
            self.skip(excess_us / quantum_us * quantum + remainder);
            self.fill(needed);
            return;
        }
        if slack_us < GROW_BELOW_US || self.control.growth_wanted {
            self.grow();
            return;
        }
        let trusted = self.delays.count() >= TRUSTED_PACKETS;
        let quanta = (slack_us - KEEP_US).max(0) / quantum_us;
        let spare = quanta * quantum + remainder;
        if trusted && (quanta > 0 || remainder_us >= REMAINDER_US) {
            self.shrink(needed, spare as usize, slack_us);
        } else {
            self.control.waited = 0;
        }
    }

    fn grow(&mut self) {
        let likeness = match self.control.waited {
            0..5 => 0.85,
            5..15 => 0.5,
            _ => -1.0,
        };
        let limits = self.control.limits;
        let stretched = self.timeline.stretch(limits.lag_max, likeness, limits);
        self.control.growth_wanted = false;
        self.note_change(stretched);
        self.stats.stretched_ms += self.round_ms(stretched);
    }

    fn shrink(&mut self, needed: usize, spare: usize, slack_us: i64) {
        let urgent = slack_us > URGENT_US;
        let pause = if urgent {
            SQUEEZE_TICKS_URGENT
        } else {
            SQUEEZE_TICKS
        };
        if self.control.ticks_since_squeeze < pause {
            return;
        }
        let limits = self.control.limits;
        let lag_max = spare.min(limits.lag_max);
        self.fill_from_store(needed + lag_max + limits.overlap);
        let room = self.timeline.future_len().saturating_sub(needed);
        let likeness = match self.control.waited {
            0..50 => 0.9,
            50..150 => 0.75,
            _ => 0.5,
        };
        let squeezed = self.timeline.squeeze(lag_max.min(room), likeness, limits);
        self.note_change(squeezed);
        if squeezed > 0 {
            self.control.ticks_since_squeeze = 0;
        }
        self.stats.squeezed_ms += self.round_ms(squeezed);
    }

    fn note_change(&mut self, samples: usize) {
        match samples {
            0 => self.control.waited += 1,
            _ => self.control.waited = 0,
        }
    }

    fn round_ms(&self, samples: usize) -> u64 {
        let rate = u64::from(self.config.sample_rate_hz);
        (samples as u64 * 1_000 + rate / 2) / rate
    }
}

fn greatest_common_divisor(left: i64, right: i64) -> i64 {
    let (mut left, mut right) = (left.max(1), right);
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}
