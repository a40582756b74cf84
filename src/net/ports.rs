//! Reservation of RTP/RTCP port pairs for phone legs, with draining.

use std::net::{SocketAddr, UdpSocket};

/// One leg's pair of bound, non-blocking sockets. Dropping it returns the ports to the drain.
#[derive(Debug)]
pub struct RtpSockets {
    /// Voice and DTMF.
    pub rtp: UdpSocket,
    /// RTCP, on the next port.
    pub rtcp: UdpSocket,
    /// Address `rtp` is bound to.
    pub local: SocketAddr,
}
