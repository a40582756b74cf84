//! What the way to a browser carries: every packet is numbered across streams, the browser reports
//! when each arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01), and from that the
//! estimate is made.
//!
//! `rtc`'s own numbering and history cost allocations and three hash tables per packet; here a
//! packet sent is an entry of a ring.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket, convert_twcc};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::marshal::MarshalSize;

use super::estimate::{Estimate, Fate};
use crate::limits::CONGESTION_PACKETS_REMEMBERED;

/// Header extension of the transport-wide sequence number.
const URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// All sequence numbers as they stand in a packet: a number costs no allocation.
static NUMBERS: [[u8; 2]; 65_536] = numbers();

const fn numbers() -> [[u8; 2]; 65_536] {
    let mut numbers = [[0; 2]; 65_536];
    let mut number = 0;
    while number < 65_536 {
        numbers[number] = (number as u16).to_be_bytes();
        number += 1;
    }
    numbers
}

/// Where the estimate is left for the peer. `rtc` owns its interceptors, and has no other way out
/// of them; one thread uses both ends.
#[derive(Debug, Default)]
pub(super) struct CongestionCell {
    /// 0: not known.
    estimate_bps: AtomicU64,
}

impl CongestionCell {
    /// Bit/s that the way carries, once the browser has reported.
    pub(super) fn look(&self) -> Option<u64> {
        Some(self.estimate_bps.load(Ordering::Relaxed)).filter(|bps| *bps > 0)
    }
}

/// See the module.
pub(super) struct Congestion {
    estimate: Option<Estimate>,
    cell: Arc<CongestionCell>,
    /// Ids of the extension by stream.
    streams: HashMap<u32, u8>,
    /// Sent packets by number modulo its length.
    sent: Vec<Option<Sent>>,
    next: u16,
    fates: Vec<Fate>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

#[derive(Clone, Copy)]
struct Sent {
    number: u16,
    bytes: usize,
    at: Instant,
}

impl Congestion {
    pub(super) fn new(cell: Arc<CongestionCell>) -> Self {
        Self {
            estimate: None,
            cell,
            streams: HashMap::new(),
            sent: Vec::new(),
            next: 0,
            fates: Vec::new(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    /// Numbers and remembers a packet that leaves.
    fn number(&mut self, now: Instant, packet: &mut rtc::rtp::Packet) {
        let Some(id) = self.streams.get(&packet.header.ssrc) else {
            return;
        };
        let number = self.next;
        let value = Bytes::from_static(&NUMBERS[usize::from(number)]);
        if packet.header.set_extension(*id, value).is_err() {
            return;
        }
        if self.sent.is_empty() {
            self.sent.resize(CONGESTION_PACKETS_REMEMBERED, None);
        }
        self.sent[usize::from(number) % CONGESTION_PACKETS_REMEMBERED] = Some(Sent {
            number,
            bytes: packet.marshal_size(),
            at: now,
        });
        self.next = number.wrapping_add(1);
    }

    fn learn(&mut self, now: Instant, feedback: &TransportLayerCc) {
        self.fates.clear();
        for told in convert_twcc(feedback) {
            let place = usize::from(told.sequence_number) % CONGESTION_PACKETS_REMEMBERED;
            let Some(entry) = self.sent.get_mut(place) else {
                return;
            };
            // Each is believed once, as arrived or lost.
            if let Some(sent) = entry.take_if(|sent| sent.number == told.sequence_number) {
                self.fates.push(Fate {
                    departure: sent.at,
                    arrival: told.arrival.filter(|_| told.arrived),
                    bytes: sent.bytes,
                });
            }
        }
        let estimate = self.estimate.get_or_insert_with(|| Estimate::new(now));
        estimate.learn(now, &self.fates);
        let bps = estimate.bps();
        self.cell.estimate_bps.store(bps, Ordering::Relaxed);
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Congestion {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            for packet in packets {
                if let Some(feedback) = packet.as_any().downcast_ref::<TransportLayerCc>() {
                    self.learn(msg.now, feedback);
                }
            }
        }
        self.reads.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &mut msg.message.packet {
            self.number(msg.now, packet);
        }
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Congestion {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let mut extensions = info.rtp_header_extensions.iter();
        let id = extensions.find(|extension| extension.uri == URI);
        if let Some(Ok(id)) = id.map(|extension| u8::try_from(extension.id)) {
            self.streams.insert(info.ssrc, id);
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.remove(&info.ssrc);
    }

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
