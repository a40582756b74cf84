//! Tracks: published by one seat, forwarded to every other browser.

use std::time::Instant;

use bytes::Bytes;
use rand::Rng;

use super::{Media, Session, SessionOutput, take_transmits};
use crate::id::ParticipantId;
use crate::meeting::forward::Forward;
use crate::meeting::layer::Layers;
use crate::meeting::peer::{OutgoingRtp, Peer};
use crate::meeting::signal::{ServerMessage, Source, SourceState, TrackView};
use crate::meeting::track::{SeatId, Track, TrackCodec, TrackId};

/// Packet of a published track on its way to browsers.
pub(super) struct TrackPacket<'a> {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    /// A picture can be begun here.
    pub begins: bool,
    pub payload: &'a Bytes,
}

impl Session {
    /// Makes a source of `seat` a track and subscribes every other browser to it.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        seat: SeatId,
        source: Source,
        codec: TrackCodec,
    ) -> Option<TrackId> {
        let entry = self.seats.get_mut(&seat)?;
        let id = TrackId(self.next_track);
        self.next_track += 1;
        entry.published.insert(source, id);
        let muted_by_self = entry.sources.get(&source).is_some_and(|state| state.muted);
        let track = Track {
            id,
            seat,
            participant: entry.joining.id,
            source,
            codec,
            muted_by_self,
            muted_by_server: false,
            keyframe_pending: false,
            layers: Layers::default(),
        };
        self.tracks.insert(id, track);
        let listeners: Vec<SeatId> = self.seats.keys().copied().collect();
        for listener in listeners {
            self.subscribe(now, listener, id);
        }
        self.arrange_players(now);
        Some(id)
    }

    /// Ends a track; its slots become free.
    pub(super) fn unpublish(&mut self, now: Instant, id: TrackId) {
        let Some(track) = self.tracks.remove(&id) else {
            return;
        };
        if let Some(entry) = self.seats.get_mut(&track.seat) {
            entry.published.remove(&track.source);
        }
        self.bridge.remove(id);
        for entry in self.seats.values_mut() {
            let Media::Browser(browser) = &mut entry.media else {
                continue;
            };
            if let (Some(forward), Some(peer)) =
                (browser.subscriptions.remove(&id), &mut browser.peer)
            {
                // A player's m-lines stay as they are; what they carry changes.
                if browser.one_shot.is_none() {
                    peer.free_slot(now, forward.slot);
                }
                browser.idle.push(forward);
            }
        }
        self.arrange_players(now);
    }

    /// Sends a track to a browser, from its next offer on. Its own tracks and codecs it cannot play
    /// are left out.
    pub(super) fn subscribe(&mut self, now: Instant, seat: SeatId, id: TrackId) {
        let Some(track) = self.tracks.get(&id) else {
            return;
        };
        if track.seat == seat {
            return;
        }
        let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        else {
            return;
        };
        let Some(peer) = &mut browser.peer else {
            return;
        };
        if browser.one_shot.is_some() {
            return;
        }
        let ssrc = self.rng.random();
        if let Ok(slot) = peer.take_slot(now, track.codec, ssrc) {
            let used = browser.idle.iter().position(|forward| forward.slot == slot);
            let forward = match used.map(|index| browser.idle.swap_remove(index)) {
                Some(mut forward) => {
                    forward.restart();
                    forward
                }
                None => {
                    let (sequence, timestamp) = (self.rng.random(), self.rng.random());
                    Forward::new(slot, track.codec, sequence, timestamp)
                }
            };
            browser.subscriptions.insert(id, forward);
        }
    }

    /// Subscribes a browser that has just made its first offer to everything there is.
    pub(super) fn subscribe_to_all(&mut self, now: Instant, seat: SeatId) {
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        for track in tracks {
            self.subscribe(now, seat, track);
        }
    }

    /// Sends one packet of a track to every browser that has an open slot for it.
    pub(super) fn fan_out(&mut self, now: Instant, id: TrackId, packet: &TrackPacket<'_>) {
        for (seat, entry) in &mut self.seats {
            let Media::Browser(browser) = &mut entry.media else {
                continue;
            };
            let (Some(peer), Some(forward)) =
                (&mut browser.peer, browser.subscriptions.get_mut(&id))
            else {
                continue;
            };
            if !peer.is_open(forward.slot) || !forward.takes(packet.ssrc, packet.begins) {
                continue;
            }
            let numbers = forward.rewrite(now, packet.ssrc, packet.sequence, packet.timestamp);
            let outgoing = OutgoingRtp {
                sequence: numbers.sequence,
                timestamp: numbers.timestamp,
                marker: packet.marker,
                payload: forward.rewrite_payload(packet.payload),
            };
            peer.send(now, forward.slot, outgoing);
            take_transmits(&mut self.egress, *seat, peer);
        }
    }

    /// A packet of a track that nobody needs (padding): the numbers close up behind it.
    pub(super) fn skip_packet(&mut self, now: Instant, id: TrackId, packet: &TrackPacket<'_>) {
        for entry in self.seats.values_mut() {
            if let Media::Browser(browser) = &mut entry.media
                && let Some(forward) = browser.subscriptions.get_mut(&id)
            {
                forward.skip(now, packet.ssrc, packet.sequence, packet.timestamp);
            }
        }
    }

    /// Somebody would get a packet of this track now.
    pub(super) fn is_listened(&self, id: TrackId) -> bool {
        self.seats.values().any(|entry| {
            let Media::Browser(browser) = &entry.media else {
                return false;
            };
            match (&browser.peer, browser.subscriptions.get(&id)) {
                (Some(peer), Some(forward)) => peer.is_open(forward.slot),
                _ => false,
            }
        })
    }

    // ── mute ──────────────────────────────────────────────────────────────────────────────────

    /// The participant turned a source off or on.
    pub(super) fn mute_by_self(&mut self, now: Instant, seat: SeatId, source: Source, muted: bool) {
        let Some(entry) = self.seats.get_mut(&seat) else {
            return;
        };
        let Some(state) = entry.sources.get_mut(&source) else {
            return;
        };
        if let Media::Browser(browser) = &mut entry.media
            && !browser.declared.contains(&source)
        {
            browser.declared.push(source);
        }
        let track = entry.published.get(&source).copied();
        let by_server = track
            .and_then(|track| self.tracks.get_mut(&track))
            .is_some_and(|track| {
                track.muted_by_self = muted;
                track.muted_by_server
            });
        let before = std::mem::replace(
            state,
            SourceState {
                muted: muted || by_server,
            },
        );
        if before.muted != (muted || by_server) {
            self.broadcast_update(seat);
        }
        self.after_mute(now, track, muted);
    }

    /// Silences a source at the server, or lets it through again. False if there is no such source.
    pub fn mute(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        source: Source,
        muted: bool,
    ) -> bool {
        let of = |entry: &&mut super::Seat| entry.joining.id == participant;
        let Some(entry) = self.seats.values_mut().find(of) else {
            return false;
        };
        let Some(track) = entry.published.get(&source).copied() else {
            return false;
        };
        let Some(state) = self.tracks.get_mut(&track) else {
            return false;
        };
        state.muted_by_server = muted;
        let is_muted = state.is_muted();
        let seat = state.seat;
        entry
            .sources
            .insert(source, SourceState { muted: is_muted });
        if muted && !entry.is_phone() {
            self.signal(seat, ServerMessage::Muted { source, by: None });
        }
        self.broadcast_update(seat);
        self.after_mute(now, Some(track), muted);
        true
    }

    fn after_mute(&mut self, now: Instant, track: Option<TrackId>, muted: bool) {
        match track {
            Some(track) if muted => self.bridge.remove(track),
            Some(track) => self.want_keyframe(now, track, None),
            None => {}
        }
        self.arrange_players(now);
    }

    // ── offers ────────────────────────────────────────────────────────────────────────────────

    /// Sends a browser the offer that is due, with who is behind each m-line.
    pub(super) fn offer(&mut self, now: Instant, seat: SeatId) {
        let Some(Media::Browser(browser)) = self.seats.get_mut(&seat).map(|seat| &mut seat.media)
        else {
            return;
        };
        let Some(peer) = &mut browser.peer else {
            return;
        };
        let Some(sdp) = peer.poll_offer(now) else {
            return;
        };
        let mut tracks = Vec::with_capacity(browser.subscriptions.len());
        for (id, forward) in &browser.subscriptions {
            if let (Some(track), Some(mid)) = (self.tracks.get(id), peer.slot_mid(forward.slot)) {
                tracks.push(TrackView {
                    mid,
                    participant_id: track.participant,
                    source: track.source,
                });
            }
        }
        take_transmits(&mut self.egress, seat, peer);
        let message = ServerMessage::Offer { sdp, tracks };
        self.outputs
            .push_back(SessionOutput::Signal { seat, message });
    }

    pub(super) fn peer(&mut self, seat: SeatId) -> Option<&mut Peer> {
        self.seats.get_mut(&seat)?.peer()
    }

    pub(super) fn flush_transmits(&mut self, seat: SeatId) {
        if let Some(peer) = self.seats.get_mut(&seat).and_then(super::Seat::peer) {
            take_transmits(&mut self.egress, seat, peer);
        }
    }
}
