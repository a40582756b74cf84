//! Who speaks how loud: peaks between two reports, for the meters of every browser.

use std::collections::BTreeMap;

use crate::audio::level::SILENCE_DBOV;
use crate::id::ParticipantId;
use crate::meeting::signal::LevelView;

/// Quieter than this counts as silent and is left out: the noise floor of an open microphone.
const SHOWN_UP_TO_DBOV: u8 = 80;

/// Peaks of one session.
#[derive(Debug, Default)]
pub struct Speaker {
    peaks: BTreeMap<ParticipantId, u8>,
    /// The last report was empty: another empty one says nothing new.
    quiet: bool,
}

impl Speaker {
    /// Nobody has spoken.
    pub fn new() -> Self {
        Self {
            peaks: BTreeMap::new(),
            quiet: true,
        }
    }

    /// One packet or frame of `participant`, −dBov.
    pub fn heard(&mut self, participant: ParticipantId, level: u8) {
        let peak = self.peaks.entry(participant).or_insert(SILENCE_DBOV);
        *peak = level.min(*peak);
    }

    /// Those who were heard since the last report, loudest first; `None` when it was silent before
    /// and still is.
    pub fn report(&mut self) -> Option<Vec<LevelView>> {
        let mut levels: Vec<LevelView> = self
            .peaks
            .iter()
            .filter(|(_, level)| **level <= SHOWN_UP_TO_DBOV)
            .map(|(participant, level)| LevelView {
                participant_id: *participant,
                level: *level,
            })
            .collect();
        self.peaks.clear();
        levels.sort_by_key(|view| view.level);
        let was_quiet = std::mem::replace(&mut self.quiet, levels.is_empty());
        (!levels.is_empty() || !was_quiet).then_some(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_reported_loudest_first_and_silence_once() {
        let [ann, bob] = [1, 2].map(ParticipantId::from_random);
        let mut speaker = Speaker::new();
        assert_eq!(speaker.report(), None);
        for (who, level) in [(ann, 60), (ann, 40), (ann, 90), (bob, 30), (bob, 127)] {
            speaker.heard(who, level);
        }
        let levels: Vec<u8> = speaker.report().unwrap().iter().map(|v| v.level).collect();
        assert_eq!(levels, [30, 40]);
        speaker.heard(ann, 120);
        assert_eq!(speaker.report(), Some(Vec::new()));
        assert_eq!(speaker.report(), None);
    }
}
