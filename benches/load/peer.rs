//! A browser's media for the load: `rtc` without tasks, driven by the engine's thread. Real ICE,
//! DTLS and SRTP on a socket of its own; the Opus is encoded beforehand.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use ringbridge::audio::opus::Decoder;
use ringbridge::meeting::signal::{ClientMessage, Source, SourceMid};
use ringbridge::probe::sound::loudness;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::engine::Heard;

const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// One browser's media.
pub struct Peer {
    connection: RTCPeerConnection,
    socket: UdpSocket,
    local: SocketAddr,
    sender: RTCRtpSenderId,
    ssrc: u32,
    payload_type: Option<u8>,
    level_id: Option<u8>,
    sequence: u16,
    timestamp: u32,
    pub connected: bool,
    /// What came, all streams together.
    pub heard: Heard,
    decoder: Option<Decoder>,
    pcm: [i16; 960],
}

impl Peer {
    pub fn new(now: Instant) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let mut media = MediaEngine::default();
        media.register_codec(opus(), RtpCodecKind::Audio)?;
        for uri in [MID_URI, LEVEL_URI] {
            let extension = RTCRtpHeaderExtensionCapability {
                uri: uri.to_owned(),
            };
            media.register_header_extension(extension, RtpCodecKind::Audio, None)?;
        }
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .build();
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_media_engine(media)
            .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
            .build(now)?;
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: local.ip().to_string(),
                port: local.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        }
        .new_candidate_host()?;
        connection.add_local_candidate(RTCIceCandidate::from(&candidate).to_json()?)?;
        let ssrc = rand::random();
        let encodings = vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..Default::default()
            },
            codec: opus().rtp_codec,
            ..Default::default()
        }];
        let name = "microphone".to_owned();
        let (stream, label, kind) = ("load".to_owned(), name.clone(), RtpCodecKind::Audio);
        let track = MediaStreamTrack::new(stream, name, label, kind, encodings.clone());
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec!["load".to_owned()],
            send_encodings: encodings,
        };
        let transceiver = connection.add_transceiver_from_track(track, Some(init))?;
        let sender = connection
            .rtp_transceiver(transceiver)
            .and_then(|t| t.sender())
            .ok_or("the transceiver has no sender")?;
        connection.create_data_channel("ringbridge", None)?;
        Ok(Self {
            connection,
            socket,
            local,
            sender,
            ssrc,
            payload_type: None,
            level_id: None,
            sequence: rand::random(),
            timestamp: rand::random(),
            connected: false,
            heard: Heard::default(),
            decoder: None,
            pcm: [0; 960],
        })
    }

    /// The one offer.
    pub fn offer(&mut self, now: Instant) -> Result<ClientMessage, Box<dyn Error + Send + Sync>> {
        let offer = self.connection.create_offer(None)?;
        self.connection.set_local_description(now, offer)?;
        let local = self.connection.local_description();
        let sdp = local.ok_or("no local description")?.sdp;
        let audio = sdp.find("m=audio").ok_or("no audio line")?;
        let mid = sdp[audio..]
            .lines()
            .find_map(|line| line.strip_prefix("a=mid:"));
        let mid = mid.ok_or("no mid")?.trim().to_owned();
        let source = Source::Microphone;
        let sources = vec![SourceMid { mid, source }];
        Ok(ClientMessage::Offer { sdp, sources })
    }

    pub fn accept(
        &mut self,
        now: Instant,
        sdp: String,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let answer = RTCSessionDescription::answer(sdp)?;
        self.connection.set_remote_description(now, answer)?;
        let mut sender = self.connection.rtp_sender(self.sender).ok_or("no sender")?;
        let parameters = &sender.get_parameters().rtp_parameters;
        self.payload_type = parameters.codecs.first().map(|codec| codec.payload_type);
        let level = parameters
            .header_extensions
            .iter()
            .find(|e| e.uri == LEVEL_URI);
        self.level_id = level.map(|extension| extension.id as u8);
        Ok(())
    }

    /// Answers the server's offer.
    pub fn answer(
        &mut self,
        now: Instant,
        sdp: String,
    ) -> Result<ClientMessage, Box<dyn Error + Send + Sync>> {
        let offer = RTCSessionDescription::offer(sdp)?;
        self.connection.set_remote_description(now, offer)?;
        let answer = self.connection.create_answer(None)?;
        self.connection.set_local_description(now, answer)?;
        let local = self.connection.local_description();
        let sdp = local.ok_or("no local description")?.sdp;
        Ok(ClientMessage::Answer { sdp })
    }

    /// Takes what came, obeys timers, sends what is due. `listen`: decode this round, to be sure
    /// that there is sound in the packets.
    pub fn drive(&mut self, now: Instant, listen: bool) {
        let mut buffer = [0u8; 1_600];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let transport = TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            };
            let message = BytesMut::from(&buffer[..length]);
            // A datagram that cannot be decrypted shows as loss.
            let _refused = self.connection.handle_read(TaggedBytesMut {
                now,
                transport,
                message,
            });
        }
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            let _refused = self.connection.handle_timeout(now);
        }
        if !listen {
            self.decoder = None;
        }
        self.pump(listen);
        self.flush();
    }

    fn pump(&mut self, listen: bool) {
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
                if let RTCMessage::RtpPacket(_, packet) = message.message {
                    let header = &packet.header;
                    self.heard.count(header.ssrc, header.sequence_number);
                    if listen && !packet.payload.is_empty() {
                        self.listen(&packet.payload);
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn listen(&mut self, payload: &[u8]) {
        if self.decoder.is_none() {
            self.decoder = Decoder::new(8_000).ok();
        }
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        if let Some(samples) = decoder.decode(payload, &mut self.pcm) {
            self.heard.listened += 1;
            self.heard.loud += u64::from(loudness(&self.pcm[..samples]) > 200.0);
        }
    }

    /// Sends 20 ms of Opus; false while that is not possible yet.
    pub fn speak(&mut self, now: Instant, payload: &[u8], level: u8) -> bool {
        let Some(payload_type) = self.payload_type.filter(|_| self.connected) else {
            return false;
        };
        let mut header = rtc::rtp::Header {
            version: 2,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        if let Some(id) = self.level_id {
            let octet = level | if level < 60 { 0x80 } else { 0 };
            let _too_high_an_id = header.set_extension(id, Bytes::copy_from_slice(&[octet]));
        }
        let packet = rtc::rtp::Packet {
            header,
            payload: Bytes::copy_from_slice(payload),
        };
        let message = RTCMessage::RtpPacket(String::new(), packet);
        let written = self
            .connection
            .handle_write(TaggedRTCMessage { now, message });
        self.flush();
        written.is_ok()
    }

    /// Closes as a page does.
    pub fn close(&mut self) {
        let _closed = self.connection.close();
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(out) = self.connection.poll_write() {
            match self.socket.send_to(&out.message, out.transport.peer_addr) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.heard.unsent += 1,
                _ => {}
            }
        }
    }
}

fn opus() -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            rtcp_feedback: vec![],
        },
        payload_type: 111,
    }
}
