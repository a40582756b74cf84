//! SIP messages as a client needs them: read leniently, written plainly. Deliberately not the
//! server's parser, so that the two check each other.

/// First line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine {
    /// `METHOD uri SIP/2.0`.
    Request {
        /// Upper case, as sent.
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// `SIP/2.0 status reason`.
    Response {
        /// 100–699.
        status: u16,
        /// For people.
        reason: String,
    },
}

/// One SIP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request or response.
    pub start: StartLine,
    /// In order; compact names are written out, names keep the sender's case.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line, as long as Content-Length says.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads one whole message; `None` when it is none (a keep-alive, say).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head_end = find(bytes, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
        let mut lines = head.split("\r\n");
        let start = parse_start(lines.next()?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((long_name(name.trim()).to_owned(), value.trim().to_owned()));
        }
        let mut message = Self {
            start,
            headers,
            body: bytes[head_end + 4..].to_vec(),
        };
        if let Some(length) = message.content_length() {
            message.body.truncate(length);
        }
        Some(message)
    }

    /// First header of this name, any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All headers of this name, any case, in order.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once([' ', '\t'])?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// Value of Content-Length, if there is a readable one.
    pub fn content_length(&self) -> Option<usize> {
        self.header("Content-Length")?.parse().ok()
    }

    /// Branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(self.header("Via")?, "branch")
    }

    /// Writes the message; Content-Length is set from the body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = match &self.start {
            StartLine::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            StartLine::Response { status, reason } => format!("SIP/2.0 {status} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Content-Length") {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// An answer to this request with the headers RFC 3261 §8.2.6.2 copies.
    pub fn reply(&self, status: u16, reason: &str) -> Self {
        let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
        Self {
            start: StartLine::Response {
                status,
                reason: reason.to_owned(),
            },
            headers: self
                .headers
                .iter()
                .filter(|(name, _)| copied.iter().any(|c| c.eq_ignore_ascii_case(name)))
                .cloned()
                .collect(),
            body: Vec::new(),
        }
    }
}

/// Value of `;name=value` behind a header's first value; quotes taken off.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    // Parameters of the header field stand behind the angle brackets, the URI's within.
    let tail = value.rsplit_once('>').map_or(value, |(_, tail)| tail);
    tail.split(';').skip(1).find_map(|part| {
        let (n, v) = part.split_once('=')?;
        n.trim()
            .eq_ignore_ascii_case(name)
            .then(|| v.trim().trim_matches('"'))
    })
}

/// The URI of a name-addr or addr-spec header value.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(uri, _)| uri),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// Where `needle` first stands in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn parse_start(line: &str) -> Option<StartLine> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        return Some(StartLine::Response {
            status: status.parse().ok()?,
            reason: reason.to_owned(),
        });
    }
    let mut parts = line.split(' ');
    let (method, uri) = (parts.next()?, parts.next()?);
    (parts.next()? == "SIP/2.0").then(|| StartLine::Request {
        method: method.to_owned(),
        uri: uri.to_owned(),
    })
}

fn long_name(name: &str) -> &str {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "m" => "Contact",
        "i" => "Call-ID",
        "l" => "Content-Length",
        "c" => "Content-Type",
        "k" => "Supported",
        "e" => "Content-Encoding",
        "s" => "Subject",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_folded_headers_are_read_as_if_written_out() {
        let text = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\ni: a@b\r\n\
            t: <sip:x@h;tag=no>;tag=yes\r\nCSeq: 2\r\n INVITE\r\nl: 2\r\n\r\nv=0";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.status(), Some(200));
        assert_eq!(message.branch(), Some("z9hG4bK1"));
        assert_eq!(message.header("call-id"), Some("a@b"));
        assert_eq!(parameter(message.header("To").unwrap(), "tag"), Some("yes"));
        assert_eq!(message.cseq(), Some((2, "INVITE")));
        assert_eq!(message.body, b"v=");
    }

    #[test]
    fn a_keep_alive_is_no_message() {
        assert_eq!(Message::parse(b"\r\n\r\n"), None);
        assert_eq!(Message::parse(b"\r\n"), None);
    }

    #[test]
    fn the_uri_of_a_contact_is_found_in_both_forms() {
        assert_eq!(uri_of("\"A\" <sip:a@h:1;ob>;q=1"), "sip:a@h:1;ob");
        assert_eq!(uri_of("sip:a@h:1;tag=x"), "sip:a@h:1");
    }
}
