//! The 20 ms tick: phones hear, phones are heard, levels are told.

use std::time::{Duration, Instant};

use super::publish::TrackPacket;
use super::waiting::waiting_sound;
use super::{LegSocket, Media, Session, rtcp_socket, take_transmits};
use crate::meeting::phone::{RTCP_BYTES_MAX, RTP_BYTES_MAX};
use crate::meeting::signal::{ServerMessage, Source};
use crate::meeting::track::SeatId;
use crate::rtp::rtcp::ntp_from_unix;

/// Meters move five times a second.
const LEVELS_EVERY_TICKS: u64 = 10;

/// The phones' voices follow once a second what browsers report of the way to them.
const LISTENERS_EVERY_TICKS: u64 = 50;

/// Those who wait too long are looked for once a second.
const WAITERS_EVERY_TICKS: u64 = 50;

/// How good its link is a browser is told every two seconds.
const QUALITY_EVERY_TICKS: u64 = 100;

/// Layers of simulcast are chosen anew five times a second, between the levels.
const AIM_EVERY_TICKS: u64 = 10;

impl Session {
    /// One step of 20 ms. `skipped` ticks before it fell out (a stall): time has passed for them
    /// too. `wallclock` is the time since the Unix epoch.
    pub fn tick(&mut self, now: Instant, wallclock: Duration, skipped: u32) {
        self.ticks += 1;
        self.chat.set_clock(now, wallclock);
        self.check_pins(now);
        if self.phones > 0 {
            if self.ticks.is_multiple_of(LISTENERS_EVERY_TICKS) {
                self.follow_listeners(now);
            }
            self.play_legs(now, skipped);
            self.feed_ears(now);
            self.send_voices(now);
            self.send_reports(now, wallclock);
        }
        self.catch_up_peers(now);
        self.request_pending_keyframes(now);
        if self.ticks.is_multiple_of(WAITERS_EVERY_TICKS) {
            self.send_away_the_forgotten(now);
        }
        if self.ticks.is_multiple_of(AIM_EVERY_TICKS) {
            self.aim_all(now);
        }
        if self.ticks.is_multiple_of(QUALITY_EVERY_TICKS) {
            self.tell_quality();
        }
        if self.ticks.is_multiple_of(LEVELS_EVERY_TICKS)
            && self.seats.len() > self.phones
            && let Some(levels) = self.speaker.report()
        {
            self.note_speakers(now, &levels);
            let nobody = SeatId(u64::MAX);
            self.broadcast(nobody, &ServerMessage::Levels { levels });
        }
    }

    /// One encoding serves all browsers: the one that loses most decides how it is protected.
    fn follow_listeners(&mut self, now: Instant) {
        let losses = self.seats.values().filter_map(|entry| match &entry.media {
            Media::Browser(browser) => Some(browser.peer.as_ref()?.downlink()?.loss),
            Media::Phone(_) => None,
        });
        let worst = losses.reduce(f32::max);
        for entry in self.seats.values_mut() {
            if let Media::Phone(leg) = &mut entry.media {
                leg.handle_listeners_loss(now, worst);
            }
        }
    }

    fn play_legs(&mut self, now: Instant, skipped: u32) {
        let mut events = Vec::new();
        for (seat, entry) in &mut self.seats {
            let Media::Phone(leg) = &mut entry.media else {
                continue;
            };
            if skipped > 0 {
                leg.skip_ticks(skipped);
            }
            let track = entry.published.get(&Source::Microphone);
            let audible = track
                .and_then(|track| self.tracks.get(track))
                .is_some_and(|track| !track.is_muted());
            events.extend(leg.play(now, audible).map(|event| (*seat, event)));
            self.speaker.heard(entry.joining.id, leg.level());
        }
        for (seat, event) in events {
            self.leg_event(seat, event);
        }
    }

    /// Mixes, and sends every phone what it hears. Always, silence too: phones hang up on no RTP.
    /// While all of them have us on hold nothing is decoded or mixed.
    fn feed_ears(&mut self, now: Instant) {
        let has_ear = self
            .seats
            .values()
            .any(|entry| matches!(&entry.media, Media::Phone(leg) if leg.has_ear()));
        if self.has_ear && !has_ear {
            self.bridge.clear();
        }
        self.has_ear = has_ear;
        let legs = self.seats.values().filter_map(|entry| match &entry.media {
            Media::Phone(leg) => Some(&**leg),
            Media::Browser(_) => None,
        });
        self.bridge.sum(now, legs);
        let tick = self.ticks;
        let mut ears = self.bridge.ears(tick);
        let mut buffer = [0; RTP_BYTES_MAX];
        for (seat, entry) in &mut self.seats {
            let Media::Phone(leg) = &mut entry.media else {
                continue;
            };
            match entry.waits {
                true => ears.hear_waiting(leg, |rate_hz, frame| {
                    waiting_sound(tick, rate_hz, frame);
                }),
                false => ears.hear(leg),
            }
            if leg.send_through_connection(now, &mut buffer) {
                if let Some(peer) = leg.peer() {
                    take_transmits(&mut self.egress, *seat, peer);
                }
                continue;
            }
            while let Some((to, length)) = leg.write_packet(&mut buffer) {
                let packet = &buffer[..length];
                self.egress.push_phone(*seat, LegSocket::Rtp, to, packet);
            }
        }
    }

    /// Encodes every phone's voice once and sends it to all browsers.
    fn send_voices(&mut self, now: Instant) {
        let mut voices = std::mem::take(&mut self.voices);
        voices.extend(
            self.seats
                .iter()
                .filter(|(_, entry)| matches!(entry.media, Media::Phone(_)))
                .filter_map(|(seat, entry)| {
                    Some((*seat, *entry.published.get(&Source::Microphone)?))
                }),
        );
        for (seat, track) in voices.drain(..) {
            let listened = self.is_listened(track);
            let Some(leg) = self.seats.get_mut(&seat).and_then(super::Seat::phone) else {
                continue;
            };
            if leg.is_passed_through() {
                continue;
            }
            let ssrc = leg.track_ssrc();
            let Some(packet) = leg.encode_voice(listened) else {
                continue;
            };
            let packet = TrackPacket {
                ssrc,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                begins: false,
                payload: &packet.payload,
            };
            self.fan_out(now, track, &packet);
        }
        self.voices = voices;
    }

    fn send_reports(&mut self, now: Instant, wallclock: Duration) {
        let ntp = ntp_from_unix(wallclock);
        let mut buffer = [0; RTCP_BYTES_MAX];
        for (seat, entry) in &mut self.seats {
            let Media::Phone(leg) = &mut entry.media else {
                continue;
            };
            if let Some((to, length)) = leg.write_report(now, ntp, &mut buffer) {
                let socket = rtcp_socket(leg);
                self.egress.push_phone(*seat, socket, to, &buffer[..length]);
            }
        }
    }

    fn catch_up_peers(&mut self, now: Instant) {
        let mut spoke = std::mem::take(&mut self.spoke);
        for (seat, entry) in &mut self.seats {
            if let Some(peer) = entry.peer()
                && peer.catch_up()
            {
                take_transmits(&mut self.egress, *seat, peer);
                spoke.push(*seat);
            }
        }
        for seat in spoke.drain(..) {
            self.drain_peer(now, seat);
        }
        self.spoke = spoke;
    }
}
