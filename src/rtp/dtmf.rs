//! Telephone events (RFC 4733): keys pressed on a phone.

use std::time::{Duration, Instant};

use super::discard::Discard;
use super::packet::Packet;

/// Silence within an event after which its lost end is assumed. RFC 4733 §2.5.2.2 lets a receiver
/// choose; senders update every 20–50 ms.
pub const DTMF_LOST_END: Duration = Duration::from_millis(200);

/// Keys of events remembered, so that reordered copies of a finished event stay silent.
const FINISHED_MAX: usize = 4;

/// Octets of one telephone-event payload.
const EVENT_BYTES: usize = 4;

/// A key as RFC 4733 numbers it (events 0–16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    Digit(char),
    /// Hook flash, event 16.
    Flash,
}

impl Key {
    /// The key of an event code; `None` for tones that are no keys.
    pub fn from_event(event: u8) -> Option<Self> {
        const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
        match event {
            0..=15 => Some(Self::Digit(char::from(DIGITS[usize::from(event)]))),
            16 => Some(Self::Flash),
            _ => None,
        }
    }

    /// The event code of a key; `None` for characters that are no keys. Lower case a–d is taken.
    pub fn to_event(self) -> Option<u8> {
        match self {
            Self::Flash => Some(16),
            Self::Digit(digit) => match digit.to_ascii_uppercase() {
                digit @ '0'..='9' => Some(digit as u8 - b'0'),
                '*' => Some(10),
                '#' => Some(11),
                letter @ 'A'..='D' => Some(letter as u8 - b'A' + 12),
                _ => None,
            },
        }
    }
}

/// What the receiver learnt from a packet or from time passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtmfEvent {
    /// A key went down. Exactly once per press, at its first packet, so a lost end delays nothing.
    Pressed(Key),
    /// The key came up, or its end was lost; `duration` as far as the sender told, in clock units.
    Released {
        /// Which key.
        key: Key,
        /// In units of the event's clock rate.
        duration: u64,
    },
}

/// One payload of telephone-event (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPayload {
    /// Event code.
    pub event: u8,
    /// E bit: the event is over.
    pub end: bool,
    /// Power level, −dBm0, 0–63.
    pub volume: u8,
    /// In clock units since the packet's timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first event of a payload.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The four octets on the wire.
    pub fn to_bytes(self) -> [u8; EVENT_BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.event,
            u8::from(self.end) << 7 | self.volume & 0x3F,
            high,
            low,
        ]
    }
}

/// Receiver of one leg's telephone events. A press is known by its SSRC and RTP timestamp.
#[derive(Debug, Clone, Default)]
pub struct DtmfReceiver {
    current: Option<Press>,
    finished: [Option<PressId>; FINISHED_MAX],
    finished_next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PressId {
    ssrc: u32,
    timestamp: u32,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    id: PressId,
    event: u8,
    key: Key,
    duration: u16,
    /// Duration of earlier segments of a long press (RFC 4733 §2.5.1.3).
    earlier: u64,
    heard_at: Instant,
}

impl DtmfReceiver {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one packet of the agreed telephone-event payload type.
    ///
    /// A new press while another is open means that the old one's end was lost: the old one is
    /// closed silently, and `Pressed` of the new one is returned.
    ///
    /// # Errors
    /// [`Discard::BadPayload`] if it is too short, [`Discard::NotVoice`] for an event that is no
    /// key, [`Discard::Duplicate`] for a copy or a late part of a finished press.
    pub fn handle_packet(
        &mut self,
        arrival: Instant,
        packet: &Packet<'_>,
    ) -> Result<Option<DtmfEvent>, Discard> {
        let payload = EventPayload::parse(packet.payload).ok_or(Discard::BadPayload)?;
        let key = Key::from_event(payload.event).ok_or(Discard::NotVoice)?;
        let id = PressId {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
        };
        if self.finished.contains(&Some(id)) {
            return Err(Discard::Duplicate);
        }
        match self.current {
            Some(press) if press.id == id && press.event == payload.event => {
                Ok(self.update(arrival, payload))
            }
            Some(press) if press.goes_on_in(id, payload.event) => {
                self.finish(press.id);
                self.current = Some(Press {
                    id,
                    earlier: press.earlier + u64::from(press.duration),
                    duration: 0,
                    ..press
                });
                Ok(self.update(arrival, payload))
            }
            other => {
                if let Some(press) = other {
                    if is_older(id, press.id) {
                        return Err(Discard::Duplicate);
                    }
                    self.finish(press.id);
                }
                self.current = Some(Press {
                    id,
                    event: payload.event,
                    key,
                    duration: payload.duration,
                    earlier: 0,
                    heard_at: arrival,
                });
                if payload.end {
                    self.current = None;
                    self.finish(id);
                }
                Ok(Some(DtmfEvent::Pressed(key)))
            }
        }
    }

    /// Closes a press whose end was lost. To be asked at every tick.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<DtmfEvent> {
        let press = self.current?;
        if now.saturating_duration_since(press.heard_at) < DTMF_LOST_END {
            return None;
        }
        self.current = None;
        self.finish(press.id);
        Some(press.released())
    }

    fn update(&mut self, arrival: Instant, payload: EventPayload) -> Option<DtmfEvent> {
        let press = self.current.as_mut()?;
        press.heard_at = arrival;
        press.duration = press.duration.max(payload.duration);
        if !payload.end {
            return None;
        }
        let press = *press;
        self.current = None;
        self.finish(press.id);
        Some(press.released())
    }

    fn finish(&mut self, id: PressId) {
        self.finished[self.finished_next] = Some(id);
        self.finished_next = (self.finished_next + 1) % FINISHED_MAX;
    }
}

impl Press {
    /// A press longer than 0xFFFF units goes on in a segment that starts where this one ended.
    fn goes_on_in(&self, id: PressId, event: u8) -> bool {
        let segment = id.timestamp.wrapping_sub(self.id.timestamp);
        event == self.event
            && id.ssrc == self.id.ssrc
            && self.duration > 0xF000
            && (0xF000..=0x1_0000).contains(&segment)
    }

    fn released(&self) -> DtmfEvent {
        DtmfEvent::Released {
            key: self.key,
            duration: self.earlier + u64::from(self.duration),
        }
    }
}

fn is_older(id: PressId, than: PressId) -> bool {
    id.ssrc == than.ssrc && than.timestamp.wrapping_sub(id.timestamp) < 0x8000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line {
        receiver: DtmfReceiver,
        now: Instant,
        heard: Vec<DtmfEvent>,
    }

    impl Line {
        fn new() -> Self {
            Self {
                receiver: DtmfReceiver::new(),
                now: Instant::now(),
                heard: Vec::new(),
            }
        }

        fn send(&mut self, timestamp: u32, event: u8, duration: u16, end: bool) {
            self.now += Duration::from_millis(20);
            self.heard.extend(self.receiver.handle_timeout(self.now));
            let payload = EventPayload {
                event,
                end,
                volume: 10,
                duration,
            }
            .to_bytes();
            let packet = Packet {
                sequence: 0,
                timestamp,
                ssrc: 5,
                marker: false,
                payload_type: 101,
                payload: &payload,
            };
            let result = self.receiver.handle_packet(self.now, &packet);
            self.heard.extend(result.ok().flatten());
        }

        fn keys(&self) -> String {
            self.heard
                .iter()
                .filter_map(|event| match event {
                    DtmfEvent::Pressed(Key::Digit(digit)) => Some(*digit),
                    DtmfEvent::Pressed(Key::Flash) => Some('!'),
                    DtmfEvent::Released { .. } => None,
                })
                .collect()
        }
    }

    /// One press as senders make it: updates, then the end three times.
    fn press(event: u8, timestamp: u32) -> Vec<(u32, u8, u16, bool)> {
        let updates = (1..=5).map(|n| (timestamp, event, n * 160, false));
        let ends = (0..3).map(|_| (timestamp, event, 960, true));
        updates.chain(ends).collect()
    }

    #[test]
    fn every_key_is_reported_once_and_released_once() {
        let mut line = Line::new();
        for event in 0..=16 {
            for (timestamp, event, duration, end) in press(event, u32::from(event) * 4_000) {
                line.send(timestamp, event, duration, end);
            }
        }
        assert_eq!(line.keys(), "0123456789*#ABCD!");
        assert_eq!(line.heard.len(), 34);
    }

    #[test]
    fn any_single_packet_of_a_press_is_enough() {
        for survivor in 0..8 {
            let mut line = Line::new();
            let (timestamp, event, duration, end) = press(7, 1_000)[survivor];
            line.send(timestamp, event, duration, end);
            assert_eq!(line.keys(), "7", "packet {survivor} alone");
        }
    }

    #[test]
    fn a_lost_end_is_assumed_after_silence_and_the_same_key_again_is_a_new_press() {
        let mut line = Line::new();
        for start in [0, 8_000] {
            for (timestamp, event, duration, _) in press(9, start).into_iter().take(5) {
                line.send(timestamp, event, duration, false);
            }
            line.now += DTMF_LOST_END;
        }
        assert_eq!(line.keys(), "99");
        assert!(line.heard.contains(&DtmfEvent::Released {
            key: Key::Digit('9'),
            duration: 800
        }));
    }

    #[test]
    fn a_fast_second_press_with_the_first_ones_end_lost_is_heard() {
        let mut line = Line::new();
        line.send(0, 1, 160, false);
        line.send(640, 1, 160, false);
        line.send(1_280, 2, 160, false);
        assert_eq!(line.keys(), "112");
    }

    #[test]
    fn late_and_reordered_copies_of_a_press_stay_silent() {
        let mut line = Line::new();
        for (timestamp, event, duration, end) in press(3, 0) {
            line.send(timestamp, event, duration, end);
        }
        line.send(8_000, 4, 160, false);
        line.send(0, 3, 320, false);
        line.send(8_000, 4, 320, true);
        line.send(8_000, 4, 160, false);
        assert_eq!(line.keys(), "34");
    }

    #[test]
    fn a_press_longer_than_the_duration_field_is_one_press() {
        let mut line = Line::new();
        for step in 1..=409u32 {
            line.send(0, 5, (step * 160) as u16, false);
        }
        line.send(0, 5, 0xFFFF, false);
        for step in 1..=10u16 {
            line.send(0xFFFF, 5, step * 160, step == 10);
        }
        assert_eq!(line.keys(), "5");
        assert!(line.heard.contains(&DtmfEvent::Released {
            key: Key::Digit('5'),
            duration: 0xFFFF + 1_600
        }));
    }

    #[test]
    fn short_payloads_and_other_tones_are_discarded() {
        let mut receiver = DtmfReceiver::new();
        let mut packet = Packet {
            sequence: 0,
            timestamp: 0,
            ssrc: 1,
            marker: true,
            payload_type: 101,
            payload: &[1, 0, 0],
        };
        let now = Instant::now();
        assert_eq!(
            receiver.handle_packet(now, &packet),
            Err(Discard::BadPayload)
        );
        packet.payload = &[66, 0, 0, 1];
        assert_eq!(receiver.handle_packet(now, &packet), Err(Discard::NotVoice));
    }
}
