//! What requests carry: session descriptions and keys.

use std::time::Duration;

use super::event::Info;
use crate::sip::header::parse_decimal;
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
        _ => Err(Unsupported),
    }
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
