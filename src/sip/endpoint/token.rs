//! Tags and branches: unguessable, and the same in every run with the same seed.

use crate::sip::auth::{hex, mac};
use crate::sip::headers::Headers;

/// Makes tags and branches.
#[derive(Debug)]
pub(super) struct Tokens {
    key: [u8; 32],
    count: u64,
}

impl Tokens {
    pub fn new(secret: &[u8; 32], seed: u64) -> Self {
        Self {
            key: mac(secret, &[b"tokens", &seed.to_be_bytes()]),
            count: 0,
        }
    }

    /// A new tag, or the unique part of a branch: 64 bits of hex.
    pub fn next(&mut self) -> String {
        self.count += 1;
        hex(&mac(&self.key, &[b"next", &self.count.to_be_bytes()])[..8])
    }

    /// The To tag of a stateless response: the same for every copy of the request.
    pub fn stateless_tag(&self, request: &Headers) -> String {
        let part = |name| request.get(name).unwrap_or_default().as_bytes();
        let tag = mac(
            &self.key,
            &[b"stateless", part("Via"), part("Call-ID"), part("From")],
        );
        hex(&tag[..8])
    }
}
