//! A sender's clock that runs fast or slow, met by resampling.

use super::Playout;
use super::drift::Drift;
use crate::audio::resample::DriftResampler;
use crate::audio::stretch::cross_fade;

/// Drift at which resampling begins and ends, in ppm. Below, a few periods of voice are left out or
/// repeated every ten minutes or more, which is not heard; and packets and ticks stay aligned,
/// which saves half a tick of delay.
const RESAMPLE_FROM_PPM: f32 = 30.0;
const RESAMPLE_UNTIL_PPM: f32 = 15.0;

/// Deviations of the estimate by which it must exceed the threshold.
const CERTAINTY: f32 = 3.0;

/// Correction on top of the drift per µs of slack too much, in ppm: a wrong slack is halved every
/// 17 s.
const SERVO_PPM_PER_US: f32 = 0.04;

/// Bound of that correction: a pitch change of half a cent.
const SERVO_PPM_MAX: f32 = 300.0;

impl Playout {
    /// Begins or ends resampling, as the clock demands. To be asked once a tick, before anything is
    /// taken from the timeline.
    pub(super) fn follow_clock(&mut self) {
        let Some(drift) = self.drift.estimate() else {
            return;
        };
        match self.control.is_resampling() {
            false if is_worth_it(drift) => self.begin_resampling(),
            true if drift.ppm.abs() < RESAMPLE_UNTIL_PPM => self.control.end_resampling(),
            _ => {}
        }
    }

    /// Correction in ppm for a slack that is `excess_us` too long.
    pub(super) fn correction_ppm(&self, excess_us: i64) -> f32 {
        let servo = excess_us as f32 * SERVO_PPM_PER_US;
        let drift_ppm = self.drift.estimate().map_or(0.0, |drift| drift.ppm);
        drift_ppm + servo.clamp(-SERVO_PPM_MAX, SERVO_PPM_MAX)
    }

    /// The filter looks a few ms ahead: they must be there, and are taken in first, so that the
    /// output goes on where it was.
    fn begin_resampling(&mut self) {
        let ahead = DriftResampler::delay_samples();
        self.fill_from_store(self.frame + ahead + 2);
        if self.timeline.future_len() < self.frame + ahead + 2 {
            self.control.want_growth();
            return;
        }
        if self.resampler.is_none() {
            let rate = self.config.sample_rate_hz;
            self.resampler = DriftResampler::new(rate).ok().map(Box::new);
        }
        if let Some(resampler) = &mut self.resampler {
            self.timeline.skip(ahead);
            resampler.prime(self.timeline.past());
            self.control.begin_resampling();
        }
    }

    /// Playing begins after silence: the filter holds nothing.
    pub(super) fn restart_resampling(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.prime(&[]);
        }
    }

    /// Puts out a resampled frame, which takes `needed` samples of the timeline.
    pub(super) fn output_resampled(&mut self, needed: usize, out: &mut [i16]) {
        if let Some(resampler) = &mut self.resampler {
            resampler.process(self.timeline.future(), out);
            // Only now: it changes how many samples the next frame takes.
            resampler.set_correction_ppm(self.control.correction_ppm());
        }
        self.timeline.skip(needed);
    }

    /// Puts out the last resampled frame, faded into the plain one, which begins where the filter
    /// is and not where it reads.
    pub(super) fn output_last_resampled(&mut self, out: &mut [i16]) {
        if let Some(resampler) = &mut self.resampler {
            resampler.process(self.timeline.future(), out);
        }
        self.timeline.rewind(DriftResampler::delay_samples());
        cross_fade(out, self.timeline.future());
        self.timeline.skip(self.frame);
    }
}

fn is_worth_it(drift: Drift) -> bool {
    drift.ppm.abs() >= RESAMPLE_FROM_PPM + CERTAINTY * drift.deviation_ppm
}
