//! Datagrams and deadlines in, packets and events out: the loop that drives `rtc`.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent, RTCTrackEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::rtp_transceiver::RTCRtpTransceiverId;
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::{
    ANSWER_WAIT_MAX, CONNECT_WAIT_MAX, IncomingRtp, Negotiation, Peer, PeerOutput, SlotId, keyframe,
};

impl Peer {
    /// Takes a datagram of the browser.
    pub fn handle_datagram(&mut self, arrival: Instant, from: SocketAddr, bytes: &[u8]) {
        if self.ended {
            return;
        }
        let message = TaggedBytesMut {
            now: arrival,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(bytes),
        };
        let _garbage_changes_nothing = self.connection.handle_read(message);
        if self.connected && is_plain_rtp(bytes) {
            // Each poll walks all eight layers of `rtc`: for media only the last one matters.
            self.pump_due = true;
            self.drain_media(arrival);
        } else {
            self.pump();
        }
    }

    /// Earliest time [`Peer::handle_timeout`] has something to do; a peer that is connecting wants
    /// to be asked often.
    pub fn next_timeout(&self) -> Option<Instant> {
        let answer_by = match self.negotiation {
            Negotiation::HaveLocalOffer { since } => Some(since + ANSWER_WAIT_MAX),
            Negotiation::Stable => self.offer_due,
        };
        let connect_by = (!self.connected).then(|| self.created_at + CONNECT_WAIT_MAX);
        [self.deadline, answer_by, connect_by]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let _a_layer_that_fails_reports_by_state = self.connection.handle_timeout(now);
            self.pump();
        }
        let unanswered = matches!(self.negotiation, Negotiation::HaveLocalOffer { since }
            if since + ANSWER_WAIT_MAX <= now);
        let unconnected = !self.connected && self.created_at + CONNECT_WAIT_MAX <= now;
        if unanswered || unconnected {
            self.end(PeerOutput::Lost);
        }
    }

    /// Does what the short path left undone; once per tick is enough. True if there was anything.
    pub fn catch_up(&mut self) -> bool {
        let due = self.pump_due && !self.ended;
        if due {
            self.pump();
        }
        due
    }

    /// Says goodbye to the browser; drain the outputs, then drop the peer.
    pub fn close(&mut self) {
        self.ended = true;
        let _closed_either_way = self.connection.close();
        self.drain_transmits();
    }

    /// Next datagram for the browser, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, BytesMut)> {
        self.transmits.pop_front()
    }

    /// Next output.
    pub fn poll_output(&mut self) -> Option<PeerOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn end(&mut self, how: PeerOutput) {
        if !self.ended {
            self.ended = true;
            self.outputs.push_back(how);
        }
    }

    pub(super) fn pump(&mut self) {
        self.pump_due = false;
        loop {
            let mut moved = false;
            // SRTP keys are installed by the sweep inside poll_event: without it no media flows.
            while let Some(event) = self.connection.poll_event() {
                moved = true;
                self.handle_event(event);
            }
            while let Some(message) = self.connection.poll_read() {
                moved = true;
                self.handle_message(message);
            }
            if !moved {
                break;
            }
        }
        self.drain_transmits();
        self.deadline = self.connection.poll_timeout();
    }

    fn drain_media(&mut self, now: Instant) {
        while let Some(message) = self.connection.poll_media_read() {
            if let RTCMessage::RtpPacket(_, packet) = &message.message
                && !self.streams.contains_key(&packet.header.ssrc)
            {
                // The event that names the new stream's m-line is still inside.
                while let Some(event) = self.connection.poll_event() {
                    self.handle_event(event);
                }
                self.deadline = Some(now);
            }
            self.handle_message(message);
        }
    }

    pub(super) fn drain_transmits(&mut self) {
        while let Some(transmit) = self.connection.poll_write() {
            let to = transmit.transport.peer_addr;
            self.transmits.push_back((to, transmit.message));
        }
    }

    fn handle_event(&mut self, event: RTCPeerConnectionEvent) {
        match event {
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => match state {
                RTCPeerConnectionState::Connected if !self.connected => {
                    self.connected = true;
                    self.outputs.push_back(PeerOutput::Connected);
                }
                RTCPeerConnectionState::Failed => self.end(PeerOutput::Lost),
                _ => {}
            },
            // Fires again for every stream after each renegotiation: the map makes it harmless.
            RTCPeerConnectionEvent::OnTrack(RTCTrackEvent::OnOpen(track)) => {
                let transceiver = RTCRtpTransceiverId::from(track.receiver_id);
                let mid = self
                    .connection
                    .rtp_transceiver(transceiver)
                    .and_then(|transceiver| transceiver.mid().clone());
                let source = self.sources.iter().find(|of| Some(&of.mid) == mid.as_ref());
                if let Some(source) = source {
                    self.streams.insert(track.ssrc, source.source);
                }
            }
            // A remote close_notify does not change the connection's state; the end of the data
            // channel is the only prompt sign that the browser has gone.
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(_)) => {
                self.end(PeerOutput::Closed);
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, tagged: TaggedRTCMessage) {
        match tagged.message {
            RTCMessage::RtpPacket(_, packet) => self.handle_rtp(tagged.now, packet),
            RTCMessage::RtcpPacket(_, packets) => {
                for ssrc in keyframe::requested_ssrcs(&packets) {
                    let slot = self.slots.iter().position(|slot| slot.ssrc == ssrc);
                    let slot = slot.filter(|slot| self.slots[*slot].taken);
                    let wanted = slot.map(|slot| PeerOutput::KeyframeWanted(SlotId(slot)));
                    self.outputs.extend(wanted);
                }
            }
            // Nothing is said over the data channel yet: it is there for its end.
            _ => {}
        }
    }

    fn handle_rtp(&mut self, arrival: Instant, packet: rtc::rtp::Packet) {
        let header = &packet.header;
        let (Some(source), Some(codec)) = (
            self.streams.get(&header.ssrc),
            self.payload_types.get(&header.payload_type),
        ) else {
            return;
        };
        if codec.kind() != source.track_kind() {
            return;
        }
        let level = self
            .audio_level_id
            .and_then(|id| header.get_extension(id))
            .and_then(|extension| extension.first().map(|first| first & 0x7F));
        self.outputs.push_back(PeerOutput::Rtp(IncomingRtp {
            arrival,
            source: *source,
            codec: *codec,
            ssrc: header.ssrc,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            level,
            payload: packet.payload,
        }));
    }
}

/// RTP, not RTCP (RFC 5761 §4), not STUN or DTLS (RFC 7983).
fn is_plain_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, second, ..] if !(64..=95).contains(&(second & 0x7F)))
}
