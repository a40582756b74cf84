//! The phone's signalling socket: a UDP socket or one TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::message::{Message, find};
use super::uac::Transport;

/// Longest message or datagram read.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// The socket.
#[derive(Debug)]
pub enum Wire {
    /// Datagrams.
    Udp {
        /// Not connected: the dialog may move to another address.
        socket: UdpSocket,
        /// Where requests go.
        destination: SocketAddr,
    },
    /// A connection; everything goes over it.
    Tcp {
        /// The connection.
        stream: TcpStream,
        /// Bytes read that are no whole message yet.
        buffer: Vec<u8>,
    },
}

impl Wire {
    /// Opens it towards `server`.
    pub async fn open(transport: Transport, server: SocketAddr) -> io::Result<Self> {
        Ok(match transport {
            Transport::Udp => Self::Udp {
                socket: UdpSocket::bind((local_ip_towards(server)?, 0)).await?,
                destination: server,
            },
            Transport::Tcp => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                Self::Tcp {
                    stream,
                    buffer: Vec::new(),
                }
            }
        })
    }

    /// Our address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp { socket, .. } => socket.local_addr(),
            Self::Tcp { stream, .. } => stream.local_addr(),
        }
    }

    /// Sends later datagrams elsewhere; a connection stays.
    pub fn redirect(&mut self, to: SocketAddr) {
        if let Self::Udp { destination, .. } = self {
            *destination = to;
        }
    }

    /// Sends one message.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp {
                socket,
                destination,
            } => socket.send_to(bytes, *destination).await.map(drop),
            Self::Tcp { stream, .. } => stream.write_all(bytes).await,
        }
    }

    /// The next message; safe to cancel. What is no message is passed over.
    pub async fn receive(&mut self) -> io::Result<Message> {
        match self {
            Self::Udp { socket, .. } => {
                let mut buffer = vec![0; MESSAGE_BYTES_MAX];
                loop {
                    let (length, _) = socket.recv_from(&mut buffer).await?;
                    if let Some(message) = Message::parse(&buffer[..length]) {
                        return Ok(message);
                    }
                }
            }
            Self::Tcp { stream, buffer } => loop {
                if let Some(message) = take_message(buffer) {
                    return Ok(message);
                }
                if buffer.len() > MESSAGE_BYTES_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }
}

/// Address of ours that packets to `server` carry.
pub fn local_ip_towards(server: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0u8; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

/// Takes one framed message off the front (RFC 3261 §18.3); leading line ends are keep-alives.
fn take_message(buffer: &mut Vec<u8>) -> Option<Message> {
    let blank = buffer
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    buffer.drain(..blank);
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let length = Message::parse(&buffer[..head])
        .and_then(|message| message.content_length())
        .unwrap_or(0);
    if buffer.len() < head + length {
        return None;
    }
    let bytes: Vec<u8> = buffer.drain(..head + length).collect();
    Message::parse(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_out_of_a_stream_by_their_length() {
        let mut buffer = b"\r\n\r\nSIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nab".to_vec();
        assert_eq!(take_message(&mut buffer), None);
        buffer.extend_from_slice(b"cSIP/2.0 100 Trying\r\n\r\n");
        assert_eq!(take_message(&mut buffer).unwrap().body, b"abc");
        assert_eq!(take_message(&mut buffer).unwrap().status(), Some(100));
        assert!(buffer.is_empty());
    }
}
