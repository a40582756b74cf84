//! Where messages go: responses along the flow of their request, requests along that of their
//! dialog, and both over a new connection when a stream is gone (RFC 3261 §18.2.2, §18.1.1).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::Endpoint;
use super::event::{DialogId, Output};
use super::invite::is_private;
use crate::sip::flow::{Flow, Transport};
use crate::sip::header::Via;
use crate::sip::uri::Host;

/// Where the responses to one request go.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyPath {
    /// The flow it came on.
    pub flow: Flow,
    /// Port of a new connection to where it came from, once that flow is gone.
    pub port: u16,
}

impl ReplyPath {
    pub fn new(flow: Flow, via: &Via) -> Self {
        let port = via.port.unwrap_or(flow.transport.default_port());
        Self { flow, port }
    }
}

/// Where a request in a dialog goes.
enum Destination {
    Flow(Flow),
    Connect(Transport, String, u16),
}

impl Endpoint {
    /// Whether a stream connection has closed. Datagrams need none.
    pub(super) fn is_gone(&self, flow: &Flow) -> bool {
        flow.transport.is_reliable() && !self.open_flows.contains(&flow.id)
    }

    /// Sends a response.
    pub(super) fn send_response(&mut self, path: ReplyPath, bytes: Bytes) {
        if !self.is_gone(&path.flow) {
            return self.transmit(path.flow, bytes);
        }
        let host = Host::Address(path.flow.remote.ip()).to_string();
        self.connect(path.flow.transport, host, path.port, bytes);
    }

    /// Sends a request in a dialog.
    pub(super) fn send_in_dialog(&mut self, id: DialogId, bytes: Bytes) {
        match self.destination(id) {
            Some(Destination::Flow(flow)) => self.transmit(flow, bytes),
            Some(Destination::Connect(transport, host, port)) => {
                self.connect(transport, host, port, bytes);
            }
            None => {}
        }
    }

    fn connect(&mut self, transport: Transport, host: String, port: u16, bytes: Bytes) {
        // Nobody can be reached over WebSocket but on the connection he opened (RFC 7118 §5).
        if transport.is_stream() {
            self.outputs.push_back(Output::Connect {
                transport,
                host,
                port,
                bytes,
            });
        }
    }

    fn destination(&self, id: DialogId) -> Option<Destination> {
        let call = self.calls.get(&id)?;
        let flow = call.flow;
        if flow.transport.is_reliable() {
            if !self.is_gone(&flow) {
                return Some(Destination::Flow(flow));
            }
            let hop = call.dialog.next_hop()?;
            let port = hop.port.unwrap_or(flow.transport.default_port());
            let host = match hop.host {
                Host::Name(name) => name,
                Host::Address(ip) => ip.to_string(),
            };
            return Some(Destination::Connect(flow.transport, host, port));
        }
        // On UDP the source of the peer's requests is where its NAT lets us in; only a Route may
        // name another host, and only one that is reachable from here.
        let route = call.dialog.next_hop().filter(|_| call.dialog.has_routes());
        let remote = match route.map(|hop| (hop.host, hop.port)) {
            Some((Host::Address(ip), port)) if is_reachable(ip, flow.remote.ip()) => {
                SocketAddr::new(ip, port.unwrap_or(flow.transport.default_port()))
            }
            _ => flow.remote,
        };
        Some(Destination::Flow(Flow { remote, ..flow }))
    }
}

/// A private address is of use only to those on a private network.
fn is_reachable(route: IpAddr, source: IpAddr) -> bool {
    route.is_ipv4() == source.to_canonical().is_ipv4() && (!is_private(route) || is_private(source))
}
