//! How much an Opus stream protects itself against loss: as much as its listeners report.
//!
//! The copy of the last frame in each packet (in-band FEC) costs a quarter more CPU and bits of
//! every frame, so a stream whose listeners lose nothing carries none.

use std::time::{Duration, Instant};

/// Reported loss from which a copy is worth its price, in percent. Below, concealment is as good.
const WORTHWHILE_PERCENT: f32 = 1.0;

/// What the encoder is told to expect, in percent: libopus makes the copy better in steps.
const RUNGS_PERCENT: [u8; 4] = [3, 5, 10, 20];

/// Less loss must last this long before less is expected: browsers report audio every five seconds,
/// so one lucky report changes nothing.
pub const CALM_TIME: Duration = Duration::from_secs(12);

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    expected_percent: u8,
    /// Since when less would do.
    calm_since: Option<Instant>,
}

impl Protection {
    /// Expects no loss until somebody reports some.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the worst of what the listeners report now, 0.0–1.0; `None` while nobody reports.
    pub fn handle_loss(&mut self, now: Instant, loss: Option<f32>) {
        let wanted = rung(loss.unwrap_or(0.0) * 100.0);
        if wanted >= self.expected_percent {
            self.expected_percent = wanted;
            self.calm_since = None;
            return;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CALM_TIME {
            self.expected_percent = wanted;
            self.calm_since = None;
        }
    }

    /// Loss to expect, in percent; 0: none, the stream carries no copies.
    pub fn expected_loss_percent(&self) -> u8 {
        self.expected_percent
    }
}

fn rung(loss_percent: f32) -> u8 {
    if loss_percent < WORTHWHILE_PERCENT {
        return 0;
    }
    let enough = |rung: &&u8| f32::from(**rung) >= loss_percent;
    let highest = RUNGS_PERCENT[RUNGS_PERCENT.len() - 1];
    RUNGS_PERCENT
        .iter()
        .find(enough)
        .copied()
        .unwrap_or(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_met_at_once_and_forgotten_only_after_calm() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut protection = Protection::new();
        let mut expected = |seconds, loss| {
            protection.handle_loss(at(seconds), loss);
            protection.expected_loss_percent()
        };
        assert_eq!(expected(0, None), 0);
        assert_eq!(expected(1, Some(0.005)), 0);
        assert_eq!(expected(5, Some(0.04)), 5);
        assert_eq!(expected(6, Some(0.3)), 20);
        // One report without loss between lossy ones.
        assert_eq!(expected(10, Some(0.0)), 20);
        assert_eq!(expected(15, Some(0.15)), 20);
        assert_eq!(expected(20, Some(0.02)), 20);
        assert_eq!(expected(31, Some(0.02)), 20);
        assert_eq!(expected(32, Some(0.02)), 3);
        // Everybody has gone.
        assert_eq!(expected(40, None), 3);
        assert_eq!(expected(52, None), 0);
    }
}
