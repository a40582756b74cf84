//! `a=crypto` lines (RFC 4568): reading a peer's, writing ours.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::rtp::srtp::{KEYING_BYTES_MAX, SrtpKeys, SrtpSuite};

/// Whether a leg's media is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Secure media is refused.
    Off,
    /// As the phone offers.
    #[default]
    Optional,
    /// Plain media is refused.
    Required,
}

/// Our side of SDES.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalSecurity {
    /// What we accept.
    pub policy: SrtpPolicy,
    /// Fresh random octets, the same for a whole call: a suite takes as many as it needs, so that
    /// a re-INVITE does not change our key.
    pub keying: [u8; KEYING_BYTES_MAX],
}

impl LocalSecurity {
    /// No secure media.
    pub const OFF: Self = Self {
        policy: SrtpPolicy::Off,
        keying: [0; KEYING_BYTES_MAX],
    };
}

impl std::fmt::Debug for LocalSecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSecurity")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// One line of a peer that we can use.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CryptoLine {
    /// Echoed in the answer.
    pub(super) tag: u32,
    pub(super) suite: SrtpSuite,
    keying: Vec<u8>,
}

impl CryptoLine {
    /// The first of a peer's lines whose suite, key and parameters we speak. Unknown suites before
    /// and after it do not matter (Linphone lists four).
    pub(super) fn choose(lines: &[String]) -> Option<Self> {
        lines.iter().find_map(|line| Self::parse(line))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let tag = fields.next()?.parse().ok()?;
        let suite = SrtpSuite::from_name(fields.next()?)?;
        let inline = fields.next()?.strip_prefix("inline:")?;
        // Several keys, `;` between them, need an MKI to tell them apart.
        let (key, parameters) = inline.split_once('|').unwrap_or((inline, ""));
        if inline.contains(';') || parameters.split('|').any(|part| part.contains(':')) {
            return None;
        }
        // A session parameter changes what goes over the wire, but for the window's size, which is
        // the sender's wish about our replay window.
        if fields.any(|parameter| !parameter.to_ascii_uppercase().starts_with("WSH=")) {
            return None;
        }
        let keying = STANDARD
            .decode(key)
            .or_else(|_| STANDARD_NO_PAD.decode(key))
            .ok()?;
        (keying.len() == suite.keying_bytes()).then_some(Self { tag, suite, keying })
    }

    /// The agreement, with our own key.
    pub(super) fn agree(self, local: &LocalSecurity) -> SrtpKeys {
        SrtpKeys {
            suite: self.suite,
            local: local.keying[..self.suite.keying_bytes()].to_vec(),
            remote: self.keying,
        }
    }
}

/// Value of our `a=crypto` line.
pub(super) fn line(tag: u32, suite: SrtpSuite, local: &LocalSecurity) -> String {
    let key = STANDARD.encode(&local.keying[..suite.keying_bytes()]);
    format!("{tag} {} inline:{key}", suite.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_known_suite_is_chosen_from_the_middle_of_a_list() {
        let offered = lines(&[
            &format!("1 AEAD_AES_512_GCM inline:{KEY}"),
            &format!("2 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            &format!("3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20"),
            &format!("4 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        ]);
        let chosen = CryptoLine::choose(&offered).unwrap();
        assert_eq!(
            (chosen.tag, chosen.suite),
            (3, SrtpSuite::AesCm128HmacSha1_80)
        );
        assert_eq!(chosen.keying.len(), 30);
    }

    #[test]
    fn lines_that_ask_for_what_we_do_not_do_are_passed_over() {
        for parameters in ["|2^20|1:4", " UNENCRYPTED_SRTP", " KDR=1", ";inline:AAAA"] {
            let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{parameters}");
            assert!(
                CryptoLine::choose(&lines(&[&line])).is_none(),
                "{parameters}"
            );
        }
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20 WSH=64");
        assert!(CryptoLine::choose(&lines(&[&line])).is_some());
    }

    #[test]
    fn a_key_of_another_length_and_rubbish_are_no_lines() {
        for line in [
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "1 AES_CM_128_HMAC_SHA1_80 inline:%%%%",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "",
        ] {
            assert!(CryptoLine::choose(&lines(&[line])).is_none(), "{line}");
        }
    }

    #[test]
    fn our_own_line_is_read_back() {
        let local = LocalSecurity {
            policy: SrtpPolicy::Optional,
            keying: [0xA5; KEYING_BYTES_MAX],
        };
        for suite in SrtpSuite::ALL {
            let ours = CryptoLine::choose(&[line(9, suite, &local)]).unwrap();
            let keys = ours.agree(&local);
            assert_eq!((keys.suite, keys.local == keys.remote), (suite, true));
        }
    }
}
