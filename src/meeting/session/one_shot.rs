//! Clients that come over HTTP, publish or play, and can be offered nothing later (WHIP, WHEP).
//!
//! A player has as many m-lines as it asked for. While there are fewer tracks than lines it gets
//! everything; beyond that, its audio lines follow those who speak, and its video lines show
//! screens before cameras, and cameras of those who speak.

use std::time::Instant;

use rand::Rng;

use super::{Browser, Media, Session};
use crate::meeting::forward::Forward;
use crate::meeting::peer::{Peer, PeerError, SlotId};
use crate::meeting::signal::{LevelView, OneShotRole, Source};
use crate::meeting::track::{SeatId, TrackCodec, TrackId, TrackKind};

/// Quieter than this is no word: breath, keyboards, a room.
const WORD_DBOV: u8 = 50;

/// A voice keeps its line for so long after its last word: 0.6 s.
const VOICE_KEPT_TICKS: u64 = 30;

/// A face keeps its line for so long: 2 s.
const FACE_KEPT_TICKS: u64 = 100;

/// A track that could be on a player's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    track: TrackId,
    codec: TrackCodec,
    screen: bool,
    /// Tick of its participant's last word.
    spoke_at: u64,
}

impl Session {
    pub(super) fn handle_one_shot(
        &mut self,
        now: Instant,
        seat: SeatId,
        sdp: &str,
        role: OneShotRole,
    ) {
        let made = match role {
            // A second first offer.
            _ if self.peer(seat).is_some() => Err(PeerError::Glare),
            OneShotRole::Publisher => self.connect_publisher(now, seat, sdp),
            OneShotRole::Player => self.connect_player(now, seat, sdp),
        };
        self.answer_offer(now, seat, made);
    }

    fn connect_publisher(
        &mut self,
        now: Instant,
        seat: SeatId,
        sdp: &str,
    ) -> Result<String, PeerError> {
        let (ufrag, password) = self.ice_words();
        let setup = &self.settings.peer;
        let (peer, answer) = Peer::answer_publisher(now, setup, &ufrag, &password, sdp)?;
        if let Some(browser) = self.browser(seat) {
            browser.one_shot = Some(OneShotRole::Publisher);
        }
        self.seat_peer(now, seat, peer);
        Ok(answer)
    }

    fn connect_player(
        &mut self,
        now: Instant,
        seat: SeatId,
        sdp: &str,
    ) -> Result<String, PeerError> {
        let (ufrag, password) = self.ice_words();
        let (setup, rng) = (&self.settings.peer, &mut self.rng);
        let ssrc = || rng.random();
        let (peer, answer, lines) = Peer::answer_player(now, setup, &ufrag, &password, sdp, ssrc)?;
        let idle = lines.iter().map(|slot| {
            let codec = peer.slot_codec(*slot);
            Forward::new(*slot, codec, self.rng.random(), self.rng.random())
        });
        let idle = idle.collect();
        if let Some(browser) = self.browser(seat) {
            browser.one_shot = Some(OneShotRole::Player);
            browser.peer = Some(peer);
            browser.idle = idle;
            browser.lines = lines;
        }
        self.arrange_players(now);
        Ok(answer)
    }

    fn browser(&mut self, seat: SeatId) -> Option<&mut Browser> {
        self.seats.get_mut(&seat)?.browser()
    }

    /// Who has spoken in the last moments, and how loud.
    pub(super) fn note_speakers(&mut self, now: Instant, levels: &[LevelView]) {
        for view in levels.iter().filter(|view| view.level <= WORD_DBOV) {
            self.spoke_at.insert(view.participant_id, self.ticks);
        }
        self.arrange_players(now);
    }

    /// Puts on every player's lines what belongs there now.
    pub(super) fn arrange_players(&mut self, now: Instant) {
        let players: Vec<SeatId> = self
            .seats
            .iter()
            .filter(|(_, entry)| match &entry.media {
                Media::Browser(browser) => browser.one_shot == Some(OneShotRole::Player),
                Media::Phone(_) => false,
            })
            .map(|(seat, _)| *seat)
            .collect();
        for seat in players {
            self.arrange_player(now, seat);
        }
    }

    fn arrange_player(&mut self, now: Instant, seat: SeatId) {
        let candidates: Vec<Candidate> = self
            .tracks
            .values()
            .filter(|track| track.seat != seat && !track.is_muted())
            .map(|track| Candidate {
                track: track.id,
                codec: track.codec,
                screen: track.source == Source::Screen,
                spoke_at: self.spoke_at.get(&track.participant).copied().unwrap_or(0),
            })
            .collect();
        let tick = self.ticks;
        let Some(browser) = self.browser(seat) else {
            return;
        };
        let mut changed = Vec::new();
        for (slot, track) in browser.arrangement(&candidates, tick) {
            let carried = browser.carried(slot);
            if carried == track {
                continue;
            }
            if let Some(forward) = carried.and_then(|track| browser.subscriptions.remove(&track)) {
                browser.idle.push(forward);
            }
            if let Some(track) = track {
                changed.push((slot, track));
            }
        }
        // After all old tracks have left their lines: one may only have moved.
        for (slot, track) in &changed {
            let idle = browser
                .idle
                .iter()
                .position(|forward| forward.slot == *slot);
            if let Some(mut forward) = idle.map(|index| browser.idle.swap_remove(index)) {
                forward.restart();
                browser.subscriptions.insert(*track, forward);
            }
        }
        if !changed.is_empty() {
            self.aim(now, seat);
        }
        for (_, track) in changed {
            self.want_keyframe(now, track, None);
        }
    }
}

impl Browser {
    fn carried(&self, slot: SlotId) -> Option<TrackId> {
        let mut carried = self.subscriptions.iter();
        carried
            .find(|(_, forward)| forward.slot == slot)
            .map(|(track, _)| *track)
    }

    /// What each line should carry.
    fn arrangement(&self, candidates: &[Candidate], tick: u64) -> Vec<(SlotId, Option<TrackId>)> {
        let Some(peer) = &self.peer else {
            return Vec::new();
        };
        let mut arranged = Vec::new();
        for codec in [TrackCodec::Opus, TrackCodec::Vp8, TrackCodec::H264] {
            let lines = self.lines.iter().copied();
            let lines = lines.filter(|slot| peer.slot_codec(*slot) == codec);
            let lines = lines.map(|slot| (slot, self.carried(slot))).collect();
            let fitting = candidates.iter().filter(|track| track.codec == codec);
            let fitting: Vec<Candidate> = fitting.copied().collect();
            arranged.extend(arrange(codec.kind(), lines, fitting, tick));
        }
        arranged
    }
}

/// Lines of one codec and what they carry now; returns what they should carry.
fn arrange(
    kind: TrackKind,
    mut lines: Vec<(SlotId, Option<TrackId>)>,
    mut candidates: Vec<Candidate>,
    tick: u64,
) -> Vec<(SlotId, Option<TrackId>)> {
    // Screens, then who spoke last, then who came first.
    candidates.sort_by_key(|c| (!c.screen, std::cmp::Reverse(c.spoke_at), c.track));
    let kept = match kind {
        TrackKind::Audio => VOICE_KEPT_TICKS,
        TrackKind::Video => FACE_KEPT_TICKS,
    };
    for (_, track) in &mut lines {
        *track = track.filter(|track| candidates.iter().any(|c| c.track == *track));
    }
    let mut waiting: Vec<Candidate> = candidates
        .iter()
        .filter(|c| lines.iter().all(|(_, track)| *track != Some(c.track)))
        .copied()
        .collect();
    waiting.reverse();
    for (_, track) in lines.iter_mut().filter(|(_, track)| track.is_none()) {
        *track = waiting.pop().map(|candidate| candidate.track);
    }
    // Those still waiting, best first, take the line of the worst who can be asked to leave.
    while let Some(next) = waiting.pop() {
        let worst = lines
            .iter_mut()
            .filter_map(|(_, track)| {
                let on_line = candidates.iter().find(|c| Some(c.track) == *track)?;
                Some((track, *on_line))
            })
            .max_by_key(|(_, c)| (!c.screen, std::cmp::Reverse(c.spoke_at), c.track));
        let Some((track, on_line)) = worst else {
            break;
        };
        let spoken_for = tick.saturating_sub(on_line.spoke_at) < kept;
        let better = match (next.screen, on_line.screen) {
            (true, false) => true,
            (false, true) => false,
            _ => next.spoke_at > on_line.spoke_at && !spoken_for,
        };
        if !better {
            break;
        }
        *track = Some(next.track);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(track: u64, screen: bool, spoke_at: u64) -> Candidate {
        Candidate {
            track: TrackId(track),
            codec: TrackCodec::Vp8,
            screen,
            spoke_at,
        }
    }

    fn lines(tracks: &[Option<u64>]) -> Vec<(SlotId, Option<TrackId>)> {
        let tracks = tracks.iter().enumerate();
        tracks
            .map(|(index, track)| (SlotId::for_test(index), track.map(TrackId)))
            .collect()
    }

    #[test]
    fn everybody_has_a_line_while_there_are_enough_and_nobody_moves() {
        let voices = vec![candidate(1, false, 0), candidate(2, false, 90)];
        let arranged = arrange(TrackKind::Audio, lines(&[None, Some(1), None]), voices, 100);
        assert_eq!(arranged, lines(&[Some(2), Some(1), None]));
    }

    #[test]
    fn one_line_follows_the_speaker_but_not_into_a_pause_for_breath() {
        let turn = |on_line, one, two, tick| {
            let voices = vec![candidate(1, false, one), candidate(2, false, two)];
            let arranged = arrange(TrackKind::Audio, lines(&[Some(on_line)]), voices, tick);
            arranged[0].1.map(|TrackId(track)| track)
        };
        assert_eq!(turn(1, 100, 110, 110), Some(1), "only a breath");
        assert_eq!(turn(1, 100, 130, 130), Some(2), "it has finished");
        assert_eq!(turn(1, 100, 90, 200), Some(1), "nobody else speaks");
        assert_eq!(turn(3, 50, 60, 61), Some(2), "who was heard has left");
    }

    #[test]
    fn a_screen_comes_before_faces_at_once() {
        let pictures = vec![candidate(1, false, 100), candidate(2, true, 0)];
        let arranged = arrange(TrackKind::Video, lines(&[Some(1)]), pictures.clone(), 101);
        assert_eq!(arranged, lines(&[Some(2)]));
        let arranged = arrange(TrackKind::Video, lines(&[Some(2)]), pictures, 500);
        assert_eq!(arranged, lines(&[Some(2)]), "a face does not displace it");
    }
}
