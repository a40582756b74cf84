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
