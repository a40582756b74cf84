//! The live map Meeting → Session: which worker carries which meeting.
//!
//! A task of its own owns the map and hands each request on to the right worker, which answers the
//! asker directly. A meeting keeps its worker until the worker says that its session has ended and
//! no join is on its way; so there is never a second session of one meeting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

mod event;
mod seat;
mod task;

#[cfg(test)]
mod tests;

pub use crate::meeting::session::Holders;
pub use event::{SessionChange, SessionEvent};
pub(crate) use seat::SeatDoor;
pub use seat::{BrowserSeat, Outgoing, PhoneKeys, PhoneSeat, SeatGone, SendKeysError};

pub use crate::run::worker::{MeetingInfo, StartError, WorkerConfig, WorkerHealth};

use self::task::{Ask, DirectoryTask};
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::limits::{DIRECTORY_COMMANDS_MAX, SESSION_EVENTS_MAX};
use crate::meeting::leg::{LegMedia, LegReport};
use crate::meeting::participant::Joining;
use crate::meeting::preset::Preset;
use crate::meeting::signal::Source;
use crate::meeting::snapshot::SessionSnapshot;
use crate::net::ports::RtpSockets;
use crate::run::clock;
use crate::run::worker::command::{Kicked, PresetChange};
use crate::run::worker::health::HealthCell;
use crate::run::worker::thread::{self, WorkerHandle};

/// How long an asker waits for a worker; a worker that needs longer is broken.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    /// `SESSION_PARTICIPANTS_MAX` are there.
    #[error("the meeting is full")]
    MeetingFull,
    /// The participant's preset does not let phones in.
    #[error("the preset does not allow phones")]
    PresetForbidsPhone,
    /// A SIP client in a browser offered what no connection can be made of.
    #[error("the offer cannot be used")]
    UnusableOffer,
    /// The worker's queue is full, or it did not answer in time: worth another try later.
    #[error("the media worker is overloaded")]
    Overloaded,
    /// The worker could not carry one more and be in time.
    #[error("no capacity for another participant now")]
    Busy {
        /// When another try is worth it.
        retry_after: Duration,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Draining,
    /// Our own failure.
    #[error("the media worker failed")]
    WorkerFailed,
}

/// A session that is live now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveMeeting {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its owner.
    pub organization: OrganizationId,
    /// The live instance.
    pub session: SessionId,
}

/// Handle to the directory; clones share it.
#[derive(Debug, Clone)]
pub struct Directory {
    asks: mpsc::Sender<Ask>,
    health: Arc<[Arc<HealthCell>]>,
    events: Arc<Mutex<Option<mpsc::Receiver<SessionEvent>>>>,
}

impl Directory {
    /// Binds the browsers' sockets, starts the workers and the directory's task. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// A socket cannot be bound, or the operating system refuses a thread: the operator must act.
    pub fn start(config: WorkerConfig) -> Result<Self, StartError> {
        let (notices, notice_receiver) = mpsc::channel(SESSION_EVENTS_MAX);
        let metrics = config.metrics.clone();
        let workers = thread::start_all(config, notices)?;
        let health = workers
            .iter()
            .map(|worker: &WorkerHandle| Arc::clone(&worker.health))
            .collect();
        let (asks, ask_receiver) = mpsc::channel(DIRECTORY_COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(SESSION_EVENTS_MAX);
        tokio::spawn(
            DirectoryTask::new(workers, event_sender, metrics).run(ask_receiver, notice_receiver),
        );
        Ok(Self {
            asks,
            health,
            events: Arc::new(Mutex::new(Some(events))),
        })
    }

    /// Session events; the first caller gets them, later ones `None`.
    pub fn take_events(&self) -> Option<mpsc::Receiver<SessionEvent>> {
        match self.events.lock() {
            Ok(mut events) => events.take(),
            Err(_) => None,
        }
    }

    /// Takes a seat for a browser. The first message of `outgoing` is `ServerMessage::Joined`.
    /// A participant who is already there is replaced.
    ///
    /// # Errors
    /// See [`JoinRefusal`]; nothing is left behind.
    pub async fn join_browser(
        &self,
        meeting: &MeetingInfo,
        joining: Joining,
        resume_token: String,
    ) -> Result<BrowserSeat, JoinRefusal> {
        let meeting = Arc::new(meeting.clone());
        let joining = Box::new(joining);
        self.ask(|reply| Ask::JoinBrowser {
            meeting,
            joining,
            resume_token,
            reply,
        })
        .await
        .unwrap_or(Err(JoinRefusal::Overloaded))
    }

    /// Takes a seat for a phone; the sockets are the leg's from now on, and return to the port
    /// pool when it has ended.
    ///
    /// # Errors
    /// See [`JoinRefusal`]; nothing is left behind.
    pub async fn join_phone(
        &self,
        meeting: &MeetingInfo,
        joining: Joining,
        media: LegMedia,
        sockets: RtpSockets,
    ) -> Result<PhoneSeat, JoinRefusal> {
        let meeting = Arc::new(meeting.clone());
        let joining = Box::new(joining);
        let media = Box::new(media);
        self.ask(|reply| Ask::JoinPhone {
            meeting,
            joining,
            media,
            sockets,
            reply,
        })
        .await
        .unwrap_or(Err(JoinRefusal::Overloaded))
    }

    /// Who is in the meeting's live session; `None` if there is none.
    pub async fn snapshot(&self, meeting: MeetingId) -> Option<SessionSnapshot> {
        self.ask(|reply| Ask::Snapshot { meeting, reply }).await
    }

    /// All live sessions.
    pub async fn live_meetings(&self) -> Vec<LiveMeeting> {
        self.ask(|reply| Ask::Live { reply })
            .await
            .unwrap_or_default()
    }

    /// Removes participants; how many were there.
    pub async fn kick(&self, meeting: MeetingId, participants: &[ParticipantId]) -> usize {
        let whom = Kicked::Some(participants.to_vec());
        self.ask(|reply| Ask::Kick {
            meeting,
            whom,
            reply,
        })
        .await
        .unwrap_or(0)
    }

    /// Removes everyone and ends the session; how many were there.
    pub async fn kick_all(&self, meeting: MeetingId) -> usize {
        let whom = Kicked::Everyone;
        self.ask(|reply| Ask::Kick {
            meeting,
            whom,
            reply,
        })
        .await
        .unwrap_or(0)
    }

    /// Figures until now of the leg a phone participant has in the meeting's live session; `None`
    /// if it has none.
    pub async fn leg_report(
        &self,
        meeting: MeetingId,
        participant: ParticipantId,
    ) -> Option<LegReport> {
        self.ask(|reply| Ask::Figures {
            meeting,
            participant,
            reply,
        })
        .await
    }

    /// Mutes or unmutes a source at the server: while muted, nothing of it is forwarded or mixed,
    /// whatever the participant sends. False if there is no such source.
    pub async fn mute(
        &self,
        meeting: MeetingId,
        participant: ParticipantId,
        source: Source,
        muted: bool,
    ) -> bool {
        self.ask(|reply| Ask::Mute {
            meeting,
            participant,
            source,
            muted,
            reply,
        })
        .await
        .unwrap_or(false)
    }

    /// Lets in (or sends away) those of these participants who wait; how many did.
    pub async fn decide(
        &self,
        meeting: MeetingId,
        participants: &[ParticipantId],
        admitted: bool,
    ) -> usize {
        let participants = participants.to_vec();
        self.ask(|reply| Ask::Decide {
            meeting,
            participants,
            admitted,
            reply,
        })
        .await
        .unwrap_or(0)
    }

    /// Gives holders of a preset, or a participant, in the organisation's live sessions (or in one
    /// of them) this preset instead.
    pub async fn apply_preset(
        &self,
        organization: OrganizationId,
        meeting: Option<MeetingId>,
        holders: Holders,
        preset: Preset,
    ) {
        let change = PresetChange {
            organization,
            meeting,
            holders,
            preset: Arc::new(preset),
        };
        let told = self.ask(|reply| Ask::ApplyPreset { change, reply });
        if told.await.is_none() {
            tracing::warn!("a changed preset did not reach the live sessions");
        }
    }

    /// Makes the meeting's session panic: to see what a bug does.
    #[cfg(test)]
    pub(crate) async fn break_session(&self, meeting: MeetingId) -> bool {
        self.ask(|reply| Ask::Break { meeting, reply })
            .await
            .unwrap_or(false)
    }

    /// State of every worker; never waits.
    pub fn workers(&self) -> Vec<WorkerHealth> {
        let now = clock::now();
        self.health.iter().map(|cell| cell.look(now)).collect()
    }

    /// Says `Bye(Shutdown)` to everyone, ends all sessions and threads. Later joins are refused
    /// with `Draining`.
    pub async fn shutdown(self) {
        let (reply, done) = oneshot::channel();
        if self.asks.send(Ask::Shutdown { reply }).await.is_ok() {
            let _ended_otherwise = done.await;
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.ok()?;
        tokio::time::timeout(ANSWER_WAIT_MAX, answer)
            .await
            .ok()?
            .ok()
    }
}
