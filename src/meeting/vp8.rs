//! The VP8 payload descriptor (RFC 7741 §4.2): read, and rewritten so that a stream switched
//! between layers counts its pictures on without a gap.

use bytes::{Bytes, BytesMut};

/// What a payload's descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Descriptor {
    picture_id: Option<PictureId>,
    tl0: Option<Tl0>,
    /// Length of the descriptor.
    length: usize,
    /// First packet of the first partition of a frame.
    starts_frame: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PictureId {
    at: usize,
    value: u16,
    /// Of 15 bits, else of 7.
    long: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tl0 {
    at: usize,
    value: u8,
}

impl Descriptor {
    /// `None` if it is cut off.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut descriptor = Self {
            starts_frame: first & 0x10 != 0 && first & 0x07 == 0,
            length: 1,
            ..Self::default()
        };
        if first & 0x80 == 0 {
            return Some(descriptor);
        }
        let extended = *payload.get(1)?;
        let mut at = 2;
        if extended & 0x80 != 0 {
            let high = *payload.get(at)?;
            let long = high & 0x80 != 0;
            let value = if long {
                u16::from_be_bytes([high & 0x7F, *payload.get(at + 1)?])
            } else {
                u16::from(high)
            };
            descriptor.picture_id = Some(PictureId { at, value, long });
            at += if long { 2 } else { 1 };
        }
        if extended & 0x40 != 0 {
            let value = *payload.get(at)?;
            descriptor.tl0 = Some(Tl0 { at, value });
            at += 1;
        }
        at += usize::from(extended & 0x30 != 0);
        descriptor.length = at;
        Some(descriptor)
    }
}

/// Width and height in pixels if the packet begins a keyframe (RFC 6386 §9.1).
pub(super) fn keyframe_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = Descriptor::read(payload)?;
    let frame = payload.get(descriptor.length..)?;
    let &[tag, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] = frame else {
        return None;
    };
    let is_key = descriptor.starts_frame && tag & 0x01 == 0;
    let size = |low, high| u16::from_le_bytes([low, high]) & 0x3FFF;
    is_key.then(|| (size(w0, w1), size(h0, h1)))
}

/// Counts pictures on over changes of the source.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// Added to the present source's numbers.
    offset: (u16, u8),
    /// Highest numbers sent.
    sent: Option<(u16, u8)>,
    /// The next packet is of another source.
    restarted: bool,
}

impl Pictures {
    /// Another source begins.
    pub fn restart(&mut self) {
        self.restarted = true;
    }

    /// The payload with numbers that go on from those sent before; the same one when nothing has
    /// to change.
    pub fn rewrite(&mut self, payload: &Bytes) -> Bytes {
        let Some(descriptor) = Descriptor::read(payload) else {
            return payload.clone();
        };
        let id = descriptor.picture_id.map_or(0, |id| id.value);
        let tl0 = descriptor.tl0.map_or(0, |tl0| tl0.value);
        if std::mem::take(&mut self.restarted)
            && let Some((sent_id, sent_tl0)) = self.sent
        {
            let next_id = sent_id.wrapping_add(1);
            self.offset = (
                next_id.wrapping_sub(id),
                sent_tl0.wrapping_add(1).wrapping_sub(tl0),
            );
            self.sent = None;
        }
        let (id, tl0) = (
            id.wrapping_add(self.offset.0) & 0x7FFF,
            tl0.wrapping_add(self.offset.1),
        );
        let newer = |sent: u16| (id.wrapping_sub(sent) & 0x7FFF) < 0x4000;
        if self.sent.is_none_or(|(sent, _)| newer(sent)) {
            self.sent = Some((id, tl0));
        }
        if self.offset == (0, 0) {
            return payload.clone();
        }
        let mut changed = BytesMut::from(&payload[..]);
        if let Some(PictureId { at, long, .. }) = descriptor.picture_id {
            let [high, low] = id.to_be_bytes();
            if long {
                (changed[at], changed[at + 1]) = (0x80 | high, low);
            } else {
                changed[at] = low & 0x7F;
            }
        }
        if let Some(Tl0 { at, .. }) = descriptor.tl0 {
            changed[at] = tl0;
        }
        changed.freeze()
    }
}

#[cfg(test)]
pub(in crate::meeting) mod tests {
    use super::*;

    /// A packet as Chrome makes them: 15-bit picture id, TL0PICIDX, TID; then a frame header.
    pub fn packet(id: u16, tl0: u8, starts: bool, keyframe: Option<(u16, u16)>) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        let first = if starts { 0x90 } else { 0x80 };
        let mut packet = vec![first, 0xE0, 0x80 | high, low, tl0, 0x20];
        match keyframe {
            Some((width, height)) => {
                packet.extend([0x10, 0, 0, 0x9D, 0x01, 0x2A]);
                packet.extend(width.to_le_bytes());
                packet.extend(height.to_le_bytes());
            }
            None => packet.extend([0x11, 0, 0]),
        }
        packet.extend([0xAB; 100]);
        packet
    }

    /// Picture id and TL0PICIDX.
    pub fn numbers(payload: &[u8]) -> (u16, u8) {
        let read = Descriptor::read(payload).unwrap();
        (read.picture_id.unwrap().value, read.tl0.unwrap().value)
    }

    #[test]
    fn keyframes_are_known_by_their_first_packet_and_tell_their_size() {
        let size = Some((640, 360));
        assert_eq!(keyframe_size(&packet(5, 1, true, size)), size);
        assert_eq!(keyframe_size(&packet(5, 1, false, size)), None);
        assert_eq!(keyframe_size(&packet(5, 1, true, None)), None);
        let bare = [0x10, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x42, 0xE0, 0x41];
        assert_eq!(
            keyframe_size(&bare),
            Some((0x280, 0x1E0)),
            "scale bits do not count"
        );
    }

    #[test]
    fn cut_off_payloads_say_nothing_and_pass_unchanged() {
        let whole = packet(5, 1, true, Some((640, 360)));
        for length in 0..whole.len().min(20) {
            let cut = Bytes::copy_from_slice(&whole[..length]);
            let _ = keyframe_size(&cut);
            let mut pictures = Pictures::default();
            assert_eq!(pictures.rewrite(&cut), cut);
        }
    }

    #[test]
    fn pictures_are_counted_on_over_a_switch_and_the_wrap() {
        let mut pictures = Pictures::default();
        let send = |pictures: &mut Pictures, id, tl0| {
            let payload = Bytes::from(packet(id, tl0, true, None));
            let sent = pictures.rewrite(&payload);
            assert_eq!(sent.len(), payload.len());
            assert_eq!(sent[6..], payload[6..], "only the numbers change");
            numbers(&sent)
        };
        assert_eq!(send(&mut pictures, 0x7FFE, 254), (0x7FFE, 254));
        assert_eq!(send(&mut pictures, 0x7FFF, 255), (0x7FFF, 255));
        assert_eq!(
            send(&mut pictures, 0x7FFE, 254),
            (0x7FFE, 254),
            "late, the same"
        );
        pictures.restart();
        assert_eq!(send(&mut pictures, 100, 7), (0, 0));
        assert_eq!(
            send(&mut pictures, 102, 8),
            (2, 1),
            "a lost one leaves its gap"
        );
        assert_eq!(send(&mut pictures, 101, 8), (1, 1));
        pictures.restart();
        assert_eq!(send(&mut pictures, 9, 9), (3, 2));
    }

    #[test]
    fn short_picture_ids_stay_short() {
        let mut pictures = Pictures::default();
        pictures.rewrite(&Bytes::from(packet(300, 1, true, None)));
        pictures.restart();
        let short = Bytes::from_static(&[0x90, 0x80, 0x05, 0x11, 0, 0]);
        assert_eq!(
            pictures.rewrite(&short)[..3],
            [0x90, 0x80, 301u16 as u8 & 0x7F]
        );
    }
}
