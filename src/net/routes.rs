//! The kernel's choice of our address towards a peer, remembered for a few seconds: asking costs
//! three system calls, and a carrier's edge calls a thousand times a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::advertise::routed_source;
use crate::limits::{ROUTE_LIFE, ROUTES_MAX};

/// What was asked lately.
#[derive(Debug, Default)]
pub struct Routes(Mutex<HashMap<IpAddr, (Instant, IpAddr)>>);

impl Routes {
    /// Our address towards `remote`; `remote` itself where there is no route, so that a caller on
    /// this machine is answered all the same.
    pub fn source(&self, now: Instant, remote: IpAddr) -> IpAddr {
        // Every update is one map operation: a panic elsewhere leaves the table whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, source)) = known.get(&remote)
            && now.saturating_duration_since(*asked) < ROUTE_LIFE
        {
            return *source;
        }
        let Ok(source) = routed_source(remote) else {
            return remote;
        };
        if known.len() >= ROUTES_MAX {
            known.clear();
        }
        known.insert(remote, (now, source));
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock;

    #[test]
    fn the_route_to_a_peer_is_asked_anew_after_its_life() {
        let routes = Routes::default();
        let (now, local) = (clock::now(), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(routes.source(now, local), local);
        let wrong = IpAddr::from([192, 0, 2, 1]);
        routes.0.lock().unwrap().insert(local, (now, wrong));
        assert_eq!(routes.source(now + ROUTE_LIFE / 2, local), wrong);
        assert_eq!(routes.source(now + ROUTE_LIFE, local), local);
    }
}
