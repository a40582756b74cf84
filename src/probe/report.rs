//! What a run measured, as text for people and as JSON for programs.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::ear::{Ear, EarStats};
use super::failure::Failure;
use super::phone::media::Spoken;

/// A chirp heard later than this after any chirp said belongs to none of them.
const DELAY_MAX: Duration = Duration::from_millis(550);

/// The result of a run. Times are milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Every stage passed.
    pub ok: bool,
    /// The stage that failed, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where the phone called.
    pub sip_server: String,
    /// Codec of the phone's leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<&'static str>,
    /// From connecting the signalling to the seat.
    pub join_to_seat_ms: Option<f64>,
    /// From connecting the signalling to connected media.
    pub join_to_media_ms: Option<f64>,
    /// From the first INVITE to the 200.
    pub invite_to_answer_ms: Option<f64>,
    /// From the 200 to the first of the phone's packets in the browser.
    pub answer_to_browser_sound_ms: Option<f64>,
    /// From the 200 to the first packet in the phone.
    pub answer_to_phone_sound_ms: Option<f64>,
    /// What the browser heard of the phone.
    pub phone_to_browser: Option<Way>,
    /// What the phone heard of the browser.
    pub browser_to_phone: Option<Way>,
    /// A key came through; absent when the server did not agree to telephone-events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtmf: Option<bool>,
    /// Status of the phone's BYE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_up_status: Option<u16>,
    /// Notes that are no failure.
    pub remarks: Vec<String>,
}

/// One direction, end to end through the server.
#[derive(Debug, Clone, Serialize)]
pub struct Way {
    /// From mouth to ear without packetisation and playout of the ends: the time the sound spent
    /// on the way and in the server; absent when no marker was found.
    pub delay_ms: Option<Delay>,
    /// Packets that reached the listener.
    pub packets: u64,
    /// Packets the listener missed by their sequence numbers: the server's way to it.
    pub lost: u64,
    /// Same in per cent.
    pub loss_percent: f64,
    /// Part of the time in which the tone sounded, in per cent: gaps of both hops show here.
    pub audible_percent: f64,
    /// Part of the sound that is the other end's tone, 0–1.
    pub tone_share: f32,
    /// Part of the sound that is the listener's own tone, 0–1: should be nothing.
    pub own_tone_share: f32,
}

/// Figures of a delay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Delay {
    /// Half are shorter.
    pub median: f64,
    /// Shortest.
    pub min: f64,
    /// Longest.
    pub max: f64,
    /// Markers found.
    pub markers: usize,
}

impl Way {
    /// What `ear` heard since `since`, when the other end said `spoken` with `tone_hz` in it;
    /// `stats` are of the same time.
    pub fn measure(
        ear: &Ear,
        stats: &EarStats,
        since: Instant,
        spoken: &Spoken,
        tone_hz: f32,
        own_tone_hz: f32,
    ) -> Self {
        Self {
            delay_ms: Delay::between(&spoken.chirps, &ear.chirps_since(since)),
            packets: stats.packets,
            lost: stats.lost(),
            loss_percent: rounded(100.0 * stats.loss()),
            audible_percent: rounded(100.0 * ear.audible_share(since)),
            tone_share: ear.tone_share(tone_hz),
            own_tone_share: ear.tone_share(own_tone_hz),
        }
    }
}

impl Delay {
    /// Delays of what was heard after what was said.
    pub fn between(said: &[Instant], heard: &[Instant]) -> Option<Self> {
        let mut delays: Vec<f64> = heard
            .iter()
            .filter_map(|&heard| {
                said.iter()
                    .filter_map(|&said| heard.checked_duration_since(said))
                    .min()
                    .filter(|delay| *delay <= DELAY_MAX)
            })
            .map(|delay| rounded(delay.as_secs_f64() * 1_000.0))
            .collect();
        delays.sort_by(f64::total_cmp);
        Some(Self {
            median: *delays.get(delays.len() / 2)?,
            min: *delays.first()?,
            max: *delays.last()?,
            markers: delays.len(),
        })
    }
}

/// Milliseconds between two moments, in tenths.
pub fn ms_between(from: Instant, to: Instant) -> f64 {
    rounded(to.saturating_duration_since(from).as_secs_f64() * 1_000.0)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        if !self.sip_server.is_empty() {
            let codec = self.codec.unwrap_or("-");
            writeln!(f, "phone              {} {codec}", self.sip_server)?;
        }
        writeln!(f, "join to seat       {}", ms(self.join_to_seat_ms))?;
        writeln!(f, "join to media      {}", ms(self.join_to_media_ms))?;
        writeln!(f, "INVITE to 200      {}", ms(self.invite_to_answer_ms))?;
        writeln!(
            f,
            "first sound        in the browser {}, in the phone {} after the 200",
            ms(self.answer_to_browser_sound_ms),
            ms(self.answer_to_phone_sound_ms)
        )?;
        for (name, way) in [
            ("phone to browser", &self.phone_to_browser),
            ("browser to phone", &self.browser_to_phone),
        ] {
            match way {
                None => writeln!(f, "{name}   -")?,
                Some(way) => writeln!(f, "{name}   {way}")?,
            }
        }
        if let Some(dtmf) = self.dtmf {
            writeln!(
                f,
                "key                {}",
                if dtmf { "heard" } else { "lost" }
            )?;
        }
        if let Some(status) = self.hang_up_status {
            writeln!(f, "hang-up            {status}")?;
        }
        for remark in &self.remarks {
            writeln!(f, "note               {remark}")?;
        }
        match &self.failure {
            None => write!(f, "OK"),
            Some(failure) => write!(f, "FAILED {failure}"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.delay_ms {
            Some(delay) => write!(
                f,
                "delay {:.1} ms ({:.1}–{:.1}, {} markers)",
                delay.median, delay.min, delay.max, delay.markers
            )?,
            None => write!(f, "delay unknown")?,
        }
        write!(
            f,
            ", {} packets, {} lost ({:.1} %), tone audible {:.1} % of the time",
            self.packets, self.lost, self.loss_percent, self.audible_percent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock;

    #[test]
    fn each_marker_heard_is_matched_with_the_last_one_said_before_it() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let said = [at(0), at(600), at(1_200)];
        let heard = [at(30), at(640), at(1_250), at(4_000)];
        let delay = Delay::between(&said, &heard).unwrap();
        assert_eq!((delay.median, delay.min, delay.max), (40.0, 30.0, 50.0));
        assert_eq!(
            delay.markers, 3,
            "what comes seconds later is no echo of ours"
        );
        assert_eq!(Delay::between(&said, &[]), None);
    }
}
