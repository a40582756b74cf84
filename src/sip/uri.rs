//! URIs as phones and carriers write them: `sip:`, `sips:`, `tel:` (RFC 3261 §19.1, RFC 3966).
//!
//! The raw text is kept and is what goes back on the wire; a peer's URI is never re-printed, since
//! a changed case or order breaks digests and comparisons at the other end.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::header::Params;

/// The text is not a URI we can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidUri {
    /// White space, control characters or angle brackets within.
    #[error("forbidden character in URI")]
    Character,
    /// No scheme.
    #[error("URI without scheme")]
    Scheme,
    /// Host empty or not a host.
    #[error("malformed host in URI")]
    Host,
    /// Port is not 0 to 65535.
    #[error("malformed port in URI")]
    Port,
}

/// The part before the first colon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Another, lower case.
    Other(String),
}

/// Host of a URI or Via.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Lower case.
    Name(String),
    /// Address literal; IPv6 in brackets on the wire.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A parsed URI with its raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    raw: String,
    scheme: Scheme,
    user: Option<String>,
    user_raw: Option<String>,
    host: Option<Host>,
    port: Option<u16>,
    params: Params,
    has_headers: bool,
}

impl Uri {
    /// Reads a URI without surrounding brackets.
    pub fn parse(raw: &str) -> Result<Self, InvalidUri> {
        if raw
            .bytes()
            .any(|b| b <= b' ' || b == 0x7f || b == b'<' || b == b'>' || b == b'"')
        {
            return Err(InvalidUri::Character);
        }
        let (scheme, rest) = raw.split_once(':').ok_or(InvalidUri::Scheme)?;
        let scheme = parse_scheme(scheme)?;
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(raw, scheme, rest),
            Scheme::Tel => Ok(Self::parse_tel(raw, rest)),
            Scheme::Other(_) => Ok(Self {
                raw: raw.to_owned(),
                scheme,
                user: None,
                user_raw: None,
                host: None,
                port: None,
                params: Params::default(),
                has_headers: false,
            }),
        }
    }

    fn parse_sip(raw: &str, scheme: Scheme, rest: &str) -> Result<Self, InvalidUri> {
        // `?` and `;` are legal within the user part, so the user part is cut off first.
        let (user_raw, rest) = match rest.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (host_port, params) = match rest.split_once(';') {
            Some((host_port, params)) => (host_port, params),
            None => (rest, ""),
        };
        let (host, port) = parse_host_port(host_port)?;
        let user = user_raw.map(|user| {
            let user = user.split_once(':').map_or(user, |(user, _password)| user);
            // Bandwidth writes `+1333;verstat=...@host`: parameters of the user, not its name.
            let user = user.split_once(';').map_or(user, |(user, _params)| user);
            unescape(user).into_owned()
        });
        Ok(Self {
            raw: raw.to_owned(),
            scheme,
            user,
            user_raw: user_raw.map(str::to_owned),
            host: Some(host),
            port,
            params: Params::parse_lenient(params),
            has_headers: headers.is_some(),
        })
    }

    fn parse_tel(raw: &str, rest: &str) -> Self {
        let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
        Self {
            raw: raw.to_owned(),
            scheme: Scheme::Tel,
            user: Some(unescape(number).into_owned()),
            user_raw: Some(number.to_owned()),
            host: None,
            port: None,
            params: Params::parse_lenient(params),
            has_headers: false,
        }
    }

    /// The text as it was sent.
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// User part, unescaped, without password and parameters; the number of a `tel:` URI.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// User part as sent, with parameters and escapes.
    pub fn user_raw(&self) -> Option<&str> {
        self.user_raw.as_deref()
    }

    /// The host; `None` for `tel:` and unknown schemes.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port, if it is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// URI parameters (`transport`, `lr`, `user`, ...).
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether a `?header=value` part follows.
    pub fn has_headers(&self) -> bool {
        self.has_headers
    }

    /// Whether both name the same user at the same host, whatever parameters, port, escapes and
    /// case: how the `uri` of a digest (`self`) is compared with the Request-URI, since proxies and
    /// phones add or drop all of these on one side only. A digest for the bare host covers every
    /// user there, as Debian's sipp computes it; the nonce count keeps it from being replayed.
    pub fn is_alike(&self, other: &Self) -> bool {
        let scheme = |uri: &Self| match &uri.scheme {
            Scheme::Sips => Scheme::Sip,
            scheme => scheme.clone(),
        };
        let same_user = match (&self.user, &other.user) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (Some(user), None) => user.is_empty(),
            (None, _) => true,
        };
        scheme(self) == scheme(other) && same_user && self.host == other.host
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

fn parse_scheme(scheme: &str) -> Result<Scheme, InvalidUri> {
    let mut bytes = scheme.bytes();
    let starts_with_letter = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
    if !starts_with_letter || !bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return Err(InvalidUri::Scheme);
    }
    Ok(match scheme.to_ascii_lowercase().as_str() {
        "sip" => Scheme::Sip,
        "sips" => Scheme::Sips,
        "tel" => Scheme::Tel,
        other => Scheme::Other(other.to_owned()),
    })
}

/// `host`, `host:port`, `1.2.3.4:port`, `[v6]:port`.
pub(crate) fn parse_host_port(text: &str) -> Result<(Host, Option<u16>), InvalidUri> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(InvalidUri::Host)?;
        let address = parse_ipv6(address).ok_or(InvalidUri::Host)?;
        let port = match after {
            "" => None,
            after => Some(after.strip_prefix(':').ok_or(InvalidUri::Port)?),
        };
        (Host::Address(IpAddr::V6(address)), port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        (parse_host(host)?, port)
    };
    let port = match port {
        None => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| InvalidUri::Port)?)
        }
        Some(_) => return Err(InvalidUri::Port),
    };
    Ok((host, port))
}

fn parse_host(text: &str) -> Result<Host, InvalidUri> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(v4)));
    }
    // Underscores are no host names, yet container networks are full of them.
    let is_host = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !is_host {
        return Err(InvalidUri::Host);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    // Zone ids (RFC 6874) mean nothing to us.
    let text = text
        .split_once('%')
        .map_or(text, |(address, _zone)| address);
    // RFC 3261's grammar allowed three colons before an IPv4 tail by mistake (RFC 5118 §4.10).
    text.parse()
        .or_else(|_| text.replace(":::", "::").parse())
        .ok()
}

/// Undoes `%XX`; what is no valid escape stays, and bytes that are not UTF-8 become U+FFFD.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|pair| Some((hex_digit(pair[0])?, hex_digit(pair[1])?)));
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn dots_and_parameters_in_the_user_part_do_not_confuse_the_host() {
        let plain = uri("sip:john.doe@example.com");
        assert_eq!(plain.user(), Some("john.doe"));
        assert_eq!(plain.host(), Some(&Host::Name("example.com".into())));

        let verstat = uri("sip:+1333;verstat=TN-Validation-Passed@192.0.2.1:5060");
        assert_eq!(verstat.user(), Some("+1333"));
        assert_eq!(
            verstat.user_raw(),
            Some("+1333;verstat=TN-Validation-Passed")
        );
        assert_eq!(verstat.port(), Some(5060));
    }

    #[test]
    fn what_a_phone_adds_around_a_meeting_id_is_not_part_of_it() {
        for text in [
            "sip:6f96@Host.Example;transport=UDP",
            "SIP:6f96@host.example:5070",
            "sips:%36f96@host.example;transport=tls;user=phone",
            "sip:6f96:secret@host.example",
        ] {
            assert_eq!(uri(text).user(), Some("6f96"), "{text}");
            assert!(uri(text).is_alike(&uri("sip:6f96@host.example")), "{text}");
        }
    }

    #[test]
    fn ipv6_hosts_are_read_with_and_without_port() {
        let with_port = uri("sip:[2001:db8::10]:5070");
        assert_eq!(with_port.port(), Some(5070));
        assert_eq!(with_port.host().unwrap().to_string(), "[2001:db8::10]");
        assert_eq!(uri("sip:[2001:db8::10:5070]").port(), None);
        assert!(uri("sip:u@[2001:db8:::192.0.2.1]").is_alike(&uri("sip:u@[2001:db8::192.0.2.1]")));
        assert_eq!(Uri::parse("sip:2001:db8::10"), Err(InvalidUri::Port));
    }

    #[test]
    fn telephone_numbers_and_foreign_schemes_are_told_apart() {
        let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
        assert_eq!(
            (tel.scheme(), tel.user()),
            (&Scheme::Tel, Some("+1-201-555-0123"))
        );
        assert_eq!(
            uri("soap.beep://192.0.2.103:3002").scheme(),
            &Scheme::Other("soap.beep".into())
        );
    }

    #[test]
    fn parameters_are_found_in_any_case_and_headers_are_noticed() {
        let route = uri("sip:54.172.60.0:5061;transport=tls;r2=on;LR");
        assert!(route.params().has("lr"));
        assert_eq!(route.params().get("Transport"), Some("tls"));
        assert!(uri("sip:user@example.com?Route=%3Csip:example.com%3E").has_headers());
    }

    #[test]
    fn what_is_no_uri_is_refused_by_name() {
        for (text, error) in [
            ("<sip:user@example.com>", InvalidUri::Character),
            ("sip:user@exa mple.com", InvalidUri::Character),
            ("user@example.com", InvalidUri::Scheme),
            ("sip:", InvalidUri::Host),
            ("sip:user@", InvalidUri::Host),
            ("sip:user@host:99999", InvalidUri::Port),
            ("sip:user@[::1", InvalidUri::Host),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn escapes_that_are_none_stay_and_null_bytes_survive() {
        assert_eq!(unescape("%Z%45"), "%ZE");
        assert_eq!(unescape("null-%00-null"), "null-\0-null");
        assert_eq!(unescape("100%"), "100%");
    }
}
