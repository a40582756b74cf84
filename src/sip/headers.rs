//! The header container: rsip's header list, looked up by name, with values as they were sent.
//!
//! rsip's own parser never sees a peer's bytes: it refuses folding, compact names and unknown
//! methods. `normalise` feeds the container instead, and rsip's typed values are not used where a
//! peer's text would have to be printed again.

use rsip::headers::UntypedHeader;

/// Headers in order. Items of list headers stand apart, one header each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(rsip::Headers);

macro_rules! known_headers {
    ($($name:literal => $variant:ident)*) => {
        fn to_rsip(name: &str, value: String) -> rsip::Header {
            $(if name.eq_ignore_ascii_case($name) {
                return rsip::Header::$variant(rsip::headers::$variant::new(value));
            })*
            rsip::Header::Other(name.to_owned(), value)
        }

        fn parts(header: &rsip::Header) -> (&str, &str) {
            match header {
                $(rsip::Header::$variant(header) => ($name, header.value()),)*
                rsip::Header::Other(name, value) => (name, value),
            }
        }
    };
}

known_headers! {
    "Via" => Via
    "From" => From
    "To" => To
    "Call-ID" => CallId
    "CSeq" => CSeq
    "Contact" => Contact
    "Max-Forwards" => MaxForwards
    "Route" => Route
    "Record-Route" => RecordRoute
    "Content-Length" => ContentLength
    "Content-Type" => ContentType
    "User-Agent" => UserAgent
    "Allow" => Allow
    "Supported" => Supported
    "Authorization" => Authorization
    "Proxy-Authorization" => ProxyAuthorization
    "Expires" => Expires
    "Accept" => Accept
    "Require" => Require
    "Server" => Server
    "Accept-Encoding" => AcceptEncoding
    "Accept-Language" => AcceptLanguage
    "Alert-Info" => AlertInfo
    "Authentication-Info" => AuthenticationInfo
    "Call-Info" => CallInfo
    "Content-Disposition" => ContentDisposition
    "Content-Encoding" => ContentEncoding
    "Content-Language" => ContentLanguage
    "Date" => Date
    "Error-Info" => ErrorInfo
    "Event" => Event
    "In-Reply-To" => InReplyTo
    "MIME-Version" => MimeVersion
    "Min-Expires" => MinExpires
    "Organization" => Organization
    "Priority" => Priority
    "Proxy-Authenticate" => ProxyAuthenticate
    "Proxy-Require" => ProxyRequire
    "Reply-To" => ReplyTo
    "Retry-After" => RetryAfter
    "Subject" => Subject
    "Subscription-State" => SubscriptionState
    "Timestamp" => Timestamp
    "Unsupported" => Unsupported
    "Warning" => Warning
    "WWW-Authenticate" => WwwAuthenticate
}

impl Headers {
    /// Appends one header; known names become canonical.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(to_rsip(name, value.into()));
    }

    /// First value of this name, in any case.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All values of this name in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether a list header has this token, in any case: `Supported: timer`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case_and_keep_their_order_and_text() {
        let mut headers = Headers::default();
        headers.push("via", "SIP/2.0/UDP a;Branch=X");
        headers.push("X-Thing", "one");
        headers.push("VIA", "SIP/2.0/TCP b");
        assert_eq!(
            headers.all("Via").collect::<Vec<_>>(),
            ["SIP/2.0/UDP a;Branch=X", "SIP/2.0/TCP b"]
        );
        assert_eq!(headers.get("x-thing"), Some("one"));
        assert_eq!(
            headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["Via", "X-Thing", "Via"]
        );
    }
}
