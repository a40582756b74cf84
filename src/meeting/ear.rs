//! The way to a phone's ear: codec octets gathered to packets of its ptime, stamped, with keys in
//! between.

use std::time::Duration;

use crate::audio::frame::TICK;
use crate::meeting::leg::{LegMedia, PhoneCodec};
use crate::rtp::dtmf::Key;
use crate::rtp::dtmf_sender::{DtmfSender, KeysWaiting};
use crate::rtp::egress::EgressStream;

/// Room for 60 ms of 64 kbit/s and what a tick adds, and for the longest Opus packet.
const GATHERED_BYTES_MAX: usize = 1_400;

/// How long keys that the meeting sends are pressed.
const KEY_PRESS: Duration = Duration::from_millis(160);

/// Why a key was not sent to a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The phone takes no telephone-event.
    #[error("the phone takes no telephone-event")]
    NotAgreed,
    /// Too many are waiting.
    #[error(transparent)]
    Waiting(#[from] KeysWaiting),
}

/// See the module.
pub(super) struct Ear {
    stream: EgressStream,
    keys: Option<DtmfSender>,
    gathered: Vec<u8>,
    format: Format,
    /// Opus: what is gathered is a packet.
    complete: bool,
}

/// Of the packets sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    codec: PhoneCodec,
    payload_type: u8,
    keys_payload_type: Option<u8>,
    ptime: Duration,
}

impl Format {
    fn of(media: &LegMedia) -> Self {
        Self {
            codec: media.codec,
            payload_type: media.send_payload_type,
            keys_payload_type: media.dtmf_send_payload_type,
            ptime: media.ptime,
        }
    }

    /// RTP clock units of so much time.
    fn units(self, time: Duration) -> u32 {
        self.codec.clock_rate_hz() / 1_000 * time.as_millis() as u32
    }

    fn keys(self) -> Option<DtmfSender> {
        let payload_type = self.keys_payload_type?;
        Some(DtmfSender::new(
            payload_type,
            self.units(self.ptime),
            self.ptime,
        ))
    }
}

impl Ear {
    /// A stream that begins at these random numbers.
    pub(super) fn new(media: &LegMedia, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        let format = Format::of(media);
        let units = format.units(format.ptime);
        Self {
            stream: EgressStream::new(ssrc, sequence, timestamp, format.payload_type, units),
            keys: format.keys(),
            gathered: Vec::with_capacity(GATHERED_BYTES_MAX),
            format,
            complete: false,
        }
    }

    /// A later offer/answer exchange; sequence and timeline go on.
    pub(super) fn update(&mut self, media: &LegMedia) {
        let format = Format::of(media);
        if format == self.format {
            return;
        }
        if format.codec != self.format.codec {
            self.gathered.clear();
            self.complete = false;
        }
        self.keys = format.keys();
        let units = format.units(format.ptime);
        self.stream.set_format(format.payload_type, units);
        self.format = format;
    }

    /// What is stamped on its packets.
    pub(super) fn stream(&self) -> &EgressStream {
        &self.stream
    }

    /// Takes a tick of G.711 or G.722, or a packet of Opus.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        if self.format.codec == PhoneCodec::Opus {
            self.gathered.clear();
            self.complete = true;
        }
        let room = GATHERED_BYTES_MAX - self.gathered.len();
        self.gathered
            .extend_from_slice(&octets[..octets.len().min(room)]);
    }

    /// Writes a packet that is full to the start of `buffer` and returns its length; `None` when
    /// none is. To be called until then: a ptime below 20 ms makes several per tick.
    pub(super) fn write_packet(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let length = self.packet_octets()?;
        let key = self
            .keys
            .as_mut()
            .and_then(|keys| keys.write(&mut self.stream, buffer));
        let written = key.or_else(|| self.stream.write(&self.gathered[..length], buffer));
        self.consume(length);
        written
    }

    /// Lets the time of the packets that are full pass unsent: the phone does not listen.
    pub(super) fn skip_packets(&mut self) {
        while let Some(length) = self.packet_octets() {
            self.stream.skip_packet();
            self.consume(length);
        }
    }

    /// `ticks` were skipped after a stall.
    pub(super) fn skip_ticks(&mut self, ticks: u32) {
        let units = self.format.units(TICK);
        self.stream.skip_units(units.wrapping_mul(ticks));
    }

    /// Sends keys to the phone after those already waiting: all of them, or none.
    pub(super) fn press(&mut self, keys: &[Key]) -> Result<(), KeyError> {
        let sender = self.keys.as_mut().ok_or(KeyError::NotAgreed)?;
        if keys.len() > sender.room() {
            return Err(KeysWaiting.into());
        }
        for key in keys {
            sender.press(*key, KEY_PRESS)?;
        }
        Ok(())
    }

    /// Octets of the packet at the front, if it is full.
    fn packet_octets(&self) -> Option<usize> {
        if self.format.codec == PhoneCodec::Opus {
            return self.complete.then_some(self.gathered.len());
        }
        // 64 kbit/s: eight octets a millisecond.
        let octets = self.format.ptime.as_millis() as usize * 8;
        (self.gathered.len() >= octets).then_some(octets)
    }

    fn consume(&mut self, octets: usize) {
        self.gathered.drain(..octets);
        self.complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DTMF_KEYS_WAITING_MAX;
    use crate::meeting::leg::{LegTaste, OpusFormat};
    use crate::rtp::dtmf::{DtmfEvent, DtmfReceiver};
    use crate::rtp::packet::Packet;
    use std::time::Instant;

    fn media(codec: PhoneCodec, ptime_ms: u64) -> LegMedia {
        let address = "192.0.2.1:4000".parse().unwrap();
        LegMedia {
            codec,
            opus: OpusFormat::default(),
            taste: LegTaste::default(),
            webrtc_offer: None,
            receive_payload_type: 0,
            send_payload_type: 0,
            dtmf_payload_type: Some(101),
            dtmf_send_payload_type: Some(101),
            ptime: Duration::from_millis(ptime_ms),
            remote_rtp: address,
            remote_rtcp: address,
            rtcp_mux: false,
            srtp: None,
            may_send: true,
            may_receive: true,
        }
    }

    /// Packets of `ticks` ticks, whose octets count up: (tick, timestamp, payload).
    fn packets(ear: &mut Ear, ticks: usize) -> Vec<(usize, u32, Vec<u8>)> {
        let mut packets = Vec::new();
        let mut next = 0u8;
        let mut buffer = [0; GATHERED_BYTES_MAX + 100];
        for tick in 0..ticks {
            let octets: [u8; 160] = std::array::from_fn(|_| {
                next = next.wrapping_add(1);
                next
            });
            ear.feed(&octets);
            while let Some(length) = ear.write_packet(&mut buffer) {
                let packet = Packet::parse(&buffer[..length]).unwrap();
                packets.push((tick, packet.timestamp, packet.payload.to_vec()));
            }
        }
        packets
    }

    #[test]
    fn every_ptime_carries_every_octet_in_order_on_a_timeline_without_holes() {
        for ptime_ms in [10, 20, 30, 40, 60] {
            let mut ear = Ear::new(
                &media(PhoneCodec::Pcmu, ptime_ms),
                1,
                65_535,
                u32::MAX - 300,
            );
            let sent = packets(&mut ear, 60);
            assert_eq!(sent.len() as u64, 1_200 / ptime_ms, "{ptime_ms} ms");
            let octets = ptime_ms as usize * 8;
            let mut next = 0u8;
            for (index, (tick, timestamp, payload)) in sent.iter().enumerate() {
                let expected = (u32::MAX - 300).wrapping_add((index * octets) as u32);
                assert_eq!((*timestamp, payload.len()), (expected, octets));
                // Never later than the tick that completes it.
                assert_eq!(*tick, ((index + 1) * octets).div_ceil(160) - 1);
                for octet in payload {
                    next = next.wrapping_add(1);
                    assert_eq!(*octet, next);
                }
            }
        }
    }

    #[test]
    fn ptime_may_change_in_mid_call_without_losing_an_octet() {
        let mut ear = Ear::new(&media(PhoneCodec::G722, 30), 1, 0, 0);
        let before: usize = packets(&mut ear, 2)
            .iter()
            .map(|packet| packet.2.len())
            .sum();
        ear.update(&media(PhoneCodec::G722, 10));
        let after = packets(&mut ear, 2);
        let sum: usize = after.iter().map(|packet| packet.2.len()).sum();
        assert_eq!(before + sum, 4 * 160);
        assert!(after.iter().all(|packet| packet.2.len() == 80));
    }

    #[test]
    fn keys_take_the_place_of_voice_at_every_ptime_and_clock_and_are_heard_once() {
        for (codec, ptime_ms) in [
            (PhoneCodec::Pcma, 10),
            (PhoneCodec::Pcmu, 20),
            (PhoneCodec::G722, 30),
            (PhoneCodec::Pcmu, 60),
            (PhoneCodec::Opus, 20),
        ] {
            let mut ear = Ear::new(&media(codec, ptime_ms), 1, 0, 0);
            ear.press(&"12#".chars().map(Key::Digit).collect::<Vec<_>>())
                .unwrap();
            let flood = [Key::Flash; DTMF_KEYS_WAITING_MAX];
            assert_eq!(ear.press(&flood), Err(KeyError::Waiting(KeysWaiting)));
            let mut receiver = DtmfReceiver::new();
            let (mut heard, start) = (String::new(), Instant::now());
            let mut buffer = [0; GATHERED_BYTES_MAX + 100];
            let mut last = None;
            for tick in 0..100u32 {
                let now = start + TICK * tick;
                receiver.handle_timeout(now);
                ear.feed(&[0x55; 160]);
                while let Some(length) = ear.write_packet(&mut buffer) {
                    let packet = Packet::parse(&buffer[..length]).unwrap();
                    if packet.payload_type != 101 {
                        last = Some(packet.timestamp);
                        continue;
                    }
                    // The copies of an end are no news.
                    let event = receiver.handle_packet(now, &packet).ok().flatten();
                    if let Some(DtmfEvent::Pressed(Key::Digit(digit))) = event {
                        heard.push(digit);
                    }
                }
            }
            assert_eq!(heard, "12#", "{codec:?} {ptime_ms} ms");
            // Time has passed for the voice, too.
            let expected =
                codec.clock_rate_hz() / 50 * 100 - codec.clock_rate_hz() / 1_000 * ptime_ms as u32;
            let last = last.unwrap();
            assert!(
                expected - last <= codec.clock_rate_hz() / 50 * 3,
                "{last}, not {expected}"
            );
        }
    }

    #[test]
    fn a_phone_without_telephone_event_gets_no_keys() {
        let mut media = media(PhoneCodec::Pcmu, 20);
        media.dtmf_send_payload_type = None;
        let mut ear = Ear::new(&media, 1, 0, 0);
        assert_eq!(ear.press(&[Key::Digit('1')]), Err(KeyError::NotAgreed));
    }
}
