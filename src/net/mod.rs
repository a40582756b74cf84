//! Sockets: UDP and stream listeners, RTP port reservation, addresses told to others.

pub mod advertise;
pub mod batch;
pub mod ports;
pub mod routes;
pub mod seats;
pub mod stream;
pub mod tls;
