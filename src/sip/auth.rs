//! Digest authentication (RFC 7616, RFC 2617 compatible) with a stateless nonce.

use crate::id::CredentialId;

/// Hash of a digest challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// `MD5`: what every phone speaks.
    Md5,
    /// `SHA-256` (RFC 8760): only where configured; some clients break when it is offered.
    Sha256,
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

/// Looks credentials up by the digest username (never by From), in memory.
pub trait CredentialSource {
    /// The credential of this user name, compared exactly.
    fn credential(&self, username: &str) -> Option<StoredCredential>;
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthFailure {
    /// The header cannot be read, or lacks a field.
    Malformed,
    /// The nonce was never ours, or is of an earlier start, or too old (`stale=true` follows).
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
}

/// `hex(H(username:realm:password))`, lower case: what the store keeps instead of the password.
pub fn ha1(algorithm: DigestAlgorithm, username: &str, realm: &str, password: &str) -> String {
    algorithm.hash_hex(&[username, realm, password])
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
            Self::Sha256 => Sha256::digest(joined)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
        }
    }
}
