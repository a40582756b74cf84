//! How often the REST API may be called: a token bucket for each organisation, and one for each
//! address that has proved nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::id::OrganizationId;
use crate::limits::{
    API_CALLERS_RATED_MAX, API_REQUESTS_BURST_MAX, API_REQUESTS_PER_SECOND,
    API_STRANGER_REQUESTS_BURST_MAX, API_STRANGER_REQUESTS_PER_SECOND,
};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// An organisation that has proved its key.
    Organization(OrganizationId),
    /// Anybody else from there.
    Stranger(IpAddr),
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Who, Bucket>>);

impl Who {
    /// Requests at once, and a second.
    fn limits(self) -> (f64, f64) {
        let (burst, rate) = match self {
            Self::Organization(_) => (API_REQUESTS_BURST_MAX, API_REQUESTS_PER_SECOND),
            Self::Stranger(_) => (
                API_STRANGER_REQUESTS_BURST_MAX,
                API_STRANGER_REQUESTS_PER_SECOND,
            ),
        };
        (f64::from(burst), f64::from(rate))
    }
}

impl Rates {
    /// Takes one request.
    ///
    /// # Errors
    /// There have been too many: how long to wait for the next.
    pub fn take(&self, who: Who, now: Instant) -> Result<(), Duration> {
        let (burst, rate) = who.limits();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= API_CALLERS_RATED_MAX && !buckets.contains_key(&who) {
            make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(who).or_insert(Bucket {
            left: burst,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * rate).min(burst);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / rate));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// Forgets those whose buckets are full again: they have nothing to remember. If that frees
/// nothing, all.
fn make_room(buckets: &mut HashMap<Who, Bucket>, now: Instant) {
    buckets.retain(|who, bucket| {
        let (burst, rate) = who.limits();
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left + passed * rate < burst
    });
    if buckets.len() >= API_CALLERS_RATED_MAX {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock;

    #[test]
    fn a_burst_is_taken_a_flood_is_not_and_others_are_undisturbed() {
        let (rates, start) = (Rates::default(), clock::now());
        let flooder = Who::Stranger("192.0.2.1".parse().unwrap());
        for _ in 0..API_STRANGER_REQUESTS_BURST_MAX {
            assert_eq!(rates.take(flooder, start), Ok(()));
        }
        let wait = rates.take(flooder, start).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(rates.take(flooder, start + wait), Ok(()));
        assert_eq!(
            rates.take(Who::Stranger("192.0.2.2".parse().unwrap()), start),
            Ok(())
        );
        let owner = Who::Organization(OrganizationId::from_random(1));
        assert_eq!(rates.take(owner, start), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (rates, start) = (Rates::default(), clock::now());
        for number in 0..API_CALLERS_RATED_MAX as u32 + 10 {
            let stranger = Who::Stranger(IpAddr::V4(number.into()));
            assert_eq!(rates.take(stranger, start), Ok(()));
        }
        assert!(rates.0.lock().unwrap().len() <= API_CALLERS_RATED_MAX);
    }
}
