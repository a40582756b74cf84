//! Cuts SIP messages out of a byte stream (RFC 3261 §18.3) and answers keep-alives
//! (RFC 5626 §3.5.1).
//!
//! Not for WebSocket, where one frame is one message.

use crate::limits::{SIP_HEAD_BYTES_MAX, SIP_MESSAGE_BYTES_MAX};

use super::header::parse_decimal;

/// What the stream held next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message for [`super::endpoint::Endpoint::handle_datagram`].
    Message(Vec<u8>),
    /// A keep-alive ping (CRLFCRLF): send [`PONG`].
    Ping,
    /// The stream cannot be framed any more: send what is queued, then close. Where the message at
    /// fault has a readable head, it came as [`Frame::Message`] before and the endpoint answers it.
    Close(FrameError),
}

/// What answers a ping.
pub const PONG: &[u8] = b"\r\n";

/// Why a stream cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// The head is not complete within the bound.
    #[error("message head too long")]
    HeadTooLong,
    /// Head and body together pass the bound.
    #[error("message too long")]
    MessageTooLong,
    /// No Content-Length: the next message's start is unknown.
    #[error("no Content-Length")]
    NoContentLength,
    /// Content-Length is no number, or two differ.
    #[error("malformed Content-Length")]
    BadContentLength,
    /// The first bytes are not SIP (a TLS hello, HTTP, noise).
    #[error("not SIP")]
    NotSip,
}

/// The framer of one stream connection.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: Vec<u8>,
    /// How much of `buffer` was searched for the end of a head: slow senders cost no rescans.
    searched: usize,
    /// Length of the message that has begun, once its head is read: slow bodies cost no re-reading.
    message_len: Option<usize>,
    closed: Option<FrameError>,
    close_reported: bool,
}

impl StreamFramer {
    /// A framer at the start of its stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a message has begun and is not complete: the shell's slow-sender timeout runs.
    pub fn is_within_message(&self) -> bool {
        !self.is_between_messages()
    }

    /// Nothing, or half a ping.
    fn is_between_messages(&self) -> bool {
        b"\r\n\r\n".starts_with(&self.buffer)
    }

    /// Takes received bytes. Drain with [`StreamFramer::poll_frame`] until `None`.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.closed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole thing.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        if let Some(error) = self.closed {
            let first = !std::mem::replace(&mut self.close_reported, true);
            return first.then_some(Frame::Close(error));
        }
        if let Some(ping) = self.take_keep_alive() {
            return Some(ping);
        }
        if let Some(message_len) = self.message_len {
            let is_whole = self.buffer.len() >= message_len;
            return is_whole.then(|| Frame::Message(self.take(message_len)));
        }
        if self.is_between_messages() {
            return None;
        }
        if !looks_like_sip(&self.buffer) {
            return self.close(FrameError::NotSip, 0);
        }
        let Some(head_len) = self.find_head_end() else {
            return match self.buffer.len() > SIP_HEAD_BYTES_MAX {
                true => self.close(FrameError::HeadTooLong, 0),
                false => None,
            };
        };
        if head_len > SIP_HEAD_BYTES_MAX {
            return self.close(FrameError::HeadTooLong, 0);
        }
        let body_len = match content_length(&self.buffer[..head_len]) {
            Ok(body_len) => body_len,
            Err(error) => return self.close(error, head_len),
        };
        let message_len = head_len + body_len;
        if message_len > SIP_MESSAGE_BYTES_MAX {
            return self.close(FrameError::MessageTooLong, head_len);
        }
        self.message_len = Some(message_len);
        self.poll_frame()
    }

    /// Skips line ends between messages; two of them are a ping.
    fn take_keep_alive(&mut self) -> Option<Frame> {
        loop {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.take(4);
                return Some(Frame::Ping);
            }
            // A lone CR or CRLF may be half a ping: wait for the rest, unless a message follows.
            if self.is_between_messages() {
                return None;
            }
            match self.buffer.first() {
                Some(b'\r' | b'\n' | 0) => self.take(1),
                _ => return None,
            };
        }
    }

    fn find_head_end(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(3);
        let found = find(&self.buffer[from..], b"\r\n\r\n").map(|at| from + at + 4);
        self.searched = self.buffer.len();
        found
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(len);
        self.searched = 0;
        self.message_len = None;
        std::mem::replace(&mut self.buffer, rest)
    }

    fn close(&mut self, error: FrameError, head_len: usize) -> Option<Frame> {
        self.closed = Some(error);
        let head = self.take(head_len);
        self.buffer = Vec::new();
        if head.is_empty() {
            return self.poll_frame();
        }
        Some(Frame::Message(head))
    }
}

/// A method or `SIP/2.0` starts with a token character; a TLS hello (0x16) or noise does not.
fn looks_like_sip(bytes: &[u8]) -> bool {
    let first = bytes[0];
    first.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&first)
}

fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found: Option<u32> = None;
    for line in head.split(|&b| b == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = std::str::from_utf8(&line[colon + 1..])
            .ok()
            .and_then(parse_decimal);
        let value = value.ok_or(FrameError::BadContentLength)?;
        if found.is_some_and(|other| other != value) {
            return Err(FrameError::BadContentLength);
        }
        found = Some(value);
    }
    found
        .map(|len| len as usize)
        .ok_or(FrameError::NoContentLength)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.poll_frame()).collect()
    }

    fn fed(bytes: &[u8]) -> Vec<Frame> {
        let mut framer = StreamFramer::new();
        framer.handle_bytes(bytes);
        frames(&mut framer)
    }

    const OPTIONS: &[u8] = b"OPTIONS sip:x SIP/2.0\r\nl : 3\r\n\r\nabc";

    #[test]
    fn messages_are_cut_at_content_length_however_the_bytes_arrive() {
        let stream = [OPTIONS, b"\r\n", OPTIONS].concat();
        let whole = fed(&stream);
        assert_eq!(
            whole,
            [
                Frame::Message(OPTIONS.into()),
                Frame::Message(OPTIONS.into())
            ]
        );

        let mut framer = StreamFramer::new();
        let mut one_by_one = Vec::new();
        for byte in &stream {
            framer.handle_bytes(&[*byte]);
            one_by_one.extend(frames(&mut framer));
        }
        assert_eq!(one_by_one, whole);
        assert!(!framer.is_within_message());
    }

    #[test]
    fn a_double_line_end_is_a_ping_and_a_single_one_is_swallowed() {
        assert_eq!(fed(b"\r\n\r\n"), [Frame::Ping]);
        assert_eq!(fed(b"\r\n"), []);
        assert_eq!(fed(b"\r\n\r\n\r\n\r\n"), [Frame::Ping, Frame::Ping]);
    }

    #[test]
    fn a_head_without_content_length_is_given_out_once_and_the_stream_closed() {
        let head = b"OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n";
        let frames = fed(&[head.as_slice(), b"INVITE"].concat());
        assert_eq!(
            frames,
            [
                Frame::Message(head.to_vec()),
                Frame::Close(FrameError::NoContentLength)
            ]
        );
    }

    #[test]
    fn lengths_that_lie_overflow_or_differ_close_the_stream() {
        for (length, error) in [
            ("l: 4294967299", FrameError::BadContentLength),
            ("l: -1", FrameError::BadContentLength),
            ("l: 1\r\nContent-Length: 2", FrameError::BadContentLength),
            ("l: 70000", FrameError::MessageTooLong),
        ] {
            let head = format!("OPTIONS sip:x SIP/2.0\r\n{length}\r\n\r\n");
            assert_eq!(
                fed(head.as_bytes()).last(),
                Some(&Frame::Close(error)),
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_not_sip_or_never_ends_closes_the_stream() {
        assert_eq!(fed(b"\x16\x03\x01\x02"), [Frame::Close(FrameError::NotSip)]);
        let endless = vec![b'a'; SIP_HEAD_BYTES_MAX + 1];
        assert_eq!(fed(&endless), [Frame::Close(FrameError::HeadTooLong)]);
    }
}
