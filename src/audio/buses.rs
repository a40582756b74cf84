//! The mixer's buses: what everybody says, summed once at each rate at which somebody listens.
//!
//! A voice is added at its own rate. What was said at one rate is brought to another once, as a
//! sum, and only if somebody listens there; where all speak and hear at one rate nothing is
//! resampled.

use super::frame::{Band, FRAME_SAMPLES_MAX};
use super::mix::Bus;
use super::resample::RateConverter;

/// See the module. One tick: [`Buses::begin`], [`Buses::add`] per voice, [`Buses::finish`], then
/// look at [`Buses::heard`].
#[derive(Debug)]
pub struct Buses {
    /// Before [`Buses::finish`]: what was said at this rate; after it: what is heard at it.
    buses: [Bus; 3],
    /// Converters by the rate they come from, then by the rate they go to.
    converters: [[Option<Box<Converter>>; 3]; 3],
    listened: [bool; 3],
}

#[derive(Debug)]
struct Converter {
    inner: RateConverter,
    /// It still holds the end of what was said.
    ringing: bool,
}

impl Buses {
    /// Empty ones.
    pub fn new() -> Self {
        Self {
            buses: Band::ALL.map(|band| Bus::new(band.samples())),
            converters: Default::default(),
            listened: [false; 3],
        }
    }

    /// Begins a tick; `listened` tells by [`Band::index`] at which rates somebody listens.
    pub fn begin(&mut self, listened: [bool; 3]) {
        for bus in &mut self.buses {
            bus.clear();
        }
        self.listened = listened;
    }

    /// Adds one frame of one voice.
    pub fn add(&mut self, band: Band, voice: &[i16]) {
        self.buses[band.index()].add(voice);
    }

    /// Brings what was said at each rate to the others at which somebody listens.
    pub fn finish(&mut self) {
        if self.is_of_one_rate() {
            return;
        }
        // All conversions come before the first is added: what was said is converted, not what is
        // heard.
        let mut sums = [[0; FRAME_SAMPLES_MAX]; 3];
        let mut voices = [0; 3];
        let mut converted = [false; 3];
        for from in Band::ALL {
            let said = &self.buses[from.index()];
            for to in Band::ALL {
                let slot = &mut self.converters[from.index()][to.index()];
                if from == to || !self.listened[to.index()] {
                    *slot = None;
                    continue;
                }
                let is_ringing = slot.as_ref().is_some_and(|converter| converter.ringing);
                if said.voices() == 0 && !is_ringing {
                    continue;
                }
                let Some(converter) = slot_or_new(slot, from, to) else {
                    continue;
                };
                if !converter.ringing {
                    converter.inner.restart(from.samples());
                }
                let sum = &mut sums[to.index()][..to.samples()];
                converter.inner.add(said.sum(), sum);
                converter.ringing = said.voices() > 0;
                voices[to.index()] += said.voices().max(1);
                converted[to.index()] = true;
            }
        }
        for to in Band::ALL {
            let index = to.index();
            if converted[index] {
                self.buses[index].add_bus(voices[index], |bus| {
                    for (sum, more) in bus.iter_mut().zip(&sums[index]) {
                        *sum += more;
                    }
                });
            }
        }
    }

    /// All speak and hear at one rate, and nothing rings on: the usual meeting.
    fn is_of_one_rate(&self) -> bool {
        Band::ALL.into_iter().all(|to| {
            !self.listened[to.index()]
                || Band::ALL.into_iter().all(|from| {
                    let idle = self.buses[from.index()].voices() == 0
                        && self.converters[from.index()][to.index()].is_none();
                    from == to || idle
                })
        })
    }

    /// What is heard at a rate at which somebody listens.
    pub fn heard(&self, band: Band) -> &Bus {
        &self.buses[band.index()]
    }
}

impl Default for Buses {
    fn default() -> Self {
        Self::new()
    }
}

fn slot_or_new(
    slot: &mut Option<Box<Converter>>,
    from: Band,
    to: Band,
) -> Option<&mut Box<Converter>> {
    if slot.is_none() {
        let inner = RateConverter::new(from, to).ok()?;
        let converter = Converter {
            inner,
            ringing: false,
        };
        *slot = Some(Box::new(converter));
    }
    slot.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::mix::Limiter;
    use crate::audio::tone::{ToneGenerator, power_at};

    #[test]
    fn a_voice_of_each_rate_is_heard_at_every_rate_somebody_listens_at_and_nowhere_else() {
        let mut buses = Buses::new();
        let pitches = [500.0, 1_100.0, 2_300.0];
        let mut tones = Band::ALL.map(|band| {
            let hz = pitches[band.index()];
            ToneGenerator::new(band.sample_rate_hz(), hz, 0.1)
        });
        let mut heard: [Vec<i16>; 3] = Default::default();
        let mut limiters = [Limiter::new(), Limiter::new(), Limiter::new()];
        for _ in 0..60 {
            buses.begin([true, false, true]);
            for band in Band::ALL {
                let mut frame = vec![0; band.samples()];
                tones[band.index()].generate(&mut frame);
                buses.add(band, &frame);
            }
            buses.finish();
            for band in [Band::Narrow, Band::Full] {
                let mut frame = vec![0; band.samples()];
                let limiter = &mut limiters[band.index()];
                buses.heard(band).mix(limiter, &mut frame);
                heard[band.index()].extend(frame);
            }
        }
        for band in [Band::Narrow, Band::Full] {
            let (rate, heard) = (band.sample_rate_hz(), &heard[band.index()]);
            let late = &heard[heard.len() / 2..];
            let powers = pitches.map(|hz| power_at(late, rate, hz));
            let (loudest, quietest) = (
                powers.iter().copied().fold(0.0, f64::max),
                powers.iter().copied().fold(f64::MAX, f64::min),
            );
            assert!(quietest > 0.9 * loudest, "{band:?}: {powers:?}");
        }
        assert!(buses.converters[Band::Narrow.index()][Band::Wide.index()].is_none());
    }

    #[test]
    fn who_speaks_hears_the_others_exactly_without_itself_whatever_their_rates() {
        let mut buses = Buses::new();
        let own = vec![1_234i16; 160];
        let mut other = ToneGenerator::new(48_000, 700.0, 0.2);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let mut frame = vec![0; 960];
            other.generate(&mut frame);
            buses.begin([true, false, false]);
            buses.add(Band::Narrow, &own);
            buses.add(Band::Full, &frame);
            buses.finish();
            let bus = buses.heard(Band::Narrow);
            let mut heard = [0i16; 160];
            bus.mix_minus(&own, &mut Limiter::new(), &mut heard);
            without.extend(heard);
            bus.mix(&mut Limiter::new(), &mut heard);
            with.extend(heard.map(|sample| sample - 1_234));
        }
        assert_eq!(with, without);
        assert!(power_at(&without[1_600..], 8_000, 700.0) > 0.0);
    }

    #[test]
    fn a_voice_that_ends_rings_out_and_then_the_bus_is_empty() {
        let mut buses = Buses::new();
        for tick in 0..10 {
            buses.begin([false, true, false]);
            if tick < 5 {
                buses.add(Band::Narrow, &[5_000; 160]);
            }
            buses.finish();
            let voices = buses.heard(Band::Wide).voices();
            assert_eq!(voices, usize::from(tick <= 5), "tick {tick}");
        }
    }
}
