//! The part of a session description that is about ICE (RFC 8840).

use sha2::{Digest, Sha256};

/// What a fragment, or a whole description, says first about credentials.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// `a=ice-ufrag`.
    pub ufrag: Option<String>,
    /// `a=ice-pwd`.
    pub password: Option<String>,
}

impl Fragment {
    /// Reads what is there.
    pub fn read(text: &str) -> Self {
        let first = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim().to_owned())
        };
        Self {
            ufrag: first("a=ice-ufrag:"),
            password: first("a=ice-pwd:"),
        }
    }
}

/// Names the ICE session that an offer begins: its user name fragment is new with each. (Ours, in
/// the answer, stays: `rtc` keeps what it was made with.)
pub(super) fn etag(offer: &str) -> String {
    let ufrag = Fragment::read(offer).ufrag.unwrap_or_default();
    let digest = Sha256::digest(ufrag);
    let short: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("\"{short}\"")
}

/// The same offer with other credentials.
pub(super) fn with_credentials(offer: &str, ufrag: &str, password: &str) -> String {
    let mut out = String::with_capacity(offer.len());
    for line in offer.lines() {
        if line.starts_with("a=ice-ufrag:") {
            out.push_str("a=ice-ufrag:");
            out.push_str(ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            out.push_str("a=ice-pwd:");
            out.push_str(password);
        } else {
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

/// What of an answer a client needs after an ICE restart: session level, and the first m-line,
/// which stands for the bundle.
pub(super) fn of_answer(answer: &str) -> String {
    let mut out = String::new();
    let mut sections = 0;
    for line in answer.lines() {
        sections += usize::from(line.starts_with("m="));
        if sections > 1 {
            break;
        }
        let about_ice = [
            "a=ice-",
            "a=candidate:",
            "a=end-of-candidates",
            "a=mid:",
            "m=",
        ];
        if about_ice.iter().any(|start| line.starts_with(start)) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
        a=ice-ufrag:one\r\na=ice-pwd:secret\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n\
        a=end-of-candidates\r\na=rtpmap:111 opus/48000/2\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:one\r\n";

    #[test]
    fn credentials_are_read_replaced_everywhere_and_named() {
        let read = Fragment::read(ANSWER);
        assert_eq!(read.ufrag.as_deref(), Some("one"));
        let other = with_credentials(ANSWER, "two", "other");
        assert_eq!(etag(ANSWER), etag(ANSWER));
        assert_ne!(etag(ANSWER), etag(&other));
        assert_eq!(other.matches("a=ice-ufrag:two\r\n").count(), 2);
        assert!(!other.contains("secret"));
        assert_eq!(Fragment::read(""), Fragment::default());
    }

    #[test]
    fn an_answer_s_fragment_has_what_ice_needs_and_no_more() {
        let fragment = of_answer(ANSWER);
        for line in [
            "a=ice-lite",
            "a=mid:0",
            "a=ice-pwd:secret",
            "a=candidate:1 ",
        ] {
            assert!(fragment.contains(line), "{fragment}");
        }
        assert!(!fragment.contains("m=video") && !fragment.contains("rtpmap"));
    }
}
