//! One RTP packet (RFC 3550 §5.1), read in place and written into a caller's buffer.

use super::discard::Discard;

/// Octets of an RTP header without CSRCs and extension.
pub const HEADER_BYTES: usize = 12;

/// An RTP packet: header fields by value, payload borrowed from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Wraps at 2^16; see [`super::seq`].
    pub sequence: u16,
    /// In units of the codec's clock rate; wraps at 2^32.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// For voice: first packet after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// 0–127.
    pub payload_type: u8,
    /// Without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// [`Discard::Malformed`]: it is not RTP version 2, or its lengths do not add up.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        let reader = rtp_rs::RtpReader::new(datagram).map_err(|_| Discard::Malformed)?;
        Ok(Self {
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            marker: reader.mark(),
            payload_type: reader.payload_type(),
            payload: reader.payload(),
        })
    }

    /// Writes the packet to the start of `buffer` and returns its length in octets, or `None` when
    /// the buffer is too small or the payload type is above 127.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        rtp_rs::RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .marked(self.marker)
            .sequence(self.sequence.into())
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(self.payload)
            .build_into(buffer)
            .ok()
    }
}

/// What a datagram on a port shared by RTP and RTCP is (RFC 5761 §4, RFC 7983).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramKind {
    /// First octet 128–191 and not RTCP.
    Rtp,
    /// Packet type 192–223.
    Rtcp,
    /// STUN, DTLS, keep-alives, garbage.
    Other,
}

/// Tells RTP from RTCP from the rest by the first two octets.
pub fn classify(datagram: &[u8]) -> DatagramKind {
    match datagram {
        [first, second, ..] if first >> 6 == 2 => match second {
            192..=223 => DatagramKind::Rtcp,
            _ => DatagramKind::Rtp,
        },
        _ => DatagramKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_packet_reads_back_the_same() {
        let packet = Packet {
            sequence: 65_535,
            timestamp: 0xFFFF_FFF0,
            ssrc: 0xDEAD_BEEF,
            marker: true,
            payload_type: 101,
            payload: &[1, 2, 3, 4],
        };
        let mut buffer = [0u8; 64];
        let length = packet.write(&mut buffer).unwrap();
        assert_eq!(length, HEADER_BYTES + 4);
        assert_eq!(Packet::parse(&buffer[..length]), Ok(packet));
    }

    #[test]
    fn truncated_and_foreign_datagrams_are_malformed() {
        let stun = [0u8, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0];
        let lying_extension = [
            0x90u8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xBE, 0xDE, 0xFF, 0xFF,
        ];
        let lying_padding = [0xA0u8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 200];
        let lying_csrc = [0x8Fu8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        for bytes in [
            &stun[..],
            &lying_extension,
            &lying_padding,
            &lying_csrc,
            &[],
            &[0x80],
        ] {
            assert_eq!(Packet::parse(bytes), Err(Discard::Malformed));
        }
    }

    #[test]
    fn a_shared_port_is_sorted_by_the_first_octets() {
        assert_eq!(classify(&[0x80, 0x00]), DatagramKind::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 101]), DatagramKind::Rtp);
        assert_eq!(classify(&[0x81, 200]), DatagramKind::Rtcp);
        assert_eq!(classify(&[0x00, 0x01]), DatagramKind::Other);
        assert_eq!(classify(&[0x80]), DatagramKind::Other);
        assert_eq!(classify(b"\r\n"), DatagramKind::Other);
    }
}
