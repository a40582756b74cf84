//! Bytes to lines to headers: compact names, folding, comma lists, white space before the colon,
//! LF alone, bytes that are not UTF-8.
//!
//! What is tolerated here is tolerated because phones do it or RFC 4475 says it is legal. Faults do
//! not stop the reading: the request at fault is still answered, from the headers it has.

use std::borrow::Cow;
use std::iter::Peekable;

use crate::limits::{SIP_HEAD_BYTES_MAX, SIP_HEADER_FIELDS_MAX};

use super::header::{parse_decimal, split_list};
use super::headers::{Headers, is_list};
use super::message::Malformed;

/// A message in lines.
#[derive(Debug)]
pub struct Lines<'a> {
    /// The first line.
    pub start: String,
    /// Headers, names canonical, list items apart.
    pub headers: Headers,
    /// What follows the empty line, cut to Content-Length.
    pub body: &'a [u8],
    /// The first thing found wrong.
    pub fault: Option<Malformed>,
}

/// Whether Content-Length may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The packet ends the body.
    Packet,
    /// Content-Length ends the body and is required.
    Stream,
}

/// Reads one message. `None`: nothing but line ends.
pub fn normalise(bytes: &[u8], framing: Framing) -> Option<Lines<'_>> {
    let start_at = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let bytes = &bytes[start_at..];
    let (head, rest) = split_head(bytes);
    let mut fault = (head.len() > SIP_HEAD_BYTES_MAX).then_some(Malformed::HeadTooLong);
    let head = decode(&head[..head.len().min(SIP_HEAD_BYTES_MAX)]);
    let mut lines = LogicalLines::new(&head);
    let start = lines.next()?.into_owned();
    let mut headers = Headers::with_capacity(head.len());
    let mut count = 0;
    for line in lines {
        match push_field(&mut headers, &line) {
            Ok(pushed) => count += pushed,
            Err(error) => fault = fault.or(Some(error)),
        }
        if count > SIP_HEADER_FIELDS_MAX {
            fault = fault.or(Some(Malformed::TooManyHeaders));
            break;
        }
    }
    let body = match cut_body(&headers, rest, framing) {
        Ok(body) => body,
        Err(error) => {
            fault = fault.or(Some(error));
            &[]
        }
    };
    Some(Lines {
        start,
        headers,
        body,
        fault,
    })
}

/// Head without its empty line, and what follows. A datagram may end right behind its last header.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut line_start = 0;
    while let Some(len) = bytes[line_start..].iter().position(|&b| b == b'\n') {
        let line = &bytes[line_start..line_start + len];
        let next = line_start + len + 1;
        if line.is_empty() || line == b"\r" {
            return (&bytes[..line_start], &bytes[next..]);
        }
        line_start = next;
    }
    (bytes, &[])
}

/// Lines with their continuation lines joined by one space; empty ones are passed over.
struct LogicalLines<'a> {
    lines: Peekable<SplitLines<'a>>,
}

type SplitLines<'a> = std::str::Split<'a, char>;

impl<'a> LogicalLines<'a> {
    fn new(head: &'a str) -> Self {
        Self {
            lines: head.split('\n').peekable(),
        }
    }
}

impl<'a> Iterator for LogicalLines<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let mut line = loop {
            let line = without_cr(self.lines.next()?);
            if !line.is_empty() {
                break one_line(line);
            }
        };
        while let Some(more) = self.lines.next_if(|next| next.starts_with([' ', '\t'])) {
            let line = line.to_mut();
            line.truncate(line.trim_end().len());
            line.push(' ');
            line.push_str(one_line(without_cr(more)).trim());
        }
        Some(line)
    }
}

fn without_cr(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// A CR inside a line would be a line end to others who read our echo of it.
fn one_line(line: &str) -> Cow<'_, str> {
    match line.as_bytes().contains(&b'\r') {
        true => Cow::Owned(line.replace('\r', " ")),
        false => Cow::Borrowed(line),
    }
}

fn push_field(headers: &mut Headers, line: &str) -> Result<usize, Malformed> {
    let (name, value) = line.split_once(':').ok_or(Malformed::HeaderLine)?;
    let name = name.trim_end();
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(Malformed::HeaderLine);
    }
    let name = expand_compact(name);
    let value = value.trim();
    let is_one = !value.is_empty() && !value.as_bytes().contains(&b',');
    if is_one || !is_list(name) {
        headers.push(name, value);
        return Ok(1);
    }
    let items = split_list(value);
    for item in &items {
        // An empty list is legal (`Supported:`); an empty item within a list is not, but means
        // nothing either, except in Via, where the parser refuses it.
        if !item.is_empty() || (name.eq_ignore_ascii_case("Via") && items.len() > 1) {
            headers.push(name, item);
        }
    }
    Ok(items.len())
}

fn cut_body<'a>(
    headers: &Headers,
    rest: &'a [u8],
    framing: Framing,
) -> Result<&'a [u8], Malformed> {
    let mut length = None;
    for value in headers.all("Content-Length") {
        let value = parse_decimal(value).ok_or(Malformed::ContentLength)?;
        if length.is_some_and(|other| other != value) {
            return Err(Malformed::ContentLength);
        }
        length = Some(value);
    }
    match (length.map(|length| length as usize), framing) {
        (Some(length), _) if length <= rest.len() => Ok(&rest[..length]),
        (Some(length), Framing::Packet) if is_nearly_whole(rest, length) => Ok(rest),
        (Some(_), _) => Err(Malformed::BodyTooShort),
        (None, Framing::Packet) => Ok(rest),
        (None, Framing::Stream) => Err(Malformed::NoContentLength),
    }
}

/// Routers that rewrite addresses within a datagram's SDP forget to correct Content-Length: a few
/// bytes may be missing, but the last line must be whole. (RFC 5118 §4.5 prints such a message.)
fn is_nearly_whole(body: &[u8], length: usize) -> bool {
    const MISSING_BYTES_MAX: usize = 32;
    body.ends_with(b"\n") && length - body.len() <= MISSING_BYTES_MAX
}

/// RFC 3261 §20, RFC 3515, 3841, 3891, 4028, 6665, 8224.
fn expand_compact(name: &str) -> &str {
    let [letter] = name.as_bytes() else {
        return name;
    };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

/// `token` of RFC 3261 §25.1.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// First of the 128 private-use characters that stand for bytes which are not UTF-8.
const RAW_BYTE_BASE: u32 = 0x10_FF00;

/// First octet of those characters in UTF-8, and of few others.
const RAW_LEAD: u8 = 0xf4;

/// Text of a head. Bytes that are not UTF-8 (Latin-1 names of old PBXs) become private characters
/// that [`encode`] turns back, so that From and To are echoed byte by byte.
fn decode(head: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(head) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(head.len() + 64);
    for chunk in head.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(
            chunk
                .invalid()
                .iter()
                .filter_map(|&b| char::from_u32(RAW_BYTE_BASE + u32::from(b))),
        );
    }
    Cow::Owned(text)
}

/// Appends text as bytes, raw bytes restored.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    if !text.as_bytes().contains(&RAW_LEAD) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut rest = text;
    while let Some(at) = rest.find(|c| c as u32 >= RAW_BYTE_BASE) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut chars = rest[at..].chars();
        if let Some(c) = chars.next() {
            out.push((c as u32 - RAW_BYTE_BASE) as u8);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Text for people: raw bytes read as Latin-1.
pub(crate) fn readable(text: &str) -> String {
    if !text.as_bytes().contains(&RAW_LEAD) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match (c as u32).checked_sub(RAW_BYTE_BASE) {
            Some(byte) => char::from(byte as u8),
            None => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Lines<'_> {
        normalise(text, Framing::Packet).unwrap()
    }

    #[test]
    fn compact_names_folding_lists_and_spaces_before_the_colon_become_plain_headers() {
        let read = lines(
            b"\r\nINVITE sip:x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=1,\r\n SIP/2.0/TCP b\r\n\
              V  : SIP/2.0/TLS c\r\nk:\r\nSubject:  a\r\n\t b  \r\n  c\r\nl: 2\r\n\r\nabXX",
        );
        assert_eq!(read.start, "INVITE sip:x SIP/2.0");
        assert_eq!(
            read.headers.all("Via").collect::<Vec<_>>(),
            ["SIP/2.0/UDP a;branch=1", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]
        );
        assert_eq!(read.headers.get("Subject"), Some("a b c"));
        assert_eq!(read.headers.get("Supported"), None);
        assert_eq!((read.body, read.fault), (b"ab".as_slice(), None));
    }

    #[test]
    fn lines_may_end_in_lf_alone_and_the_last_one_with_the_datagram() {
        let read = lines(b"OPTIONS sip:x SIP/2.0\nTo: a\nFrom: b");
        assert_eq!(read.headers.get("From"), Some("b"));
        assert_eq!(lines(b"A b c\nTo: a\n\nbody").body, b"body");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_given_back_as_they_came() {
        let read = lines(b"INVITE sip:x SIP/2.0\r\nFrom: \"J\xfcrg\" <sip:j@x>\r\n\r\n");
        let from = read.headers.get("From").unwrap();
        let mut out = Vec::new();
        encode(from, &mut out);
        assert_eq!(out, b"\"J\xfcrg\" <sip:j@x>");
        assert_eq!(readable(from), "\"J\u{fc}rg\" <sip:j@x>");
    }

    #[test]
    fn content_length_is_believed_only_where_it_is_true() {
        let fault = |length: &str, framing| {
            let text = format!("A b c\r\n{length}\r\n\r\nbody");
            normalise(text.as_bytes(), framing).unwrap().fault
        };
        assert_eq!(
            fault("l: 5", Framing::Packet),
            Some(Malformed::BodyTooShort)
        );
        assert_eq!(
            fault("l: -999", Framing::Packet),
            Some(Malformed::ContentLength)
        );
        assert_eq!(
            fault("l: 1\r\nl: 2", Framing::Packet),
            Some(Malformed::ContentLength)
        );
        assert_eq!(fault("l: 4\r\nContent-Length: 4", Framing::Packet), None);
        assert_eq!(
            fault("x: y", Framing::Stream),
            Some(Malformed::NoContentLength)
        );
        assert_eq!(fault("x: y", Framing::Packet), None);
    }

    #[test]
    fn a_line_that_is_no_header_and_too_many_headers_are_faults() {
        assert_eq!(
            lines(b"A b c\r\nno colon\r\n\r\n").fault,
            Some(Malformed::HeaderLine)
        );
        assert_eq!(
            lines(b"A b c\r\nbad name: x\r\n\r\n").fault,
            Some(Malformed::HeaderLine)
        );
        let many = format!(
            "A b c\r\n{}\r\n",
            "X: y\r\n".repeat(SIP_HEADER_FIELDS_MAX + 1)
        );
        assert_eq!(
            lines(many.as_bytes()).fault,
            Some(Malformed::TooManyHeaders)
        );
        assert!(normalise(b"\r\n\r\n", Framing::Packet).is_none());
    }
}
