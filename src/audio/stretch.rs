//! Time-scale modification: the splice that makes a voice longer or shorter without changing its
//! pitch (WSOLA: jump by a whole number of periods, cross-fade over the seam).

/// Shortest jump worth making, in seconds.
const LAG_SECONDS_MIN: f32 = 0.0025;

/// Longest jump: one period of the deepest voice (66 Hz).
const LAG_SECONDS_MAX: f32 = 0.015;

/// Length compared and cross-faded.
const OVERLAP_SECONDS: f32 = 0.008;

/// RMS below which any jump is inaudible: about −55 dBov.
const QUIET_RMS: f32 = 58.0;

/// Where to jump to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Splice {
    /// Samples to leave out or to repeat.
    pub lag: usize,
    /// How alike both sides of the seam are: normalised correlation, −1 to 1; 1 for quiet
    /// stretches.
    pub likeness: f32,
}

/// Lags and overlap in samples, for one sample rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpliceLimits {
    /// Shortest lag.
    pub lag_min: usize,
    /// Longest lag.
    pub lag_max: usize,
    /// Samples compared and cross-faded.
    pub overlap: usize,
}

impl SpliceLimits {
    /// For PCM at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        let samples = |seconds: f32| (seconds * sample_rate_hz as f32) as usize;
        Self {
            lag_min: samples(LAG_SECONDS_MIN),
            lag_max: samples(LAG_SECONDS_MAX),
            overlap: samples(OVERLAP_SECONDS),
        }
    }
}

/// Finds the best jump forward, to leave samples out: `pcm[at..]` is compared with `pcm[at+lag..]`,
/// for lags up to `lag_max`. `None` if there is too little after `at`.
pub fn find_squeeze(
    pcm: &[i16],
    at: usize,
    lag_max: usize,
    limits: SpliceLimits,
) -> Option<Splice> {
    let room = pcm.len().checked_sub(at + limits.overlap)?;
    let here = &pcm[at..at + limits.overlap];
    best(here, limits.lag_min, lag_max.min(room), |lag| {
        &pcm[at + lag..]
    })
}

/// Finds the best jump back, to repeat samples: `pcm[at..]` is compared with `pcm[at-lag..]`, for
/// lags up to `lag_max`. `None` if there is too little before or after `at`.
pub fn find_stretch(
    pcm: &[i16],
    at: usize,
    lag_max: usize,
    limits: SpliceLimits,
) -> Option<Splice> {
    let here = pcm.get(at..at + limits.overlap)?;
    best(here, limits.lag_min, lag_max.min(at), |lag| {
        &pcm[at - lag..]
    })
}

fn best<'a>(
    here: &[i16],
    lag_min: usize,
    lag_max: usize,
    there: impl Fn(usize) -> &'a [i16],
) -> Option<Splice> {
    if lag_max < lag_min {
        return None;
    }
    let energy_here = energy(here);
    let quiet = QUIET_RMS * QUIET_RMS * here.len() as f32;
    let longest = &there(lag_max)[..here.len()];
    if energy_here < quiet && energy(longest) < quiet {
        return Some(Splice {
            lag: lag_max,
            likeness: 1.0,
        });
    }
    (lag_min..=lag_max)
        .map(|lag| Splice {
            lag,
            likeness: likeness(here, &there(lag)[..here.len()], energy_here),
        })
        .max_by(|left, right| left.likeness.total_cmp(&right.likeness))
}

fn energy(samples: &[i16]) -> f32 {
    samples.iter().map(|s| f32::from(*s) * f32::from(*s)).sum()
}

fn likeness(here: &[i16], there: &[i16], energy_here: f32) -> f32 {
    let (mut dot, mut energy_there) = (0.0f32, 0.0f32);
    for (left, right) in here.iter().zip(there) {
        let (left, right) = (f32::from(*left), f32::from(*right));
        dot += left * right;
        energy_there += right * right;
    }
    dot / (energy_here * energy_there).sqrt().max(1.0)
}

/// Writes into `into` the cross-fade from what `into` holds to `to`, over the shorter of the two.
pub fn cross_fade(into: &mut [i16], to: &[i16]) {
    let length = into.len().min(to.len());
    let step = 1.0 / (length + 1) as f32;
    let mut weight = 0.0;
    for (sample, target) in into.iter_mut().zip(to) {
        weight += step;
        let mixed = f32::from(*sample) * (1.0 - weight) + f32::from(*target) * weight;
        *sample = mixed.round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::ToneGenerator;

    #[test]
    fn the_best_jump_in_a_periodic_signal_is_a_whole_number_of_periods() {
        let mut pcm = vec![0i16; 800];
        ToneGenerator::new(8_000, 125.0, 0.5).generate(&mut pcm);
        let limits = SpliceLimits::new(8_000);
        let forward = find_squeeze(&pcm, 300, limits.lag_max, limits).unwrap();
        let back = find_stretch(&pcm, 300, limits.lag_max, limits).unwrap();
        for splice in [forward, back] {
            assert_eq!(splice.lag, 64);
            assert!(splice.likeness > 0.999);
        }
    }

    #[test]
    fn quiet_takes_the_longest_jump_and_too_little_audio_none() {
        let limits = SpliceLimits::new(8_000);
        let splice = find_squeeze(&[3; 400], 100, 100, limits).unwrap();
        assert_eq!((splice.lag, splice.likeness), (100, 1.0));
        assert_eq!(find_squeeze(&[3; 100], 90, 100, limits), None);
        assert_eq!(find_stretch(&[3; 100], 10, 100, limits), None);
    }

    #[test]
    fn a_cross_fade_begins_at_one_and_ends_at_the_other() {
        let mut samples = [1_000i16; 99];
        cross_fade(&mut samples, &[-1_000; 99]);
        assert_eq!((samples[0], samples[49], samples[98]), (980, 0, -980));
    }
}
