//! Values of headers: name-addr, Via, CSeq, parameters, lists (RFC 3261 §25.1).
//!
//! All parsers take one value, unfolded, and are as lenient as a UAS can be without guessing.

use super::uri::{Host, InvalidUri, parse_host_port};

/// A header value is not what its grammar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("malformed header value")]
pub struct InvalidHeader;

impl From<InvalidUri> for InvalidHeader {
    fn from(_: InvalidUri) -> Self {
        Self
    }
}

/// `;name=value` pairs: names lower case, values as sent (quotes removed).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads `a=b;c;d="e"`, the first semicolon already cut off. An empty parameter is a fault.
    pub fn parse(text: &str) -> Result<Self, InvalidHeader> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut params = Vec::new();
        for item in split_unquoted(text, b';') {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquote(value.trim())?)),
                None => (item.trim(), None),
            };
            if name.is_empty() || name.bytes().any(|b| b <= b' ' || b == b'"' || b == b',') {
                return Err(InvalidHeader);
            }
            params.push((name.to_ascii_lowercase(), value));
        }
        Ok(Self(params))
    }

    /// Reads what can be read and skips the rest.
    pub fn parse_lenient(text: &str) -> Self {
        let pairs = text.split(';').filter(|item| !item.is_empty());
        Self(
            pairs
                .map(|item| match item.split_once('=') {
                    Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
                    None => (item.to_ascii_lowercase(), None),
                })
                .collect(),
        )
    }

    /// Value of the first parameter of this name; `None` without value or without parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        found.1.as_deref()
    }

    /// Whether there is such a parameter, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// From, To, Contact, Route, P-Asserted-Identity...: with or without angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name, unquoted.
    pub display_name: Option<String>,
    /// The URI as sent, without brackets.
    pub uri: String,
    /// Header parameters (`tag`, `expires`, `q`): not those of the URI.
    pub params: Params,
}

impl NameAddr {
    /// Reads one name-addr or addr-spec. The URI itself is not examined.
    pub fn parse(value: &str) -> Result<Self, InvalidHeader> {
        let value = value.trim();
        let (display_name, rest) = if value.starts_with('"') {
            let end = quoted_end(value).ok_or(InvalidHeader)?;
            (Some(unquote(&value[..end])?), value[end..].trim_start())
        } else {
            (None, value)
        };
        let Some(open) = rest.find('<') else {
            return match display_name {
                Some(_) => Err(InvalidHeader),
                None => Self::parse_addr_spec(rest),
            };
        };
        let display_name = match (display_name, rest[..open].trim()) {
            (Some(name), "") => Some(name),
            (Some(_), _) => return Err(InvalidHeader),
            (None, "") => None,
            (None, name) if name.contains('"') => return Err(InvalidHeader),
            (None, name) => Some(name.to_owned()),
        };
        let close = rest[open..].find('>').ok_or(InvalidHeader)? + open;
        let uri = rest[open + 1..close].trim().to_owned();
        let after = rest[close + 1..].trim_start();
        let params = match after.strip_prefix(';') {
            Some(params) => Params::parse(params)?,
            None if after.is_empty() => Params::default(),
            None => return Err(InvalidHeader),
        };
        if uri.is_empty() {
            return Err(InvalidHeader);
        }
        Ok(Self {
            display_name: display_name.filter(|name| !name.is_empty()),
            uri,
            params,
        })
    }

    /// Without brackets every parameter belongs to the header (RFC 3261 §20), and a `?` or a
    /// comma in the URI is a fault.
    fn parse_addr_spec(value: &str) -> Result<Self, InvalidHeader> {
        let (uri, params) = match value.split_once(';') {
            Some((uri, params)) => (uri.trim_end(), Params::parse(params)?),
            None => (value, Params::default()),
        };
        if uri.is_empty() || uri.contains(['?', ',', ' ', '"', '>']) {
            return Err(InvalidHeader);
        }
        Ok(Self {
            display_name: None,
            uri: uri.to_owned(),
            params,
        })
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

/// One Via.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, ..., upper case.
    pub transport: String,
    /// Host of sent-by.
    pub host: Host,
    /// Port of sent-by, if written.
    pub port: Option<u16>,
    /// `branch`, `rport`, `received`, ...
    pub params: Params,
}

impl Via {
    /// Reads one Via; white space is allowed around every separator.
    pub fn parse(value: &str) -> Result<Self, InvalidHeader> {
        let (head, params) = match value.split_once(';') {
            Some((head, params)) => (head, Params::parse(params)?),
            None => (value, Params::default()),
        };
        let mut parts = head.splitn(3, '/');
        let mut next = || parts.next().map(str::trim).ok_or(InvalidHeader);
        let (protocol, version, rest) = (next()?, next()?, next()?);
        if !protocol.eq_ignore_ascii_case("SIP") || version.is_empty() {
            return Err(InvalidHeader);
        }
        let (transport, sent_by) = rest.split_once([' ', '\t']).ok_or(InvalidHeader)?;
        let sent_by: String = sent_by.chars().filter(|c| !c.is_whitespace()).collect();
        let (host, port) = parse_host_port(&sent_by)?;
        Ok(Self {
            transport: transport.to_ascii_uppercase(),
            host,
            port,
            params,
        })
    }

    /// The branch, if it is one of RFC 3261: unique behind the magic cookie.
    pub fn branch(&self) -> Option<&str> {
        const COOKIE: &str = "z9hG4bK";
        let branch = self.params.get("branch")?;
        let has_cookie = branch.get(..COOKIE.len())?.eq_ignore_ascii_case(COOKIE);
        (has_cookie && branch.len() > COOKIE.len()).then_some(branch)
    }

    /// `host:port` with the port only if it is written: part of the transaction's key.
    pub fn sent_by(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }
}

/// A CSeq header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2³¹ (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method as written.
    pub method: String,
}

impl CSeq {
    /// Reads number and method.
    pub fn parse(value: &str) -> Result<Self, InvalidHeader> {
        let (number, method) = value.trim().split_once([' ', '\t']).ok_or(InvalidHeader)?;
        let number = parse_decimal(number).ok_or(InvalidHeader)?;
        let method = method.trim();
        if number >= 1 << 31 || method.is_empty() || method.contains([' ', '\t']) {
            return Err(InvalidHeader);
        }
        Ok(Self {
            number,
            method: method.to_owned(),
        })
    }
}

/// Digits alone (leading zeros allowed): no sign, no space within, no overflow.
pub fn parse_decimal(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Cuts a list at commas that stand outside quotes and angle brackets; items are trimmed.
pub fn split_list(value: &str) -> Vec<&str> {
    split_unquoted(value, b',').map(str::trim).collect()
}

/// Cuts at a separator outside quotes and angle brackets.
pub(crate) fn split_unquoted(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = item_end(text.as_bytes(), separator);
        rest = text.get(end + 1..);
        Some(&text[..end])
    })
}

/// Where the first item ends.
fn item_end(bytes: &[u8], separator: u8) -> usize {
    let (mut quoted, mut bracketed, mut at) = (false, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b if b == separator && !quoted && !bracketed => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Where the quoted string at the start of `text` ends (one past the closing quote).
fn quoted_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Removes quotes and backslashes; a bare token stays as it is.
pub(crate) fn unquote(text: &str) -> Result<String, InvalidHeader> {
    let Some(inner) = text.strip_prefix('"') else {
        return match text.contains('"') {
            true => Err(InvalidHeader),
            false => Ok(text.to_owned()),
        };
    };
    if quoted_end(text) != Some(text.len()) {
        return Err(InvalidHeader);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner[..inner.len() - 1].chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_addr_is_read_with_brackets_without_and_with_odd_names() {
        for (text, name, uri, tag) in [
            (
                "\"Bob \\\"B\\\" X\" <sip:b@x>;tag=1",
                Some("Bob \"B\" X"),
                "sip:b@x",
                Some("1"),
            ),
            ("sip:b@x;tag=1", None, "sip:b@x", Some("1")),
            (
                "caller<sip:b@x>;tag=323",
                Some("caller"),
                "sip:b@x",
                Some("323"),
            ),
            (
                "Bell, Alexander <sip:b@x>;tag=43",
                Some("Bell, Alexander"),
                "sip:b@x",
                Some("43"),
            ),
            ("< sip:b@x >", None, "sip:b@x", None),
            (
                "<tel:+34;phone-context=x>;tag=z",
                None,
                "tel:+34;phone-context=x",
                Some("z"),
            ),
            (
                "sip:b@x ;   tag    = 19\u{d6}",
                None,
                "sip:b@x",
                Some("19\u{d6}"),
            ),
            ("\"\" <sip:b@x>", None, "sip:b@x", None),
        ] {
            let parsed = NameAddr::parse(text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(parsed.display_name.as_deref(), name, "{text}");
            assert_eq!(parsed.uri, uri, "{text}");
            assert_eq!(parsed.tag(), tag, "{text}");
        }
    }

    #[test]
    fn broken_name_addrs_are_refused() {
        for text in [
            "\"Mr. J. User <sip:j.user@example.com>",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:b@x",
            "",
            "<>",
            "\"a\" \"b\" <sip:b@x>",
            "<sip:b@x> rubbish",
        ] {
            assert_eq!(NameAddr::parse(text), Err(InvalidHeader), "{text}");
        }
    }

    #[test]
    fn a_via_is_read_whatever_its_white_space() {
        let via =
            Via::parse("SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8")
                .unwrap();
        assert_eq!(via.transport, "TCP");
        assert_eq!(via.sent_by(), "spindle.example.com");
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));

        let v6 =
            Via::parse("SIP/2.0/UDP [2001:db8::9:1]:6050;received=2001:db8::9:255;rport").unwrap();
        assert_eq!((v6.port, v6.branch()), (Some(6050), None));
        assert_eq!(v6.params.get("received"), Some("2001:db8::9:255"));
        assert!(v6.params.has("rport") && v6.params.get("rport").is_none());
    }

    #[test]
    fn a_bare_cookie_is_no_branch_of_rfc_3261() {
        let via = Via::parse("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK").unwrap();
        assert_eq!(via.branch(), None);
        assert!(Via::parse("SIP/2.0/UDP 192.0.2.15;;").is_err());
    }

    #[test]
    fn a_cseq_keeps_within_31_bits() {
        assert_eq!(CSeq::parse("0009   INVITE").unwrap().number, 9);
        assert_eq!(CSeq::parse("2147483647 INVITE").unwrap().number, 2147483647);
        for text in [
            "2147483648 INVITE",
            "36893488147419103232 REGISTER",
            "-1 BYE",
            "1",
            "x BYE",
        ] {
            assert_eq!(CSeq::parse(text), Err(InvalidHeader), "{text}");
        }
    }

    #[test]
    fn lists_are_cut_outside_quotes_and_brackets_only() {
        assert_eq!(
            split_list("\"a, b\" <sip:x,y@z>;p=\"1,2\" , <sip:q>"),
            ["\"a, b\" <sip:x,y@z>;p=\"1,2\"", "<sip:q>"]
        );
        assert_eq!(split_list("\"open, <sip:q>"), ["\"open, <sip:q>"]);
    }
}
