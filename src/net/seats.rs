//! How many connections a listener holds, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The seats of one listener; clones share them.
#[derive(Debug, Clone)]
pub struct ConnectionSeats {
    total_max: usize,
    per_address_max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionSeats {
    /// None taken yet.
    pub fn new(total_max: usize, per_address_max: usize) -> Self {
        Self {
            total_max,
            per_address_max,
            taken: Arc::default(),
        }
    }

    /// A seat for a connection from `address`, given back on drop; `None` when there is none left.
    pub fn take(&self, address: IpAddr) -> Option<ConnectionSeat> {
        let mut taken = self.lock();
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.total >= self.total_max || of_address >= self.per_address_max {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(ConnectionSeat {
            seats: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing within the lock can panic between the two counts.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted connection.
#[derive(Debug)]
pub struct ConnectionSeat {
    seats: ConnectionSeats,
    address: IpAddr,
}

impl Drop for ConnectionSeat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.total -= 1;
        let left = taken.by_address.get(&self.address).copied().unwrap_or(0);
        if left <= 1 {
            taken.by_address.remove(&self.address);
        } else {
            taken.by_address.insert(self.address, left - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_seats_and_a_returned_one_is_free_again() {
        let seats = ConnectionSeats::new(3, 2);
        let (greedy, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut held = vec![seats.take(greedy).unwrap(), seats.take(greedy).unwrap()];
        assert!(seats.take(greedy).is_none());
        held.push(seats.take(other).unwrap());
        assert!(seats.take(other).is_none(), "all three are taken");
        held.remove(0);
        assert!(seats.take(greedy).is_some());
        held.clear();
        let taken = seats.lock();
        assert_eq!((taken.total, taken.by_address.len()), (0, 0));
    }
}
