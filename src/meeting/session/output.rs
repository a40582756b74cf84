//! What a Session hands out: messages, events and packets.

use std::net::SocketAddr;

use bytes::BytesMut;

use crate::id::ParticipantId;
use crate::meeting::leg::{LegEvent, LegReport};
use crate::meeting::signal::{ParticipantView, ServerMessage};
use crate::meeting::track::SeatId;

/// One message or event.
#[derive(Debug)]
pub enum SessionOutput {
    /// For a browser's WebSocket.
    Signal {
        /// Whose.
        seat: SeatId,
        /// What.
        message: ServerMessage,
    },
    /// STUN checks for this user name fragment belong to the seat's browser.
    Route {
        /// Whose.
        seat: SeatId,
        /// First part of the checks' USERNAME.
        ufrag: String,
    },
    /// The browser's seat has ended; its last message was `Bye`.
    BrowserGone {
        /// Whose.
        seat: SeatId,
    },
    /// For a phone's call.
    Leg {
        /// Whose.
        seat: SeatId,
        /// What.
        event: LegEvent,
    },
    /// The phone's seat has ended.
    LegGone {
        /// Whose.
        seat: SeatId,
        /// Its figures.
        report: LegReport,
    },
    /// For the world outside.
    Change(SessionChange),
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionChange {
    /// The first participant came.
    Started,
    /// The API ended it for everyone; `Ended` follows.
    EndedByHost,
    /// The last one left, a while ago, or someone ended it.
    Ended,
    /// Someone came.
    ParticipantJoined(ParticipantView),
    /// Someone left.
    ParticipantLeft(ParticipantView),
    /// A phone pressed a key.
    Dtmf {
        /// Who.
        participant: ParticipantId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
}

/// Which of a leg's two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegSocket {
    /// Voice and DTMF, and RTCP with rtcp-mux.
    Rtp,
    /// RTCP.
    Rtcp,
}

/// Packets waiting to be sent, in order per destination.
#[derive(Debug, Default)]
pub struct Egress {
    /// Through the worker's socket for browsers.
    pub browsers: Vec<BrowserPacket>,
    phones: Vec<PhonePacket>,
    bytes: Vec<u8>,
}

/// A datagram for a browser.
#[derive(Debug)]
pub struct BrowserPacket {
    /// Whose.
    pub seat: SeatId,
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: BytesMut,
}

#[derive(Debug, Clone, Copy)]
struct PhonePacket {
    seat: SeatId,
    socket: LegSocket,
    to: SocketAddr,
    start: usize,
    end: usize,
}

impl Egress {
    /// Copies a datagram for a phone.
    pub(super) fn push_phone(
        &mut self,
        seat: SeatId,
        socket: LegSocket,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.phones.push(PhonePacket {
            seat,
            socket,
            to,
            start,
            end: self.bytes.len(),
        });
    }

    /// Datagrams for phones: seat, socket, destination, bytes.
    pub fn phones(&self) -> impl Iterator<Item = (SeatId, LegSocket, SocketAddr, &[u8])> {
        self.phones.iter().map(|packet| {
            let bytes = &self.bytes[packet.start..packet.end];
            (packet.seat, packet.socket, packet.to, bytes)
        })
    }

    /// Forgets what has been sent.
    pub fn clear(&mut self) {
        self.browsers.clear();
        self.phones.clear();
        self.bytes.clear();
    }
}
