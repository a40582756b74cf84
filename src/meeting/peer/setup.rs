//! Settings every peer of a process shares: certificate, codecs, extensions, interceptors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::crypto::{self, SignatureScheme};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{NackGeneratorBuilder, ReceiverReportBuilder, Registry, Slot};
use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::configure_twcc_receiver_only;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine,
};
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngineBuilder,
};
use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate,
};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::shared::error::Error as RtcError;

use super::congestion::{Congestion, CongestionCell};
use super::downlink::{DownlinkCell, Reports};
use super::keyframe::{self, KeyframeRequests};
use super::resend::Resend;
use crate::meeting::track::TrackCodec;

/// Without connectivity checks for this long a peer is troubled…
const ICE_DISCONNECTED_AFTER: Duration = Duration::from_secs(5);
/// …and this much later it is gone (RFC 7675 gives consent 30 s; people give up earlier).
const ICE_FAILED_AFTER: Duration = Duration::from_secs(15);
const ICE_KEEPALIVE: Duration = Duration::from_secs(2);

/// A video frame of a hundred packets may arrive before a retransmission of its first.
const SRTP_REPLAY_WINDOW_PACKETS: usize = 512;

/// One NACK round per this, at most so many per packet: without a bound, a packet that can never
/// be repaired is asked for forever (measured: 139 requests for one packet).
const NACK_INTERVAL: Duration = Duration::from_millis(50);
const NACKS_PER_PACKET_MAX: u16 = 10;

/// Data channels carry nothing yet; a small bound keeps a peer from filling memory. `rtc` keeps a
/// buffer of this length for each peer.
const DATA_CHANNEL_MESSAGE_BYTES_MAX: u32 = 1_024;

/// The process's DTLS identity: one key for all peers, since making one per peer costs more than
/// the rest of the set-up.
#[derive(Debug, Clone)]
pub struct Certificate(RTCCertificate);

impl Certificate {
    /// A new self-signed P-256 certificate; its key lives as long as the process.
    ///
    /// # Errors
    /// The crypto provider failed; the text says how.
    pub fn generate() -> Result<Self, String> {
        let provider = crypto::default_provider().map_err(|error| error.to_string())?;
        let params = CertificateParams::new(vec!["ringbridge".to_owned()])
            .map_err(|error| error.to_string())?;
        RTCCertificate::generate(provider.crypto(), SignatureScheme::EcdsaP256Sha256, params)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// Where one worker's peers can be reached, and who they say they are.
#[derive(Debug, Clone)]
pub struct PeerSetup {
    certificate: Certificate,
    /// Stands for the shared socket inside `rtc`: never written into a description.
    pub(super) local: SocketAddr,
    /// `candidate:…` lines, most wanted first.
    pub(super) candidates: Vec<String>,
}

impl PeerSetup {
    /// `bound` is the worker's socket; `addresses` are offered as host candidates with its port.
    pub fn new(certificate: Certificate, bound: SocketAddr, addresses: &[IpAddr]) -> Self {
        // Which of the machine's addresses a packet came to does not matter to the lite agent,
        // and the kernel chooses the one an answer leaves from: one made-up address stands for all.
        let local = match bound.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        };
        let candidates = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| host_candidate(index, SocketAddr::new(*address, bound.port())))
            .collect();
        Self {
            certificate,
            local: SocketAddr::new(local, bound.port()),
            candidates,
        }
    }

    /// A new connection for one browser.
    pub(super) fn connect(
        &self,
        now: Instant,
        ufrag: &str,
        password: &str,
        video: bool,
        downlink: Arc<DownlinkCell>,
        congestion: Arc<CongestionCell>,
    ) -> Result<RTCPeerConnection, RtcError> {
        let settings = SettingEngineBuilder::new()
            .with_lite(true)
            .with_ice_credentials(ufrag.to_owned(), password.to_owned())
            .with_ice_timeouts(
                Some(ICE_DISCONNECTED_AFTER),
                Some(ICE_FAILED_AFTER),
                Some(ICE_KEEPALIVE),
            )
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_include_loopback_candidate(true)
            // As DTLS client our first flight races ICE and waits for a retransmission: 215-340 ms
            // to connect instead of 70-95.
            .with_answering_dtls_role(RTCDtlsRole::Server)
            .with_srtp_replay_protection_window(SRTP_REPLAY_WINDOW_PACKETS)
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(DATA_CHANNEL_MESSAGE_BYTES_MAX))
            .build();
        let mut media = MediaEngine::default();
        register_codecs(&mut media)?;
        let registry = interceptors(&mut media, video, downlink, congestion)?;
        let configuration = RTCConfigurationBuilder::new()
            .with_certificates(vec![self.certificate.0.clone()])
            .build();
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_setting_engine(settings)
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(now)?;
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: self.local.ip().to_string(),
                port: self.local.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        }
        .new_candidate_host()?;
        connection.add_local_candidate(RTCIceCandidate::from(&candidate).to_json()?)?;
        Ok(connection)
    }
}

/// RFC 8839 §5.1; priorities of RFC 8445 §5.1.2.1 fall with the order of the addresses.
fn host_candidate(index: usize, address: SocketAddr) -> String {
    let preference = 65_535u32.saturating_sub(index as u32);
    let priority = (126 << 24) | (preference << 8) | 255;
    let (ip, port) = (address.ip(), address.port());
    format!(
        "candidate:{} 1 udp {priority} {ip} {port} typ host",
        index + 1
    )
}

fn register_codecs(media: &mut MediaEngine) -> Result<(), RtcError> {
    for codec in [TrackCodec::Opus, TrackCodec::Vp8, TrackCodec::H264] {
        let (kind, payload_type) = match codec {
            TrackCodec::Opus => (RtpCodecKind::Audio, 111),
            TrackCodec::Vp8 => (RtpCodecKind::Video, 96),
            TrackCodec::H264 => (RtpCodecKind::Video, 102),
        };
        let parameters = RTCRtpCodecParameters {
            rtp_codec: rtp_codec(codec),
            payload_type,
        };
        // Never video/rtx: repairs over RTX are invisible to the NACK generator of rtc 0.21.1,
        // which then asks again and again (133 requests, 1303 repairs for 385 packets at 5 % loss).
        media.register_codec(parameters, kind)?;
    }
    for (uri, kind) in [
        ("urn:ietf:params:rtp-hdrext:sdes:mid", RtpCodecKind::Audio),
        ("urn:ietf:params:rtp-hdrext:sdes:mid", RtpCodecKind::Video),
        // Names simulcast layers until the first report about them.
        (
            "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            RtpCodecKind::Video,
        ),
        (
            "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            RtpCodecKind::Audio,
        ),
    ] {
        let capability = RTCRtpHeaderExtensionCapability {
            uri: uri.to_owned(),
        };
        media.register_header_extension(capability, kind, None)?;
    }
    Ok(())
}

/// A codec as `rtc` wants it described.
pub(super) fn rtp_codec(codec: TrackCodec) -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    };
    let video_feedback = || {
        vec![
            feedback("nack", ""),
            feedback("nack", "pli"),
            feedback("ccm", "fir"),
        ]
    };
    let (mime_type, channels, sdp_fmtp_line, rtcp_feedback) = match codec {
        TrackCodec::Opus => (MIME_TYPE_OPUS, 2, "minptime=10;useinbandfec=1", Vec::new()),
        TrackCodec::Vp8 => (MIME_TYPE_VP8, 0, "", video_feedback()),
        TrackCodec::H264 => (
            MIME_TYPE_H264,
            0,
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            video_feedback(),
        ),
    };
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: codec.clock_rate_hz(),
        channels,
        sdp_fmtp_line: sdp_fmtp_line.to_owned(),
        rtcp_feedback,
    }
}

/// Lean for audio (reports only); video adds repair and the arrival reports Chrome's bandwidth
/// estimate needs.
fn interceptors(
    media: &mut MediaEngine,
    video: bool,
    downlink: Arc<DownlinkCell>,
    congestion: Arc<CongestionCell>,
) -> Result<Registry, RtcError> {
    let mut registry = Registry::new()
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, Reports::new(downlink))
        // Who sends no picture may well be sent one.
        .with(Slot::NackResponder, Resend::default())
        .with(Slot::from(keyframe::SLOT), KeyframeRequests::default());
    if video {
        let generator = NackGeneratorBuilder::new()
            .with_interval(NACK_INTERVAL)
            .with_max_nacks_per_packet(NACKS_PER_PACKET_MAX)
            .build();
        registry = registry
            .with(Slot::NackGenerator, generator)
            .with(Slot::TwccSender, Congestion::new(congestion));
        registry = configure_twcc_receiver_only(registry, media)?;
    }
    Ok(registry)
}
