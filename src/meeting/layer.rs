//! The streams of one track: one, or a few simulcast layers (RFC 8853) of the same picture.

use std::time::{Duration, Instant};

use crate::limits::TRACK_LAYERS_MAX;

/// A layer that has sent nothing for so long is off: its publisher lacks bandwidth, or a window.
const LAYER_SILENT_AFTER: Duration = Duration::from_millis(1_500);

/// Bit rates are of the last whole window.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// One stream of a track.
#[derive(Debug)]
pub struct Layer {
    /// Its stream.
    pub ssrc: u32,
    /// In pixels, once a keyframe has told.
    pub width: Option<u16>,
    /// When a keyframe of it was last asked of the publisher.
    pub keyframe_requested_at: Option<Instant>,
    /// A keyframe is wanted as soon as one may be asked for again.
    pub keyframe_pending: bool,
    heard_at: Instant,
    window_began: Instant,
    window_bytes: u64,
    rate_bps: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Layers {
    layers: Vec<Layer>,
}

/// What somebody would like to see of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Wider than this is wasted; pixels.
    pub max_width: Option<u16>,
    /// It is looked at.
    pub visible: bool,
}

impl Default for Wish {
    /// Everything, until something else is said.
    fn default() -> Self {
        Self {
            max_width: None,
            visible: true,
        }
    }
}

impl Layers {
    /// A packet of a stream came; true if what can be chosen has changed.
    pub fn heard(&mut self, now: Instant, ssrc: u32, bytes: usize, width: Option<u16>) -> bool {
        let Some(layer) = self.layers.iter_mut().find(|layer| layer.ssrc == ssrc) else {
            if self.layers.len() >= TRACK_LAYERS_MAX {
                // The one silent longest was replaced by its publisher.
                let oldest = self.layers.iter().enumerate();
                let oldest = oldest.min_by_key(|(_, layer)| layer.heard_at);
                if let Some((index, _)) = oldest {
                    self.layers.remove(index);
                }
            }
            self.layers.push(Layer {
                ssrc,
                width,
                keyframe_requested_at: None,
                keyframe_pending: false,
                heard_at: now,
                window_began: now,
                window_bytes: bytes as u64,
                rate_bps: 0,
            });
            return true;
        };
        let passed = now.saturating_duration_since(layer.window_began);
        if passed >= RATE_WINDOW {
            layer.rate_bps = (layer.window_bytes as f64 * 8.0 / passed.as_secs_f64()) as u64;
            (layer.window_began, layer.window_bytes) = (now, 0);
        }
        layer.window_bytes += bytes as u64;
        let was_silent = !layer.is_on(now);
        layer.heard_at = now;
        let resized = width.is_some() && width != layer.width;
        layer.width = width.or(layer.width);
        was_silent || resized
    }

    /// All that have been heard.
    pub fn iter(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter()
    }

    /// As [`Layers::iter`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Layer> {
        self.layers.iter_mut()
    }

    /// Those that send now, smallest first; if all are silent, all.
    fn on(&self, now: Instant) -> Vec<&Layer> {
        let mut on: Vec<&Layer> = self
            .layers
            .iter()
            .filter(|layer| layer.is_on(now))
            .collect();
        if on.is_empty() {
            on = self.layers.iter().collect();
        }
        on.sort_by_key(|layer| (layer.width.unwrap_or(0), layer.rate_bps, layer.ssrc));
        on
    }

    /// The streams that serve a wish and their bit rates, smallest first: up to the smallest that
    /// is wide enough, or the widest there is. Empty if nothing is to be sent.
    pub fn ladder(&self, now: Instant, wish: Wish) -> Vec<(u32, u64)> {
        if !wish.visible {
            return Vec::new();
        }
        let on = self.on(now);
        let wide_enough = on.iter().position(|layer| {
            let wanted = wish.max_width.unwrap_or(u16::MAX);
            layer.width.is_some_and(|width| width >= wanted)
        });
        let steps = wide_enough.map_or(on.len(), |best| best + 1);
        on.iter()
            .take(steps)
            .map(|l| (l.ssrc, l.rate_bps))
            .collect()
    }
}

impl Layer {
    fn is_on(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard_at) < LAYER_SILENT_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three layers at 25 packets a second, for a second.
    fn layers(start: Instant) -> (Layers, Instant) {
        let mut layers = Layers::default();
        let mut now = start;
        for _ in 0..25 {
            for (ssrc, width, bytes) in [(30, 1280, 5_000), (10, 320, 600), (20, 640, 2_000)] {
                layers.heard(now, ssrc, bytes, Some(width));
            }
            now += Duration::from_millis(40);
        }
        (layers, now)
    }

    fn wish(max_width: Option<u16>) -> Wish {
        Wish {
            max_width,
            visible: true,
        }
    }

    #[test]
    fn streams_are_offered_up_to_the_smallest_that_is_wide_enough() {
        let (layers, now) = layers(Instant::now());
        let offered = |wish| {
            let ladder = layers.ladder(now, wish);
            ladder.iter().map(|(ssrc, _)| *ssrc).collect::<Vec<u32>>()
        };
        assert_eq!(offered(wish(None)), [10, 20, 30]);
        assert_eq!(offered(wish(Some(1_000))), [10, 20, 30]);
        assert_eq!(offered(wish(Some(640))), [10, 20]);
        assert_eq!(offered(wish(Some(100))), [10]);
        let unseen = Wish {
            visible: false,
            ..wish(None)
        };
        assert!(offered(unseen).is_empty());
        let rates: Vec<u64> = layers
            .ladder(now, wish(None))
            .iter()
            .map(|l| l.1 / 10_000)
            .collect();
        assert!(
            rates[0] > 8 && rates[2] > 80 && rates.is_sorted(),
            "{rates:?}"
        );
    }

    #[test]
    fn a_layer_its_publisher_stopped_is_not_chosen_until_it_is_back() {
        let (mut layers, mut now) = layers(Instant::now());
        for _ in 0..50 {
            now += Duration::from_millis(40);
            layers.heard(now, 10, 600, None);
        }
        let chosen =
            |layers: &Layers, now| layers.ladder(now, wish(None)).last().map(|(ssrc, _)| *ssrc);
        assert_eq!(chosen(&layers, now), Some(10));
        assert!(
            layers.heard(now, 30, 5_000, None),
            "a change worth looking at"
        );
        assert_eq!(chosen(&layers, now), Some(30));
        now += Duration::from_secs(5);
        assert_eq!(
            chosen(&layers, now),
            Some(30),
            "all are silent: the camera pauses"
        );
    }

    #[test]
    fn only_so_many_streams_of_one_source_are_known() {
        let mut layers = Layers::default();
        let now = Instant::now();
        for ssrc in 0..100 {
            layers.heard(now + Duration::from_millis(ssrc), ssrc as u32, 1, None);
        }
        assert_eq!(layers.iter().count(), TRACK_LAYERS_MAX);
        assert!(layers.iter().any(|layer| layer.ssrc == 99));
    }
}
