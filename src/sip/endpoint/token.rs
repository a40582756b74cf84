//! Tags, branches and keys of tables: unguessable, and the same in every run with the same seed.

use std::hash::{DefaultHasher, Hasher};

use crate::sip::auth::{Keyed, hex};
use crate::sip::headers::Headers;

/// Makes them.
#[derive(Debug)]
pub(super) struct Tokens {
    key: Keyed,
    /// One for each half of a fingerprint.
    seeds: [[u8; 16]; 2],
    count: u64,
}

/// 128 bits of something longer: equal only for equals, as nobody can find two that are not.
pub(super) type Fingerprint = u128;

impl Tokens {
    pub fn new(secret: &[u8; 32], seed: u64) -> Self {
        let secret = Keyed::new(secret);
        let seed = seed.to_be_bytes();
        let half = |name: &[u8]| {
            let mut half = [0; 16];
            half.copy_from_slice(&secret.mac(&[b"fingerprint", name, &seed])[..16]);
            half
        };
        Self {
            seeds: [half(b"high"), half(b"low")],
            key: Keyed::new(&secret.mac(&[b"tokens", &seed])),
            count: 0,
        }
    }

    /// A new tag, or the unique part of a branch: 64 bits of hex.
    pub fn next(&mut self) -> String {
        self.count += 1;
        hex(&self.key.mac(&[b"next", &self.count.to_be_bytes()])[..8])
    }

    /// The To tag of a stateless response: the same for every copy of the request.
    pub fn stateless_tag(&self, request: &Headers) -> String {
        let part = |name| request.get(name).unwrap_or_default().as_bytes();
        let tag = self
            .key
            .mac(&[b"stateless", part("Via"), part("Call-ID"), part("From")]);
        hex(&tag[..8])
    }

    /// Of these parts in this order.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let half = |seed: &[u8; 16]| {
            let mut hasher = DefaultHasher::new();
            hasher.write(seed);
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            u128::from(hasher.finish())
        };
        half(&self.seeds[0]) << 64 | half(&self.seeds[1])
    }
}
