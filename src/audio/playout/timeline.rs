//! Decoded PCM around the moment now: what was played last, and what comes next.

use crate::audio::stretch::{self, SpliceLimits};

/// Longest seam of a splice, in samples: 8 ms at 48 kHz.
const SEAM_SAMPLES_MAX: usize = 384;

/// A source's PCM: history, then future. Its end stands at a media position known to the owner.
#[derive(Debug)]
pub(super) struct Timeline {
    pcm: Vec<i16>,
    /// Index of the first sample not yet played.
    now: usize,
    history: usize,
}

impl Timeline {
    /// Keeps `history` samples of the past and has room for `future` samples to come.
    pub(super) fn new(history: usize, future: usize) -> Self {
        let mut pcm = Vec::with_capacity(2 * history + future);
        // An old past of silence: whoever looks back always finds something.
        pcm.resize(history, 0);
        Self {
            pcm,
            now: history,
            history,
        }
    }

    /// Samples to come.
    pub(super) fn future_len(&self) -> usize {
        self.pcm.len() - self.now
    }

    /// What was played.
    pub(super) fn past(&self) -> &[i16] {
        &self.pcm[..self.now]
    }

    /// What comes next.
    pub(super) fn future(&self) -> &[i16] {
        &self.pcm[self.now..]
    }

    /// Everything up to the end, past and future.
    pub(super) fn all(&self) -> &[i16] {
        &self.pcm
    }

    /// Room for more before [`Timeline::append`] would have to allocate.
    pub(super) fn room(&self) -> usize {
        self.pcm.capacity() - self.pcm.len()
    }

    /// Adds decoded samples; those without room are left out (the owner checks before).
    pub(super) fn append(&mut self, samples: &[i16]) {
        let fitting = samples.len().min(self.room());
        self.pcm.extend_from_slice(&samples[..fitting]);
    }

    /// Adds `count` samples that `fill` writes, given all samples before them.
    pub(super) fn append_with(&mut self, count: usize, fill: impl FnOnce(&[i16], &mut [i16])) {
        let before = self.pcm.len();
        let count = count.min(self.room());
        self.pcm.resize(before + count, 0);
        let (past, new) = self.pcm.split_at_mut(before);
        fill(past, new);
    }

    /// Plays the next samples into `out`; what is missing is zero.
    pub(super) fn consume(&mut self, out: &mut [i16]) {
        let count = out.len().min(self.future_len());
        out[..count].copy_from_slice(&self.pcm[self.now..self.now + count]);
        out[count..].fill(0);
        self.skip(count);
    }

    /// Passes over `count` samples unheard.
    pub(super) fn skip(&mut self, count: usize) {
        self.now += count.min(self.future_len());
        if self.now >= 2 * self.history {
            let from = self.now - self.history;
            self.pcm.copy_within(from.., 0);
            self.pcm.truncate(self.pcm.len() - from);
            self.now = self.history;
        }
    }

    /// Goes back `count` samples, which will be played again.
    pub(super) fn rewind(&mut self, count: usize) {
        self.now -= count.min(self.now);
    }

    /// Leaves out up to `lag_max` samples of the future where that is heard least; returns how
    /// many: 0 if there is no place as alike as `likeness_min`.
    pub(super) fn squeeze(
        &mut self,
        lag_max: usize,
        likeness_min: f32,
        limits: SpliceLimits,
    ) -> usize {
        let now = self.now;
        let Some(splice) = stretch::find_squeeze(&self.pcm, now, lag_max, limits) else {
            return 0;
        };
        if splice.likeness < likeness_min {
            return 0;
        }
        let lag = splice.lag;
        let seam = limits.overlap.min(SEAM_SAMPLES_MAX);
        let mut mixed = [0i16; SEAM_SAMPLES_MAX];
        mixed[..seam].copy_from_slice(&self.pcm[now..now + seam]);
        stretch::cross_fade(&mut mixed[..seam], &self.pcm[now + lag..]);
        self.pcm.copy_within(now + lag.., now);
        self.pcm.truncate(self.pcm.len() - lag);
        self.pcm[now..now + seam].copy_from_slice(&mixed[..seam]);
        lag
    }

    /// Repeats up to `lag_max` samples before the future, where that is heard least; returns how
    /// many: 0 if there is no place as alike as `likeness_min`.
    pub(super) fn stretch(
        &mut self,
        lag_max: usize,
        likeness_min: f32,
        limits: SpliceLimits,
    ) -> usize {
        let now = self.now;
        let lag_max = lag_max.min(self.room());
        let Some(splice) = stretch::find_stretch(&self.pcm, now, lag_max, limits) else {
            return 0;
        };
        if splice.likeness < likeness_min {
            return 0;
        }
        let lag = splice.lag;
        let end = self.pcm.len();
        let seam = limits.overlap.min(SEAM_SAMPLES_MAX);
        let mut mixed = [0i16; SEAM_SAMPLES_MAX];
        mixed[..seam].copy_from_slice(&self.pcm[now..now + seam]);
        stretch::cross_fade(&mut mixed[..seam], &self.pcm[now - lag..]);
        // Everything from `now - lag` on stands there once more.
        self.pcm.resize(end + lag, 0);
        self.pcm.copy_within(now - lag..end, now);
        self.pcm[now..now + seam].copy_from_slice(&mixed[..seam]);
        lag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{ToneGenerator, signal_to_noise_db};

    /// Plays a tone through a timeline, changing its length at every tick.
    fn purity(change: impl Fn(&mut Timeline, SpliceLimits) -> usize) -> (f64, usize) {
        let limits = SpliceLimits::new(8_000);
        let mut tone = ToneGenerator::new(8_000, 400.0, 0.5);
        let mut timeline = Timeline::new(480, 1_440);
        let (mut heard, mut changed) = (Vec::new(), 0);
        for tick in 0..100 {
            while timeline.future_len() < 480 {
                timeline.append_with(160, |_, new| tone.generate(new));
            }
            if tick > 4 {
                changed += change(&mut timeline, limits);
            }
            let mut out = [0i16; 160];
            timeline.consume(&mut out);
            heard.extend(out);
        }
        (signal_to_noise_db(&heard, 8_000, 400.0), changed)
    }

    #[test]
    fn a_tone_stays_a_tone_when_squeezed_and_stretched_at_every_tick() {
        let (squeezed, out) = purity(|timeline, limits| timeline.squeeze(120, 0.8, limits));
        let (stretched, again) = purity(|timeline, limits| timeline.stretch(120, 0.8, limits));
        assert!(
            squeezed > 60.0 && out >= 95 * 60,
            "{squeezed} dB, {out} samples"
        );
        assert!(
            stretched > 60.0 && again >= 95 * 60,
            "{stretched} dB, {again} samples"
        );
    }

    #[test]
    fn nothing_is_changed_where_no_jump_fits() {
        let limits = SpliceLimits::new(8_000);
        let mut timeline = Timeline::new(480, 1_440);
        let mut state = 1u32;
        timeline.append_with(600, |_, new| {
            for sample in new {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = (state >> 18) as i16 - 8_192;
            }
        });
        assert_eq!(timeline.squeeze(120, 0.8, limits), 0);
        assert_eq!(timeline.stretch(120, 0.8, limits), 0);
        assert_eq!(timeline.future_len(), 600);
    }

    #[test]
    fn history_is_kept_over_compaction_and_capacity_never_grows() {
        let mut timeline = Timeline::new(480, 1_440);
        let capacity = timeline.pcm.capacity();
        let mut out = [0i16; 160];
        for tick in 0..1_000i16 {
            timeline.append(&[tick; 160]);
            timeline.consume(&mut out);
            assert_eq!(out, [tick; 160]);
            let all = timeline.all();
            assert!(all.len() >= 480 && all[all.len() - 160] == tick);
        }
        assert_eq!(timeline.pcm.capacity(), capacity);
    }
}
