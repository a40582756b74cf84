//! Fills the first-call card: which of our addresses a newcomer should type.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::first_call::FILE;
use super::{Addresses, FirstCall, StartError};
use crate::api::token::Claims;
use crate::api::{ApiState, PublicUrls};
use crate::net::advertise::Advertise;
use crate::store::preset::PRESET_HOST;

/// SIP's own port needs no mention in an address (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// How the world reaches us.
pub fn urls(advertise: &Advertise, addresses: &Addresses) -> PublicUrls {
    let join_base = match addresses.https {
        Some(https) => format!("https://{}", reachable(advertise, https)),
        None => format!("http://{}", reachable(advertise, addresses.http)),
    };
    let sip = reachable(advertise, addresses.sip);
    let sip_host = match sip.port() {
        SIP_PORT => host(sip.ip()),
        _ => sip.to_string(),
    };
    PublicUrls {
        join_base,
        sip_host,
    }
}

/// Writes the card with today's addresses, a fresh join link, and the secrets of the first start.
///
/// # Errors
/// The card cannot be written, or the join link cannot be signed.
pub fn write(
    data_dir: &Path,
    api: &ApiState,
    advertise: &Advertise,
    addresses: &Addresses,
) -> Result<FirstCall, StartError> {
    let failed = |source| StartError::Card {
        path: data_dir.join(FILE).display().to_string(),
        source,
    };
    let settings = api.store().settings();
    let (organization_id, meeting_id) = (settings.first_organization, settings.demo_meeting);
    let claims = Claims::invite(organization_id, meeting_id, PRESET_HOST);
    let token = api
        .tokens()
        .mint(&claims)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    let earlier = FirstCall::read(data_dir)
        // A card of another database that was deleted since tells nothing about this one.
        .filter(|card| card.organization_id == organization_id);
    let first_start = api.store().first_start();
    let (sip_username, sip_password, api_key) = match (first_start, earlier) {
        (Some(new), _) => (
            Some(new.sip_username.clone()),
            Some(new.sip_password.clone()),
            Some(new.api_key.clone()),
        ),
        (None, Some(card)) => (card.sip_username, card.sip_password, card.api_key),
        (None, None) => (None, None, None),
    };
    let local_http = format!("http://{}", local_host(addresses.http));
    let card = FirstCall {
        join_url: format!("{local_http}/join#token={token}"),
        https_join_url: addresses.https.map(|_| api.urls().join_url(&token)),
        sip_uri: api.urls().sip_uri(meeting_id),
        sip_tls_uri: addresses.sips.map(|sips| {
            let sips = reachable(advertise, sips);
            format!("sip:{meeting_id}@{sips};transport=tls")
        }),
        sip_username,
        sip_password,
        api_base: format!("{local_http}/v2"),
        organization_id,
        api_key,
        meeting_id,
        admin_base: format!("http://{}", local_host(addresses.admin)),
    };
    card.write(data_dir).map_err(failed)?;
    Ok(card)
}

/// The address that somebody elsewhere should use for a listener.
fn reachable(advertise: &Advertise, bound: SocketAddr) -> SocketAddr {
    let candidates = advertise.candidates(bound.ip());
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        _ => candidates
            .iter()
            .find(|ip| !ip.is_loopback())
            .copied()
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    SocketAddr::new(ip, bound.port())
}

/// Host and port for a browser on this machine: it gives its microphone to plain http only there.
fn local_host(bound: SocketAddr) -> String {
    if bound.ip().is_unspecified() {
        format!("localhost:{}", bound.port())
    } else {
        bound.to_string()
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(sip: &str, http: &str) -> Addresses {
        Addresses {
            sip: sip.parse().unwrap(),
            sips: None,
            http: http.parse().unwrap(),
            https: None,
            admin: "127.0.0.1:9090".parse().unwrap(),
            webrtc: vec![],
        }
    }

    #[test]
    fn a_wildcard_listener_is_told_by_the_configured_address_and_a_standard_port_by_none() {
        let advertise = Advertise::new(vec!["203.0.113.5".parse().unwrap()]);
        let told = urls(&advertise, &addresses("0.0.0.0:5060", "0.0.0.0:8080"));
        assert_eq!(told.sip_host, "203.0.113.5");
        assert_eq!(told.join_base, "http://203.0.113.5:8080");
        let told = urls(&advertise, &addresses("127.0.0.1:15060", "127.0.0.1:8080"));
        assert_eq!(told.sip_host, "127.0.0.1:15060");
        let six = Advertise::new(vec!["2001:db8::5".parse().unwrap()]);
        let told = urls(&six, &addresses("[::]:5060", "[::]:8080"));
        assert_eq!(told.sip_host, "[2001:db8::5]");
    }
}
