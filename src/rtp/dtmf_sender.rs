//! Keys sent to a phone as telephone events (RFC 4733 §2.5.1).

use std::collections::VecDeque;
use std::time::Duration;

use super::dtmf::{EventPayload, Key};
use super::egress::EgressStream;
use crate::limits::DTMF_KEYS_WAITING_MAX;

/// Shortest press that every receiver notices, and the longest whose duration fits one event at
/// 48 kHz.
const PRESS: (Duration, Duration) = (Duration::from_millis(60), Duration::from_secs(1));

/// Voice between two keys.
const PAUSE: Duration = Duration::from_millis(60);

/// The end is sent this often, since it may be lost (RFC 4733 §2.5.1.4).
const ENDS: u32 = 3;

/// −dBm0 of the tone, for those who make one of it.
const VOLUME: u8 = 10;

/// No room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many keys waiting")]
pub struct KeysWaiting;

/// Sends keys on one egress stream, packet by packet, in place of voice.
#[derive(Debug)]
pub struct DtmfSender {
    payload_type: u8,
    /// Length of a packet, in timestamp units and in time.
    units_per_packet: u32,
    packet: Duration,
    waiting: VecDeque<(u8, u32)>,
    current: Option<Press>,
    pause_left: u32,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    event: u8,
    timestamp: u32,
    /// In timestamp units.
    wanted: u32,
    sent: u32,
    ends_sent: u32,
}

impl DtmfSender {
    /// `payload_type` as the phone's SDP names it; `packet` is the length of the stream's packets,
    /// and `units_per_packet` the same in units of its clock.
    pub fn new(payload_type: u8, units_per_packet: u32, packet: Duration) -> Self {
        Self {
            payload_type,
            units_per_packet,
            packet,
            waiting: VecDeque::with_capacity(DTMF_KEYS_WAITING_MAX),
            current: None,
            pause_left: 0,
        }
    }

    /// Queues a key; its length is held within 60 ms to 1 s.
    ///
    /// # Errors
    /// Too many are waiting: the caller may try again later.
    pub fn press(&mut self, key: Key, length: Duration) -> Result<(), KeysWaiting> {
        let Some(event) = key.to_event() else {
            return Ok(());
        };
        if self.waiting.len() >= DTMF_KEYS_WAITING_MAX {
            return Err(KeysWaiting);
        }
        let packets = packets(length.clamp(PRESS.0, PRESS.1), self.packet);
        let wanted = packets * self.units_per_packet;
        self.waiting.push_back((event, wanted));
        Ok(())
    }

    /// Keys it would still take.
    pub fn room(&self) -> usize {
        DTMF_KEYS_WAITING_MAX - self.waiting.len()
    }

    /// Is anything being sent or waiting?
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Writes an event packet into `buffer` and lets its time pass on `stream`. `None`: there is
    /// none, and voice is to be sent as usual.
    pub fn write(&mut self, stream: &mut EgressStream, buffer: &mut [u8]) -> Option<usize> {
        if self.current.is_none() {
            if self.pause_left > 0 {
                self.pause_left -= 1;
                return None;
            }
            let (event, wanted) = self.waiting.pop_front()?;
            self.current = Some(Press {
                event,
                timestamp: stream.timestamp(),
                wanted,
                sent: 0,
                ends_sent: 0,
            });
        }
        let press = self.current.as_mut()?;
        let begins = press.sent == 0;
        press.sent = (press.sent + self.units_per_packet).min(press.wanted);
        let end = press.sent == press.wanted;
        press.ends_sent += u32::from(end);
        let payload = EventPayload {
            event: press.event,
            end,
            volume: VOLUME,
            duration: press.sent.min(0xFFFF) as u16,
        };
        let (timestamp, over) = (press.timestamp, press.ends_sent == ENDS);
        if over {
            self.current = None;
            self.pause_left = packets(PAUSE, self.packet);
        }
        let bytes = payload.to_bytes();
        let written = stream.write_event(self.payload_type, timestamp, begins, &bytes, buffer);
        stream.skip_packet();
        written
    }
}

/// Whole packets that last at least so long.
fn packets(length: Duration, packet: Duration) -> u32 {
    let packet = packet.as_millis().max(1);
    length.as_millis().div_ceil(packet) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::rtp::dtmf::{DtmfEvent, DtmfReceiver};
    use crate::rtp::packet::Packet;

    /// Sends `keys`; the receiver hears all packets but those that `lost` names.
    fn heard(keys: &str, lost: impl Fn(usize) -> bool) -> String {
        let mut stream = EgressStream::new(4, 65_530, u32::MAX - 500, 0, 160);
        let mut sender = DtmfSender::new(101, 160, Duration::from_millis(20));
        for key in keys.chars() {
            let length = Duration::from_millis(100);
            sender.press(Key::Digit(key), length).unwrap();
        }
        let mut receiver = DtmfReceiver::new();
        let mut heard = String::new();
        let start = Instant::now();
        let mut buffer = [0u8; 200];
        for tick in 0.. {
            if sender.is_idle() {
                break;
            }
            let now = start + Duration::from_millis(20 * tick as u64);
            receiver.handle_timeout(now);
            let Some(length) = sender.write(&mut stream, &mut buffer) else {
                stream.write(&[0xFF; 160], &mut buffer).unwrap();
                continue;
            };
            let packet = Packet::parse(&buffer[..length]).unwrap();
            assert_eq!(packet.payload_type, 101);
            if lost(tick) {
                continue;
            }
            let event = receiver.handle_packet(now, &packet).ok().flatten();
            if let Some(DtmfEvent::Pressed(Key::Digit(digit))) = event {
                heard.push(digit);
            }
        }
        heard
    }

    #[test]
    fn what_is_sent_is_heard_once_each() {
        let keys = "0123456789*#ABCD";
        assert_eq!(heard(keys, |_| false), keys);
        assert_eq!(heard("1111", |_| false), "1111");
    }

    #[test]
    fn every_second_packet_may_be_lost_and_bursts_of_four() {
        let keys = "5508*#";
        for phase in 0..2 {
            assert_eq!(heard(keys, |tick| tick % 2 == phase), keys);
        }
        for phase in 0..9 {
            assert_eq!(heard(keys, |tick| (tick + phase) % 9 < 4), keys, "{phase}");
        }
    }

    #[test]
    fn a_flood_of_keys_is_refused_at_the_bound() {
        let mut sender = DtmfSender::new(101, 160, Duration::from_millis(20));
        let mut press = || sender.press(Key::Digit('1'), Duration::ZERO);
        assert_eq!(
            (0..DTMF_KEYS_WAITING_MAX)
                .filter_map(|_| press().ok())
                .count(),
            DTMF_KEYS_WAITING_MAX
        );
        assert_eq!(press(), Err(KeysWaiting));
    }
}
