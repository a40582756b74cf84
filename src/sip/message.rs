//! One SIP message: our start-line and header checks decide what becomes of it.

use std::fmt;

use super::header::{CSeq, NameAddr, Via, parse_decimal};
use super::headers::Headers;
use super::normalise::{Framing, Lines, is_token_byte, normalise};
use super::uri::{InvalidUri, Scheme, Uri};

/// A request's method. rsip names those it knows and refuses messages with others, so the unknown
/// ones stand beside: they are answered too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// One of the RFCs' methods.
    Known(rsip::Method),
    /// Another token. Case matters: `invite` is not INVITE (RFC 3261 §7.1).
    Unknown(String),
}

impl Method {
    fn parse(token: &str) -> Self {
        use rsip::Method::*;
        Self::Known(match token {
            "INVITE" => Invite,
            "ACK" => Ack,
            "BYE" => Bye,
            "CANCEL" => Cancel,
            "OPTIONS" => Options,
            "REGISTER" => Register,
            "INFO" => Info,
            "UPDATE" => Update,
            "PRACK" => PRack,
            "SUBSCRIBE" => Subscribe,
            "NOTIFY" => Notify,
            "REFER" => Refer,
            "MESSAGE" => Message,
            "PUBLISH" => Publish,
            _ => return Self::Unknown(token.to_owned()),
        })
    }
}

impl Method {
    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        use rsip::Method::*;
        match self {
            Self::Known(method) => match method {
                Invite => "INVITE",
                Ack => "ACK",
                Bye => "BYE",
                Cancel => "CANCEL",
                Options => "OPTIONS",
                Register => "REGISTER",
                Info => "INFO",
                Update => "UPDATE",
                PRack => "PRACK",
                Subscribe => "SUBSCRIBE",
                Notify => "NOTIFY",
                Refer => "REFER",
                Message => "MESSAGE",
                Publish => "PUBLISH",
            },
            Self::Unknown(token) => token,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<rsip::Method> for Method {
    fn eq(&self, other: &rsip::Method) -> bool {
        matches!(self, Self::Known(method) if method == other)
    }
}

/// What is wrong with a request; its text is the reason phrase of the 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// More bytes of headers than we read.
    #[error("Headers Too Long")]
    HeadTooLong,
    /// More headers than we read.
    #[error("Too Many Headers")]
    TooManyHeaders,
    /// No colon, or no token before it.
    #[error("Malformed Header Line")]
    HeaderLine,
    /// No number, or two that differ.
    #[error("Malformed Content-Length")]
    ContentLength,
    /// Content-Length promises more than came.
    #[error("Body Shorter Than Content-Length")]
    BodyTooShort,
    /// A stream needs it.
    #[error("Missing Content-Length")]
    NoContentLength,
    /// Not `METHOD URI SIP/2.0` with single spaces.
    #[error("Malformed Request-Line")]
    RequestLine,
    /// Not a URI, or one with headers.
    #[error("Malformed Request-URI")]
    RequestUri,
    /// Missing or unreadable topmost Via.
    #[error("Missing or Malformed Via")]
    Via,
    /// Missing, unreadable or repeated.
    #[error("Missing or Malformed From")]
    From,
    /// Missing, unreadable or repeated.
    #[error("Missing or Malformed To")]
    To,
    /// Missing, empty or repeated.
    #[error("Missing or Malformed Call-ID")]
    CallId,
    /// Missing, unreadable, repeated, or at odds with the method.
    #[error("Missing or Malformed CSeq")]
    CSeq,
    /// CSeq names another method.
    #[error("CSeq Method Does Not Match")]
    CSeqMethod,
    /// No number, or repeated.
    #[error("Malformed Max-Forwards")]
    MaxForwards,
    /// Unreadable.
    #[error("Malformed Contact")]
    Contact,
    /// Two that differ.
    #[error("Repeated Content-Type")]
    ContentType,
    /// Unreadable, or more than any carrier has.
    #[error("Malformed Record-Route")]
    RecordRoute,
}

/// What a datagram turned out to be.
#[derive(Debug)]
pub enum Message {
    /// A well-formed request.
    Request(Box<Request>),
    /// A well-formed response.
    Response(Box<Response>),
    /// A request to be refused as it stands.
    Unacceptable(Box<Unacceptable>),
    /// Not SIP, or a malformed response: to be swallowed (RFC 3261 §18.1.2, §18.3).
    Noise,
}

/// A request with its essential headers read.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// All headers as sent.
    pub headers: Headers,
    /// Body, cut to Content-Length.
    pub body: Vec<u8>,
    /// Topmost Via.
    pub via: Via,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID.
    pub call_id: String,
    /// CSeq number; its method is the request's.
    pub cseq: u32,
    /// Max-Forwards, if there is one.
    pub max_forwards: Option<u32>,
}

impl Request {
    /// From tag; empty for RFC 2543 callers.
    pub fn from_tag(&self) -> &str {
        self.from.tag().unwrap_or_default()
    }

    /// Content-Type without parameters, lower case.
    pub fn media_type(&self) -> Option<String> {
        media_type(&self.headers)
    }
}

/// A response with its essential headers read.
#[derive(Debug, Clone)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// All headers as sent.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
    /// Topmost Via: ours.
    pub via: Via,
    /// To: its tag may be new.
    pub to: NameAddr,
    /// CSeq.
    pub cseq: CSeq,
}

/// A request that gets its refusal from its start line and headers alone.
#[derive(Debug)]
pub struct Unacceptable {
    /// Method, as far as it can be told.
    pub method: Method,
    /// What can be echoed.
    pub headers: Headers,
    /// The refusal's status.
    pub status: u16,
    /// Its reason phrase.
    pub reason: String,
}

impl Message {
    /// Reads one message.
    pub fn parse(bytes: &[u8], framing: Framing) -> Self {
        let Some(lines) = normalise(bytes, framing) else {
            return Self::Noise;
        };
        if lines
            .start
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
        {
            return match parse_response(lines) {
                Some(response) => Self::Response(Box::new(response)),
                None => Self::Noise,
            };
        }
        parse_request(lines)
    }
}

/// Content-Type without parameters, lower case.
fn media_type(headers: &Headers) -> Option<String> {
    let value = headers.get("Content-Type")?;
    let (media_type, _params) = value.split_once(';').unwrap_or((value, ""));
    let media_type: String = media_type.split_whitespace().collect();
    Some(media_type.to_ascii_lowercase())
}

fn parse_response(lines: Lines<'_>) -> Option<Response> {
    if lines.fault.is_some() {
        return None;
    }
    let mut parts = lines.start.splitn(3, ' ');
    let version = parts.next()?;
    let code = parts.next()?;
    if !version.eq_ignore_ascii_case("SIP/2.0") || code.len() != 3 {
        return None;
    }
    let status = parse_decimal(code).filter(|code| (100..700).contains(code))? as u16;
    Some(Response {
        status,
        via: Via::parse(lines.headers.get("Via")?).ok()?,
        to: NameAddr::parse(lines.headers.get("To")?).ok()?,
        cseq: CSeq::parse(lines.headers.get("CSeq")?).ok()?,
        body: lines.body.to_vec(),
        headers: lines.headers,
    })
}

fn parse_request(lines: Lines<'_>) -> Message {
    let Some((method, uri, version, is_exact)) = split_request_line(&lines.start) else {
        return Message::Noise;
    };
    let method = Method::parse(method);
    let refuse = |status, reason: String, method, headers| {
        Message::Unacceptable(Box::new(Unacceptable {
            method,
            headers,
            status,
            reason,
        }))
    };
    if is_exact && is_other_version(version) {
        return refuse(
            505,
            "Version Not Supported".to_owned(),
            method,
            lines.headers,
        );
    }
    if !is_exact || !version.eq_ignore_ascii_case("SIP/2.0") {
        return refuse(
            400,
            Malformed::RequestLine.to_string(),
            method,
            lines.headers,
        );
    }
    let essentials = match (lines.fault, read_essentials(&method, &lines.headers)) {
        (Some(fault), _) => Err(fault),
        (None, essentials) => essentials,
    };
    let essentials = match essentials {
        Ok(essentials) => essentials,
        // RFC 4475 §3.1.2.18: to a method nobody knows, 501 says more than 400.
        Err(Malformed::CSeqMethod) if matches!(method, Method::Unknown(_)) => {
            return refuse(501, "Not Implemented".to_owned(), method, lines.headers);
        }
        Err(fault) => return refuse(400, fault.to_string(), method, lines.headers),
    };
    match Uri::parse(uri) {
        Ok(uri) if matches!(uri.scheme(), Scheme::Other(_)) => refuse(
            416,
            "Unsupported URI Scheme".to_owned(),
            method,
            lines.headers,
        ),
        Ok(uri) if !uri.has_headers() => Message::Request(Box::new(Request {
            method,
            uri,
            body: lines.body.to_vec(),
            via: essentials.via,
            from: essentials.from,
            to: essentials.to,
            call_id: essentials.call_id,
            cseq: essentials.cseq,
            max_forwards: essentials.max_forwards,
            headers: lines.headers,
        })),
        Ok(_)
        | Err(InvalidUri::Character | InvalidUri::Scheme | InvalidUri::Host | InvalidUri::Port) => {
            refuse(
                400,
                Malformed::RequestUri.to_string(),
                method,
                lines.headers,
            )
        }
    }
}

/// Method, URI, version, and whether single spaces separate exactly these. `None`: not SIP at all.
fn split_request_line(line: &str) -> Option<(&str, &str, &str, bool)> {
    let method = line.split(' ').next()?;
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return None;
    }
    let trimmed = line.trim_end();
    let version = trimmed.rsplit(' ').next()?;
    if !version.get(..4)?.eq_ignore_ascii_case("SIP/") {
        return None;
    }
    let uri = trimmed.get(method.len() + 1..trimmed.len() - version.len())?;
    let is_exact = trimmed.len() == line.len()
        && uri
            .strip_suffix(' ')
            .is_some_and(|uri| !uri.is_empty() && !uri.contains(' '));
    Some((method, uri.trim(), version, is_exact))
}

/// `SIP/<digits>.<digits>` that is not 2.0.
fn is_other_version(version: &str) -> bool {
    let numbers = version[4..].split_once('.');
    numbers.is_some_and(
        |(major, minor)| match (parse_decimal(major), parse_decimal(minor)) {
            (Some(major), Some(minor)) => (major, minor) != (2, 0),
            _ => false,
        },
    )
}

struct Essentials {
    via: Via,
    from: NameAddr,
    to: NameAddr,
    call_id: String,
    cseq: u32,
    max_forwards: Option<u32>,
}

fn read_essentials(method: &Method, headers: &Headers) -> Result<Essentials, Malformed> {
    let via = headers.get("Via").ok_or(Malformed::Via)?;
    let via = Via::parse(via).map_err(|_| Malformed::Via)?;
    let from = only(headers, "From").ok_or(Malformed::From)?;
    let from = NameAddr::parse(from).map_err(|_| Malformed::From)?;
    let to = only(headers, "To").ok_or(Malformed::To)?;
    let to = NameAddr::parse(to).map_err(|_| Malformed::To)?;
    let call_id = only(headers, "Call-ID").ok_or(Malformed::CallId)?;
    if call_id.is_empty() || call_id.contains([' ', '\t']) {
        return Err(Malformed::CallId);
    }
    let cseq = only(headers, "CSeq").ok_or(Malformed::CSeq)?;
    let cseq = CSeq::parse(cseq).map_err(|_| Malformed::CSeq)?;
    if cseq.method != method.as_str() {
        return Err(Malformed::CSeqMethod);
    }
    let max_forwards = match headers.get("Max-Forwards") {
        None => None,
        Some(_) => {
            let value = only(headers, "Max-Forwards").and_then(parse_decimal);
            Some(value.ok_or(Malformed::MaxForwards)?)
        }
    };
    // SignalWire repeats Content-Type; two that say the same are one.
    let mut types = headers.all("Content-Type");
    let first = types.next();
    if types.any(|other| Some(other) != first) {
        return Err(Malformed::ContentType);
    }
    Ok(Essentials {
        via,
        from,
        to,
        call_id: call_id.to_owned(),
        cseq: cseq.number,
        max_forwards,
    })
}

/// The value of a header that must not be repeated.
fn only<'a>(headers: &'a Headers, name: &'a str) -> Option<&'a str> {
    let mut values = headers.all(name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(start: &str, extra: &str) -> Message {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n{extra}\r\n"
        );
        Message::parse(text.as_bytes(), Framing::Packet)
    }

    fn refusal(message: Message) -> (u16, String) {
        match message {
            Message::Unacceptable(refused) => (refused.status, refused.reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_line_must_be_exact_but_what_follows_from_it_is_named() {
        assert!(matches!(
            parse("OPTIONS sip:x SIP/2.0", ""),
            Message::Request(_)
        ));
        for line in [
            "OPTIONS  sip:x SIP/2.0",
            "OPTIONS sip:x SIP/2.0 ",
            "OPTIONS sip:x; lr SIP/2.0",
            "OPTIONS SIP/2.0",
        ] {
            assert_eq!(
                refusal(parse(line, "")),
                (400, "Malformed Request-Line".into()),
                "{line}"
            );
        }
        assert_eq!(refusal(parse("OPTIONS sip:x SIP/7.0", "")).0, 505);
        assert_eq!(
            refusal(parse("OPTIONS <sip:x> SIP/2.0", "")).1,
            "Malformed Request-URI"
        );
        assert_eq!(refusal(parse("OPTIONS foo:x SIP/2.0", "")).0, 416);
        assert_eq!(
            refusal(parse("INVITE sip:x SIP/2.0", "")).1,
            "CSeq Method Does Not Match"
        );
        assert_eq!(refusal(parse("NEWMETHOD sip:x SIP/2.0", "")).0, 501);
    }

    #[test]
    fn what_is_not_sip_is_noise() {
        for line in ["GET / HTTP/1.1", "\u{1}\u{2}", "", "SIP/2.0 99999 x", "x"] {
            assert!(matches!(parse(line, ""), Message::Noise), "{line}");
        }
    }

    #[test]
    fn headers_that_may_stand_once_are_refused_twice() {
        for (extra, reason) in [
            ("Call-ID: y\r\n", "Missing or Malformed Call-ID"),
            ("i: x\r\n", "Missing or Malformed Call-ID"),
            ("To: <sip:z>\r\n", "Missing or Malformed To"),
            ("CSeq: 1 OPTIONS\r\n", "Missing or Malformed CSeq"),
            (
                "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
                "Malformed Max-Forwards",
            ),
            ("c: a/b\r\nContent-Type: c/d\r\n", "Repeated Content-Type"),
        ] {
            let (status, text) = refusal(parse("OPTIONS sip:x SIP/2.0", extra));
            assert_eq!((status, text.as_str()), (400, reason));
        }
        let tolerated = "c: a/b\r\nContent-Type: a/b\r\n";
        assert!(matches!(
            parse("OPTIONS sip:x SIP/2.0", tolerated),
            Message::Request(_)
        ));
    }
}
