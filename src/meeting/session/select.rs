//! Which stream of a track each browser gets, and keyframes asked of publishers.

use std::time::{Duration, Instant};

use super::{Media, Session};
use crate::id::ParticipantId;
use crate::meeting::forward::Aim;
use crate::meeting::layer::Wish;
use crate::meeting::peer::SlotId;
use crate::meeting::signal::Source;
use crate::meeting::track::{SeatId, TrackId, TrackKind};

/// Keyframes are dear: one stream's publisher is asked at most this often, however many ask us.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

impl Session {
    /// A browser says how large it shows a source, and whether at all.
    pub(super) fn handle_subscribe(
        &mut self,
        now: Instant,
        seat: SeatId,
        participant: ParticipantId,
        source: Source,
        wish: Wish,
    ) {
        let mut seats = self.seats.values();
        let Some(theirs) = seats.find(|entry| entry.joining.id == participant) else {
            let message = "nobody of this id is here";
            return self.refuse(seat, "unknown_participant", message);
        };
        let track = theirs.published.get(&source).copied();
        if let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        {
            browser.wishes.insert((participant, source), wish);
        }
        if let Some(track) = track {
            self.aim(now, seat, track);
        }
    }

    /// Decides anew for everybody and everything; streams come, go and change their size.
    pub(super) fn aim_all(&mut self, now: Instant) {
        let tracks: Vec<TrackId> = self
            .tracks
            .values()
            .filter(|track| track.codec.kind() == TrackKind::Video)
            .map(|track| track.id)
            .collect();
        for track in tracks {
            self.aim_track(now, track);
        }
    }

    /// Decides for everybody who gets the track.
    pub(super) fn aim_track(&mut self, now: Instant, id: TrackId) {
        let seats: Vec<SeatId> = self
            .seats
            .iter()
            .filter(|(_, entry)| match &entry.media {
                Media::Browser(browser) => browser.subscriptions.contains_key(&id),
                Media::Phone(_) => false,
            })
            .map(|(seat, _)| *seat)
            .collect();
        for seat in seats {
            self.aim(now, seat, id);
        }
    }

    /// Decides which stream of a track a browser gets.
    pub(super) fn aim(&mut self, now: Instant, seat: SeatId, id: TrackId) {
        let Some(track) = self.tracks.get(&id) else {
            return;
        };
        if track.codec.kind() != TrackKind::Video {
            return;
        }
        let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        else {
            return;
        };
        let wish = browser.wishes.get(&(track.participant, track.source));
        let wish = wish.copied().unwrap_or_default();
        let Some(forward) = browser.subscriptions.get_mut(&id) else {
            return;
        };
        forward.aim(match track.layers.choose(now, wish, None) {
            Some(layer) => Aim::Stream(layer.ssrc),
            None if wish.visible => Aim::Anything,
            None => Aim::Nothing,
        });
        let open = browser.peer.as_ref();
        let open = open.is_some_and(|peer| peer.is_open(forward.slot));
        let awaited = forward.awaits_keyframe_of().filter(|_| open);
        if awaited.is_some() {
            self.want_keyframe(now, id, awaited);
        }
    }

    // ── keyframes ─────────────────────────────────────────────────────────────────────────────

    /// A browser asks for a keyframe of what its slot carries.
    pub(super) fn relay_keyframe_request(&mut self, now: Instant, seat: SeatId, slot: SlotId) {
        let Some(Media::Browser(browser)) = self.seats.get(&seat).map(|seat| &seat.media) else {
            return;
        };
        let carried = browser
            .subscriptions
            .iter()
            .find(|(_, forward)| forward.slot == slot);
        if let Some((track, stream)) = carried.map(|(track, forward)| (*track, forward.stream())) {
            self.want_keyframe(now, track, stream);
        }
    }

    /// Slots of this browser have opened: what has not been seen yet must begin with a keyframe.
    pub(super) fn begin_video(&mut self, now: Instant, seat: SeatId) {
        let Some(Media::Browser(browser)) = self.seats.get(&seat).map(|seat| &seat.media) else {
            return;
        };
        let Some(peer) = &browser.peer else {
            return;
        };
        let fresh: Vec<TrackId> = browser
            .subscriptions
            .iter()
            .filter(|(_, forward)| forward.is_fresh() && peer.is_open(forward.slot))
            .map(|(track, _)| *track)
            .collect();
        for track in fresh {
            self.aim(now, seat, track);
            self.want_keyframe(now, track, None);
        }
    }

    /// Asks the publisher for a keyframe of one stream, or of all it sends of the track.
    pub(super) fn want_keyframe(&mut self, now: Instant, id: TrackId, stream: Option<u32>) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        if track.codec.kind() != TrackKind::Video {
            return;
        }
        let (seat, mut asked) = (track.seat, Vec::new());
        // Until it sends there is nobody to ask.
        track.keyframe_pending = track.layers.iter().next().is_none();
        for layer in track.layers.iter_mut() {
            if stream.is_some_and(|ssrc| ssrc != layer.ssrc) {
                continue;
            }
            let at = layer.keyframe_requested_at;
            layer.keyframe_pending = at.is_some_and(|at| now < at + KEYFRAME_INTERVAL);
            if !layer.keyframe_pending {
                layer.keyframe_requested_at = Some(now);
                asked.push(layer.ssrc);
            }
        }
        for ssrc in asked {
            if let Some(peer) = self.peer(seat) {
                peer.request_keyframe(now, ssrc);
            }
        }
        self.flush_transmits(seat);
    }

    /// Asks for the keyframes that had to wait.
    pub(super) fn request_pending_keyframes(&mut self, now: Instant) {
        let mut pending = Vec::new();
        for track in self.tracks.values() {
            if track.keyframe_pending {
                pending.push((track.id, None));
            }
            let layers = track.layers.iter().filter(|layer| layer.keyframe_pending);
            pending.extend(layers.map(|layer| (track.id, Some(layer.ssrc))));
        }
        for (track, stream) in pending {
            self.want_keyframe(now, track, stream);
        }
    }
}
