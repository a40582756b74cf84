//! The client's side of digest authentication (RFC 7616, RFC 2617), independent of the server's.

use sha2::{Digest as _, Sha256};

/// A challenge of a 401 or 407.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The server offers `qop=auth`.
    qop_auth: bool,
    /// The password was right, only the nonce too old.
    pub stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

/// Who we say we are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Digest username.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl Challenge {
    /// Reads one WWW-Authenticate value; `None` for another scheme or an algorithm we lack.
    pub fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameters = split_parameters(rest);
        let get = |name: &str| {
            parameters
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, v)| v.as_str())
        };
        let algorithm = match get("algorithm").map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        Some(Self {
            realm: get("realm")?.to_owned(),
            nonce: get("nonce")?.to_owned(),
            opaque: get("opaque").map(str::to_owned),
            algorithm,
            qop_auth: get("qop").is_some_and(|q| q.split(',').any(|t| t.trim() == "auth")),
            stale: get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        })
    }

    /// The Authorization value for one request. `count` is how often this nonce was used, from 1.
    pub fn authorize(
        &self,
        who: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let hash = |text: String| self.algorithm.hash(&text);
        let ha1 = hash(format!("{}:{}:{}", who.username, self.realm, who.password));
        let ha2 = hash(format!("{method}:{uri}"));
        let nonce = &self.nonce;
        let response = if self.qop_auth {
            hash(format!("{ha1}:{nonce}:{count:08x}:{cnonce}:auth:{ha2}"))
        } else {
            hash(format!("{ha1}:{nonce}:{ha2}"))
        };
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={}",
            who.username,
            self.realm,
            self.algorithm.name()
        );
        if self.qop_auth {
            value.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => format!("{:x}", md5::compute(text)),
            Self::Sha256 => Sha256::digest(text)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// `a=b, c="d, e"` into pairs, quotes taken off.
fn split_parameters(text: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let (mut quoted, mut part) = (false, String::new());
    for c in text.chars().chain([',']) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                if let Some((name, value)) = part.split_once('=') {
                    parts.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                part.clear();
            }
            other => part.push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 §3.9.1: the same challenge in both algorithms.
    #[test]
    fn the_responses_of_rfc_7616_come_out_for_both_algorithms() {
        let who = Credentials {
            username: "Mufasa".to_owned(),
            password: "Circle of Life".to_owned(),
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = Challenge::parse(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ))
            .unwrap();
            let value = challenge.authorize(
                &who,
                "GET",
                "/dir/index.html",
                1,
                "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            );
            assert!(
                value.contains(&format!("response=\"{response}\"")),
                "{value}"
            );
        }
    }

    #[test]
    fn other_schemes_and_unknown_algorithms_are_passed_over() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        let text = "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256";
        assert_eq!(Challenge::parse(text), None);
    }
}
