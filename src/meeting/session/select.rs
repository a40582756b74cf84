//! Which stream of a track each browser gets, and keyframes asked of publishers.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::seat::{Media, Seat};
use super::{Session, SessionOutput};
use crate::id::ParticipantId;
use crate::meeting::budget::{View, share};
use crate::meeting::forward::Aim;
use crate::meeting::layer::Wish;
use crate::meeting::peer::SlotId;
use crate::meeting::signal::{ServerMessage, Source};
use crate::meeting::track::{SeatId, TrackId, TrackKind};

/// Keyframes are dear: one stream's publisher is asked at most this often, however many ask us.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// What one voice takes of the way to a browser: Opus with its headers.
const VOICE_BPS: u64 = 24_000;
/// More than these do not speak at once.
const VOICES_MAX: u32 = 4;

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

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
        if !seats.any(|entry| entry.joining.id == participant) {
            let message = "nobody of this id is here";
            return self.refuse(seat, "unknown_participant", message);
        }
        if let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        {
            browser.wishes.insert((participant, source), wish);
        }
        self.aim(now, seat);
    }

    /// Decides anew for everybody: streams come, go and change, and so does what carries them.
    pub(super) fn aim_all(&mut self, now: Instant) {
        let watches = |entry: &Seat| match &entry.media {
            Media::Browser(browser) => !browser.subscriptions.is_empty(),
            Media::Phone(_) => false,
        };
        let seats = self.seats.iter().filter(|(_, entry)| watches(entry));
        let seats: Vec<SeatId> = seats.map(|(seat, _)| *seat).collect();
        for seat in seats {
            self.aim(now, seat);
        }
    }

    /// Decides for everybody who gets the track.
    pub(super) fn aim_track(&mut self, now: Instant, id: TrackId) {
        let gets = |entry: &Seat| match &entry.media {
            Media::Browser(browser) => browser.subscriptions.contains_key(&id),
            Media::Phone(_) => false,
        };
        let seats = self.seats.iter().filter(|(_, entry)| gets(entry));
        let seats: Vec<SeatId> = seats.map(|(seat, _)| *seat).collect();
        for seat in seats {
            self.aim(now, seat);
        }
    }

    /// Decides which stream of each track a browser gets.
    pub(super) fn aim(&mut self, now: Instant, seat: SeatId) {
        let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        else {
            return;
        };
        let Some(peer) = &browser.peer else {
            return;
        };
        let mut voices = 0;
        // Screens first, then what is shown largest, then what was there first.
        let mut views: Vec<(bool, Reverse<u16>, TrackId, View)> = Vec::new();
        for (id, forward) in &mut browser.subscriptions {
            let Some(track) = self.tracks.get(id) else {
                continue;
            };
            if track.codec.kind() == TrackKind::Audio {
                voices += 1;
                continue;
            }
            let wish = browser.wishes.get(&(track.participant, track.source));
            let wish = wish.copied().unwrap_or_default();
            if !wish.visible {
                forward.aim(Aim::Nothing);
                continue;
            }
            let ladder = track.layers.ladder(now, wish);
            if ladder.is_empty() {
                // Nothing of it has come yet.
                forward.aim(Aim::Anything);
                continue;
            }
            let stream = forward.stream();
            let size = Reverse(wish.max_width.unwrap_or(u16::MAX));
            let view = View { ladder, stream };
            views.push((track.source != Source::Screen, size, *id, view));
        }
        views.sort_by_key(|(not_screen, size, id, _)| (*not_screen, *size, *id));
        let (ids, views): (Vec<TrackId>, Vec<View>) =
            views.into_iter().map(|(_, _, id, view)| (id, view)).unzip();
        let voices_bps = VOICE_BPS * u64::from(VOICES_MAX.min(voices));
        let budget = peer.estimate_bps();
        let budget = budget.map(|estimate| estimate.saturating_sub(voices_bps));
        let chosen = share(now, budget, &views, &mut browser.patience);
        let mut awaited = Vec::new();
        for (id, stream) in ids.into_iter().zip(chosen) {
            let Some(forward) = browser.subscriptions.get_mut(&id) else {
                continue;
            };
            forward.aim(stream.map_or(Aim::Nothing, Aim::Stream));
            if let Some(ssrc) = forward.awaits_keyframe_of()
                && peer.is_open(forward.slot)
            {
                awaited.push((id, ssrc));
            }
        }
        for (id, ssrc) in awaited {
            self.want_keyframe(now, id, Some(ssrc));
        }
    }

    /// Tells every browser what is known of the way to it.
    pub(super) fn tell_quality(&mut self) {
        for (seat, entry) in &self.seats {
            let Media::Browser(browser) = &entry.media else {
                continue;
            };
            let Some(peer) = browser.peer.as_ref().filter(|_| browser.one_shot.is_none()) else {
                continue;
            };
            let Some(downlink) = peer.downlink() else {
                continue;
            };
            let message = ServerMessage::Quality {
                loss: downlink.loss,
                jitter_ms: millis(downlink.jitter),
                round_trip_ms: downlink.round_trip.map(millis),
                available_bps: peer.estimate_bps(),
            };
            let seat = *seat;
            self.outputs
                .push_back(SessionOutput::Signal { seat, message });
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
        self.aim(now, seat);
        for track in fresh {
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
