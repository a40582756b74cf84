//! One audio or video source published into a Session.

use crate::id::ParticipantId;
use crate::meeting::layer::Layers;
use crate::meeting::signal::Source;

/// Names a seat in a worker; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeatId(pub u64);

/// Names a track in its session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u64);

/// What a track is encoded with. Codecs are forwarded as they are, never converted between
/// browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackCodec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 6184, constrained baseline, packetization-mode 1.
    H264,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Microphones and phones.
    Audio,
    /// Cameras and screens.
    Video,
}

impl TrackCodec {
    /// Audio or video.
    pub fn kind(self) -> TrackKind {
        match self {
            Self::Opus => TrackKind::Audio,
            Self::Vp8 | Self::H264 => TrackKind::Video,
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate_hz(self) -> u32 {
        match self.kind() {
            TrackKind::Audio => 48_000,
            TrackKind::Video => 90_000,
        }
    }
}

impl Source {
    /// Audio or video.
    pub fn track_kind(self) -> TrackKind {
        match self {
            Self::Microphone => TrackKind::Audio,
            Self::Camera | Self::Screen => TrackKind::Video,
        }
    }
}

/// A published source.
#[derive(Debug)]
pub struct Track {
    /// Its name in the session.
    pub id: TrackId,
    /// Seat of its publisher.
    pub seat: SeatId,
    /// The publisher.
    pub participant: ParticipantId,
    /// Which of the publisher's sources.
    pub source: Source,
    /// Encoding; tracks are published when it is known.
    pub codec: TrackCodec,
    /// The publisher says it sends nothing.
    pub muted_by_self: bool,
    /// Somebody with the permission silenced it: nothing is forwarded or mixed.
    pub muted_by_server: bool,
    /// A keyframe is wanted as soon as there is a stream to ask one of.
    pub keyframe_pending: bool,
    /// The publisher's streams, once packets came.
    pub layers: Layers,
}

impl Track {
    /// As others see it.
    pub fn is_muted(&self) -> bool {
        self.muted_by_self || self.muted_by_server
    }
}
