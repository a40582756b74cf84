//! A byte stream in pieces: the framer never holds more than its bound and finds the same frames
//! however the bytes arrive.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringbridge::sip::framing::{Frame, StreamFramer};

fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
    std::iter::from_fn(|| framer.poll_frame()).collect()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, data) = input;
    let mut whole = StreamFramer::new();
    whole.handle_bytes(data);
    let expected = frames(&mut whole);

    let mut pieces = StreamFramer::new();
    let mut found = Vec::new();
    for piece in data.chunks(usize::from(size).max(1)) {
        pieces.handle_bytes(piece);
        found.extend(frames(&mut pieces));
    }
    assert_eq!(found, expected);
});
