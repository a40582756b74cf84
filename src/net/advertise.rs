//! Which of our addresses we tell a peer in SDP, Contact and ICE.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses others may reach us at, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    /// Configured by the operator; empty means "whatever the kernel routes with".
    configured: Vec<IpAddr>,
}

impl Advertise {
    /// With the operator's list, which may be empty.
    pub fn new(configured: Vec<IpAddr>) -> Self {
        Self { configured }
    }

    /// The address to tell `remote`, given the source address the kernel would use towards it.
    ///
    /// A peer on this machine gets the routed address. Otherwise a configured address wins: one on
    /// the peer's side of a NAT (private to private, public to public) before one across it. An
    /// unlisted private peer still gets the first configured address, because a container's bridge
    /// makes every caller look private.
    pub fn toward(&self, remote: IpAddr, routed: IpAddr) -> IpAddr {
        let remote = remote.to_canonical();
        let routed = routed.to_canonical();
        if remote.is_loopback() || self.configured.contains(&routed) {
            return routed;
        }
        let same_family = |address: &&IpAddr| address.is_ipv4() == remote.is_ipv4();
        self.configured
            .iter()
            .filter(same_family)
            .find(|address| is_private(**address) == is_private(remote))
            .or_else(|| self.configured.iter().find(same_family))
            .copied()
            .unwrap_or(routed)
    }

    /// Whether a listener bound to `bound` has an address that others could be told. A machine
    /// without a route outward has none until the operator names one.
    pub fn reaches_others(&self, bound: IpAddr) -> bool {
        bound.is_loopback()
            || self
                .candidates(bound)
                .iter()
                .any(|address| !address.is_loopback())
    }

    /// Every address a browser may try: the configured ones, else the routed ones of a listener on
    /// all addresses, or the one it is bound to; and loopback when it is heard there, so that the
    /// first call works on the machine itself. An IPv4 listener has no IPv6 addresses.
    pub fn candidates(&self, bound: IpAddr) -> Vec<IpAddr> {
        let mut all = self.configured.clone();
        if all.is_empty() && bound.is_unspecified() {
            all.extend(
                [default_route(false), default_route(true)]
                    .into_iter()
                    .flatten(),
            );
        }
        if bound.is_unspecified() {
            all.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        } else if all.is_empty() {
            all.push(bound);
        }
        let dual_stack = bound.is_unspecified() && bound.is_ipv6();
        all.retain(|address| dual_stack || address.is_ipv4() == bound.is_ipv4());
        let mut seen = Vec::with_capacity(all.len());
        for address in all {
            if !seen.contains(&address) {
                seen.push(address);
            }
        }
        seen
    }
}

/// The source address the kernel would use towards `remote`. Sends nothing: a UDP `connect` only
/// consults the routing table.
///
/// # Errors
/// No route to `remote`, or no socket left.
pub fn routed_source(remote: IpAddr) -> io::Result<IpAddr> {
    let any = match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // Any port does; 9 is discard.
    socket.connect(SocketAddr::new(remote, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// Our address on the way to the internet, if there is a way. The targets are documentation
/// addresses (RFC 5737, RFC 3849): nothing is sent to them.
pub fn default_route(ipv6: bool) -> Option<IpAddr> {
    let target = if ipv6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))
    };
    routed_source(target)
        .ok()
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Not routed on the internet: RFC 1918, RFC 6598, link-local, unique local.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || (octets[0] == 100 && octets[1] & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_on_this_machine_is_told_the_routed_address() {
        let advertise = Advertise::new(vec![ip("203.0.113.5")]);
        assert_eq!(
            advertise.toward(ip("127.0.0.1"), ip("127.0.0.1")),
            ip("127.0.0.1")
        );
    }

    #[test]
    fn a_public_peer_is_told_the_public_address_and_a_lan_peer_the_lan_address() {
        let advertise = Advertise::new(vec![ip("203.0.113.5"), ip("10.1.0.7")]);
        assert_eq!(
            advertise.toward(ip("198.51.100.9"), ip("10.9.9.9")),
            ip("203.0.113.5")
        );
        assert_eq!(
            advertise.toward(ip("10.1.0.20"), ip("10.9.9.9")),
            ip("10.1.0.7")
        );
    }

    #[test]
    fn a_private_peer_is_told_the_public_address_when_no_lan_address_is_listed() {
        let advertise = Advertise::new(vec![ip("203.0.113.5")]);
        assert_eq!(
            advertise.toward(ip("172.17.0.1"), ip("172.17.0.2")),
            ip("203.0.113.5")
        );
    }

    #[test]
    fn without_configuration_the_routed_address_of_the_family_is_told() {
        let advertise = Advertise::new(vec![]);
        assert_eq!(
            advertise.toward(ip("198.51.100.9"), ip("10.0.0.4")),
            ip("10.0.0.4")
        );
        let v4_only = Advertise::new(vec![ip("203.0.113.5")]);
        assert_eq!(
            v4_only.toward(ip("2001:db8::9"), ip("2001:db8::4")),
            ip("2001:db8::4")
        );
    }

    #[test]
    fn a_mapped_ipv4_peer_counts_as_ipv4() {
        let advertise = Advertise::new(vec![ip("203.0.113.5")]);
        assert_eq!(
            advertise.toward(ip("::ffff:198.51.100.9"), ip("::ffff:10.0.0.4")),
            ip("203.0.113.5")
        );
    }

    #[test]
    fn a_server_for_others_needs_an_address_that_is_not_loopback() {
        let named = Advertise::new(vec![ip("203.0.113.5")]);
        assert!(named.reaches_others(ip("0.0.0.0")));
        let wrong = Advertise::new(vec![ip("127.0.0.1")]);
        assert!(!wrong.reaches_others(ip("0.0.0.0")));
        assert!(
            wrong.reaches_others(ip("127.0.0.1")),
            "a server for this machine only"
        );
    }

    #[test]
    fn candidates_are_distinct_and_hold_loopback_for_a_wildcard_listener() {
        let advertise = Advertise::new(vec![ip("203.0.113.5"), ip("127.0.0.1")]);
        assert_eq!(
            advertise.candidates(ip("0.0.0.0")),
            [ip("203.0.113.5"), ip("127.0.0.1")]
        );
    }

    #[test]
    fn candidates_of_a_listener_on_one_address_are_that_address_unless_others_are_configured() {
        let found = Advertise::new(vec![]);
        assert_eq!(found.candidates(ip("127.0.0.1")), [ip("127.0.0.1")]);
        assert_eq!(found.candidates(ip("10.0.0.4")), [ip("10.0.0.4")]);
        let behind_nat = Advertise::new(vec![ip("203.0.113.5"), ip("2001:db8::5")]);
        assert_eq!(behind_nat.candidates(ip("10.0.0.4")), [ip("203.0.113.5")]);
        assert_eq!(behind_nat.candidates(ip("0.0.0.0")).len(), 2);
        assert_eq!(behind_nat.candidates(ip("::")).len(), 3);
    }
}
