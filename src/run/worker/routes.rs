//! Which browser a datagram on the shared socket belongs to.
//!
//! STUN checks name their browser (the USERNAME's first half is our ufrag). Everything else is
//! known by its source address, and addresses are learnt only from STUN that *we* send: the ICE
//! agent answers none but authenticated checks, so a spoofed source never enters the table.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::command::SeatKey;

/// STUN magic cookie (RFC 8489 §5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

const STUN_HEADER_BYTES: usize = 20;

/// USERNAME attribute (RFC 8489 §14.3).
const USERNAME: u16 = 0x0006;

/// Addresses one browser may be known by: a few networks at once. More: the oldest is forgotten.
const ADDRESSES_PER_SEAT_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Routes {
    ufrags: HashMap<String, SeatKey>,
    addresses: HashMap<SocketAddr, SeatKey>,
    /// What to forget with a seat.
    of_seat: HashMap<SeatKey, Known>,
}

#[derive(Debug, Default)]
struct Known {
    ufrags: Vec<String>,
    addresses: Vec<SocketAddr>,
}

impl Routes {
    /// Checks for `ufrag` go to the seat.
    pub fn add_ufrag(&mut self, ufrag: String, seat: SeatKey) {
        let known = self.of_seat.entry(seat).or_default();
        if !known.ufrags.contains(&ufrag) {
            known.ufrags.push(ufrag.clone());
        }
        self.ufrags.insert(ufrag, seat);
    }

    /// We sent something to `to` for the seat: if it is STUN, the address is the browser's.
    pub fn learn(&mut self, seat: SeatKey, to: SocketAddr, bytes: &[u8]) {
        if !is_stun(bytes) || self.addresses.get(&to) == Some(&seat) {
            return;
        }
        // The same browser may come back from the same port with a new seat: the newest wins.
        self.addresses.insert(to, seat);
        let known = self.of_seat.entry(seat).or_default();
        known.addresses.push(to);
        if known.addresses.len() > ADDRESSES_PER_SEAT_MAX {
            let oldest = known.addresses.remove(0);
            if self.addresses.get(&oldest) == Some(&seat) {
                self.addresses.remove(&oldest);
            }
        }
    }

    /// Whose datagram it is.
    pub fn find(&self, from: SocketAddr, bytes: &[u8]) -> Option<SeatKey> {
        if is_stun(bytes)
            && let Some(ufrag) = stun_ufrag(bytes)
        {
            return self.ufrags.get(ufrag).copied();
        }
        self.addresses.get(&from).copied()
    }

    /// The seat has ended.
    pub fn forget(&mut self, seat: SeatKey) {
        let Some(known) = self.of_seat.remove(&seat) else {
            return;
        };
        for ufrag in known.ufrags {
            if self.ufrags.get(&ufrag) == Some(&seat) {
                self.ufrags.remove(&ufrag);
            }
        }
        for address in known.addresses {
            if self.addresses.get(&address) == Some(&seat) {
                self.addresses.remove(&address);
            }
        }
    }

    /// Nothing is known: all seats have ended.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.ufrags.is_empty() && self.addresses.is_empty() && self.of_seat.is_empty()
    }
}

/// RFC 7983: first octet 0–3.
fn is_stun(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0..=3))
}

/// The part of USERNAME before the colon: the receiver's ufrag (RFC 8445 §7.2.2).
pub fn stun_ufrag(bytes: &[u8]) -> Option<&str> {
    let (header, mut rest) = bytes.split_at_checked(STUN_HEADER_BYTES)?;
    if header[4..8] != COOKIE {
        return None;
    }
    loop {
        let (head, body) = rest.split_at_checked(4)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = body.get(..length)?;
        if kind == USERNAME {
            return std::str::from_utf8(value).ok()?.split(':').next();
        }
        rest = body.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MeetingId;

    fn check(username: &str) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0];
        bytes.extend(COOKIE);
        bytes.extend([7; 12]);
        // Another attribute before, of a length that needs padding.
        bytes.extend([0x80, 0x22, 0, 3, 1, 2, 3, 0]);
        bytes.extend(USERNAME.to_be_bytes());
        bytes.extend((username.len() as u16).to_be_bytes());
        bytes.extend(username.as_bytes());
        bytes
    }

    fn seat(number: u64) -> SeatKey {
        SeatKey {
            meeting: MeetingId::from_random(1),
            seat: number,
        }
    }

    #[test]
    fn checks_are_routed_by_ufrag_and_the_rest_by_addresses_we_answered() {
        let mut routes = Routes::default();
        let address: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        routes.add_ufrag("ours".to_owned(), seat(1));
        let stun = check("ours:theirs");
        assert_eq!(routes.find(address, &stun), Some(seat(1)));
        assert_eq!(routes.find(address, &check("other:theirs")), None);
        let rtp = [0x80, 111, 0, 1];
        assert_eq!(routes.find(address, &rtp), None);
        routes.learn(seat(1), address, &rtp);
        assert_eq!(routes.find(address, &rtp), None, "learnt from media");
        routes.learn(seat(1), address, &stun);
        assert_eq!(routes.find(address, &rtp), Some(seat(1)));
        routes.forget(seat(1));
        assert!(routes.is_empty());
    }

    #[test]
    fn a_seat_keeps_its_newest_addresses_and_an_older_seat_takes_none_with_it() {
        let mut routes = Routes::default();
        let at = |port: u16| -> SocketAddr { SocketAddr::from(([192, 0, 2, 1], port)) };
        for port in 1..=20 {
            routes.learn(seat(1), at(port), &[0, 1]);
        }
        assert_eq!(routes.addresses.len(), ADDRESSES_PER_SEAT_MAX);
        routes.learn(seat(2), at(20), &[0, 1]);
        routes.forget(seat(1));
        assert_eq!(routes.find(at(20), &[0x80, 0]), Some(seat(2)));
    }

    #[test]
    fn truncated_stun_is_nobody_s() {
        let whole = check("ours:theirs");
        for length in 0..whole.len() {
            assert_eq!(stun_ufrag(&whole[..length]), None, "{length}");
        }
    }
}
