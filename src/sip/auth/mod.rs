//! Digest authentication (RFC 7616, RFC 2617 compatible) with a stateless nonce.
//!
//! Who is not authenticated costs no memory: the nonce proves itself, and only nonces that came
//! back with a right password are remembered, to count their use.

mod digest;
mod failures;
mod nonce;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;

use crate::id::CredentialId;
use crate::sip::headers::Headers;
use crate::sip::uri::Uri;

pub use digest::DigestResponse;
pub use failures::Lock;

use failures::Failures;
use nonce::{Nonces, Use};

/// Hash of a digest challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// `MD5`: what every phone speaks.
    Md5,
    /// `SHA-256` (RFC 8760): only where configured; some clients break when it is offered.
    Sha256,
}

impl DigestAlgorithm {
    /// Token in a challenge: `MD5`, `SHA-256`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// Hash of the parts joined by colons, lower-case hex.
    fn hash_hex(self, parts: &[&str]) -> String {
        use sha2::{Digest, Sha256};
        let joined = parts.join(":");
        match self {
            Self::Md5 => format!("{:x}", md5::compute(joined)),
            Self::Sha256 => hex(&Sha256::digest(joined)),
        }
    }
}

/// `hex(H(username:realm:password))`, lower case: what the store keeps instead of the password.
pub fn ha1(algorithm: DigestAlgorithm, username: &str, realm: &str, password: &str) -> String {
    algorithm.hash_hex(&[username, realm, password])
}

/// What is stored of one set of SIP credentials: hashes, never the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredential {
    /// Whose these are.
    pub id: CredentialId,
    /// `hex(MD5(username:realm:password))`, lower case.
    pub ha1_md5: String,
    /// `hex(SHA-256(username:realm:password))`, lower case.
    pub ha1_sha256: String,
}

impl StoredCredential {
    fn ha1(&self, algorithm: DigestAlgorithm) -> &str {
        match algorithm {
            DigestAlgorithm::Md5 => &self.ha1_md5,
            DigestAlgorithm::Sha256 => &self.ha1_sha256,
        }
    }
}

/// Looks credentials up by the digest username (never by From), in memory.
pub trait CredentialSource {
    /// The credential of this user name, compared exactly.
    fn credential(&self, username: &str) -> Option<StoredCredential>;
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthFailure {
    /// The header cannot be read, lacks a field, or answers another challenge than ours.
    Malformed,
    /// The password is right, but the nonce is of an earlier start or too old.
    Stale,
    /// This nonce was used with this count before.
    Replayed,
    /// Unknown user name or wrong password: on purpose not told apart.
    Rejected,
    /// Too many wrong passwords: answered 403.
    LockedOut,
}

impl AuthFailure {
    /// Label in metrics and logs: a bounded set.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::Rejected => "rejected",
            Self::LockedOut => "locked_out",
        }
    }

    /// Whether the next challenge says `stale=true`: the client repeats without asking its user.
    fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }
}

/// What a request's credentials are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Granted {
        /// Whose they are.
        credential: CredentialId,
        /// The digest username.
        username: String,
    },
    /// There are none for our realm: challenge.
    Missing,
    /// They are not right.
    Refused {
        /// Why.
        failure: AuthFailure,
        /// The digest username, if one could be read.
        username: Option<String>,
    },
}

/// What is asked of a request's credentials.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Method on the wire.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a Headers,
    /// Where it came from.
    pub source: IpAddr,
    /// Algorithms that are offered there.
    pub algorithms: &'a [DigestAlgorithm],
}

/// Challenges and verifies.
#[derive(Debug)]
pub struct Authenticator {
    realm: String,
    opaque: String,
    nonces: Nonces,
    failures: Failures,
}

impl Authenticator {
    /// For one realm. `key` must be new at each start; a nonce lives `nonce_ttl`; the
    /// `failures_max`-th wrong password locks its user name for that source address.
    pub fn new(realm: String, key: [u8; 32], nonce_ttl: Duration, failures_max: u32) -> Self {
        let opaque = hex(&Keyed::new(&key).mac(&[b"opaque", realm.as_bytes()])[..8]);
        Self {
            nonces: Nonces::new(key, &realm, nonce_ttl),
            failures: Failures::new(failures_max),
            realm,
            opaque,
        }
    }

    /// Locks in force, the longest first.
    pub fn locks(&self, now: Instant) -> Vec<Lock> {
        self.failures.locks(now)
    }

    /// Lifts the locks of a source, of one user name or of all; says how many were in force.
    pub fn unlock(&mut self, now: Instant, source: IpAddr, username: Option<&str>) -> usize {
        self.failures.unlock(now, source, username)
    }

    /// Values of WWW-Authenticate, one for each algorithm, in order.
    pub fn challenges(
        &mut self,
        now: Instant,
        algorithms: &[DigestAlgorithm],
        failure: Option<AuthFailure>,
    ) -> Vec<String> {
        let stale = match failure.is_some_and(AuthFailure::is_stale) {
            true => ",stale=true",
            false => "",
        };
        let nonce = self.nonces.issue(now);
        let (realm, opaque) = (&self.realm, &self.opaque);
        algorithms
            .iter()
            .map(|algorithm| {
                let algorithm = algorithm.token();
                format!(
                    "Digest realm=\"{realm}\",nonce=\"{nonce}\",opaque=\"{opaque}\",\
                     algorithm={algorithm},qop=\"auth\"{stale}"
                )
            })
            .collect()
    }

    /// Examines Authorization and Proxy-Authorization.
    pub fn verify(
        &mut self,
        now: Instant,
        question: Question<'_>,
        credentials: &dyn CredentialSource,
    ) -> Verdict {
        let headers = question.headers;
        let values = headers
            .all("Authorization")
            .chain(headers.all("Proxy-Authorization"));
        let mut unreadable = false;
        for value in values {
            match DigestResponse::parse(value) {
                // Another realm's credentials travel past us.
                Ok(Some(response)) if response.realm == self.realm => {
                    return self.verify_response(now, question, &response, credentials);
                }
                Ok(_) => {}
                Err(_) => unreadable = true,
            }
        }
        match unreadable {
            true => Verdict::Refused {
                failure: AuthFailure::Malformed,
                username: None,
            },
            false => Verdict::Missing,
        }
    }

    fn verify_response(
        &mut self,
        now: Instant,
        question: Question<'_>,
        response: &DigestResponse,
        credentials: &dyn CredentialSource,
    ) -> Verdict {
        match self.check(now, question, response, credentials) {
            Ok(credential) => Verdict::Granted {
                credential,
                username: response.username.clone(),
            },
            Err(failure) => Verdict::Refused {
                failure,
                username: Some(response.username.clone()),
            },
        }
    }

    fn check(
        &mut self,
        now: Instant,
        question: Question<'_>,
        response: &DigestResponse,
        credentials: &dyn CredentialSource,
    ) -> Result<CredentialId, AuthFailure> {
        let source = question.source;
        if self.failures.is_locked(now, source, &response.username) {
            return Err(AuthFailure::LockedOut);
        }
        let algorithm = question
            .algorithms
            .iter()
            .find(|offered| offered.token().eq_ignore_ascii_case(&response.algorithm))
            .ok_or(AuthFailure::Malformed)?;
        let uri = Uri::parse(&response.uri).map_err(|_| AuthFailure::Malformed)?;
        if !uri.is_alike(question.uri) {
            return Err(AuthFailure::Malformed);
        }
        // An unknown user is checked against a hash nobody has, so that it costs the same time.
        let stored = credentials.credential(&response.username);
        let ha1 = stored.as_ref().map_or("", |stored| stored.ha1(*algorithm));
        let expected = response.expected(*algorithm, ha1, question.method);
        let is_right = expected.as_bytes().ct_eq(response.response.as_bytes());
        let stored = match (stored, bool::from(is_right)) {
            (Some(stored), true) => stored,
            _ => {
                return Err(match self.failures.count(now, source, &response.username) {
                    true => AuthFailure::LockedOut,
                    false => AuthFailure::Rejected,
                });
            }
        };
        // Only now the nonce: `stale=true` to a wrong password would make a client try for ever.
        match self.nonces.use_once(now, &response.nonce, response.nc) {
            Use::First => {
                self.failures.forget(source, &response.username);
                Ok(stored.id)
            }
            Use::Stale => Err(AuthFailure::Stale),
            Use::Replayed => Err(AuthFailure::Replayed),
        }
    }
}

/// HMAC-SHA-256 under one key.
#[derive(Clone)]
pub(crate) struct Keyed(Hmac<sha2::Sha256>);

impl Keyed {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// Over length-prefixed parts.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}
