//! What of a video payload an SFU must see: where a picture can be begun.

use bytes::Bytes;

use super::vp8;
use crate::meeting::track::TrackCodec;

/// The packet begins a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keyframe {
    /// In pixels, where the payload says so.
    pub width: Option<u16>,
}

/// `None` if it does not begin one, or we cannot see (end-to-end encrypted frames).
pub(super) fn keyframe(codec: TrackCodec, payload: &Bytes) -> Option<Keyframe> {
    match codec {
        TrackCodec::Vp8 => {
            vp8::keyframe_size(payload).map(|(width, _)| Keyframe { width: Some(width) })
        }
        TrackCodec::H264 => h264_begins_keyframe(payload).then_some(Keyframe { width: None }),
        TrackCodec::Opus => None,
    }
}

/// A sequence parameter set or an IDR slice, alone, first in a STAP-A, or beginning in an FU-A
/// (RFC 6184 §5.6–5.8).
fn h264_begins_keyframe(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SPS: u8 = 7;
    const STAP_A: u8 = 24;
    const FU_A: u8 = 28;
    let kind = |at: usize| payload.get(at).map(|octet| octet & 0x1F);
    match kind(0) {
        Some(IDR | SPS) => true,
        Some(STAP_A) => matches!(kind(3), Some(IDR | SPS)),
        Some(FU_A) => kind(1) == Some(IDR) && payload[1] & 0x80 != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_keyframes_are_known_in_all_three_packings() {
        let begins = |bytes: &[u8]| h264_begins_keyframe(bytes);
        assert!(begins(&[0x67, 0x42]) && begins(&[0x65, 0x88]));
        assert!(begins(&[0x78, 0, 2, 0x67, 0x42]));
        assert!(begins(&[0x7C, 0x85, 1]), "the first fragment");
        assert!(!begins(&[0x7C, 0x05, 1]), "a later one");
        assert!(!begins(&[0x61, 0x9A]) && !begins(&[0x78, 0, 2, 0x61]));
        for short in [&[][..], &[0x7C], &[0x78, 0]] {
            assert!(!begins(short));
        }
    }
}
