//! What we stamp on the packets we send: one sequence, one timeline, one SSRC.

use super::packet::Packet;

/// One outgoing RTP stream. Its timeline follows our clock: a packet not sent is still time passed.
#[derive(Debug, Clone)]
pub struct EgressStream {
    ssrc: u32,
    payload_type: u8,
    /// Timestamp units that pass per packet.
    units_per_packet: u32,
    sequence: u16,
    timestamp: u32,
    packets_sent: u32,
    octets_sent: u32,
    /// The next voice packet starts a talkspurt.
    silent_before: bool,
}

impl EgressStream {
    /// A stream with random `ssrc`, `sequence` and `timestamp` (RFC 3550 §5.1), drawn by the
    /// caller.
    pub fn new(
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        payload_type: u8,
        units_per_packet: u32,
    ) -> Self {
        Self {
            ssrc,
            payload_type,
            units_per_packet,
            sequence,
            timestamp,
            packets_sent: 0,
            octets_sent: 0,
            silent_before: true,
        }
    }

    /// Writes the next packet into `buffer`; its time passes. Returns its length in octets, or
    /// `None` when the buffer is too small (time still passes).
    ///
    /// The marker is set only on the first packet after [`EgressStream::skip_units`], and on the
    /// very first: some gateways restart their jitter buffer at each marker.
    pub fn write(&mut self, payload: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let packet = Packet {
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            marker: self.silent_before,
            payload_type: self.payload_type,
            payload,
        };
        self.timestamp = self.timestamp.wrapping_add(self.units_per_packet);
        let length = packet.write(buffer)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.silent_before = false;
        self.packets_sent = self.packets_sent.wrapping_add(1);
        self.octets_sent = self.octets_sent.wrapping_add(payload.len() as u32);
        Some(length)
    }

    /// Writes a packet of another payload type at a timestamp of the caller's choice, in this
    /// stream's sequence and without passing time: telephone-event (RFC 4733 §2.5.1).
    pub fn write_event(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        buffer: &mut [u8],
    ) -> Option<usize> {
        let packet = Packet {
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            marker,
            payload_type,
            payload,
        };
        let length = packet.write(buffer)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets_sent = self.packets_sent.wrapping_add(1);
        self.octets_sent = self.octets_sent.wrapping_add(payload.len() as u32);
        Some(length)
    }

    /// Lets the time of one packet pass without voice.
    pub fn skip_packet(&mut self) {
        self.skip_units(self.units_per_packet);
    }

    /// Lets time pass without a packet, in timestamp units: silence not sent, or ticks skipped
    /// after a stall. The next packet then carries the marker.
    pub fn skip_units(&mut self, units: u32) {
        self.timestamp = self.timestamp.wrapping_add(units);
        self.silent_before |= units > 0;
    }

    /// Changes the payload type and the length of packets after a re-INVITE; sequence and timeline
    /// go on.
    pub fn set_format(&mut self, payload_type: u8, units_per_packet: u32) {
        self.payload_type = payload_type;
        self.units_per_packet = units_per_packet;
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Timestamp the next packet will carry: "now" on the RTP timeline, for sender reports.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Packets written (wraps, as RTCP's field does).
    pub fn packets_sent(&self) -> u32 {
        self.packets_sent
    }

    /// Payload octets written (wraps, as RTCP's field does).
    pub fn octets_sent(&self) -> u32 {
        self.octets_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_packet_of_a_talkspurt_is_marked_and_skipped_time_stays_on_the_timeline() {
        let mut stream = EgressStream::new(7, 65_535, u32::MAX - 159, 0, 160);
        let mut buffer = [0u8; 200];
        let mut seen = Vec::new();
        for tick in 0..5 {
            if tick == 2 {
                stream.skip_units(3 * 160);
            }
            let length = stream.write(&[0xFF; 160], &mut buffer).unwrap();
            let packet = Packet::parse(&buffer[..length]).unwrap();
            seen.push((packet.sequence, packet.timestamp, packet.marker));
        }
        assert_eq!(
            seen,
            [
                (65_535, u32::MAX - 159, true),
                (0, 0, false),
                (1, 640, true),
                (2, 800, false),
                (3, 960, false)
            ]
        );
        assert_eq!((stream.packets_sent(), stream.octets_sent()), (5, 800));
    }
}
