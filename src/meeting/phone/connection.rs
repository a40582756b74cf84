//! A leg whose phone is a SIP client in a browser: ICE, DTLS and SRTP are a peer connection's, all
//! else is as with other phones.

use std::time::Instant;

use bytes::Bytes;

use super::{PassedPacket, PhoneLeg};
use crate::meeting::leg::LegEvent;
use crate::meeting::peer::{IncomingRtp, OutgoingRtp, Peer, SlotId};
use crate::rtp::discard::Discard;
use crate::rtp::packet::Packet;

/// See the module.
pub struct LegConnection {
    peer: Peer,
    slot: SlotId,
}

impl LegConnection {
    /// `slot` is that of the one m-line.
    pub fn new(peer: Peer, slot: SlotId) -> Self {
        Self { peer, slot }
    }

    /// First part of the USERNAME of the client's checks.
    pub fn ice_ufrag(&self) -> Option<String> {
        self.peer.ice_ufrag()
    }
}

impl PhoneLeg {
    /// Media goes through this connection from now on.
    pub fn connect(&mut self, connection: LegConnection) {
        self.connection = Some(Box::new(connection));
    }

    /// Its connection's peer, if it has one.
    pub fn peer(&mut self) -> Option<&mut Peer> {
        Some(&mut self.connection.as_mut()?.peer)
    }

    /// What its connection says is lost of ours, 0.0–1.0; `None` without a connection.
    pub(super) fn connection_loss(&self) -> Option<f32> {
        let connection = self.connection.as_ref()?;
        Some(
            connection
                .peer
                .downlink()
                .map_or(0.0, |downlink| downlink.loss),
        )
    }

    /// When its connection wants to be asked.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.connection.as_ref()?.peer.next_timeout()
    }

    /// Takes a packet of the connection, which has told it from strangers' and replays.
    ///
    /// # Errors
    /// The packet was not used; it is counted.
    pub fn handle_connection_rtp(
        &mut self,
        packet: &IncomingRtp,
    ) -> Result<Option<LegEvent>, Discard> {
        let arrival = packet.arrival;
        let packet = Packet {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            marker: packet.marker,
            payload_type: packet.payload_type,
            payload: &packet.payload,
        };
        self.reception.handle_packet(arrival, &packet, true);
        self.heard_at = arrival;
        self.lost_told = false;
        if let Err(reason) = self.playout.handle_packet(arrival, packet) {
            return self.discard(reason);
        }
        self.passed = (!self.on_hold).then(|| PassedPacket::new(&packet, true));
        let first = !std::mem::replace(&mut self.started, true);
        Ok(first.then_some(LegEvent::MediaStarted))
    }

    /// Sends what is full through its connection; false if it has none.
    pub fn send_through_connection(&mut self, now: Instant, buffer: &mut [u8]) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        if !self.media.may_send {
            self.ear.skip_packets();
        }
        while let Some(length) = self.ear.write_packet(buffer) {
            let Ok(packet) = Packet::parse(&buffer[..length]) else {
                continue;
            };
            let packet = OutgoingRtp {
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: Bytes::copy_from_slice(packet.payload),
            };
            connection.peer.send(now, connection.slot, packet);
        }
        true
    }
}
