//! What participants may do to others, by their presets.

use std::time::Instant;

use super::{Seat, Session};
use crate::id::ParticipantId;
use crate::meeting::preset::{CanProduce, HostRights};
use crate::meeting::signal::{ProduceRequest, ServerMessage, Source};
use crate::meeting::track::SeatId;

impl Session {
    /// True if the seat's preset grants it; else it has been told.
    fn is_host(&mut self, seat: SeatId, may: impl Fn(&HostRights) -> bool) -> bool {
        let rights = |entry: &Seat| may(&entry.joining.preset.host);
        let allowed = self.seats.get(&seat).is_some_and(rights);
        if !allowed {
            self.refuse(seat, "not_allowed", "Your preset does not let you do this.");
        }
        allowed
    }

    fn complain_of_nobody(&mut self, seat: SeatId) {
        self.refuse(seat, "unknown_participant", "Nobody named is there.");
    }

    pub(super) fn kick_by(&mut self, now: Instant, seat: SeatId, whom: &[ParticipantId]) {
        if self.is_host(seat, |host| host.kick) && self.kick(now, whom) == 0 {
            self.complain_of_nobody(seat);
        }
    }

    pub(super) fn admit_by(&mut self, now: Instant, seat: SeatId, whom: &[ParticipantId]) {
        if self.is_host(seat, |host| host.accept_waiting) && self.admit(now, whom) == 0 {
            self.complain_of_nobody(seat);
        }
    }

    pub(super) fn deny_by(&mut self, now: Instant, seat: SeatId, whom: &[ParticipantId]) {
        if self.is_host(seat, |host| host.accept_waiting) && self.deny(now, whom) == 0 {
            self.complain_of_nobody(seat);
        }
    }

    pub(super) fn mute_by(
        &mut self,
        now: Instant,
        seat: SeatId,
        whom: ParticipantId,
        source: Source,
        muted: bool,
    ) {
        let may = |host: &HostRights| match source {
            Source::Microphone => host.mute_audio,
            Source::Camera => host.mute_video,
            Source::Screen => host.mute_screenshare,
        };
        if !self.is_host(seat, may) {
            return;
        }
        let Some(by) = self.seats.get(&seat).map(|entry| entry.joining.id) else {
            return;
        };
        let of = |(_, entry): &(&SeatId, &Seat)| entry.joining.id == whom && !entry.waits;
        match self.seats.iter().find(of).map(|(seat, _)| *seat) {
            Some(other) => self.mute_seat(now, other, source, muted, by),
            None => self.complain_of_nobody(seat),
        }
    }

    pub(super) fn mute_all_by(&mut self, now: Instant, seat: SeatId) {
        if !self.is_host(seat, |host| host.mute_audio) {
            return;
        }
        let Some(by) = self.seats.get(&seat).map(|entry| entry.joining.id) else {
            return;
        };
        let others = |(other, entry): &(&SeatId, &Seat)| **other != seat && !entry.waits;
        let others: Vec<SeatId> = self.seats.iter().filter(others).map(|(s, _)| *s).collect();
        for other in others {
            self.mute_seat(now, other, Source::Microphone, true, by);
        }
    }

    /// A browser is muted as if by itself, and told; it may turn the source on again. A phone
    /// cannot, so its mute is the server's until lifted.
    fn mute_seat(
        &mut self,
        now: Instant,
        seat: SeatId,
        source: Source,
        muted: bool,
        by: ParticipantId,
    ) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        if entry.is_phone() {
            self.mute(now, entry.joining.id, source, muted);
            return;
        }
        // Nobody turns on somebody else's microphone.
        if muted && entry.sources.get(&source).is_some_and(|state| !state.muted) {
            self.mute_by_self(now, seat, source, true);
            let by = Some(by);
            self.signal(seat, ServerMessage::Muted { source, by });
        }
    }

    // ── what may be sent on request ───────────────────────────────────────────────────────────

    pub(super) fn request_produce(&mut self, seat: SeatId, source: Source) {
        let Some(entry) = self.seats.get_mut(&seat) else {
            return;
        };
        match entry.can_produce(source) {
            CanProduce::CanRequest => {
                if entry.requests.insert(source) {
                    self.tell_requests();
                }
            }
            CanProduce::Allowed => self.tell_permissions(seat),
            CanProduce::NotAllowed => {
                self.refuse(
                    seat,
                    "not_allowed",
                    "Your preset does not let you send this.",
                );
            }
        }
    }

    pub(super) fn grant_produce(
        &mut self,
        now: Instant,
        seat: SeatId,
        whom: ParticipantId,
        source: Source,
        allowed: bool,
    ) {
        if !self.is_host(seat, |host| host.accept_production) {
            return;
        }
        let of = |(_, entry): &(&SeatId, &mut Seat)| entry.joining.id == whom && !entry.waits;
        let Some((other, entry)) = self.seats.iter_mut().find(of) else {
            return self.complain_of_nobody(seat);
        };
        let other = *other;
        let asked = entry.requests.remove(&source);
        let grantable =
            entry.granted.contains(&source) || entry.can_produce(source) == CanProduce::CanRequest;
        if grantable && allowed {
            entry.granted.insert(source);
        } else {
            entry.granted.remove(&source);
        }
        if grantable {
            self.apply_rights(now, other);
        } else if allowed {
            let why = "The participant's preset does not let it ask for this.";
            self.refuse(seat, "not_allowed", why);
        }
        if asked {
            self.tell_requests();
        }
    }

    pub(super) fn produce_requests(&self) -> Vec<ProduceRequest> {
        let of = |entry: &Seat| -> Vec<ProduceRequest> {
            let request = |source: &Source| ProduceRequest {
                participant_id: entry.joining.id,
                name: entry.joining.name.clone(),
                source: *source,
            };
            entry.requests.iter().map(request).collect()
        };
        self.inside().flat_map(of).collect()
    }

    pub(super) fn tell_requests(&mut self) {
        let requests = self.produce_requests();
        for seat in self.hosts(|host| host.accept_production) {
            let requests = requests.clone();
            self.signal(seat, ServerMessage::ProduceRequests { requests });
        }
    }
}
