//! The participant's voice: Opus from 48 kHz, one packet every 20 ms, with its level in the
//! header (RFC 6464) as browsers send it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rtc::rtp::header::Header;
use rtc::rtp::packet::Packet;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::JoinError;
use super::room::Room;
use crate::audio::level::{level_dbov, level_octet};
use crate::audio::opus::{Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use crate::probe::sound::Voice;
use crate::run::clock;

/// Sample rate and RTP clock rate.
pub const RATE_HZ: u32 = 48_000;
/// Samples in 20 ms.
const FRAME_SAMPLES: usize = 960;

/// The sending end of the microphone's track.
pub struct Microphone {
    track: Arc<TrackLocalStaticRTP>,
    encoder: Encoder,
    ssrc: u32,
    payload_type: u8,
    level_id: Option<u8>,
    sequence: u16,
    timestamp: u32,
}

impl Microphone {
    pub(super) fn new(
        track: Arc<TrackLocalStaticRTP>,
        ssrc: u32,
        payload_type: u8,
        level_id: Option<u8>,
    ) -> Result<Self, JoinError> {
        let encoder = Encoder::new(EncoderSettings {
            sample_rate_hz: RATE_HZ,
            bitrate: 32_000,
            complexity: 5,
            fec: true,
            expected_loss_percent: 0,
            dtx: false,
        })
        .map_err(|error| JoinError::Peer(error.to_string()))?;
        Ok(Self {
            track,
            encoder,
            ssrc,
            payload_type,
            level_id,
            sequence: rand::random(),
            timestamp: rand::random(),
        })
    }

    /// Talks until the channel of other voices closes.
    pub async fn run(
        mut self,
        mut voice: Voice,
        mut others: mpsc::Receiver<Voice>,
        room: Arc<Room>,
    ) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.speak(&mut voice, &room).await,
                other = others.recv() => match other {
                    Some(other) => voice = other,
                    None => return,
                },
            }
        }
    }

    async fn speak(&mut self, voice: &mut Voice, room: &Room) {
        let mut samples = [0i16; FRAME_SAMPLES];
        let chirp = voice.fill(&mut samples);
        let mut payload = [0u8; PACKET_BYTES_MAX];
        let length = match self.encoder.encode(&samples, &mut payload) {
            Encoded::Packet(length) => length,
            Encoded::Silence => 0,
        };
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_SAMPLES as u32);
        if length == 0 {
            return;
        }
        let mut header = Header {
            version: 2,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(id) = self.level_id {
            let level = level_dbov(&samples);
            let octet = level_octet(level, level < 60);
            // Ids above 14 would need two-byte headers; then the level is left out.
            let _left_out = header.set_extension(id, Bytes::copy_from_slice(&[octet]));
        }
        let packet = Packet {
            header,
            payload: Bytes::copy_from_slice(&payload[..length]),
        };
        let now = clock::now();
        if self.track.write_rtp(packet).await.is_ok() {
            let offset = |at| Duration::from_micros(at as u64 * 1_000_000 / u64::from(RATE_HZ));
            room.note_spoken(chirp.map(|at| now + offset(at)));
        }
    }
}
