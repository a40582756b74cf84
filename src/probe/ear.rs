//! What one end heard: the last seconds of sound by media time, with the arrival of each packet,
//! and what was lost on the way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::sound::{EAR_RATE_HZ, find_chirps, loudness, tone_share};
use crate::run::clock;

/// Sound kept per ear. Older sound is forgotten; counters go on.
const KEPT: Duration = Duration::from_secs(30);
/// A packet that says its sound is further ahead than this starts a new timeline.
const JUMP_MAX_SAMPLES: i64 = 10 * EAR_RATE_HZ as i64;
/// Stretch in which a tone is looked for.
const TONE_WINDOW: Duration = Duration::from_millis(400);
/// Share of the power from which on a tone counts as heard among others …
pub const HEARD_SHARE_MIN: f32 = 0.1;
/// … and up to which it counts as not heard.
pub const UNHEARD_SHARE_MAX: f32 = 0.01;

/// The decoded sound of one packet.
#[derive(Debug, Clone)]
pub struct HeardFrame {
    /// When the packet came.
    pub arrival: Instant,
    /// Media time of its first sample, in samples at [`EAR_RATE_HZ`] since the first packet.
    pub position: i64,
    /// The sound at [`EAR_RATE_HZ`].
    pub samples: Vec<i16>,
}

/// Counters of one ear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EarStats {
    /// Packets that came.
    pub packets: u64,
    /// Packets that should have come by now, by their sequence numbers.
    pub expected: u64,
    /// Packets that could not be decoded.
    pub undecodable: u64,
    /// Packets whose payload type was not sound (telephone-event, comfort noise).
    pub other: u64,
}

impl EarStats {
    /// Packets that never came.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.packets)
    }

    /// Lost share of what was sent, 0.0–1.0.
    pub fn loss(&self) -> f64 {
        self.lost() as f64 / self.expected.max(1) as f64
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            packets: self.packets - earlier.packets,
            expected: self.expected - earlier.expected,
            undecodable: self.undecodable - earlier.undecodable,
            other: self.other - earlier.other,
        }
    }
}

#[derive(Debug, Default)]
struct Heard {
    frames: VecDeque<HeardFrame>,
    stats: EarStats,
    first_arrival: Option<Instant>,
    highest: Option<i64>,
    last_timestamp: Option<(u32, i64)>,
}

/// Everything one end heard of one stream. Clones share it.
#[derive(Debug, Clone)]
pub struct Ear {
    heard: Arc<Mutex<Heard>>,
    news: Arc<watch::Sender<u64>>,
}

/// A tone did not come in time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "no tone of {tone_hz} Hz within {waited_ms} ms: {packets} packets came, loudness {loudness:.0} \
     of 32768, the tone's share {share:.3}"
)]
pub struct ToneMissing {
    /// What was waited for.
    pub tone_hz: f32,
    /// How long.
    pub waited_ms: u128,
    /// Packets heard since the stream began.
    pub packets: u64,
    /// Loudness of the last stretch.
    pub loudness: f32,
    /// Share of the tone in it.
    pub share: f32,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            heard: Arc::default(),
            news: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Ear {
    /// Takes in one packet. `timestamp_step` is RTP units per sample at [`EAR_RATE_HZ`]: 1 for
    /// G.711, 6 for Opus.
    pub fn hear(
        &self,
        arrival: Instant,
        sequence: u16,
        timestamp: u32,
        timestamp_step: u32,
        samples: Vec<i16>,
    ) {
        let mut heard = self.lock();
        heard.count(sequence);
        heard.first_arrival.get_or_insert(arrival);
        let position = heard.place(timestamp, timestamp_step);
        heard.frames.push_back(HeardFrame {
            arrival,
            position,
            samples,
        });
        while heard
            .frames
            .front()
            .is_some_and(|frame| arrival.duration_since(frame.arrival) > KEPT)
        {
            heard.frames.pop_front();
        }
        drop(heard);
        self.news.send_modify(|count| *count += 1);
    }

    /// Counts a packet that belongs to the stream but is no sound.
    pub fn note_other(&self, sequence: u16, undecodable: bool) {
        let mut heard = self.lock();
        heard.count(sequence);
        match undecodable {
            true => heard.stats.undecodable += 1,
            false => heard.stats.other += 1,
        }
    }

    /// The counters.
    pub fn stats(&self) -> EarStats {
        self.lock().stats
    }

    /// When the first sound came.
    pub fn first_arrival(&self) -> Option<Instant> {
        self.lock().first_arrival
    }

    /// Frames that arrived at `since` or later, in order of arrival.
    pub fn frames_since(&self, since: Instant) -> Vec<HeardFrame> {
        let heard = self.lock();
        let from = heard.frames.partition_point(|f| f.arrival < since);
        heard.frames.range(from..).cloned().collect()
    }

    /// The sound that arrived within the last `stretch`, gaps as silence.
    pub fn recent(&self, stretch: Duration) -> Vec<i16> {
        let now = clock::now();
        let frames = self.frames_since(now.checked_sub(stretch).unwrap_or(now));
        timeline(&frames).1
    }

    /// Share of the power at `tone_hz` in the last 400 ms.
    pub fn tone_share(&self, tone_hz: f32) -> f32 {
        tone_share(&self.recent(TONE_WINDOW), tone_hz)
    }

    /// Waits until `tone_hz` is heard; when it was.
    pub async fn wait_for_tone(
        &self,
        tone_hz: f32,
        wait: Duration,
    ) -> Result<Instant, ToneMissing> {
        let begun = clock::now();
        let mut news = self.news.subscribe();
        loop {
            let recent = self.recent(TONE_WINDOW);
            let share = tone_share(&recent, tone_hz);
            // A tenth of a second at least: shorter pieces cannot tell tones apart.
            let enough = recent.len() >= EAR_RATE_HZ as usize / 10;
            if enough && share >= HEARD_SHARE_MIN {
                return Ok(clock::now());
            }
            let changed = tokio::time::timeout_at((begun + wait).into(), news.changed()).await;
            if changed.is_err() {
                return Err(ToneMissing {
                    tone_hz,
                    waited_ms: wait.as_millis(),
                    packets: self.stats().packets,
                    loudness: loudness(&recent),
                    share,
                });
            }
        }
    }

    /// Share of the 20 ms steps since `since` in which something at all sounded, 0.0–1.0: what
    /// the network lost and nobody concealed is missing here.
    pub fn audible_share(&self, since: Instant) -> f64 {
        let (_, samples) = timeline(&self.frames_since(since));
        let steps = samples.chunks_exact(EAR_RATE_HZ as usize / 50);
        let all = steps.len().max(1);
        steps.filter(|step| loudness(step) > 300.0).count() as f64 / all as f64
    }

    /// Moments at which chirps that arrived since `since` were heard: the arrival of the packet
    /// that holds a chirp's first sample plus that sample's place in it.
    pub fn chirps_since(&self, since: Instant) -> Vec<Instant> {
        let frames = self.frames_since(since);
        let (origin, samples) = timeline(&frames);
        find_chirps(&samples)
            .into_iter()
            .filter_map(|at| {
                let position = origin + at as i64;
                let frame = frames.iter().find(|f| {
                    (f.position..f.position + f.samples.len() as i64).contains(&position)
                })?;
                let offset = (position - frame.position) as u64;
                let offset = Duration::from_micros(offset * 1_000_000 / u64::from(EAR_RATE_HZ));
                Some(frame.arrival + offset)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn count(&mut self, sequence: u16) {
        let extended = match self.highest {
            None => i64::from(sequence),
            Some(highest) => highest + i64::from(sequence.wrapping_sub(highest as u16) as i16),
        };
        match self.highest {
            None => self.stats.expected += 1,
            Some(highest) => self.stats.expected += (extended - highest).max(0) as u64,
        }
        self.highest = Some(
            self.highest
                .map_or(extended, |highest| highest.max(extended)),
        );
        self.stats.packets += 1;
    }

    fn place(&mut self, timestamp: u32, step: u32) -> i64 {
        let end = self
            .frames
            .back()
            .map_or(0, |frame| frame.position + frame.samples.len() as i64);
        let position = match self.last_timestamp {
            None => end,
            Some((last, position)) => {
                let moved = i64::from(timestamp.wrapping_sub(last) as i32) / i64::from(step);
                match moved.abs() > JUMP_MAX_SAMPLES {
                    true => end,
                    false => position + moved,
                }
            }
        };
        self.last_timestamp = Some((timestamp, position));
        position
    }
}

/// Frames laid out by media time: the position of the first sample, and the samples.
fn timeline(frames: &[HeardFrame]) -> (i64, Vec<i16>) {
    let Some(origin) = frames.iter().map(|frame| frame.position).min() else {
        return (0, Vec::new());
    };
    let end = frames
        .iter()
        .map(|frame| frame.position + frame.samples.len() as i64)
        .max()
        .unwrap_or(origin);
    let mut samples = vec![0; (end - origin) as usize];
    for frame in frames {
        let at = (frame.position - origin) as usize;
        samples[at..at + frame.samples.len()].copy_from_slice(&frame.samples);
    }
    (origin, samples)
}

#[cfg(test)]
mod tests {
    use super::super::sound::Voice;
    use super::*;

    fn play(ear: &Ear, voice: &mut Voice, start: Instant, skip: &[u16]) {
        for k in 0..100u16 {
            let mut samples = vec![0; 160];
            voice.fill(&mut samples);
            if !skip.contains(&k) {
                let arrival = start + Duration::from_millis(20) * u32::from(k);
                let sequence = 65_500u16.wrapping_add(k);
                let timestamp = (u32::MAX - 1_000).wrapping_add(160 * u32::from(k));
                ear.hear(arrival, sequence, timestamp, 1, samples);
            }
        }
    }

    #[test]
    fn loss_is_counted_over_the_wrap_of_the_sequence() {
        let ear = Ear::default();
        play(
            &ear,
            &mut Voice::tone(550.0, 8_000),
            clock::now(),
            &[30, 50, 51],
        );
        assert_eq!(ear.stats().lost(), 3);
        assert_eq!(ear.stats().expected, 100);
    }

    #[test]
    fn chirps_are_placed_in_time_by_their_packets_arrival() {
        let ear = Ear::default();
        let start = clock::now();
        play(&ear, &mut Voice::marked(550.0, 8_000), start, &[30]);
        let heard: Vec<u128> = ear
            .chirps_since(start)
            .into_iter()
            .map(|at| at.duration_since(start).as_millis())
            .collect();
        assert_eq!(
            heard.len(),
            3,
            "{heard:?}: one chirp fell into the lost packet"
        );
        for (at, expected) in heard.iter().zip([0u128, 1_200, 1_800]) {
            assert!(at.abs_diff(expected) <= 1, "{heard:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_tone_is_reported_with_what_was_heard_instead() {
        let ear = Ear::default();
        let start = clock::now() - Duration::from_secs(2);
        play(&ear, &mut Voice::tone(550.0, 8_000), start, &[]);
        assert!(ear.wait_for_tone(550.0, Duration::ZERO).await.is_ok());
        let missing = ear.wait_for_tone(950.0, Duration::from_millis(1)).await;
        assert_eq!(missing.unwrap_err().packets, 100);
    }
}
