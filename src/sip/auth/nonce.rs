//! Nonces that prove themselves, and the memory of how often each was used.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::{Keyed, hex};
use crate::limits::{SIP_NONCE_WINDOW, SIP_NONCES_MAX};

/// What using a nonce with a count came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Not seen before.
    First,
    /// Not ours, too old, or forgotten.
    Stale,
    /// Seen before, or too far behind.
    Replayed,
}

/// Issue time (milliseconds since the first) and number: unique, and in order of age.
type NonceId = (u64, u64);

/// Highest count seen, and which of the 64 below it were: bit *i* stands for `highest - i`.
#[derive(Debug, Clone, Copy)]
struct Counts {
    highest: u32,
    seen: u64,
}

/// `hex(issue time · number · HMAC)`: no memory until it comes back with a right password.
#[derive(Debug)]
pub(super) struct Nonces {
    key: Keyed,
    ttl: Duration,
    epoch: Option<Instant>,
    issued: u64,
    used: BTreeMap<NonceId, Counts>,
    /// Nonces up to this one may have been forgotten for want of room.
    forgotten: Option<NonceId>,
}

const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 16;

impl Nonces {
    pub fn new(key: [u8; 32], realm: &str, ttl: Duration) -> Self {
        Self {
            key: Keyed::new(&Keyed::new(&key).mac(&[b"nonce", realm.as_bytes()])),
            ttl,
            epoch: None,
            issued: 0,
            used: BTreeMap::new(),
            forgotten: None,
        }
    }

    pub fn issue(&mut self, now: Instant) -> String {
        self.issued += 1;
        let id = (self.age_of_epoch(now), self.issued);
        let mut bytes = id_bytes(id).to_vec();
        bytes.extend_from_slice(&self.tag(id));
        hex(&bytes)
    }

    /// Counts one use. `nc` of `None` (no qop) allows a single use.
    pub fn use_once(&mut self, now: Instant, nonce: &str, nc: Option<u32>) -> Use {
        let Some(id) = self.open(nonce) else {
            return Use::Stale;
        };
        let ttl_ms = self.ttl.as_millis() as u64;
        let now_ms = self.age_of_epoch(now);
        if now_ms.saturating_sub(id.0) > ttl_ms {
            return Use::Stale;
        }
        let nc = nc.unwrap_or(0);
        if let Some(counts) = self.used.get_mut(&id) {
            return counts.take(nc);
        }
        if self.forgotten.is_some_and(|forgotten| id <= forgotten) {
            return Use::Stale;
        }
        self.make_room(now_ms.saturating_sub(ttl_ms));
        // Any first value will do: Twilio starts at 2.
        self.used.insert(
            id,
            Counts {
                highest: nc,
                seen: 1,
            },
        );
        Use::First
    }

    fn make_room(&mut self, oldest_valid_ms: u64) {
        while let Some(oldest) = self.used.first_entry()
            && oldest.key().0 < oldest_valid_ms
        {
            oldest.remove();
        }
        if self.used.len() >= SIP_NONCES_MAX {
            self.forgotten = self.used.pop_first().map(|(id, _)| id);
        }
    }

    fn open(&self, nonce: &str) -> Option<NonceId> {
        if nonce.len() != 2 * (ID_BYTES + MAC_BYTES) || !nonce.is_ascii() {
            return None;
        }
        let time = u64::from_str_radix(&nonce[..16], 16).ok()?;
        let number = u64::from_str_radix(&nonce[16..32], 16).ok()?;
        let tag = hex(&self.tag((time, number)));
        bool::from(tag.as_bytes().ct_eq(&nonce.as_bytes()[32..])).then_some((time, number))
    }

    fn tag(&self, id: NonceId) -> [u8; MAC_BYTES] {
        let mut tag = [0; MAC_BYTES];
        tag.copy_from_slice(&self.key.mac(&[&id_bytes(id)])[..MAC_BYTES]);
        tag
    }

    fn age_of_epoch(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        now.saturating_duration_since(epoch).as_millis() as u64
    }
}

impl Counts {
    fn take(&mut self, nc: u32) -> Use {
        if nc > self.highest {
            let step = nc - self.highest;
            self.seen = match step < SIP_NONCE_WINDOW {
                true => self.seen << step | 1,
                false => 1,
            };
            self.highest = nc;
            return Use::First;
        }
        let behind = self.highest - nc;
        if behind >= SIP_NONCE_WINDOW || self.seen >> behind & 1 == 1 {
            return Use::Replayed;
        }
        self.seen |= 1 << behind;
        Use::First
    }
}

fn id_bytes((time, number): NonceId) -> [u8; ID_BYTES] {
    let mut bytes = [0; ID_BYTES];
    bytes[..8].copy_from_slice(&time.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_start_anywhere_overtake_each_other_and_never_repeat() {
        let mut counts = Counts {
            highest: 2,
            seen: 1,
        };
        assert_eq!(counts.take(2), Use::Replayed);
        assert_eq!(counts.take(4), Use::First);
        assert_eq!(counts.take(3), Use::First);
        assert_eq!(counts.take(3), Use::Replayed);
        assert_eq!(counts.take(2), Use::Replayed);
        assert_eq!(counts.take(200), Use::First);
        assert_eq!(counts.take(200 - SIP_NONCE_WINDOW), Use::Replayed);
        assert_eq!(counts.take(200 - SIP_NONCE_WINDOW + 1), Use::First);
        assert_eq!(counts.take(u32::MAX), Use::First);
        assert_eq!(counts.take(u32::MAX - 63), Use::First);
    }
}
