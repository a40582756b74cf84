//! What the rest of the process may ask of a media worker.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::wake::Waker;
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::limits::WORKER_COMMANDS_MAX;
use crate::meeting::ear::KeyError;
use crate::meeting::leg::{LegMedia, LegReport};
use crate::meeting::participant::Joining;
use crate::meeting::preset::Preset;
use crate::meeting::session::Holders;
use crate::meeting::signal::{ClientMessage, Source};
use crate::meeting::snapshot::SessionSnapshot;
use crate::net::ports::RtpSockets;
use crate::rtp::dtmf::Key;
use crate::run::directory::{BrowserSeat, JoinRefusal, PhoneSeat};

/// A durable meeting, as far as a session needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingInfo {
    /// What `sip:<meetingId>@host` names.
    pub id: MeetingId,
    /// Owner.
    pub organization: OrganizationId,
    /// Shown to browsers.
    pub title: String,
}

/// One seat (a browser's or a phone's) in a worker; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SeatKey {
    /// Which session of the worker.
    pub meeting: MeetingId,
    /// Which seat.
    pub seat: u64,
}

/// One request to a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// A browser takes a seat. The session is created if the worker has none for the meeting.
    JoinBrowser {
        meeting: Arc<MeetingInfo>,
        /// For a session that starts with this join.
        session: SessionId,
        joining: Box<Joining>,
        resume_token: String,
        reply: oneshot::Sender<Result<BrowserSeat, JoinRefusal>>,
    },
    /// A phone takes a seat.
    JoinPhone {
        meeting: Arc<MeetingInfo>,
        session: SessionId,
        joining: Box<Joining>,
        media: Box<LegMedia>,
        sockets: RtpSockets,
        reply: oneshot::Sender<Result<PhoneSeat, JoinRefusal>>,
    },
    /// A browser's message.
    Client {
        seat: SeatKey,
        message: Box<ClientMessage>,
        /// Bounds what one browser may have in flight.
        permit: OwnedSemaphorePermit,
    },
    /// A later offer/answer exchange changed the phone's media.
    UpdatePhone {
        seat: SeatKey,
        media: Box<LegMedia>,
        on_hold: bool,
    },
    /// The phone pressed a key and told so by signalling.
    Press { seat: SeatKey, digit: char },
    /// Keys for the phone's ear.
    SendKeys {
        seat: SeatKey,
        keys: Vec<Key>,
        /// Dropped if there is no such phone.
        reply: oneshot::Sender<Result<(), KeyError>>,
    },
    /// The seat was given up.
    Leave { seat: SeatKey },
    /// Who is there.
    Snapshot {
        meeting: MeetingId,
        reply: oneshot::Sender<SessionSnapshot>,
    },
    /// Removes these participants, or everyone and the session with them.
    Kick {
        meeting: MeetingId,
        whom: Kicked,
        /// How many were removed.
        reply: oneshot::Sender<usize>,
    },
    /// Figures of a phone's leg until now.
    Figures {
        meeting: MeetingId,
        participant: ParticipantId,
        /// Dropped if there is no such phone.
        reply: oneshot::Sender<LegReport>,
    },
    /// Mutes or unmutes at the server.
    Mute {
        meeting: MeetingId,
        participant: ParticipantId,
        source: Source,
        muted: bool,
        /// Whether there was such a source.
        reply: oneshot::Sender<bool>,
    },
    /// Lets in or sends away those of these who wait.
    Decide {
        meeting: MeetingId,
        participants: Vec<ParticipantId>,
        admitted: bool,
        /// How many waited.
        reply: oneshot::Sender<usize>,
    },
    /// Holders of a preset get another.
    ApplyPreset(PresetChange),
    /// Panics inside the session.
    #[cfg(test)]
    Break {
        meeting: MeetingId,
        reply: oneshot::Sender<bool>,
    },
}

/// In an organisation's sessions, or in one of them, these holders get this preset.
#[derive(Debug, Clone)]
pub(crate) struct PresetChange {
    pub organization: OrganizationId,
    pub meeting: Option<MeetingId>,
    pub holders: Holders,
    pub preset: Arc<Preset>,
}

/// Whom a kick removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kicked {
    /// These.
    Some(Vec<ParticipantId>),
    /// All, ending the session.
    Everyone,
}

/// The worker's door: a bounded queue and the eventfd that ends its sleep.
#[derive(Debug, Clone)]
pub(crate) struct CommandSender {
    queue: mpsc::Sender<Command>,
    waker: Waker,
}

/// The queue was full or the worker has ended; the command comes back.
#[derive(Debug)]
pub(crate) struct NotTaken(pub Box<Command>);

impl CommandSender {
    /// A queue and its receiving end.
    pub fn new(waker: Waker) -> (Self, mpsc::Receiver<Command>) {
        let (queue, receiver) = mpsc::channel(WORKER_COMMANDS_MAX);
        (Self { queue, waker }, receiver)
    }

    /// Puts the command in the queue, never waits.
    pub fn try_send(&self, command: Command) -> Result<(), NotTaken> {
        match self.queue.try_send(command) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(command))
            | Err(mpsc::error::TrySendError::Closed(command)) => Err(NotTaken(Box::new(command))),
        }
    }
}
