//! What of the pictures somebody looks at fits through the way to them, and when more is tried.

use std::time::{Duration, Instant};

/// More is tried only when the estimate holds this much more than it needs.
const HEADROOM: f64 = 1.15;

/// A picture's smallest layer is sent on until the way carries less than this part of it: what is
/// sent already is given up later than it would be begun.
const STUBBORNNESS: f64 = 0.5;

/// After any step down nothing is tried for so long.
const PAUSE: Duration = Duration::from_secs(3);

/// An upgrade undone within this time was a mistake…
const UPGRADE_TRIAL: Duration = Duration::from_secs(5);
/// …after which none is tried for so long, twice as long each time…
const HOLD_FIRST: Duration = Duration::from_secs(8);
/// …up to this.
const HOLD_MAX: Duration = Duration::from_secs(64);

/// One picture somebody looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Streams that may be sent and their bit rates, smallest first.
    pub ladder: Vec<(u32, u64)>,
    /// Stream that is chosen now.
    pub stream: Option<u32>,
}

/// Patience after upgrades that failed.
#[derive(Debug, Default)]
pub struct Patience {
    upgraded_at: Option<Instant>,
    held_until: Option<Instant>,
    hold: Duration,
}

impl Patience {
    fn may_upgrade(&self, now: Instant) -> bool {
        self.held_until.is_none_or(|until| now >= until)
    }

    fn upgraded(&mut self, now: Instant) {
        let last = self.upgraded_at.replace(now);
        if last.is_some_and(|at| now >= at + UPGRADE_TRIAL) {
            // The one before has held.
            self.hold = Duration::ZERO;
        }
    }

    fn downgraded(&mut self, now: Instant) {
        let tried = self.upgraded_at.take();
        self.held_until = self.held_until.max(Some(now + PAUSE));
        if tried.is_some_and(|at| now < at + UPGRADE_TRIAL) {
            self.hold = (self.hold * 2).clamp(HOLD_FIRST, HOLD_MAX);
            self.held_until = Some(now + self.hold);
        }
    }
}

/// The stream for each view, most wanted first; `None` where nothing is to be sent.
///
/// Every picture gets its smallest layer before any gets a larger one. What does not even fit so is
/// not sent: a voice alone is better than both in pieces. Without a budget all get their largest.
pub fn share(
    now: Instant,
    budget_bps: Option<u64>,
    views: &[View],
    patience: &mut Patience,
) -> Vec<Option<u32>> {
    let Some(budget_bps) = budget_bps else {
        let largest = |view: &View| view.ladder.last().map(|(ssrc, _)| *ssrc);
        return views.iter().map(largest).collect();
    };
    let budget = budget_bps as f64;
    let mut left = budget;
    let patient = !patience.may_upgrade(now);
    let mut steps: Vec<Option<usize>> = Vec::with_capacity(views.len());
    for view in views {
        let smallest = view.ladder.first().map(|(_, bps)| *bps as f64);
        let fits = smallest.filter(|bps| {
            let factor = match (view.stream, patient) {
                (Some(_), _) => STUBBORNNESS,
                (None, true) => HEADROOM,
                (None, false) => 1.0,
            };
            bps * factor <= left
        });
        left = (left - fits.unwrap_or(0.0)).max(0.0);
        steps.push(fits.map(|_| 0));
    }
    let (mut upgraded, mut downgraded) = (false, false);
    for (view, step) in views.iter().zip(&mut steps) {
        let sent = |(ssrc, _): &(u32, u64)| Some(*ssrc) == view.stream;
        let present = view.ladder.iter().position(sent);
        let Some(step) = step else {
            downgraded |= present.is_some();
            continue;
        };
        while let Some((_, bps)) = view.ladder.get(*step + 1) {
            let more = (*bps as f64 - view.ladder[*step].1 as f64).max(0.0);
            let fits = match present {
                Some(present) if *step < present => more <= left,
                // Of everything that would be sent then.
                Some(_) => !patient && (budget - left + more) * HEADROOM <= budget,
                None => !patient && more <= left,
            };
            if !fits {
                break;
            }
            left -= more;
            *step += 1;
        }
        upgraded |= present.is_none_or(|present| *step > present);
        downgraded |= present.is_some_and(|present| *step < present);
    }
    if downgraded {
        patience.downgraded(now);
    } else if upgraded {
        patience.upgraded(now);
    }
    let chosen = steps.iter().zip(views);
    chosen
        .map(|(step, view)| step.map(|step| view.ladder[step].0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: [(u32, u64); 3] = [(1, 150_000), (2, 450_000), (3, 1_200_000)];

    /// Chooses again with what was chosen last.
    struct Viewer {
        now: Instant,
        views: Vec<View>,
        patience: Patience,
    }

    impl Viewer {
        fn new(ladders: &[&[(u32, u64)]]) -> Self {
            let views = ladders.iter().map(|ladder| View {
                ladder: ladder.to_vec(),
                stream: None,
            });
            Self {
                now: Instant::now(),
                views: views.collect(),
                patience: Patience::default(),
            }
        }

        fn with(&mut self, budget: u64) -> Vec<Option<u32>> {
            self.now += Duration::from_millis(200);
            let chosen = share(self.now, Some(budget), &self.views, &mut self.patience);
            for (view, stream) in self.views.iter_mut().zip(&chosen) {
                view.stream = *stream;
            }
            chosen
        }
    }

    #[test]
    fn each_gets_its_smallest_first_and_the_first_is_served_best() {
        let screen: &[_] = &[(9, 800_000)];
        let mut viewer = Viewer::new(&[screen, &CAMERA, &[(11, 150_000), (12, 450_000)]]);
        assert_eq!(viewer.with(5_000_000), [Some(9), Some(3), Some(12)]);
        let mut viewer = Viewer::new(&[screen, &CAMERA, &[(11, 150_000), (12, 450_000)]]);
        assert_eq!(viewer.with(1_450_000), [Some(9), Some(2), Some(11)]);
        let none = share(viewer.now, None, &viewer.views, &mut viewer.patience);
        assert_eq!(none, [Some(9), Some(3), Some(12)], "nothing is known yet");
    }

    #[test]
    fn a_weak_way_carries_the_voice_alone_and_the_picture_comes_back() {
        let mut viewer = Viewer::new(&[&CAMERA]);
        assert_eq!(viewer.with(2_000_000), [Some(3)]);
        assert_eq!(viewer.with(500_000), [Some(2)]);
        assert_eq!(
            viewer.with(100_000),
            [Some(1)],
            "a little too much is borne"
        );
        assert_eq!(viewer.with(70_000), [None]);
        assert_eq!(viewer.with(100_000), [None], "but not begun");
        viewer.now += HOLD_MAX;
        assert_eq!(viewer.with(200_000), [Some(1)]);
    }

    #[test]
    fn more_is_tried_with_headroom_and_ever_less_often_when_it_fails() {
        let mut viewer = Viewer::new(&[&CAMERA]);
        assert_eq!(viewer.with(500_000), [Some(2)]);
        assert_eq!(viewer.with(1_300_000), [Some(2)], "it would just fit");
        let mut waits = Vec::new();
        for _ in 0..4 {
            let began = viewer.now;
            while viewer.with(1_500_000) == [Some(2)] {}
            waits.push(viewer.now.duration_since(began).as_secs());
            viewer.now += Duration::from_secs(1);
            assert_eq!(viewer.with(500_000), [Some(2)], "it failed");
        }
        assert_eq!(waits[0], 0);
        assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    }
}
