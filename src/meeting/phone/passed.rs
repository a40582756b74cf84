//! A packet of a phone that speaks Opus, on its way to browsers as it is.

use bytes::Bytes;

use crate::meeting::voice::VoicePacket;
use crate::rtp::packet::Packet;

/// See the module.
#[derive(Debug)]
pub struct PassedPacket {
    /// The phone's.
    pub ssrc: u32,
    /// As the phone sent it.
    pub voice: VoicePacket,
    /// Or else the phone used the number for something that browsers do not get, such as a key:
    /// theirs close up behind it.
    pub is_voice: bool,
}

impl PassedPacket {
    /// Copies what browsers get of a packet.
    pub(super) fn new(packet: &Packet<'_>, is_voice: bool) -> Self {
        Self {
            ssrc: packet.ssrc,
            voice: VoicePacket {
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: match is_voice {
                    true => Bytes::copy_from_slice(packet.payload),
                    false => Bytes::new(),
                },
            },
            is_voice,
        }
    }
}
