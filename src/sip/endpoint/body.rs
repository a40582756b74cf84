//! What requests carry: session descriptions and keys.

use std::time::Duration;

use super::event::Info;
use crate::sip::header::{Params, parse_decimal};
use crate::sip::message::Request;

/// The body is nothing we read: 415 with Accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsupported;

/// The session description, if there is one.
pub(super) fn session_description(request: &Request) -> Result<Option<&[u8]>, Unsupported> {
    if request.body.is_empty() {
        return Ok(None);
    }
    let encoding = request.headers.get("Content-Encoding");
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Unsupported);
    }
    let disposition = request
        .headers
        .get("Content-Disposition")
        .unwrap_or("session");
    let (disposition, params) = disposition.split_once(';').unwrap_or((disposition, ""));
    if !disposition.trim().eq_ignore_ascii_case("session") {
        // Early-media alerts, icons, ...: optional ones are passed over (RFC 3261 §20.11).
        return match params.to_ascii_lowercase().contains("handling=optional") {
            true => Ok(None),
            false => Err(Unsupported),
        };
    }
    match request.media_type().as_deref() {
        Some("application/sdp") => Ok(Some(&request.body)),
        None if request.body.starts_with(b"v=0") => Ok(Some(&request.body)),
        Some("multipart/mixed" | "multipart/alternative" | "multipart/related") => {
            let sdp = boundary(request).and_then(|boundary| sdp_part(&request.body, &boundary));
            sdp.map(Some).ok_or(Unsupported)
        }
        _ => Err(Unsupported),
    }
}

fn boundary(request: &Request) -> Option<String> {
    let (_, params) = request.headers.get("Content-Type")?.split_once(';')?;
    let params = Params::parse(params).ok()?;
    params
        .get("boundary")
        .filter(|b| !b.is_empty())
        .map(str::to_owned)
}

/// The description within a multipart body (RFC 5621): carriers put ISUP, PIDF-LO and the like
/// beside it. Recordings (SIPREC, RFC 7866) are no calls and find nothing here.
fn sdp_part<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut found = None;
    let mut rest = after(body, delimiter.as_bytes())?;
    while !rest.starts_with(b"--") {
        let next = after(rest, delimiter.as_bytes())?;
        let part = &rest[..rest.len() - next.len() - delimiter.len()];
        let (head, content) = split_part(part)?;
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let media_type = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            matches!(name.trim(), "content-type" | "c").then(|| value.trim().to_owned())
        });
        match media_type.as_deref() {
            Some(other) if other.starts_with("application/rs-metadata") => return None,
            Some(sdp) if sdp.starts_with("application/sdp") => found = found.or(Some(content)),
            _ => {}
        }
        rest = next;
    }
    found
}

/// Headers and content of one part.
fn split_part(part: &[u8]) -> Option<(&[u8], &[u8])> {
    [&b"\r\n\r\n"[..], b"\n\n"]
        .into_iter()
        .find_map(|empty_line| {
            let content = after(part, empty_line)?;
            Some((&part[..part.len() - content.len()], content))
        })
}

/// What follows the first `needle`.
fn after<'a>(haystack: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let at = haystack
        .windows(needle.len())
        .position(|window| window == needle)?;
    Some(&haystack[at + needle.len()..])
}

/// Reads an INFO: a key in either form, or something else.
pub(super) fn info(request: &Request) -> Info {
    let content_type = request.media_type().unwrap_or_default();
    let text = String::from_utf8_lossy(&request.body);
    let dtmf = match content_type.as_str() {
        "application/dtmf-relay" => dtmf_relay(&text),
        "application/dtmf" => digit(text.trim()).map(|digit| (digit, DTMF_DEFAULT)),
        _ => None,
    };
    match dtmf {
        Some((digit, duration)) => Info::Dtmf { digit, duration },
        None => Info::Other {
            content_type,
            body: request.body.clone(),
        },
    }
}

/// How long a key was pressed when nothing is said: what Cisco's gateways assume.
const DTMF_DEFAULT: Duration = Duration::from_millis(250);

/// `Signal=5`, `Duration=250`; lines end in CRLF or LF.
fn dtmf_relay(text: &str) -> Option<(char, Duration)> {
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim())
        })
    };
    let duration = field("Duration").and_then(parse_decimal);
    let duration = duration.map_or(DTMF_DEFAULT, |ms| Duration::from_millis(ms.into()));
    Some((digit(field("Signal")?)?, duration))
}

/// A key, or its event number (10 is `*`, 11 is `#`, 12 to 15 are A to D).
fn digit(text: &str) -> Option<char> {
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        let c = c.to_ascii_uppercase();
        return "0123456789*#ABCD".contains(c).then_some(c);
    }
    match parse_decimal(text)? {
        number @ 0..=15 => "0123456789*#ABCD".chars().nth(number as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_found_among_what_carriers_put_beside_it() {
        let part = |media_type: &str, content: &str| {
            format!("--b1\r\nContent-Type: {media_type}\r\nX: y\r\n\r\n{content}\r\n")
        };
        let (sdp, isup) = (
            part("application/SDP", "v=0\r\n"),
            part("application/ISUP", "\u{1}"),
        );
        let whole = format!("preamble\r\n{isup}{sdp}--b1--\r\n");
        assert_eq!(
            sdp_part(whole.as_bytes(), "b1"),
            Some(b"v=0\r\n\r\n".as_slice())
        );
        let siprec = part("application/rs-metadata+xml", "<r/>");
        for none in [
            format!("{sdp}{siprec}--b1--"),
            format!("{isup}--b1--"),
            sdp.clone(),
            "--b1--".to_owned(),
            String::new(),
        ] {
            assert_eq!(sdp_part(none.as_bytes(), "b1"), None, "{none}");
        }
    }

    #[test]
    fn keys_are_read_in_every_form_phones_send() {
        for (text, expected) in [
            ("Signal=5\r\nDuration=250\r\n", Some(('5', 250))),
            ("signal= *\nduration=100", Some(('*', 100))),
            ("Signal=11\r\n", Some(('#', 250))),
            ("Duration=1", None),
            ("Signal=hook", None),
        ] {
            let expected = expected.map(|(digit, ms)| (digit, Duration::from_millis(ms)));
            assert_eq!(dtmf_relay(text), expected, "{text}");
        }
        assert_eq!(
            (digit("d"), digit("x"), digit("16")),
            (Some('D'), None, None)
        );
    }
}
