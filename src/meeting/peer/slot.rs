//! Slots: the m-lines we send on, and what goes out through them.

use std::time::Instant;

use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{
    RTCRtpTransceiverDirection, RTCRtpTransceiverId, RTCRtpTransceiverInit,
};
use rtc::sansio::Protocol;

use super::{Peer, PeerError, setup, unusable};
use crate::meeting::track::{TrackCodec, TrackKind};

/// Index of a slot; never invalid for its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId(pub(super) usize);

#[cfg(test)]
impl SlotId {
    /// A slot of no peer, for tests of what only carries slots around.
    pub fn for_test(index: usize) -> Self {
        Self(index)
    }
}

/// One m-line of ours.
#[derive(Debug)]
pub(super) struct Slot {
    pub transceiver: RTCRtpTransceiverId,
    pub ssrc: u32,
    pub codec: TrackCodec,
    /// Carries a track now.
    pub taken: bool,
    /// The offer on its way, or answered, shows it as taken.
    pub offered: bool,
    /// An offer that shows it as taken has been answered.
    pub agreed: bool,
}

/// One packet for a slot; SSRC and payload type are the slot's.
#[derive(Debug, Clone)]
pub struct OutgoingRtp {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// Payload, shared by all who get it.
    pub payload: Bytes,
}

impl Peer {
    /// Takes a free slot for a track of this codec, or makes one with this SSRC; it carries
    /// packets after the next offer has been answered.
    ///
    /// # Errors
    /// The connection does not take another m-line; the track is not sent to this browser.
    pub fn take_slot(
        &mut self,
        now: Instant,
        codec: TrackCodec,
        ssrc: u32,
    ) -> Result<SlotId, PeerError> {
        let free = self
            .slots
            .iter()
            .position(|slot| !slot.taken && slot.codec == codec);
        let index = match free {
            Some(index) => index,
            None => self.add_slot(codec, ssrc, RTCRtpTransceiverDirection::Sendonly)?,
        };
        self.direct(index, RTCRtpTransceiverDirection::Sendonly);
        let slot = &mut self.slots[index];
        (slot.taken, slot.offered, slot.agreed) = (true, false, false);
        self.want_offer(now);
        Ok(SlotId(index))
    }

    /// As [`Peer::take_slot`], on an m-line whose other end sends, too.
    pub(super) fn take_two_way_slot(
        &mut self,
        now: Instant,
        codec: TrackCodec,
        ssrc: u32,
    ) -> Result<SlotId, PeerError> {
        // From the beginning: `rtc` gives a line that only sends no receiver, ever.
        let index = self.add_slot(codec, ssrc, RTCRtpTransceiverDirection::Sendrecv)?;
        self.slots[index].taken = true;
        self.want_offer(now);
        Ok(SlotId(index))
    }

    fn add_slot(
        &mut self,
        codec: TrackCodec,
        ssrc: u32,
        direction: RTCRtpTransceiverDirection,
    ) -> Result<usize, PeerError> {
        let kind = match codec.kind() {
            TrackKind::Audio => RtpCodecKind::Audio,
            TrackKind::Video => RtpCodecKind::Video,
        };
        let index = self.slots.len();
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..Default::default()
            },
            codec: setup::rtp_codec(codec),
            ..Default::default()
        };
        let name = format!("ringbridge-{index}");
        let track = MediaStreamTrack::new(
            name.clone(),
            format!("{name}-track"),
            name.clone(),
            kind,
            vec![encoding.clone()],
        );
        let init = RTCRtpTransceiverInit {
            direction,
            streams: vec![name],
            send_encodings: vec![encoding],
        };
        let transceiver = self
            .connection
            .add_transceiver_from_track(track, Some(init))
            .map_err(unusable)?;
        self.slots.push(Slot {
            transceiver,
            ssrc,
            codec,
            taken: false,
            offered: false,
            agreed: false,
        });
        Ok(index)
    }

    /// Gives a slot back.
    pub fn free_slot(&mut self, now: Instant, slot: SlotId) {
        let freed = &mut self.slots[slot.0];
        (freed.taken, freed.offered, freed.agreed) = (false, false, false);
        self.direct(slot.0, RTCRtpTransceiverDirection::Inactive);
        self.want_offer(now);
    }

    fn direct(&mut self, index: usize, direction: RTCRtpTransceiverDirection) {
        let id = self.slots[index].transceiver;
        if let Some(mut transceiver) = self.connection.rtp_transceiver(id) {
            transceiver.set_direction(direction);
        }
    }

    /// `a=mid` of a slot's m-line, once it has been offered.
    pub fn slot_mid(&mut self, slot: SlotId) -> Option<String> {
        let id = self.slots[slot.0].transceiver;
        self.connection.rtp_transceiver(id)?.mid().clone()
    }

    /// What a slot carries.
    pub fn slot_codec(&self, slot: SlotId) -> TrackCodec {
        self.slots[slot.0].codec
    }

    /// Packets sent now through the slot will be played.
    pub fn is_open(&self, slot: SlotId) -> bool {
        let slot = &self.slots[slot.0];
        self.connected && slot.taken && slot.agreed
    }

    /// Sends one packet through an open slot; through others nothing.
    pub fn send(&mut self, now: Instant, slot: SlotId, packet: OutgoingRtp) {
        if !self.is_open(slot) {
            return;
        }
        let slot = &self.slots[slot.0];
        let (ssrc, codec) = (slot.ssrc, slot.codec);
        let Some(payload_type) = self.payload_type(codec) else {
            return;
        };
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker: packet.marker,
                payload_type,
                sequence_number: packet.sequence,
                timestamp: packet.timestamp,
                ssrc,
                ..Default::default()
            },
            payload: packet.payload,
        };
        // The sender's own `write_rtp` checks what `is_open` and `payload_type` have checked, and
        // allocates for it.
        let message = RTCMessage::RtpPacket(String::new(), packet);
        let _refused_packets_are_lost_packets = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
        self.drain_transmits();
        self.pump_due = true;
    }

    fn payload_type(&self, codec: TrackCodec) -> Option<u8> {
        let entry = self
            .payload_types
            .iter()
            .find(|(_, known)| **known == codec);
        entry.map(|(payload_type, _)| *payload_type)
    }

    /// Asks the browser for a keyframe of a stream it sends.
    pub fn request_keyframe(&mut self, now: Instant, ssrc: u32) {
        let request = PictureLossIndication {
            sender_ssrc: 0,
            media_ssrc: ssrc,
        };
        let message = RTCMessage::RtcpPacket(String::new(), vec![Box::new(request)]);
        let _lost_as_packets_are = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
        self.drain_transmits();
    }
}
