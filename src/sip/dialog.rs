//! A dialog (RFC 3261 §12) as its UAS: identity, CSeq order, route set, remote target, and the
//! requests we send in it.

use std::fmt::Write as _;

use super::header::{NameAddr, parse_decimal};
use super::headers::Headers;
use super::message::{Malformed, Request, Response};
use super::reply::{push_header, push_line};
use super::uri::{Host, Scheme, Uri};
use crate::limits::SIP_ROUTES_MAX;

/// A request in a dialog came with a lower CSeq than one before: 500 (RFC 3261 §12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutOfOrder;

/// One dialog.
#[derive(Debug, Clone)]
pub struct Dialog {
    call_id: String,
    local_tag: String,
    remote_tag: String,
    /// To of the INVITE with our tag: our From.
    local: String,
    /// From of the INVITE: our To.
    remote: String,
    remote_target: String,
    /// Fixed at creation: a later Record-Route is a hint for its own transaction at most.
    route_set: Vec<Route>,
    local_cseq: u32,
    remote_cseq: u32,
}

#[derive(Debug, Clone)]
struct Route {
    raw: String,
    uri: String,
    is_loose: bool,
}

/// What a request of ours consists of beside the dialog's own headers.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: &'a str,
    /// CSeq number: [`Dialog::next_cseq`], or that of the INVITE for its ACK.
    pub cseq: u32,
    /// The whole Via value.
    pub via: &'a str,
    /// More headers.
    pub headers: &'a [(&'a str, String)],
    /// Content-Type and body.
    pub body: Option<(&'a str, &'a str)>,
}

/// Where a request goes whose flow is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Name or address.
    pub host: Host,
    /// Port if written.
    pub port: Option<u16>,
}

impl Dialog {
    /// The dialog that `invite` forms when we answer it with `local_tag`.
    pub fn from_invite(invite: &Request, local_tag: &str) -> Result<Self, Malformed> {
        let route_set = invite
            .headers
            .all("Record-Route")
            .map(Route::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if route_set.len() > SIP_ROUTES_MAX {
            return Err(Malformed::RecordRoute);
        }
        let to = invite.headers.get("To").unwrap_or_default();
        Ok(Self {
            call_id: invite.call_id.clone(),
            local_tag: local_tag.to_owned(),
            remote_tag: invite.from_tag().to_owned(),
            local: format!("{to};tag={local_tag}"),
            remote: invite.headers.get("From").unwrap_or_default().to_owned(),
            // RFC 2543 callers may send no Contact: From is all there is.
            remote_target: contact_uri(&invite.headers)?.unwrap_or_else(|| invite.from.uri.clone()),
            route_set,
            // Starting above 1 keeps apart what a peer might mistake for its own numbers.
            local_cseq: 100,
            remote_cseq: invite.cseq,
        })
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The peer's tag; empty for RFC 2543 callers.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Highest CSeq number the peer has used.
    pub fn remote_cseq(&self) -> u32 {
        self.remote_cseq
    }

    /// Takes the CSeq of a new request of the peer.
    pub fn accept_cseq(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        if cseq < self.remote_cseq {
            return Err(OutOfOrder);
        }
        self.remote_cseq = cseq;
        Ok(())
    }

    /// Takes the Contact of a target refresh (re-INVITE, UPDATE, and 2xx to ours).
    pub fn refresh_target(&mut self, headers: &Headers) -> Result<(), Malformed> {
        if let Some(target) = contact_uri(headers)? {
            self.remote_target = target;
        }
        Ok(())
    }

    /// The next CSeq number of ours.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The top Route, else the remote target.
    pub fn next_hop(&self) -> Option<NextHop> {
        let uri = match self.route_set.first() {
            Some(route) => &route.uri,
            None => &self.remote_target,
        };
        let uri = Uri::parse(uri).ok()?;
        Some(NextHop {
            host: uri.host()?.clone(),
            port: uri.port(),
        })
    }

    /// Whether requests travel along a route set.
    pub fn has_routes(&self) -> bool {
        !self.route_set.is_empty()
    }

    /// The bytes of a request of ours.
    pub fn request(&self, outgoing: Outgoing<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let (request_uri, routes) = self.request_uri_and_routes();
        push_line(
            &mut out,
            &format!("{} {request_uri} SIP/2.0", outgoing.method),
        );
        push_header(&mut out, "Via", outgoing.via);
        for route in routes {
            push_header(&mut out, "Route", &route);
        }
        push_header(&mut out, "Max-Forwards", "70");
        push_header(&mut out, "From", &self.local);
        push_header(&mut out, "To", &self.remote);
        push_header(&mut out, "Call-ID", &self.call_id);
        push_header(
            &mut out,
            "CSeq",
            &format!("{} {}", outgoing.cseq, outgoing.method),
        );
        finish(&mut out, outgoing);
        out
    }

    /// Loose routing, or strict where the first route is no `lr` (RFC 3261 §12.2.1.1).
    fn request_uri_and_routes(&self) -> (&str, Vec<String>) {
        let raw = |routes: &[Route]| routes.iter().map(|route| route.raw.clone()).collect();
        match self.route_set.split_first() {
            Some((first, rest)) if !first.is_loose => {
                let mut routes: Vec<String> = raw(rest);
                routes.push(format!("<{}>", self.remote_target));
                (&first.uri, routes)
            }
            _ => (&self.remote_target, raw(&self.route_set)),
        }
    }

    /// The ACK of a refusal of our INVITE: same Via, same Request-URI, the refusal's To
    /// (RFC 3261 §17.1.1.3).
    pub fn ack_refusal(&self, cseq: u32, via: &str, refusal: &Response) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let (request_uri, routes) = self.request_uri_and_routes();
        push_line(&mut out, &format!("ACK {request_uri} SIP/2.0"));
        push_header(&mut out, "Via", via);
        for route in routes {
            push_header(&mut out, "Route", &route);
        }
        push_header(&mut out, "Max-Forwards", "70");
        push_header(&mut out, "From", &self.local);
        push_header(
            &mut out,
            "To",
            refusal.headers.get("To").unwrap_or(&self.remote),
        );
        push_header(&mut out, "Call-ID", &self.call_id);
        push_header(&mut out, "CSeq", &format!("{cseq} ACK"));
        push_header(&mut out, "Content-Length", "0");
        out.extend_from_slice(b"\r\n");
        out
    }
}

fn finish(out: &mut Vec<u8>, outgoing: Outgoing<'_>) {
    for (name, value) in outgoing.headers {
        push_header(out, name, value);
    }
    let body = outgoing.body.map_or("", |(content_type, body)| {
        push_header(out, "Content-Type", content_type);
        body
    });
    push_header(out, "Content-Length", &body.len().to_string());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.as_bytes());
}

impl Route {
    fn parse(raw: &str) -> Result<Self, Malformed> {
        let name_addr = NameAddr::parse(raw).map_err(|_| Malformed::RecordRoute)?;
        let uri = Uri::parse(&name_addr.uri).map_err(|_| Malformed::RecordRoute)?;
        Ok(Self {
            raw: raw.to_owned(),
            is_loose: uri.params().has("lr"),
            uri: name_addr.uri,
        })
    }
}

/// The URI of the first Contact, if there is one.
pub(crate) fn contact_uri(headers: &Headers) -> Result<Option<String>, Malformed> {
    let Some(contact) = headers.get("Contact") else {
        return Ok(None);
    };
    let contact = NameAddr::parse(contact).map_err(|_| Malformed::Contact)?;
    match Uri::parse(&contact.uri) {
        Ok(uri) if matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel) => {
            Ok(Some(contact.uri))
        }
        _ => Err(Malformed::Contact),
    }
}

/// Our Contact: the user that was dialled at the address we advertise.
pub(crate) fn own_contact(dialled: &Uri, host: &str, port: u16, transport: Option<&str>) -> String {
    let scheme = match dialled.scheme() {
        Scheme::Sips => "sips",
        _ => "sip",
    };
    let mut contact = format!("<{scheme}:");
    if let Some(user) = dialled.user_raw().filter(|_| dialled.host().is_some()) {
        let user = user.split_once(':').map_or(user, |(user, _password)| user);
        let _ = write!(contact, "{user}@");
    }
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let _ = write!(contact, "{host}:{port}");
    if let Some(transport) = transport {
        let _ = write!(contact, ";transport={transport}");
    }
    contact.push('>');
    contact
}

/// Seconds of an Expires-like header.
pub(crate) fn seconds(value: &str) -> Option<u32> {
    let digits = value.split(';').next()?.trim();
    match parse_decimal(digits) {
        Some(seconds) => Some(seconds),
        // More digits than we count with is still a long time.
        None if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Some(u32::MAX),
        None => None,
    }
}
