//! A browser for tests: the client side of `rtc`, with a microphone, a camera and a data channel,
//! in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_nack, configure_rtcp_reports, configure_twcc_receiver_only,
};
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::description::{self, Description};
use super::keyframe::{self, KeyframeRequests};
use super::setup::rtp_codec;
use crate::id::ParticipantId;
use crate::meeting::signal::{ClientMessage, ServerMessage, Source, SourceMid, TrackView};
use crate::meeting::track::TrackCodec;

const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";

/// Packets of a layer that say which it is.
const LAYER_NAMED_PACKETS: u32 = 5;

/// An RTP packet as the browser got it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Bytes,
}

/// See the module.
pub(crate) struct Browser {
    connection: RTCPeerConnection,
    address: SocketAddr,
    microphone_ssrc: u32,
    camera_ssrc: u32,
    sequences: HashMap<u32, u16>,
    layer_packets: HashMap<usize, u32>,
    level_id: Option<u8>,
    /// Ids of the extensions MID and RID.
    layer_ids: Option<(u8, u8)>,
    rids: Vec<String>,
    pub connected: bool,
    pub keyframes_asked: usize,
    /// Who is behind each m-line, by the last offer.
    pub tracks: Vec<TrackView>,
    ssrc_of_mid: HashMap<String, u32>,
    /// m-lines whose streams have been named: a browser does not begin anew with each offer.
    named: Vec<String>,
    /// Packets by their stream.
    pub streams: BTreeMap<u32, Vec<Heard>>,
    pub offers_answered: usize,
}

impl Browser {
    /// At `address`; its streams have the two numbers after `ssrc`.
    pub fn new(now: Instant, address: SocketAddr, ssrc: u32) -> Self {
        Self::with_layers(now, address, ssrc, &[])
    }

    /// Its camera sends a layer of each of these RIDs, with SSRCs from the second number on.
    pub fn with_layers(now: Instant, address: SocketAddr, ssrc: u32, rids: &[&str]) -> Self {
        let mut double = Self::bare(now, address, ssrc);
        double.rids = rids.iter().map(|rid| (*rid).to_owned()).collect();
        let connection = &mut double.connection;
        let one_way = RTCRtpTransceiverDirection::Sendonly;
        add_sender(connection, TrackCodec::Opus, ssrc + 1, &[], one_way);
        add_sender(connection, TrackCodec::Vp8, ssrc + 2, rids, one_way);
        connection.create_data_channel("ringbridge", None).unwrap();
        double
    }

    /// As a SIP client in a browser is: one m-line of sound, both ways.
    pub fn sip_client(now: Instant, address: SocketAddr, ssrc: u32) -> Self {
        let mut double = Self::bare(now, address, ssrc);
        let both_ways = RTCRtpTransceiverDirection::Sendrecv;
        let connection = &mut double.connection;
        add_sender(connection, TrackCodec::Opus, ssrc + 1, &[], both_ways);
        double
    }

    fn bare(now: Instant, address: SocketAddr, ssrc: u32) -> Self {
        let mut media = MediaEngine::default();
        for (codec, kind, payload_type) in [
            (TrackCodec::Opus, RtpCodecKind::Audio, 109),
            (TrackCodec::Vp8, RtpCodecKind::Video, 120),
        ] {
            let rtp_codec = rtp_codec(codec);
            let parameters = RTCRtpCodecParameters {
                rtp_codec,
                payload_type,
            };
            media.register_codec(parameters, kind).unwrap();
        }
        for uri in [
            "urn:ietf:params:rtp-hdrext:sdes:mid",
            "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        ] {
            let capability = RTCRtpHeaderExtensionCapability {
                uri: uri.to_owned(),
            };
            media
                .register_header_extension(capability, RtpCodecKind::Audio, None)
                .unwrap();
        }
        for uri in [MID_URI, RID_URI] {
            let capability = RTCRtpHeaderExtensionCapability {
                uri: uri.to_owned(),
            };
            media
                .register_header_extension(capability, RtpCodecKind::Video, None)
                .unwrap();
        }
        let registry = configure_nack(Default::default(), &mut media);
        let registry = configure_twcc_receiver_only(registry, &mut media).unwrap();
        let registry = configure_rtcp_reports(registry).with(
            rtc::interceptor::Slot::from(keyframe::SLOT),
            KeyframeRequests::default(),
        );
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_setting_engine(
                SettingEngineBuilder::new()
                    .with_include_loopback_candidate(true)
                    .build(),
            )
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(now)
            .unwrap();
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: address.ip().to_string(),
                port: address.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        }
        .new_candidate_host()
        .unwrap();
        let candidate = RTCIceCandidate::from(&candidate).to_json().unwrap();
        connection.add_local_candidate(candidate).unwrap();
        let (microphone_ssrc, camera_ssrc) = (ssrc + 1, ssrc + 2);
        Self {
            connection,
            address,
            microphone_ssrc,
            camera_ssrc,
            sequences: HashMap::new(),
            layer_packets: HashMap::new(),
            level_id: None,
            layer_ids: None,
            rids: Vec::new(),
            connected: false,
            keyframes_asked: 0,
            tracks: Vec::new(),
            ssrc_of_mid: HashMap::new(),
            named: Vec::new(),
            streams: BTreeMap::new(),
            offers_answered: 0,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its first offer.
    pub fn offer(&mut self, now: Instant) -> ClientMessage {
        let offer = self.connection.create_offer(None).unwrap();
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(now, offer).unwrap();
        let read = Description::read(&sdp);
        let sources = [Source::Microphone, Source::Camera];
        let sources = read.sections.iter().zip(sources).map(|(section, source)| {
            let mid = section.mid.clone();
            SourceMid { mid, source }
        });
        let sources = sources.collect();
        let local = self.connection.local_description().unwrap();
        ClientMessage::Offer {
            sdp: local.sdp,
            sources,
        }
    }

    /// Offers anew after its network has changed.
    pub fn restart_ice(&mut self, now: Instant) -> ClientMessage {
        let options = RTCOfferOptions { ice_restart: true };
        let offer = self.connection.create_offer(Some(options)).unwrap();
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(now, offer).unwrap();
        ClientMessage::Offer {
            sdp,
            sources: Vec::new(),
        }
    }

    /// Reacts to a message of the server as a page does.
    pub fn handle_message(
        &mut self,
        now: Instant,
        message: &ServerMessage,
    ) -> Option<ClientMessage> {
        match message {
            ServerMessage::Answer { sdp } => {
                self.level_id = Description::read(sdp).sections[0].audio_level_id;
                self.layer_ids = extension_id(sdp, MID_URI).zip(extension_id(sdp, RID_URI));
                let answer = RTCSessionDescription::answer(sdp.clone()).unwrap();
                self.connection.set_remote_description(now, answer).unwrap();
                self.pump();
                None
            }
            ServerMessage::Offer { sdp, tracks } => {
                self.learn_streams(sdp);
                let offer = description::without_known_streams(sdp, &self.named);
                for section in Description::read(sdp).sections {
                    if section.names_streams && !self.named.contains(&section.mid) {
                        self.named.push(section.mid);
                    }
                }
                let candidates = sdp.lines().filter(|line| line.starts_with("a=candidate"));
                let candidates = candidates.map(|line| line[2..].to_owned());
                let candidates: Vec<String> = candidates.collect();
                let offer = description::with_candidates(&offer, &candidates);
                let offer = RTCSessionDescription::offer(offer).unwrap();
                self.connection.set_remote_description(now, offer).unwrap();
                let answer = self.connection.create_answer(None).unwrap();
                let sdp = answer.sdp.clone();
                self.connection.set_local_description(now, answer).unwrap();
                self.pump();
                self.tracks.clone_from(tracks);
                self.offers_answered += 1;
                Some(ClientMessage::Answer { sdp })
            }
            _ => None,
        }
    }

    fn learn_streams(&mut self, sdp: &str) {
        let mut mid = String::new();
        for line in sdp.lines() {
            if let Some(value) = line.strip_prefix("a=mid:") {
                mid = value.to_owned();
            } else if let Some(value) = line.strip_prefix("a=ssrc:")
                && let Some(Ok(ssrc)) = value.split(' ').next().map(str::parse)
            {
                self.ssrc_of_mid.insert(mid.clone(), ssrc);
            }
        }
    }

    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let message = TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: self.address,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(bytes),
        };
        let _ = self.connection.handle_read(message);
        self.pump();
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            let _ = self.connection.handle_timeout(now);
        }
        self.pump();
    }

    fn pump(&mut self) {
        loop {
            let mut moved = false;
            while let Some(event) = self.connection.poll_event() {
                moved = true;
                if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                    self.connected = state == RTCPeerConnectionState::Connected;
                }
            }
            while let Some(message) = self.connection.poll_read() {
                moved = true;
                self.take(message);
            }
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, message: TaggedRTCMessage) {
        match message.message {
            RTCMessage::RtpPacket(_, packet) => {
                let header = packet.header;
                self.streams.entry(header.ssrc).or_default().push(Heard {
                    sequence: header.sequence_number,
                    timestamp: header.timestamp,
                    payload: packet.payload,
                });
            }
            RTCMessage::RtcpPacket(_, packets) => {
                self.keyframes_asked += keyframe::requested_ssrcs(&packets).len();
            }
            _ => {}
        }
    }

    /// Next datagram to the server.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, BytesMut)> {
        let transmit = self.connection.poll_write()?;
        Some((transmit.transport.peer_addr, transmit.message))
    }

    /// Packets of a participant's source.
    pub fn heard(&self, participant: ParticipantId, source: Source) -> &[Heard] {
        let track = self
            .tracks
            .iter()
            .find(|track| track.participant_id == participant && track.source == source);
        let ssrc = track.and_then(|track| self.ssrc_of_mid.get(&track.mid));
        ssrc.and_then(|ssrc| self.streams.get(ssrc))
            .map_or(&[], Vec::as_slice)
    }

    /// Sends 20 ms of Opus, with its RFC 6464 level.
    pub fn speak(&mut self, now: Instant, timestamp: u32, level: u8, payload: &[u8]) {
        let ssrc = self.microphone_ssrc;
        let extension = self.level_id.map(|id| (id, vec![level]));
        self.send(now, ssrc, 109, timestamp, false, extension, payload);
    }

    /// Sends a packet of the camera; an empty one is a bandwidth probe.
    pub fn show(&mut self, now: Instant, timestamp: u32, marker: bool, payload: &[u8]) {
        let ssrc = self.camera_ssrc;
        self.send(now, ssrc, 120, timestamp, marker, None, payload);
    }

    /// Sends a packet of one of the camera's layers; the first few say which it is, as Chrome's
    /// do until the first report.
    pub fn show_layer(&mut self, now: Instant, layer: usize, timestamp: u32, payload: &[u8]) {
        let ssrc = self.camera_ssrc + layer as u32;
        let sent = self.layer_packets.entry(layer).or_insert(0);
        *sent += 1;
        let named = (*sent <= LAYER_NAMED_PACKETS)
            .then_some(self.layer_ids)
            .flatten();
        let extensions = named.map_or_else(Vec::new, |(mid, rid)| {
            let name = self.rids[layer].as_bytes().to_vec();
            vec![(mid, b"1".to_vec()), (rid, name)]
        });
        self.send(now, ssrc, 120, timestamp, true, extensions, payload);
    }

    #[allow(clippy::too_many_arguments)]
    fn send(
        &mut self,
        now: Instant,
        ssrc: u32,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        extensions: impl IntoIterator<Item = (u8, Vec<u8>)>,
        payload: &[u8],
    ) {
        let sequence = self.sequences.entry(ssrc).or_insert(65_500);
        *sequence = sequence.wrapping_add(1);
        let mut header = rtc::rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: *sequence,
            timestamp,
            ssrc,
            ..Default::default()
        };
        for (id, value) in extensions {
            header.set_extension(id, Bytes::from(value)).unwrap();
        }
        let packet = rtc::rtp::Packet {
            header,
            payload: Bytes::copy_from_slice(payload),
        };
        let message = RTCMessage::RtpPacket(String::new(), packet);
        let _ = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
    }

    /// Asks for a keyframe of a participant's camera.
    pub fn ask_keyframe(&mut self, now: Instant, participant: ParticipantId) {
        let track = self
            .tracks
            .iter()
            .find(|t| t.participant_id == participant && t.source == Source::Camera)
            .unwrap();
        let request = PictureLossIndication {
            sender_ssrc: 0,
            media_ssrc: self.ssrc_of_mid[&track.mid],
        };
        let message = RTCMessage::RtcpPacket(String::new(), vec![Box::new(request)]);
        let _ = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
    }

    /// Closes as `pc.close()` does; drain the transmits.
    pub fn close(&mut self) {
        let _ = self.connection.close();
    }
}

/// Id of an extension, by the first m-line that has it.
fn extension_id(sdp: &str, uri: &str) -> Option<u8> {
    let line = sdp.lines().find(|line| line.ends_with(uri))?;
    let id = line.strip_prefix("a=extmap:")?.split([' ', '/']).next()?;
    id.parse().ok()
}

fn add_sender(
    connection: &mut RTCPeerConnection,
    codec: TrackCodec,
    ssrc: u32,
    rids: &[&str],
    direction: RTCRtpTransceiverDirection,
) {
    let kind = match codec {
        TrackCodec::Opus => RtpCodecKind::Audio,
        TrackCodec::Vp8 | TrackCodec::H264 => RtpCodecKind::Video,
    };
    let encoding = |(index, rid): (usize, &&str)| RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc + index as u32),
            rid: (*rid).to_owned(),
            ..Default::default()
        },
        codec: rtp_codec(codec),
        ..Default::default()
    };
    let name = format!("sender-{ssrc}");
    let rids = if rids.is_empty() { &[""] } else { rids };
    let encodings: Vec<_> = rids.iter().enumerate().map(encoding).collect();
    let track = MediaStreamTrack::new(name.clone(), name.clone(), name, kind, encodings.clone());
    let init = RTCRtpTransceiverInit {
        direction,
        streams: Vec::new(),
        send_encodings: encodings,
    };
    connection
        .add_transceiver_from_track(track, Some(init))
        .unwrap();
}
