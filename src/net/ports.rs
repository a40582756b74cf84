//! Reservation of RTP/RTCP port pairs for phone legs, with draining.
//!
//! A released pair rests for [`limits::RTP_PORT_DRAIN`] before it serves another call, so that a
//! new call never hears what a stale peer still sends (attack 24).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::limits;
use crate::run::clock;

/// One leg's pair of bound, non-blocking sockets. Clones share them; dropping the last returns the
/// ports to the drain.
#[derive(Debug, Clone)]
pub struct RtpSockets {
    /// Voice and DTMF.
    pub rtp: Arc<UdpSocket>,
    /// RTCP, on the next port.
    pub rtcp: Arc<UdpSocket>,
    /// Address `rtp` is bound to.
    pub local: SocketAddr,
    _reservation: Option<Arc<Reservation>>,
}

impl RtpSockets {
    /// A pair on ports of the kernel's choice, belonging to no pool.
    ///
    /// # Errors
    /// No two adjacent free ports were found in a few tries.
    pub fn bind_any(ip: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        // Adjacent ports are free nearly always; a few tries make a clash on both negligible.
        for _ in 0..16 {
            let rtp = bind(SocketAddr::new(ip, 0))?;
            let local = rtp.local_addr()?;
            let Some(next) = local.port().checked_add(1) else {
                continue;
            };
            match bind(SocketAddr::new(ip, next)) {
                Ok(rtcp) => {
                    return Ok(Self {
                        rtp: Arc::new(rtp),
                        rtcp: Arc::new(rtcp),
                        local,
                        _reservation: None,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Why no pair could be had.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Every pair is in use, draining, or taken by another program.
    #[error("no free RTP port pair in {low}-{high}: {in_use} in use, {draining} draining")]
    Exhausted {
        /// First port of the range.
        low: u16,
        /// Last port of the range.
        high: u16,
        /// Pairs that serve calls.
        in_use: usize,
        /// Pairs that rest after a call.
        draining: usize,
    },
    /// The kernel refused for another reason (descriptors exhausted, address gone).
    #[error("cannot bind an RTP port: {0}")]
    Bind(#[from] io::Error),
}

/// The process's RTP ports.
#[derive(Debug, Clone)]
pub struct PortPool {
    /// Specific, or unspecified for any address of the peer's family.
    bind: IpAddr,
    shared: Arc<Mutex<Pool>>,
}

#[derive(Debug)]
struct Pool {
    /// `None`: the kernel chooses (tests).
    range: Option<(u16, u16)>,
    /// Even ports, in the order they will be tried; least recently used first.
    free: VecDeque<u16>,
    /// Released pairs and when they may serve again, in that order.
    draining: VecDeque<(Instant, u16)>,
    in_use: usize,
}

impl PortPool {
    /// Pairs on `bind` whose even ports lie in `low..=high`; `0, 0` lets the kernel choose.
    pub fn new(bind: IpAddr, low: u16, high: u16) -> Self {
        let range = (low != 0).then_some((low, high));
        let first_even = low.saturating_add(low % 2);
        let free = range
            .map(|_| (first_even..high).step_by(2).collect())
            .unwrap_or_default();
        let pool = Pool {
            range,
            free,
            draining: VecDeque::new(),
            in_use: 0,
        };
        Self {
            bind,
            shared: Arc::new(Mutex::new(pool)),
        }
    }

    /// Binds a free pair for a peer that is told `advertised`.
    ///
    /// # Errors
    /// See [`ReserveError`].
    pub fn reserve(&self, advertised: IpAddr) -> Result<RtpSockets, ReserveError> {
        let ip = match (self.bind, advertised) {
            (bind, _) if !bind.is_unspecified() => bind,
            (_, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            (_, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let mut pool = self.lock();
        let Some((low, high)) = pool.range else {
            let sockets = RtpSockets::bind_any(ip)?;
            pool.in_use += 1;
            let reservation = Reservation {
                pool: self.clone(),
                port: None,
            };
            return Ok(RtpSockets {
                _reservation: Some(Arc::new(reservation)),
                ..sockets
            });
        };
        pool.end_drains(clock::now());
        for _ in 0..pool.free.len() {
            let Some(port) = pool.free.pop_front() else {
                break;
            };
            match bind_pair(ip, port) {
                Ok((rtp, rtcp)) => {
                    pool.in_use += 1;
                    let reservation = Reservation {
                        pool: self.clone(),
                        port: Some(port),
                    };
                    let local = SocketAddr::new(ip, port);
                    return Ok(RtpSockets {
                        rtp: Arc::new(rtp),
                        rtcp: Arc::new(rtcp),
                        local,
                        _reservation: Some(Arc::new(reservation)),
                    });
                }
                Err(error) => {
                    // Another program holds it: try it again after all the others.
                    pool.free.push_back(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(error.into());
                    }
                }
            }
        }
        let (in_use, draining) = (pool.in_use, pool.draining.len());
        Err(ReserveError::Exhausted {
            low,
            high,
            in_use,
            draining,
        })
    }

    /// Pairs that could be reserved now, as far as we know; `None` when the kernel chooses.
    pub fn free(&self) -> Option<usize> {
        let mut pool = self.lock();
        pool.end_drains(clock::now());
        pool.range.map(|_| pool.free.len())
    }

    /// Pairs that serve calls.
    pub fn in_use(&self) -> usize {
        self.lock().in_use
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        // A panic while holding it leaves at worst one port out of the pool.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn end_drains(&mut self, now: Instant) {
        while let Some((until, port)) = self.draining.front().copied() {
            if until > now {
                return;
            }
            self.draining.pop_front();
            self.free.push_back(port);
        }
    }
}

/// Puts its port into the drain when dropped.
#[derive(Debug)]
struct Reservation {
    pool: PortPool,
    port: Option<u16>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut pool = self.pool.lock();
        pool.in_use -= 1;
        if let Some(port) = self.port {
            pool.draining
                .push_back((clock::now() + limits::RTP_PORT_DRAIN, port));
        }
    }
}

fn bind_pair(ip: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    Ok((
        bind(SocketAddr::new(ip, port))?,
        bind(SocketAddr::new(ip, port + 1))?,
    ))
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A range of four ports that is free now: found by binding a pair and looking around it.
    fn small_range() -> (u16, u16) {
        loop {
            let probe = RtpSockets::bind_any(LOCALHOST).unwrap();
            let low = probe.local.port() + probe.local.port() % 2;
            drop(probe);
            let all_free =
                (low..low + 4).all(|port| bind(SocketAddr::new(LOCALHOST, port)).is_ok());
            if all_free {
                return (low, low + 3);
            }
        }
    }

    #[test]
    fn a_full_range_is_refused_by_name_and_a_released_pair_drains_before_it_serves_again() {
        let (low, high) = small_range();
        let pool = PortPool::new(LOCALHOST, low, high);
        assert_eq!(pool.free(), Some(2));
        let first = pool.reserve(LOCALHOST).unwrap();
        let second = pool.reserve(LOCALHOST).unwrap();
        assert_eq!(second.local.port(), first.local.port() + 2);
        assert_eq!(
            second.rtcp.local_addr().unwrap().port(),
            second.local.port() + 1
        );
        let error = pool.reserve(LOCALHOST).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("no free RTP port pair in {low}-{high}: 2 in use, 0 draining")
        );
        drop(first);
        let error = pool.reserve(LOCALHOST).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("no free RTP port pair in {low}-{high}: 1 in use, 1 draining")
        );
    }

    #[test]
    fn a_drained_pair_serves_again() {
        let mut pool = Pool {
            range: Some((4000, 4003)),
            free: VecDeque::new(),
            draining: VecDeque::new(),
            in_use: 0,
        };
        let now = clock::now();
        pool.draining
            .push_back((now + limits::RTP_PORT_DRAIN, 4000));
        pool.end_drains(now);
        assert!(pool.free.is_empty());
        pool.end_drains(now + limits::RTP_PORT_DRAIN);
        assert_eq!(pool.free, [4000]);
    }

    #[test]
    fn the_kernel_chooses_when_the_range_is_zero() {
        let pool = PortPool::new(LOCALHOST, 0, 0);
        let pair = pool.reserve(LOCALHOST).unwrap();
        assert_eq!(
            pair.rtcp.local_addr().unwrap().port(),
            pair.local.port() + 1
        );
        assert_eq!(pool.in_use(), 1);
        drop(pair);
        assert_eq!(pool.in_use(), 0);
    }
}
