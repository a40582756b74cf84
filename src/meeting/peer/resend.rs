//! The interceptor that sends again what the browser says it has not got (RFC 4585 §6.2.1), out of
//! a bounded store of what was sent last.
//!
//! `rtc`'s own forgets everything at each renegotiation (everybody's join is one), answers however
//! often it is asked, and keeps whole packets: here a packet is a few words and a share in the
//! payload that all its receivers hold together. Plain repetition, not RTX: see `setup`.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::interceptor::{
    Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket,
};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use crate::limits::{
    RESEND_AGE_MAX, RESEND_BURST_PACKETS_MAX, RESEND_PACKETS_KEPT_MAX, RESEND_PACKETS_PER_SECOND,
    RESEND_TIMES_MAX,
};

/// The same packet is not sent again within this time: the request crossed the answer.
const RESEND_PAUSE: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Default)]
pub(super) struct Resend {
    streams: HashMap<u32, Stream>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

/// What was sent last of one of our streams, by sequence number modulo its length.
struct Stream {
    kept: Vec<Option<Kept>>,
    allowance: f64,
    refilled_at: Option<Instant>,
}

struct Kept {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload_type: u8,
    payload: Bytes,
    sent_at: Instant,
    resent_at: Option<Instant>,
    times: u8,
}

impl Stream {
    fn new() -> Self {
        Self {
            kept: Vec::new(),
            allowance: f64::from(RESEND_BURST_PACKETS_MAX),
            refilled_at: None,
        }
    }

    fn keep(&mut self, now: Instant, packet: &rtc::rtp::Packet) {
        if self.kept.is_empty() {
            self.kept.resize_with(RESEND_PACKETS_KEPT_MAX, || None);
        }
        let header = &packet.header;
        let place = usize::from(header.sequence_number) % RESEND_PACKETS_KEPT_MAX;
        self.kept[place] = Some(Kept {
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            payload: packet.payload.clone(),
            sent_at: now,
            resent_at: None,
            times: 0,
        });
    }

    /// The packet once more, if it may be sent now.
    fn again(&mut self, now: Instant, ssrc: u32, sequence: u16) -> Option<rtc::rtp::Packet> {
        self.refill(now);
        let place = usize::from(sequence) % RESEND_PACKETS_KEPT_MAX;
        let kept = self.kept.get_mut(place)?.as_mut()?;
        let passed = |since: Instant| now.saturating_duration_since(since);
        let wanted = kept.sequence == sequence
            && kept.times < RESEND_TIMES_MAX
            && passed(kept.sent_at) <= RESEND_AGE_MAX
            && kept.resent_at.is_none_or(|at| passed(at) >= RESEND_PAUSE);
        if !wanted || self.allowance < 1.0 {
            return None;
        }
        self.allowance -= 1.0;
        kept.times += 1;
        kept.resent_at = Some(now);
        Some(rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker: kept.marker,
                payload_type: kept.payload_type,
                sequence_number: kept.sequence,
                timestamp: kept.timestamp,
                ssrc,
                ..Default::default()
            },
            payload: kept.payload.clone(),
        })
    }

    fn refill(&mut self, now: Instant) {
        let since = self.refilled_at.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let more = passed * f64::from(RESEND_PACKETS_PER_SECOND);
        self.allowance = (self.allowance + more).min(f64::from(RESEND_BURST_PACKETS_MAX));
    }
}

impl Resend {
    fn answer(&mut self, now: Instant, nack: &TransportLayerNack) {
        let Some(stream) = self.streams.get_mut(&nack.media_ssrc) else {
            return;
        };
        for pair in &nack.nacks {
            let followers = (0..16u16)
                .filter(|bit| pair.lost_packets & (1 << bit) != 0)
                .map(|bit| pair.packet_id.wrapping_add(bit + 1));
            for sequence in std::iter::once(pair.packet_id).chain(followers) {
                let Some(packet) = stream.again(now, nack.media_ssrc, sequence) else {
                    continue;
                };
                let packet = AttributedPacket::new(Packet::Rtp(packet));
                self.writes.push_back(TaggedPacket {
                    now,
                    transport: TransportContext::default(),
                    message: packet.with(Attribute::Retransmission),
                });
            }
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Resend {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            for packet in packets {
                if let Some(nack) = packet.as_any().downcast_ref::<TransportLayerNack>() {
                    self.answer(msg.now, nack);
                }
            }
        }
        self.reads.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &msg.message.packet
            && let Some(stream) = self.streams.get_mut(&packet.header.ssrc)
        {
            stream.keep(msg.now, packet);
        }
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Resend {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let asked = |feedback: &rtc::interceptor::RTCPFeedback| {
            feedback.typ == "nack" && feedback.parameter.is_empty()
        };
        if info.rtcp_feedback.iter().any(asked) {
            // Bound again at a renegotiation: what is kept stays.
            self.streams.entry(info.ssrc).or_insert_with(Stream::new);
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.remove(&info.ssrc);
    }

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::RTCPFeedback;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::nack_pairs_from_sequence_numbers;

    const SSRC: u32 = 7;

    fn info() -> StreamInfo {
        StreamInfo {
            ssrc: SSRC,
            rtcp_feedback: vec![RTCPFeedback {
                typ: "nack".to_owned(),
                parameter: String::new(),
            }],
            ..Default::default()
        }
    }

    fn tagged(now: Instant, packet: Packet) -> TaggedPacket {
        TaggedPacket {
            now,
            transport: TransportContext::default(),
            message: AttributedPacket::new(packet),
        }
    }

    fn send(resend: &mut Resend, now: Instant, sequence: u16) {
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                ssrc: SSRC,
                sequence_number: sequence,
                timestamp: u32::from(sequence) * 3_000,
                marker: true,
                payload_type: 96,
                ..Default::default()
            },
            payload: Bytes::copy_from_slice(&sequence.to_be_bytes()),
        };
        resend
            .handle_write(tagged(now, Packet::Rtp(packet)))
            .unwrap();
        assert!(resend.poll_write().is_some(), "it goes out at once");
    }

    /// Sequence numbers sent again after a NACK of these.
    fn nack(resend: &mut Resend, now: Instant, sequences: &[u16]) -> Vec<u16> {
        let nack = TransportLayerNack {
            sender_ssrc: 1,
            media_ssrc: SSRC,
            nacks: nack_pairs_from_sequence_numbers(sequences),
        };
        let packet = Packet::Rtcp(vec![Box::new(nack)]);
        resend.handle_read(tagged(now, packet)).unwrap();
        assert!(resend.poll_read().is_some(), "others see the NACK too");
        std::iter::from_fn(|| resend.poll_write())
            .map(|tagged| match tagged.message.packet {
                Packet::Rtp(packet) => {
                    let header = &packet.header;
                    assert_eq!((header.version, header.ssrc), (2, SSRC));
                    let sequence = header.sequence_number;
                    assert_eq!(packet.payload, sequence.to_be_bytes()[..]);
                    assert_eq!(header.timestamp, u32::from(sequence) * 3_000);
                    sequence
                }
                Packet::Rtcp(_) => panic!("RTCP"),
                _ => unreachable!(),
            })
            .collect()
    }

    #[test]
    fn what_is_asked_for_is_sent_again_over_the_wrap_and_after_a_renegotiation() {
        let now = Instant::now();
        let mut resend = Resend::default();
        resend.bind_local_stream(&info());
        for step in 0..10u16 {
            send(&mut resend, now, 65_530u16.wrapping_add(step));
        }
        resend.bind_local_stream(&info());
        assert_eq!(
            nack(&mut resend, now, &[65_531, 65_535, 0, 3, 4]),
            [65_531, 65_535, 0, 3],
            "4 was never sent"
        );
    }

    #[test]
    fn a_packet_is_not_repeated_at_once_nor_often_nor_when_it_is_old() {
        let mut now = Instant::now();
        let mut resend = Resend::default();
        resend.bind_local_stream(&info());
        send(&mut resend, now, 1);
        send(&mut resend, now, 2);
        assert_eq!(nack(&mut resend, now, &[1]), [1]);
        assert_eq!(nack(&mut resend, now, &[1]), [0; 0], "the requests crossed");
        let mut times = 1;
        for _ in 0..30 {
            now += RESEND_PAUSE;
            times += nack(&mut resend, now, &[1]).len();
        }
        assert_eq!(times, usize::from(RESEND_TIMES_MAX));
        now += RESEND_AGE_MAX;
        assert_eq!(nack(&mut resend, now, &[2]), [0; 0], "too late to be shown");
    }

    #[test]
    fn a_flood_of_requests_costs_no_more_than_the_allowance() {
        let now = Instant::now();
        let mut resend = Resend::default();
        resend.bind_local_stream(&info());
        let all: Vec<u16> = (0..RESEND_PACKETS_KEPT_MAX as u16 * 2).collect();
        for sequence in &all {
            send(&mut resend, now, *sequence);
        }
        let sent = nack(&mut resend, now, &all);
        assert_eq!(sent.len(), RESEND_BURST_PACKETS_MAX as usize);
        let oldest = RESEND_PACKETS_KEPT_MAX as u16;
        assert!(sent.iter().all(|s| *s >= oldest), "older ones are gone");
        let later = now + Duration::from_millis(100);
        let more = nack(&mut resend, later, &all).len();
        assert_eq!(more, RESEND_PACKETS_PER_SECOND as usize / 10);
    }
}
