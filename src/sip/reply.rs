//! Responses: what the request said is echoed as it was sent, and the topmost Via tells where it
//! came from (RFC 3261 §8.2.6, RFC 3581).

use std::borrow::Cow;
use std::net::SocketAddr;

use super::header::Via;
use super::headers::Headers;
use super::normalise::encode;

/// One response, not yet tied to its request.
#[derive(Debug, Clone)]
pub struct Reply<'a> {
    /// 100 to 699.
    pub status: u16,
    /// Reason phrase.
    pub reason: Cow<'a, str>,
    /// Appended to a To without tag; `None` in 100.
    pub to_tag: Option<&'a str>,
    /// Whether Record-Route is copied: 18x and 2xx that form a dialog.
    pub with_record_route: bool,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// Content-Type and body.
    pub body: Option<(&'static str, &'a [u8])>,
}

impl<'a> Reply<'a> {
    /// A response with the status's usual reason phrase.
    pub fn new(status: u16) -> Self {
        Self::with_reason(status, reason_phrase(status))
    }

    /// A response with a reason phrase of its own.
    pub fn with_reason(status: u16, reason: impl Into<Cow<'a, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
            to_tag: None,
            with_record_route: false,
            headers: Vec::new(),
            body: None,
        }
    }

    /// With this To tag.
    pub fn to_tag(mut self, tag: &'a str) -> Self {
        self.to_tag = Some(tag);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The bytes of the response to the request with these headers, which came from `source`.
    /// `more` are headers whose names are not ours: their line ends are removed.
    pub fn to_bytes(
        &self,
        request: &Headers,
        source: SocketAddr,
        more: &[(String, String)],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        push_line(
            &mut out,
            &format!("SIP/2.0 {} {}", self.status, self.reason),
        );
        for (index, via) in request.all("Via").enumerate() {
            match index {
                0 => push_header(&mut out, "Via", &stamp_via(via, source)),
                _ => push_header(&mut out, "Via", via),
            }
        }
        if self.with_record_route {
            for route in request.all("Record-Route") {
                push_header(&mut out, "Record-Route", route);
            }
        }
        if let Some(from) = request.get("From") {
            push_header(&mut out, "From", from);
        }
        if let Some(to) = request.get("To") {
            push_header(&mut out, "To", &tagged(to, self.to_tag));
        }
        for name in ["Call-ID", "CSeq"] {
            if let Some(value) = request.get(name) {
                push_header(&mut out, name, value);
            }
        }
        if self.status == 100
            && let Some(timestamp) = request.get("Timestamp")
        {
            push_header(&mut out, "Timestamp", timestamp);
        }
        for (name, value) in &self.headers {
            push_header(&mut out, name, value);
        }
        for (name, value) in more {
            push_header(&mut out, name, value);
        }
        let body = self.body.map_or(&[] as &[u8], |(content_type, body)| {
            push_header(&mut out, "Content-Type", content_type);
            body
        });
        push_header(&mut out, "Content-Length", &body.len().to_string());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}

/// Appends one header line. Line ends within the value become spaces: nothing a peer or an owner
/// wrote can start a header of its own.
pub(crate) fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    push_text(out, name);
    out.extend_from_slice(b": ");
    push_text(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a start line.
pub(crate) fn push_line(out: &mut Vec<u8>, line: &str) {
    push_text(out, line);
    out.extend_from_slice(b"\r\n");
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    match text.bytes().any(|b| b == b'\r' || b == b'\n') {
        true => encode(&text.replace(['\r', '\n'], " "), out),
        false => encode(text, out),
    }
}

/// To with the tag, if it has none.
fn tagged<'a>(to: &'a str, tag: Option<&str>) -> Cow<'a, str> {
    let has_tag = super::header::NameAddr::parse(to).is_ok_and(|to| to.tag().is_some());
    match tag {
        Some(tag) if !has_tag => Cow::Owned(format!("{to};tag={tag}")),
        _ => Cow::Borrowed(to),
    }
}

/// The topmost Via with `received` and `rport` filled in. A `received` of the sender's own making
/// is removed.
fn stamp_via(via: &str, source: SocketAddr) -> String {
    let mut stamped = String::with_capacity(via.len() + 48);
    let mut asks_rport = false;
    for (index, item) in via.split(';').enumerate() {
        let name = item.split('=').next().unwrap_or_default().trim();
        if index > 0 && name.eq_ignore_ascii_case("received") {
            continue;
        }
        if index > 0 {
            stamped.push(';');
        }
        if index > 0 && name.eq_ignore_ascii_case("rport") {
            asks_rport = true;
            stamped.push_str(&format!("rport={}", source.port()));
        } else {
            stamped.push_str(item);
        }
    }
    let source_ip = source.ip().to_canonical();
    let is_sender = Via::parse(via).is_ok_and(|via| via.host.to_string() == bracketed(source_ip));
    if asks_rport || !is_sender {
        stamped.push_str(&format!(";received={source_ip}"));
    }
    stamped
}

/// An address as a URI's host.
pub(crate) fn bracketed(ip: std::net::IpAddr) -> String {
    super::uri::Host::Address(ip).to_string()
}

/// RFC 3261 §21 and the RFCs that added statuses.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match status / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_via_tells_the_true_source() {
        let source = "203.0.113.9:40123".parse().unwrap();
        for (via, stamped) in [
            (
                "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport",
                "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport=40123;received=203.0.113.9",
            ),
            (
                "SIP/2.0/UDP 10.0.0.2;received=1.2.3.4;branch=z9hG4bK1",
                "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1;received=203.0.113.9",
            ),
            (
                "SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1",
                "SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1",
            ),
        ] {
            assert_eq!(stamp_via(via, source), stamped);
        }
    }

    #[test]
    fn nothing_in_a_value_starts_a_header_of_its_own() {
        let mut headers = Headers::default();
        headers.push("Via", "SIP/2.0/UDP h;branch=z9hG4bK1");
        let more = [("X-A".to_owned(), "1\r\nX-Evil: 2".to_owned())];
        let bytes = Reply::with_reason(404, "no\r\nX-Evil: 1").to_bytes(
            &headers,
            "192.0.2.1:5060".parse().unwrap(),
            &more,
        );
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("\nX-Evil"), "{text}");
    }
}
