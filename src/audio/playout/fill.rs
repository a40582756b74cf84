//! A tick's work: decode what is due, restore or invent what is missing, put it out.

use super::{Played, Playout};
use crate::audio::frame;

/// Invented audio after which a source counts as silent: by then it has faded to noise.
const REST_AFTER_MS: usize = 300;

const TICK_US: i64 = frame::TICK.as_micros() as i64;

impl Playout {
    /// Fixes the time of this tick on the 20 ms grid; leaves out the audio of skipped ticks.
    ///
    /// A worker is often late by a little and never early: the grid keeps to its earliest calls, so
    /// that a late call does not look like a late packet.
    pub(super) fn begin_tick(&mut self, now_us: i64) -> i64 {
        let mut due_us = self.next_tick_us.unwrap_or(now_us);
        let skipped = (now_us - due_us).max(0) / TICK_US;
        due_us += skipped * TICK_US;
        if now_us < due_us {
            due_us = now_us;
        }
        due_us += (now_us - due_us) / 64;
        self.next_tick_us = Some(due_us + TICK_US);
        if skipped > 0 && !self.idle {
            self.skip(skipped * self.frame as i64);
        }
        due_us
    }

    /// Passes over audio unheard.
    pub(super) fn skip(&mut self, samples: i64) {
        let decoded = (self.timeline.future_len() as i64).min(samples);
        self.timeline.skip(decoded as usize);
        self.end += samples - decoded;
        self.store.remove_before(self.end);
        self.voice.handle_skip(self.timeline.all(), &mut self.noise);
        let milliseconds = samples * 1_000 / i64::from(self.config.sample_rate_hz);
        self.stats.skipped_ms += milliseconds.unsigned_abs();
    }

    /// After silence: begins with the earliest packet, as soon as those after it can be expected to
    /// be in time.
    pub(super) fn try_begin(&mut self, tick_us: i64) -> bool {
        let Some(first) = self.store.first_after(i64::MIN) else {
            return false;
        };
        let start = self.store.packet(first).start;
        let offset_us = tick_us - self.samples_to_us(start);
        if offset_us < self.control.offset_needed_us(&self.delays) {
            return false;
        }
        self.timeline.skip(self.timeline.future_len());
        self.end = start;
        self.invented = 0;
        self.idle = false;
        self.voice.handle_begin();
        self.restart_resampling();
        true
    }

    /// Samples of the timeline that the next frame takes.
    pub(super) fn samples_needed(&self) -> usize {
        match &self.resampler {
            Some(resampler) if self.control.is_resampling() => resampler.input_samples(),
            _ => self.frame,
        }
    }

    /// Sees to it that the timeline holds `needed` samples, real ones as far as they have come.
    pub(super) fn fill(&mut self, needed: usize) -> Played {
        let mut played = Played::Voice;
        while self.timeline.future_len() < needed {
            let missing = needed - self.timeline.future_len();
            self.store.remove_before(self.end);
            let Some(next) = self.store.first_after(self.end) else {
                self.underrun(missing);
                played = Played::Concealed;
                continue;
            };
            let gap = self.store.packet(next).start - self.end;
            if gap <= 0 {
                self.decode(next);
            } else if self.bridge(next, gap as usize, missing) {
                played = Played::Concealed;
            }
        }
        played
    }

    /// Adds real samples until the timeline holds `wanted`, as far as they have come without a gap.
    pub(super) fn fill_from_store(&mut self, wanted: usize) {
        while self.timeline.future_len() < wanted {
            match self.store.first_after(self.end) {
                Some(next) if self.store.packet(next).start <= self.end => self.decode(next),
                _ => return,
            }
        }
    }

    /// Decodes a packet to the timeline's end, which lies at or after its start.
    fn decode(&mut self, index: usize) {
        let packet = self.store.packet(index);
        let (start, end) = (packet.start, packet.end());
        let nothing_lost = self.control.is_next_in_sequence(packet.sequence);
        if nothing_lost && start > self.decoded_end && self.unproven_ms > 0 {
            // The sender was silent and said so only now.
            self.stats.concealed_ms = self.stats.concealed_ms.saturating_sub(self.unproven_ms);
            self.stats.underruns = self.stats.underruns.saturating_sub(1);
        }
        self.unproven_ms = 0;
        self.quiet_from = self.quiet_from.filter(|from| *from > start);
        self.decoded_end = end;
        self.control.handle_decoded(packet.sequence);
        let decoded = self.voice.decode(packet.payload(), &mut self.scratch);
        self.store.remove(index);
        let heard = (self.end - start) as usize;
        let Some(samples) = decoded.filter(|samples| *samples == (end - start) as usize) else {
            self.invent((end - self.end) as usize);
            return;
        };
        let new = &mut self.scratch[heard..samples];
        self.voice.handle_return(&mut self.noise, new);
        self.noise.learn(new);
        self.timeline.append(new);
        self.end = end;
        self.invented = 0;
    }

    /// Fills a gap before a packet that has come, as far as it is needed now. Returns whether
    /// anything was invented.
    fn bridge(&mut self, next: usize, gap: usize, missing: usize) -> bool {
        let packet = self.store.packet(next);
        if self.control.is_next_in_sequence(packet.sequence) {
            // Nothing is lost: the sender was silent for so long.
            let count = gap.min(missing);
            let noise = &mut self.noise;
            let fill = |_: &[i16], new: &mut [i16]| noise.generate(new);
            self.timeline.append_with(count, fill);
            self.end += count as i64;
            return false;
        }
        if self.voice.can_restore(packet.payload(), gap) {
            let restored = &mut self.scratch[..gap];
            if self.voice.restore(packet.payload(), restored) {
                self.timeline.append(restored);
                self.end += gap as i64;
                self.invented = 0;
                self.stats.restored_ms += self.milliseconds(gap);
                return false;
            }
        }
        self.invent(gap.min(missing));
        true
    }

    fn underrun(&mut self, missing: usize) {
        if self.quiet_from.is_some_and(|from| from <= self.end) {
            let noise = &mut self.noise;
            let fill = |_: &[i16], new: &mut [i16]| noise.generate(new);
            self.timeline.append_with(missing, fill);
            self.end += missing as i64;
            self.invented += missing;
            return;
        }
        if self.invented == 0 {
            self.stats.underruns += 1;
        }
        let before = (self.end, self.stats.concealed_ms);
        self.invent(missing);
        self.invented += (self.end - before.0) as usize;
        self.unproven_ms += self.stats.concealed_ms - before.1;
    }

    /// Invents at least `count` samples.
    fn invent(&mut self, count: usize) {
        let unit = self.voice.concealed_unit();
        let count = count.next_multiple_of(unit);
        let (voice, noise) = (&mut self.voice, &mut self.noise);
        let fill = |past: &[i16], new: &mut [i16]| voice.conceal(past, noise, new);
        self.timeline.append_with(count, fill);
        self.end += count as i64;
        self.stats.concealed_ms += self.milliseconds(count);
    }

    /// Puts one frame out.
    pub(super) fn output(&mut self, needed: usize, out: &mut [i16]) {
        if self.control.take_ending() {
            self.output_last_resampled(out);
        } else if self.control.is_resampling() {
            self.output_resampled(needed, out);
        } else {
            self.timeline.consume(out);
        }
    }

    /// When long enough nothing has come, the source is silent, and the frame fades out to zeros.
    pub(super) fn rest_if_faded(&mut self, out: &mut [i16]) {
        let rate = self.config.sample_rate_hz as usize;
        if self.invented < rate * REST_AFTER_MS / 1_000 {
            return;
        }
        let length = out.len() as i32;
        for (left, sample) in (0..length).rev().zip(out.iter_mut()) {
            *sample = (i32::from(*sample) * left / length) as i16;
        }
        self.timeline.skip(self.timeline.future_len());
        self.idle = true;
    }

    fn milliseconds(&self, samples: usize) -> u64 {
        samples as u64 * 1_000 / u64::from(self.config.sample_rate_hz)
    }
}
