//! The participant's peer connection on the `webrtc` crate: one microphone, one data channel,
//! whatever the server offers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_VP8,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, Registry,
    SettingEngineBuilder,
};
use webrtc::rtp_transceiver::RtpSender;

use super::JoinError;
use super::microphone::Microphone;
use super::room::Room;
use crate::audio::opus::{Decoder, PACKET_MS_MAX};
use crate::probe::ear::Ear;
use crate::probe::sound::EAR_RATE_HZ;
use crate::run::clock;

/// Label of the data channel whose end tells the server that we left.
const DATA_CHANNEL: &str = "ringbridge";
/// RTP units of Opus per sample at the ear's rate.
const OPUS_STEP: u32 = 48_000 / EAR_RATE_HZ;
/// Longest decoded packet at the ear's rate.
const DECODED_SAMPLES_MAX: usize = PACKET_MS_MAX * EAR_RATE_HZ as usize / 1_000;
/// Gathering host candidates asks nobody; it is instant or broken.
const GATHERING_WAIT: Duration = Duration::from_secs(3);
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// The peer connection and what belongs to it.
pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    microphone: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    microphone_ssrc: u32,
    /// Kept open: its end is a goodbye.
    _channel: Arc<dyn DataChannel>,
    state: watch::Receiver<RTCPeerConnectionState>,
    gathering: watch::Receiver<RTCIceGatheringState>,
    tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
}

impl From<webrtc::error::Error> for JoinError {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Peer(error.to_string())
    }
}

/// Callbacks run on the connection's own task: they pass on and return.
struct Callbacks {
    state: watch::Sender<RTCPeerConnectionState>,
    gathering: watch::Sender<RTCIceGatheringState>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Callbacks {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathering.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        // Full means more than 64 tracks within one wake-up: then the probe is deaf to some.
        let _deaf_to_it = self.tracks.try_send(track);
    }
}

impl Peer {
    /// A peer connection that can reach `server`'s host.
    pub async fn new(server: SocketAddr) -> Result<Self, JoinError> {
        let mut media = media_engine()?;
        let registry = register_default_interceptors(Registry::new(), &mut media)?;
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .build();
        let (state_sender, state) = watch::channel(RTCPeerConnectionState::New);
        let (gathering_sender, gathering) = watch::channel(RTCIceGatheringState::New);
        let (track_sender, tracks) = mpsc::channel(64);
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(Callbacks {
                state: state_sender,
                gathering: gathering_sender,
                tracks: track_sender,
            }))
            .with_udp_addrs(local_addresses(server))
            .build()
            .await?;
        let channel = connection.create_data_channel(DATA_CHANNEL, None).await?;
        let microphone_ssrc = rand::random();
        let microphone = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "probe".to_owned(),
            "microphone".to_owned(),
            "microphone".to_owned(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(microphone_ssrc),
                    ..Default::default()
                },
                codec: opus().rtp_codec,
                ..Default::default()
            }],
        )));
        let send_only = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec!["probe".to_owned()],
            send_encodings: Vec::new(),
        };
        let transceiver = connection
            .add_transceiver_from_track(microphone.clone(), Some(send_only))
            .await?;
        let sender = transceiver
            .sender()
            .await?
            .ok_or_else(|| JoinError::Peer("the microphone has no sender".to_owned()))?;
        Ok(Self {
            connection: Arc::new(connection),
            microphone,
            sender,
            microphone_ssrc,
            _channel: channel,
            state,
            gathering,
            tracks,
        })
    }

    /// Our one offer with all candidates, and the microphone's `mid` in it.
    pub async fn offer(&mut self) -> Result<(String, String), JoinError> {
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        let complete = self
            .gathering
            .wait_for(|state| *state == RTCIceGatheringState::Complete);
        tokio::time::timeout(GATHERING_WAIT, complete)
            .await
            .map_err(|_| JoinError::TimedOut("gathering our own addresses"))?
            .map_err(|_| JoinError::Peer("the connection ended".to_owned()))?;
        let sdp = self.local_sdp().await?;
        let mid = audio_mid(&sdp).ok_or_else(|| JoinError::Peer("no audio line".to_owned()))?;
        Ok((sdp, mid))
    }

    /// Takes the server's answer.
    pub async fn accept(&self, answer: String) -> Result<(), JoinError> {
        let answer = RTCSessionDescription::answer(answer)?;
        Ok(self.connection.set_remote_description(answer).await?)
    }

    /// Answers the server's offer.
    pub async fn answer(&self, offer: String) -> Result<String, JoinError> {
        let offer = RTCSessionDescription::offer(offer)?;
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer(None).await?;
        self.connection.set_local_description(answer).await?;
        self.local_sdp().await
    }

    /// Changes of the connection's state.
    pub fn state(&self) -> watch::Receiver<RTCPeerConnectionState> {
        self.state.clone()
    }

    /// The next remote track; never ends before the connection. Safe to cancel.
    pub async fn next_track(&mut self) -> Option<Arc<dyn TrackRemote>> {
        self.tracks.recv().await
    }

    /// A task's worth of listening to one track.
    pub fn listen(
        &self,
        track: Arc<dyn TrackRemote>,
        room: Arc<Room>,
    ) -> impl Future<Output = ()> + Send + 'static {
        listen(Arc::clone(&self.connection), track, room)
    }

    /// The microphone, once the answer told the payload type.
    pub async fn microphone(&self) -> Result<Microphone, JoinError> {
        let parameters = self.sender.get_parameters().await?.rtp_parameters;
        let payload_type = parameters
            .codecs
            .iter()
            .find(|codec| {
                codec
                    .rtp_codec
                    .mime_type
                    .eq_ignore_ascii_case(MIME_TYPE_OPUS)
            })
            .map(|codec| codec.payload_type)
            .ok_or_else(|| JoinError::Peer("the answer has no Opus".to_owned()))?;
        let level_id = parameters
            .header_extensions
            .iter()
            .find(|extension| extension.uri == LEVEL_URI)
            .map(|extension| extension.id as u8);
        Microphone::new(
            Arc::clone(&self.microphone),
            self.microphone_ssrc,
            payload_type,
            level_id,
        )
    }

    /// Says goodbye to the server's end and stops.
    pub async fn close(&self) {
        // What fails here is gone already.
        let _gone = self.connection.close().await;
    }

    async fn local_sdp(&self) -> Result<String, JoinError> {
        self.connection
            .local_description()
            .await
            .map(|description| description.sdp)
            .ok_or_else(|| JoinError::Peer("no local description".to_owned()))
    }
}

/// Every interface, and loopback for a server on this machine.
fn local_addresses(server: SocketAddr) -> Vec<String> {
    match (server.ip().is_loopback(), server.is_ipv4()) {
        (true, true) => vec!["127.0.0.1:0".to_owned(), "0.0.0.0:0".to_owned()],
        (true, false) => vec!["[::1]:0".to_owned(), "0.0.0.0:0".to_owned()],
        (false, true) => vec!["0.0.0.0:0".to_owned()],
        (false, false) => vec!["0.0.0.0:0".to_owned(), "[::]:0".to_owned()],
    }
}

async fn listen(connection: Arc<dyn PeerConnection>, track: Arc<dyn TrackRemote>, room: Arc<Room>) {
    let is_audio = track.kind().await == RtpCodecKind::Audio;
    let mid = mid_of(&connection, &track).await;
    let mut hearing: Option<(u32, Ear, Decoder)> = None;
    let mut pcm = [0i16; DECODED_SAMPLES_MAX];
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else {
            continue;
        };
        let arrival = clock::now();
        let header = &packet.header;
        if hearing
            .as_ref()
            .is_none_or(|(ssrc, ..)| *ssrc != header.ssrc)
        {
            // A recycled m-line carries somebody else's stream from now on.
            let Ok(decoder) = Decoder::new(EAR_RATE_HZ) else {
                return;
            };
            let ear = room.ear(mid.as_deref(), header.ssrc);
            hearing = Some((header.ssrc, ear, decoder));
        }
        let Some((_, ear, decoder)) = &mut hearing else {
            return;
        };
        if !is_audio || packet.payload.is_empty() {
            ear.note_other(header.sequence_number, false);
            continue;
        }
        match decoder.decode(&packet.payload, &mut pcm) {
            Some(samples) => ear.hear(
                arrival,
                header.sequence_number,
                header.timestamp,
                OPUS_STEP,
                pcm[..samples].to_vec(),
            ),
            None => ear.note_other(header.sequence_number, true),
        }
    }
}

async fn mid_of(
    connection: &Arc<dyn PeerConnection>,
    track: &Arc<dyn TrackRemote>,
) -> Option<String> {
    for transceiver in connection.get_transceivers().await {
        if let Ok(Some(receiver)) = transceiver.receiver().await
            && Arc::ptr_eq(receiver.track(), track)
        {
            return transceiver.mid().await.ok().flatten();
        }
    }
    None
}

/// `a=mid` of the first audio line.
fn audio_mid(sdp: &str) -> Option<String> {
    let audio = &sdp[sdp.find("m=audio")?..];
    let mid = audio.lines().find_map(|line| line.strip_prefix("a=mid:"))?;
    Some(mid.trim().to_owned())
}

fn opus() -> RTCRtpCodecParameters {
    codec(MIME_TYPE_OPUS, 48_000, 2, "minptime=10;useinbandfec=1", 111)
}

fn codec(
    mime_type: &str,
    clock_rate: u32,
    channels: u16,
    fmtp: &str,
    payload_type: u8,
) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: vec![],
        },
        payload_type,
    }
}

/// Opus, and video without RTX, whose repairs this version of the stack does not count.
fn media_engine() -> Result<MediaEngine, webrtc::error::Error> {
    let mut media = MediaEngine::default();
    media.register_codec(opus(), RtpCodecKind::Audio)?;
    let baseline = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    media.register_codec(codec(MIME_TYPE_VP8, 90_000, 0, "", 96), RtpCodecKind::Video)?;
    media.register_codec(
        codec(MIME_TYPE_H264, 90_000, 0, baseline, 102),
        RtpCodecKind::Video,
    )?;
    for uri in [MID_URI, LEVEL_URI] {
        let extension = RTCRtpHeaderExtensionCapability {
            uri: uri.to_owned(),
        };
        media.register_header_extension(extension, RtpCodecKind::Audio, None)?;
    }
    Ok(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_offer_is_one_sending_microphone_and_a_data_channel() {
        let server = "127.0.0.1:9".parse().unwrap();
        let mut peer = Peer::new(server).await.unwrap();
        let (sdp, mid) = peer.offer().await.unwrap();
        peer.close().await;
        assert_eq!(sdp.matches("m=audio").count(), 1, "{sdp}");
        assert_eq!(sdp.matches("m=application").count(), 1);
        assert_eq!(sdp.matches("m=").count(), 2);
        assert!(sdp.contains("a=sendonly") && sdp.contains("opus/48000/2"));
        assert!(sdp.contains(LEVEL_URI) && sdp.contains("127.0.0.1"));
        assert!(sdp.contains(&format!("a=mid:{mid}")));
    }
}
