//! Where webhooks may go: public addresses, and what the operator allows besides. A name is
//! resolved once per try, and only to addresses that may be reached; the connection is made to
//! those, so that a name that changes its mind between check and use gains nothing.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The address is not one that webhooks may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no public address, and --webhook-networks does not allow its own")]
pub struct Forbidden;

/// Says which addresses may be reached.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Arc<[IpNet]>,
}

impl Guard {
    /// Public addresses and these networks.
    pub fn new(allowed: &[IpNet]) -> Self {
        Self {
            allowed: allowed.into(),
        }
    }

    /// May this address be reached?
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        is_public(address) || self.allowed.iter().any(|net| net.contains(&address))
    }

    /// An URL whose host is an address never asks the resolver: it is checked here.
    ///
    /// # Errors
    /// It is not one that may be reached.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => Err(Forbidden),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|to| guard.allows(to.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(Forbidden) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// An IPv6 address that stands for an IPv4 one, as that one.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(w, x, y, z))
    };
    match [a, b, c, d, e, f] {
        // ::ffff:0:0/96, ::/96 and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(g, h),
        [0, 0, 0, 0, 0, 0] if g != 0 => embedded(g, h),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        // RFC 6598, RFC 6890, RFC 2544.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    // Global unicast is 2000::/3; of it, Teredo and documentation are not the world.
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b == 0 || b == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_world_and_what_is_allowed_can_be_reached() {
        let guard = Guard::new(&["10.1.0.0/16".parse().unwrap()]);
        for inside in [
            "127.0.0.1",
            "0.0.0.0",
            "10.2.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!guard.allows(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "2606:4700::1111", "10.1.2.3", "::ffff:8.8.8.8"] {
            assert!(guard.allows(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_checked_too() {
        let guard = Guard::default();
        let check = |url: &str| guard.check(&Url::parse(url).unwrap());
        for forbidden in [
            "http://127.0.0.1/x",
            "http://[::1]:8080/",
            "https://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(check(forbidden), Err(Forbidden), "{forbidden}");
        }
        assert_eq!(check("https://1.1.1.1/"), Ok(()));
        assert_eq!(check("https://example.com/"), Ok(()));
    }
}
