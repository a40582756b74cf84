//! A seat in a session as its owner (a WebSocket, a call) holds it. Dropping it leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::id::{ParticipantId, SessionId};
use crate::limits::SEAT_MESSAGES_IN_FLIGHT_MAX;
use crate::meeting::ear::KeyError;
use crate::meeting::leg::{LegEvent, LegMedia, LegReport};
use crate::meeting::signal::{ClientMessage, ServerMessage};
use crate::rtp::dtmf::Key;
use crate::run::worker::command::{Command, CommandSender, SeatKey};

/// How long a worker's answer is waited for: a leaving phone then takes empty figures.
const REPORT_WAIT_MAX: Duration = Duration::from_secs(2);

/// The seat no longer exists, or its owner sent more than the session will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seat is gone")]
pub struct SeatGone;

/// The worker's end of a seat; leaving is sent once, at the latest when dropped.
#[derive(Debug)]
pub(crate) struct SeatDoor {
    key: SeatKey,
    commands: CommandSender,
}

impl SeatDoor {
    /// Of the seat `key` in the worker behind `commands`.
    pub fn new(key: SeatKey, commands: CommandSender) -> Self {
        Self { key, commands }
    }
}

impl Drop for SeatDoor {
    fn drop(&mut self) {
        // A full queue loses nothing: the worker also looks for seats whose receiver is gone.
        let _swept_later = self.commands.try_send(Command::Leave { seat: self.key });
    }
}

/// What a session says to one browser, in order.
#[derive(Debug)]
pub struct Outgoing(mpsc::Receiver<Box<ServerMessage>>);

impl Outgoing {
    /// The next message; `None` after the last. Nothing is lost when the wait is given up.
    pub async fn recv(&mut self) -> Option<ServerMessage> {
        self.0.recv().await.map(|message| *message)
    }

    /// The session has ended the seat.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A browser's place in a session. Dropping it leaves.
#[derive(Debug)]
pub struct BrowserSeat {
    /// The live instance.
    pub session_id: SessionId,
    /// Who sits here.
    pub participant_id: ParticipantId,
    /// To be written to the browser; starts with `Joined`, ends after `Bye`.
    pub outgoing: Outgoing,
    in_flight: Arc<Semaphore>,
    door: SeatDoor,
}

impl BrowserSeat {
    pub(crate) fn new(
        session_id: SessionId,
        participant_id: ParticipantId,
        outgoing: mpsc::Receiver<Box<ServerMessage>>,
        door: SeatDoor,
    ) -> Self {
        Self {
            session_id,
            participant_id,
            outgoing: Outgoing(outgoing),
            in_flight: Arc::new(Semaphore::new(SEAT_MESSAGES_IN_FLIGHT_MAX)),
            door,
        }
    }

    /// Passes on what the browser said; never waits.
    ///
    /// # Errors
    /// The session has removed the seat, or the browser floods: close its socket.
    pub fn send(&self, message: ClientMessage) -> Result<(), SeatGone> {
        if self.outgoing.is_closed() {
            return Err(SeatGone);
        }
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| SeatGone)?;
        let command = Command::Client {
            seat: self.door.key,
            message: Box::new(message),
            permit,
        };
        self.door.commands.try_send(command).map_err(|_| SeatGone)
    }
}

/// A phone's place in a session. Dropping it leaves.
#[derive(Debug)]
pub struct PhoneSeat {
    /// The live instance.
    pub session_id: SessionId,
    /// Who sits here.
    pub participant_id: ParticipantId,
    /// The answer to a SIP client in a browser, written by its connection.
    pub answer: Option<String>,
    /// Keys pressed, media lost, removal; ends when the leg has ended.
    pub events: mpsc::Receiver<LegEvent>,
    report: oneshot::Receiver<LegReport>,
    door: SeatDoor,
}

impl PhoneSeat {
    pub(crate) fn new(
        session_id: SessionId,
        participant_id: ParticipantId,
        answer: Option<String>,
        events: mpsc::Receiver<LegEvent>,
        report: oneshot::Receiver<LegReport>,
        door: SeatDoor,
    ) -> Self {
        Self {
            session_id,
            participant_id,
            answer,
            events,
            report,
            door,
        }
    }

    /// A later offer/answer exchange changed the media, or the phone went on or off hold.
    ///
    /// # Errors
    /// The session has removed the leg: end the call.
    pub fn update(&self, media: LegMedia, on_hold: bool) -> Result<(), SeatGone> {
        let command = Command::UpdatePhone {
            seat: self.door.key,
            media: Box::new(media),
            on_hold,
        };
        self.door.commands.try_send(command).map_err(|_| SeatGone)
    }

    /// The phone pressed a key (`0`–`9`, `*`, `#`, `A`–`D`) and said so by signalling.
    ///
    /// # Errors
    /// The session has removed the leg: end the call.
    pub fn press(&self, digit: char) -> Result<(), SeatGone> {
        let command = Command::Press {
            seat: self.door.key,
            digit,
        };
        self.door.commands.try_send(command).map_err(|_| SeatGone)
    }

    /// A way to send keys to the phone, for others to keep while it is here.
    pub fn keys(&self) -> PhoneKeys {
        PhoneKeys {
            key: self.door.key,
            commands: self.door.commands.clone(),
        }
    }

    /// Leaves and returns the leg's figures; also after the session removed the leg. Empty ones if
    /// the worker does not answer in time.
    pub async fn leave(self) -> LegReport {
        let Self {
            report,
            door,
            events,
            ..
        } = self;
        drop(door);
        let answered = tokio::time::timeout(REPORT_WAIT_MAX, report).await;
        drop(events);
        match answered {
            Ok(Ok(report)) => report,
            Ok(Err(_)) | Err(_) => LegReport::default(),
        }
    }
}

/// Sends keys to the ear of one phone.
#[derive(Debug, Clone)]
pub struct PhoneKeys {
    key: SeatKey,
    commands: CommandSender,
}

/// Why keys were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendKeysError {
    /// The phone takes none, or too many are waiting.
    #[error(transparent)]
    Refused(#[from] KeyError),
    /// The phone has left, or its worker does not answer.
    #[error(transparent)]
    Gone(#[from] SeatGone),
}

impl PhoneKeys {
    /// Sends all of these keys after those already waiting, or none.
    ///
    /// # Errors
    /// The phone is gone, takes no keys, or too many are waiting.
    pub async fn send(&self, keys: Vec<Key>) -> Result<(), SendKeysError> {
        let (reply, sent) = oneshot::channel();
        let command = Command::SendKeys {
            seat: self.key,
            keys,
            reply,
        };
        self.commands.try_send(command).map_err(|_| SeatGone)?;
        let sent = tokio::time::timeout(REPORT_WAIT_MAX, sent).await;
        let sent = sent.ok().and_then(Result::ok).ok_or(SeatGone)?;
        Ok(sent?)
    }
}
