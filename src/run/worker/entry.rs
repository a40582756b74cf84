//! One session in its worker: the core's `Session`, and the channels and sockets of its seats.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::command::MeetingInfo;
use super::thread::Notice;
use crate::meeting::leg::{LegEvent, LegRemoval, LegReport};
use crate::meeting::session::{LegSocket, Session, SessionChange};
use crate::meeting::signal::{ByeReason, ServerMessage};
use crate::meeting::track::SeatId;
use crate::net::ports::RtpSockets;
use crate::run::directory::SessionEvent;

/// The session's code panicked; the session must not be touched again.
#[derive(Debug)]
pub(super) struct Panicked;

/// A phone's channels and sockets.
pub(super) struct PhoneLink {
    pub sockets: RtpSockets,
    pub events: mpsc::Sender<LegEvent>,
    pub report: Option<oneshot::Sender<LegReport>>,
}

/// See the module.
pub(super) struct Entry {
    pub info: MeetingInfo,
    session: Session,
    /// Boxed: tokio's queue holds room for 32 from its first.
    pub browsers: HashMap<SeatId, mpsc::Sender<Box<ServerMessage>>>,
    pub phones: HashMap<SeatId, PhoneLink>,
    /// Which of the four sub-ticks is its tick.
    pub phase: usize,
    /// Number of the last 20 ms tick.
    pub ticked: u64,
    /// Joins taken or refused, for the directory.
    pub joins_handled: u64,
}

impl Entry {
    /// Of a session nobody has joined yet.
    pub fn new(info: MeetingInfo, session: Session, phase: usize, ticked: u64) -> Self {
        Self {
            info,
            session,
            browsers: HashMap::new(),
            phones: HashMap::new(),
            phase,
            ticked,
            joins_handled: 0,
        }
    }

    /// The session, to look at.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Something that happened in it, for the directory.
    pub fn event(&self, at: Instant, what: SessionChange) -> Notice {
        Notice::Event(SessionEvent {
            meeting: self.info.id,
            organization: self.info.organization,
            session: self.session.name().id,
            at,
            what,
        })
    }

    /// Calls into the session; a panic in there stays in there (invariant A8).
    pub fn guarded<R>(
        &mut self,
        call: impl FnOnce(&mut Session, &HashMap<SeatId, PhoneLink>) -> R,
    ) -> Result<R, Panicked> {
        let (session, phones) = (&mut self.session, &self.phones);
        // After a panic the session is dropped unseen, so its broken invariants hurt nobody.
        catch_unwind(AssertUnwindSafe(|| call(session, phones))).map_err(|_| Panicked)
    }

    /// The session has panicked: tells everyone, and drops it.
    pub fn bury(self) {
        for browser in self.browsers.values() {
            let reason = ByeReason::Internal;
            let _closed_is_told_enough = browser.try_send(Box::new(ServerMessage::Bye { reason }));
        }
        for phone in self.phones.into_values() {
            let event = LegEvent::Removed(LegRemoval::WorkerFailed);
            let _closed_is_told_enough = phone.events.try_send(event);
            if let Some(report) = phone.report {
                let _caller_gone = report.send(LegReport::default());
            }
        }
        let session = self.session;
        let _a_second_panic_ends_here = catch_unwind(AssertUnwindSafe(|| drop(session)));
    }
}

impl PhoneLink {
    /// Sends one datagram; true if the kernel took it.
    pub fn send(&self, socket: LegSocket, to: std::net::SocketAddr, bytes: &[u8]) -> bool {
        let socket = match socket {
            LegSocket::Rtp => &self.sockets.rtp,
            LegSocket::Rtcp => &self.sockets.rtcp,
        };
        socket.send_to(bytes, to).is_ok()
    }
}
