//! How a phone's call sounds, each way, and how that went over time: what the call's record, the
//! API and the metrics show.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::audio::playout::PlayoutStats;
use crate::audio::quality::{CodecImpairment, Path, mean_opinion_score};
use crate::limits::QUALITY_POINTS_MAX;

/// Length of one measurement: the interval of RTCP reports.
pub const QUALITY_INTERVAL: Duration = Duration::from_secs(5);

/// Wait in the phone's own jitter buffer where it does not tell (RTCP XR does): what desk phones
/// are set to.
const PHONE_BUFFER_ASSUMED: Duration = Duration::from_millis(40);

/// Audio heard in an interval below which nothing is said about it: a word.
const HEARD_MS_MIN: u64 = 500;

/// One way of a call. What nobody told is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DirectionReport {
    /// RTP packets received.
    pub packets: u64,
    /// Share of packets lost, 0.0–1.0: of the whole call on the way from the phone, since its
    /// report before on the way to it.
    pub loss: Option<f32>,
    /// Interarrival jitter in ms (RFC 3550 §A.8).
    pub jitter_ms: Option<f32>,
    /// Wait in the jitter buffer, in ms.
    pub buffer_ms: Option<f32>,
    /// Audio invented for late or lost packets, in ms.
    pub concealed_ms: Option<u64>,
    /// Delay added and taken out again by stretching and squeezing, in ms.
    pub stretched_ms: Option<u64>,
    /// Sender's clock against ours, in ppm; positive: fast.
    pub drift_ppm: Option<f32>,
    /// Mean opinion score by the E-model (ITU-T G.107), 1.0–4.5: mean of the call's intervals.
    pub mos: Option<f32>,
    /// The worst interval's.
    pub mos_min: Option<f32>,
}

/// One interval of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QualityPoint {
    /// End of the interval, in s since the leg began.
    pub at_s: u32,
    /// Jitter of what the phone sends, in ms.
    pub jitter_ms: f32,
    /// Wait in our jitter buffer, in ms.
    pub buffer_ms: f32,
    /// Share of what the phone said that was invented, 0.0–1.0; `None` when it said nothing.
    pub concealed: Option<f32>,
    /// Score of what the phone said.
    pub received_mos: Option<f32>,
    /// Share of our packets that the phone reports as lost, 0.0–1.0.
    pub sent_loss: Option<f32>,
    /// Score of what the phone heard.
    pub sent_mos: Option<f32>,
    /// Round trip in ms.
    pub round_trip_ms: Option<f32>,
}

/// What a leg's parts have counted until now.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// The buffer's figures.
    pub playout: PlayoutStats,
    /// Jitter of what the phone sends.
    pub jitter: Duration,
    /// What its last report says it lost of ours, 0.0–1.0.
    pub remote_loss: Option<f32>,
    /// To the phone and back.
    pub round_trip: Option<Duration>,
    /// Wait in the phone's own buffer, if it tells.
    pub remote_buffer: Option<Duration>,
    /// Length of a packet.
    pub packet: Duration,
    /// How the phone's codec bears loss.
    pub codec: CodecImpairment,
}

/// Measures one leg, interval by interval.
#[derive(Debug)]
pub struct QualityMeter {
    began: Instant,
    /// At the end of the last interval.
    played_ms: u64,
    concealed_ms: u64,
    received: Scores,
    sent: Scores,
    curve: Curve,
}

/// Sum of an opinion score over intervals.
#[derive(Debug, Clone, Copy, Default)]
struct Scores {
    sum: f32,
    count: u32,
    lowest: Option<f32>,
}

impl Scores {
    fn add(&mut self, score: Option<f32>) {
        let Some(score) = score else {
            return;
        };
        self.sum += score;
        self.count += 1;
        self.lowest = Some(self.lowest.map_or(score, |lowest| lowest.min(score)));
    }

    fn mean(&self) -> Option<f32> {
        (self.count > 0).then(|| self.sum / self.count as f32)
    }
}

impl QualityMeter {
    /// Of a leg that begins.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            played_ms: 0,
            concealed_ms: 0,
            received: Scores::default(),
            sent: Scores::default(),
            curve: Curve::new(),
        }
    }

    /// Ends an interval.
    pub fn measure(&mut self, now: Instant, counted: &Counted) {
        let played = counted.playout.played_ms.saturating_sub(self.played_ms);
        // Less than before where invented audio turned out to have been silence.
        let concealed = counted
            .playout
            .concealed_ms
            .saturating_sub(self.concealed_ms);
        self.played_ms = counted.playout.played_ms;
        self.concealed_ms = counted.playout.concealed_ms;
        let concealed =
            (played >= HEARD_MS_MIN).then(|| (concealed as f32 / played as f32).min(1.0));
        let network = counted.round_trip.unwrap_or_default() / 2 + counted.packet;
        let buffer_ms = counted.playout.delay_ms.max(0.0);
        let score = |loss: f32, buffer: Duration| {
            mean_opinion_score(Path {
                codec: counted.codec,
                delay: network + buffer,
                loss,
            })
        };
        let buffer = Duration::from_secs_f32(buffer_ms / 1e3);
        let received_mos = concealed.map(|loss| score(loss, buffer));
        let remote_buffer = counted.remote_buffer.unwrap_or(PHONE_BUFFER_ASSUMED);
        let sent_mos = counted.remote_loss.map(|loss| score(loss, remote_buffer));
        self.received.add(received_mos);
        self.sent.add(sent_mos);
        self.curve.add(QualityPoint {
            at_s: now.saturating_duration_since(self.began).as_secs() as u32,
            jitter_ms: counted.jitter.as_secs_f32() * 1e3,
            buffer_ms,
            concealed,
            received_mos,
            sent_loss: counted.remote_loss,
            sent_mos,
            round_trip_ms: counted.round_trip.map(|trip| trip.as_secs_f32() * 1e3),
        });
    }

    /// Mean and worst score of what the phone said.
    pub fn received_mos(&self) -> (Option<f32>, Option<f32>) {
        (self.received.mean(), self.received.lowest)
    }

    /// Mean and worst score of what the phone heard.
    pub fn sent_mos(&self) -> (Option<f32>, Option<f32>) {
        (self.sent.mean(), self.sent.lowest)
    }

    /// The call so far, in at most [`QUALITY_POINTS_MAX`] points of equal length.
    pub fn curve(&self) -> Vec<QualityPoint> {
        self.curve.points.iter().map(Packed::open).collect()
    }
}

/// Points of a whole call: when there is no room for more, two become one.
#[derive(Debug)]
struct Curve {
    points: Vec<Packed>,
    /// Intervals that make a point.
    stride: u32,
    /// Of the point being made.
    gathered: u32,
}

impl Curve {
    fn new() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            gathered: 0,
        }
    }

    fn add(&mut self, point: QualityPoint) {
        if self.points.capacity() == 0 {
            // In one piece: a call that has lasted five seconds will last.
            self.points.reserve_exact(QUALITY_POINTS_MAX);
        }
        let point = Packed::close(&point);
        match self.points.last_mut() {
            Some(last) if self.gathered > 0 => *last = Packed::merge(*last, point, self.gathered),
            _ => {
                if self.points.len() == QUALITY_POINTS_MAX {
                    self.halve();
                }
                self.points.push(point);
            }
        }
        self.gathered = (self.gathered + 1) % self.stride;
    }

    fn halve(&mut self) {
        for index in 0..self.points.len() / 2 {
            let (early, late) = (self.points[2 * index], self.points[2 * index + 1]);
            self.points[index] = Packed::merge(early, late, 1);
        }
        self.points.truncate(self.points.len() / 2);
        self.stride *= 2;
    }
}

/// A point in 20 octets: those of a thousand calls they stay in memory to the end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed {
    at_s: u32,
    values: [u16; FIELDS],
}

const FIELDS: usize = 7;
/// Of the fields of [`QualityPoint`], in order: into how many units one is divided.
const UNITS: [f32; FIELDS] = [10.0, 10.0, 1e4, 100.0, 1e4, 100.0, 10.0];
const NONE: u16 = u16::MAX;

impl Packed {
    fn close(point: &QualityPoint) -> Self {
        let values = [
            Some(point.jitter_ms),
            Some(point.buffer_ms),
            point.concealed,
            point.received_mos,
            point.sent_loss,
            point.sent_mos,
            point.round_trip_ms,
        ];
        let mut packed = [NONE; FIELDS];
        for ((packed, value), unit) in packed.iter_mut().zip(values).zip(UNITS) {
            if let Some(value) = value {
                *packed = (value * unit).round().clamp(0.0, f32::from(NONE - 1)) as u16;
            }
        }
        Self {
            at_s: point.at_s,
            values: packed,
        }
    }

    fn open(&self) -> QualityPoint {
        let value = |field: usize| {
            let value = self.values[field];
            (value != NONE).then(|| f32::from(value) / UNITS[field])
        };
        QualityPoint {
            at_s: self.at_s,
            jitter_ms: value(0).unwrap_or(0.0),
            buffer_ms: value(1).unwrap_or(0.0),
            concealed: value(2),
            received_mos: value(3),
            sent_loss: value(4),
            sent_mos: value(5),
            round_trip_ms: value(6),
        }
    }

    /// `early` stands for `weight` intervals, `late` for one of the same length each.
    fn merge(early: Self, late: Self, weight: u32) -> Self {
        let mut values = [NONE; FIELDS];
        for (merged, (early, late)) in values.iter_mut().zip(early.values.iter().zip(late.values)) {
            *merged = match (*early, late) {
                (NONE, one) | (one, NONE) => one,
                (early, late) => {
                    let sum = u32::from(early) * weight + u32::from(late);
                    (sum / (weight + 1)) as u16
                }
            };
        }
        Self {
            at_s: late.at_s,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::quality::G711;

    fn counted(seconds: u64, concealed_ms: u64) -> Counted {
        Counted {
            playout: PlayoutStats {
                played_ms: seconds * 1_000,
                concealed_ms,
                delay_ms: 20.0,
                ..PlayoutStats::default()
            },
            jitter: Duration::from_millis(3),
            remote_loss: Some(0.02),
            round_trip: Some(Duration::from_millis(60)),
            remote_buffer: None,
            packet: Duration::from_millis(20),
            codec: G711,
        }
    }

    #[test]
    fn each_interval_is_scored_by_itself_and_the_call_by_their_mean() {
        let began = Instant::now();
        let mut meter = QualityMeter::new(began);
        meter.measure(began + Duration::from_secs(5), &counted(5, 0));
        meter.measure(began + Duration::from_secs(10), &counted(10, 500));
        // Nothing is said: nothing is scored.
        meter.measure(began + Duration::from_secs(15), &counted(10, 500));
        let curve = meter.curve();
        assert_eq!(
            curve.iter().map(|p| p.at_s).collect::<Vec<_>>(),
            [5, 10, 15]
        );
        let [good, bad, silent] = curve[..] else {
            panic!("{curve:?}");
        };
        assert_eq!((good.concealed, bad.concealed), (Some(0.0), Some(0.1)));
        assert_eq!((silent.concealed, silent.received_mos), (None, None));
        let (good, bad) = (good.received_mos.unwrap(), bad.received_mos.unwrap());
        assert!(good > 4.3 && (3.3..3.4).contains(&bad), "{good} {bad}");
        let (mean, lowest) = meter.received_mos();
        assert!(
            (mean.unwrap() - (good + bad) / 2.0).abs() < 0.02,
            "{mean:?}"
        );
        assert!((lowest.unwrap() - bad).abs() < 0.02);
        assert!((4.0..4.4).contains(&meter.sent_mos().0.unwrap()));
        assert_eq!(curve[0].round_trip_ms, Some(60.0));
    }

    #[test]
    fn a_long_call_keeps_its_whole_curve_in_bounded_room() {
        let began = Instant::now();
        let mut meter = QualityMeter::new(began);
        let intervals = 10 * QUALITY_POINTS_MAX as u64 + 7;
        for interval in 1..=intervals {
            let now = began + QUALITY_INTERVAL * interval as u32;
            meter.measure(now, &counted(interval * 5, interval * 50));
            assert!(meter.curve.points.len() <= QUALITY_POINTS_MAX);
        }
        let curve = meter.curve();
        assert!(curve.len() > QUALITY_POINTS_MAX / 2, "{}", curve.len());
        assert_eq!(u64::from(curve.last().unwrap().at_s), intervals * 5);
        for pair in curve.windows(2).take(curve.len() - 2) {
            assert_eq!(pair[1].at_s - pair[0].at_s, curve[1].at_s - curve[0].at_s);
        }
        assert!(curve.iter().all(|point| point.concealed == Some(0.01)));
    }
}
