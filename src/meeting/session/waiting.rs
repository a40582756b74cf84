//! The waiting room: who waits, who lets them in, and what a phone hears meanwhile.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Media, Seat, Session};
use crate::audio::tone::ToneGenerator;
use crate::id::ParticipantId;
use crate::limits::{
    ADMITTED_REMEMBERED_MAX, PIN_ATTEMPTS_MAX, PIN_KEYS_WAITING_MAX, WAITING_TIME_MAX,
};
use crate::meeting::preset::WaitingRoom;
use crate::meeting::signal::{ByeReason, ParticipantView, ServerMessage};
use crate::meeting::track::SeatId;

/// A waiting phone hears a soft beep this often, so that its caller knows the line is alive.
const BEEP_EVERY_TICKS: u64 = 200;

/// Length of the beep: 200 ms.
const BEEP_TICKS: u64 = 10;

/// Nine whole periods in each 20 ms frame, so that frames join without a click.
const BEEP_HZ: f64 = 450.0;

/// About −27 dBov.
const BEEP_AMPLITUDE: f64 = 0.06;

/// Who was let in once.
#[derive(Default)]
pub(super) struct Admitted(VecDeque<ParticipantId>);

impl Admitted {
    fn remember(&mut self, participant: ParticipantId) {
        self.forget(participant);
        if self.0.len() >= ADMITTED_REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(participant);
    }

    pub fn forget(&mut self, participant: ParticipantId) {
        self.0.retain(|other| *other != participant);
    }
}

/// What a waiting phone hears in this tick: a beep, then a while nothing, which leaves `frame` as
/// it is.
pub(super) fn waiting_sound(ticks: u64, rate_hz: u32, frame: &mut [i16]) {
    if ticks % BEEP_EVERY_TICKS < BEEP_TICKS {
        ToneGenerator::new(rate_hz, BEEP_HZ, BEEP_AMPLITUDE).generate(frame);
    }
}

impl Session {
    pub(super) fn must_wait(&self, entry: &Seat) -> bool {
        let preset = &entry.joining.preset;
        if entry.joining.pin.is_some() {
            return true;
        }
        if preset.host.accept_waiting || self.admitted.0.contains(&entry.joining.id) {
            return false;
        }
        match preset.waiting_room {
            WaitingRoom::Skip => false,
            WaitingRoom::OnPrivilegedUserEntry => !self.has_doorkeeper(),
            WaitingRoom::SkipOnAccept => true,
        }
    }

    fn has_doorkeeper(&self) -> bool {
        self.inside()
            .any(|entry| entry.joining.preset.host.accept_waiting)
    }

    pub(super) fn let_wait(&mut self, seat: SeatId, mut entry: Seat) {
        entry.waits = true;
        if !entry.is_phone() {
            let message = ServerMessage::Waiting {
                title: self.name.title.clone(),
                participant: entry.view(),
            };
            self.signal(seat, message);
        }
        self.seats.insert(seat, entry);
        self.tell_waiting();
    }

    /// Who waits, in order of coming.
    pub(super) fn waiting(&self) -> Vec<ParticipantView> {
        let waits = |entry: &&Seat| entry.waits;
        self.seats.values().filter(waits).map(Seat::view).collect()
    }

    /// Tells those who may let people in who waits.
    pub(super) fn tell_waiting(&mut self) {
        let participants = self.waiting();
        for seat in self.hosts(|host| host.accept_waiting) {
            let participants = participants.clone();
            self.signal(seat, ServerMessage::WaitingList { participants });
        }
    }

    /// Somebody has come in: if it may let people in, those who waited for that follow.
    pub(super) fn greet_host(&mut self, now: Instant, seat: SeatId) {
        let Some(entry) = self.seats.get(&seat) else {
            return;
        };
        let host = entry.joining.preset.host;
        if host.accept_waiting {
            let automatic = |entry: &Seat| {
                entry.joining.preset.waiting_room == WaitingRoom::OnPrivilegedUserEntry
                    && entry.joining.pin.is_none()
            };
            self.admit_where(now, automatic);
            if self.seats.values().any(|entry| entry.waits) {
                let participants = self.waiting();
                self.signal(seat, ServerMessage::WaitingList { participants });
            }
        }
        if host.accept_production {
            let requests = self.produce_requests();
            if !requests.is_empty() {
                self.signal(seat, ServerMessage::ProduceRequests { requests });
            }
        }
    }

    /// Lets in those of `participants` who wait; how many did.
    pub fn admit(&mut self, now: Instant, participants: &[ParticipantId]) -> usize {
        let admitted = self.admit_where(now, |entry| participants.contains(&entry.joining.id));
        if admitted > 0 {
            self.tell_waiting();
        }
        admitted
    }

    /// Sends away those of `participants` who wait; how many did.
    pub fn deny(&mut self, now: Instant, participants: &[ParticipantId]) -> usize {
        let chosen = self.waiters(|entry| participants.contains(&entry.joining.id));
        for seat in &chosen {
            self.remove(now, *seat, ByeReason::Denied);
        }
        chosen.len()
    }

    pub(super) fn admit_where(&mut self, now: Instant, who: impl Fn(&Seat) -> bool) -> usize {
        let chosen = self.waiters(who);
        for seat in &chosen {
            if let Some(mut entry) = self.seats.remove(seat) {
                entry.waits = false;
                self.admitted.remember(entry.joining.id);
                self.walk_in(now, *seat, entry);
            }
        }
        chosen.len()
    }

    /// Keeps a key that a phone has pressed for its PIN until the next tick; false: it is none.
    pub(super) fn take_pin_key(&mut self, seat: SeatId, digit: char) -> bool {
        let wanted = |entry: &Seat| entry.waits && entry.joining.pin.is_some();
        let for_pin = self.seats.get(&seat).is_some_and(wanted);
        if for_pin && self.pin_keys.len() < PIN_KEYS_WAITING_MAX {
            self.pin_keys.push_back((seat, digit));
        }
        for_pin
    }

    pub(super) fn check_pins(&mut self, now: Instant) {
        while let Some((seat, digit)) = self.pin_keys.pop_front() {
            self.press_pin(now, seat, digit);
        }
    }

    /// A waiting phone has pressed a key. Its PIN, with or without `#`, lets it in; `*` begins
    /// anew; too many wrong ones, and it is sent away.
    fn press_pin(&mut self, now: Instant, seat: SeatId, digit: char) {
        let Some(entry) = self.seats.get_mut(&seat).filter(|entry| entry.waits) else {
            return;
        };
        let Some(pin) = entry.joining.pin.clone() else {
            return;
        };
        match digit {
            '*' => return entry.typed.clear(),
            '#' => {}
            digit => entry.typed.push(digit),
        }
        let complete = entry.typed.len() >= pin.len() || digit == '#' && !entry.typed.is_empty();
        if !complete {
            return;
        }
        let typed = std::mem::take(&mut entry.typed);
        if typed == pin {
            // What its preset says about waiting still holds.
            entry.joining.pin = None;
            let id = entry.joining.id;
            let entry = &self.seats[&seat];
            if !self.must_wait(entry) {
                self.admit(now, &[id]);
            }
            return;
        }
        entry.wrong_pins += 1;
        if entry.wrong_pins >= PIN_ATTEMPTS_MAX {
            self.remove(now, seat, ByeReason::Denied);
        }
    }

    /// Nobody waits for ever.
    pub(super) fn send_away_the_forgotten(&mut self, now: Instant) {
        let waited = |since| now.saturating_duration_since(since) >= WAITING_TIME_MAX;
        for seat in self.waiters(|entry| waited(entry.since)) {
            self.remove(now, seat, ByeReason::Denied);
        }
    }

    fn waiters(&self, who: impl Fn(&Seat) -> bool) -> Vec<SeatId> {
        self.seats
            .iter()
            .filter(|(_, entry)| entry.waits && who(entry))
            .map(|(seat, _)| *seat)
            .collect()
    }

    /// Browsers inside whose holders may do this.
    pub(super) fn hosts(
        &self,
        may: impl Fn(&crate::meeting::preset::HostRights) -> bool,
    ) -> Vec<SeatId> {
        self.seats
            .iter()
            .filter(|(_, entry)| !entry.waits && matches!(entry.media, Media::Browser(_)))
            .filter(|(_, entry)| may(&entry.joining.preset.host))
            .map(|(seat, _)| *seat)
            .collect()
    }
}
