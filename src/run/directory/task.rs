//! The task that owns the map and hands requests to workers.

use std::collections::HashMap;
use std::sync::Arc;

use rand::Rng;
use tokio::sync::{mpsc, oneshot};

use super::seat::{BrowserSeat, PhoneSeat};
use super::{JoinRefusal, LiveMeeting, SessionChange, SessionEvent};
use crate::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::leg::{LegMedia, LegReport};
use crate::meeting::participant::Joining;
use crate::meeting::signal::Source;
use crate::meeting::snapshot::SessionSnapshot;
use crate::net::ports::RtpSockets;
use crate::run::clock;
use crate::run::worker::command::{Command, Kicked, MeetingInfo, NotTaken, PresetChange};
use crate::run::worker::thread::{Notice, WorkerHandle};
use crate::telemetry::metric::media::MediaMetrics;

/// What handles ask of the task.
#[derive(Debug)]
pub(super) enum Ask {
    JoinBrowser {
        meeting: Arc<MeetingInfo>,
        joining: Box<Joining>,
        resume_token: String,
        reply: oneshot::Sender<Result<BrowserSeat, JoinRefusal>>,
    },
    JoinPhone {
        meeting: Arc<MeetingInfo>,
        joining: Box<Joining>,
        media: Box<LegMedia>,
        sockets: RtpSockets,
        reply: oneshot::Sender<Result<PhoneSeat, JoinRefusal>>,
    },
    Snapshot {
        meeting: MeetingId,
        reply: oneshot::Sender<SessionSnapshot>,
    },
    Live {
        reply: oneshot::Sender<Vec<LiveMeeting>>,
    },
    Kick {
        meeting: MeetingId,
        whom: Kicked,
        reply: oneshot::Sender<usize>,
    },
    Figures {
        meeting: MeetingId,
        participant: ParticipantId,
        reply: oneshot::Sender<LegReport>,
    },
    Mute {
        meeting: MeetingId,
        participant: ParticipantId,
        source: Source,
        muted: bool,
        reply: oneshot::Sender<bool>,
    },
    Decide {
        meeting: MeetingId,
        participants: Vec<ParticipantId>,
        admitted: bool,
        reply: oneshot::Sender<usize>,
    },
    ApplyPreset {
        change: PresetChange,
        reply: oneshot::Sender<()>,
    },
    #[cfg(test)]
    Break {
        meeting: MeetingId,
        reply: oneshot::Sender<bool>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

/// Where a meeting lives.
#[derive(Debug)]
struct Placement {
    worker: usize,
    organization: OrganizationId,
    /// The live session, once the worker has said so.
    session: Option<SessionId>,
    /// Joins handed to the worker that it has not yet accounted for in an ended session.
    joins_sent: u64,
}

pub(super) struct DirectoryTask {
    workers: Vec<WorkerHandle>,
    placements: HashMap<MeetingId, Placement>,
    events: mpsc::Sender<SessionEvent>,
    metrics: MediaMetrics,
    draining: bool,
}

impl DirectoryTask {
    pub fn new(
        workers: Vec<WorkerHandle>,
        events: mpsc::Sender<SessionEvent>,
        metrics: MediaMetrics,
    ) -> Self {
        Self {
            workers,
            placements: HashMap::new(),
            events,
            metrics,
            draining: false,
        }
    }

    /// Until every handle is gone.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>, mut notices: mpsc::Receiver<Notice>) {
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask::Shutdown { reply }) => {
                        self.shutdown(&mut notices).await;
                        let _nobody_waits = reply.send(());
                    }
                    Some(ask) => self.handle_ask(ask),
                    None => break,
                },
                Some(notice) = notices.recv() => self.handle_notice(notice),
            }
        }
        self.shutdown(&mut notices).await;
    }

    fn handle_ask(&mut self, ask: Ask) {
        match ask {
            Ask::JoinBrowser {
                meeting,
                joining,
                resume_token,
                reply,
            } => {
                if self.draining {
                    let _asker_gone = reply.send(Err(JoinRefusal::Draining));
                    return;
                }
                let session = new_session_id();
                self.send_join(Command::JoinBrowser {
                    meeting,
                    session,
                    joining,
                    resume_token,
                    reply,
                });
            }
            Ask::JoinPhone {
                meeting,
                joining,
                media,
                sockets,
                reply,
            } => {
                if self.draining {
                    let _asker_gone = reply.send(Err(JoinRefusal::Draining));
                    return;
                }
                let session = new_session_id();
                self.send_join(Command::JoinPhone {
                    meeting,
                    session,
                    joining,
                    media,
                    sockets,
                    reply,
                });
            }
            Ask::Snapshot { meeting, reply } => {
                self.send(meeting, Command::Snapshot { meeting, reply });
            }
            Ask::Live { reply } => {
                let _asker_gone = reply.send(self.live_meetings());
            }
            Ask::Kick {
                meeting,
                whom,
                reply,
            } => {
                let command = Command::Kick {
                    meeting,
                    whom,
                    reply,
                };
                self.send(meeting, command);
            }
            Ask::Figures {
                meeting,
                participant,
                reply,
            } => {
                let command = Command::Figures {
                    meeting,
                    participant,
                    reply,
                };
                self.send(meeting, command);
            }
            Ask::Mute {
                meeting,
                participant,
                source,
                muted,
                reply,
            } => {
                let command = Command::Mute {
                    meeting,
                    participant,
                    source,
                    muted,
                    reply,
                };
                self.send(meeting, command);
            }
            Ask::Decide {
                meeting,
                participants,
                admitted,
                reply,
            } => {
                let command = Command::Decide {
                    meeting,
                    participants,
                    admitted,
                    reply,
                };
                self.send(meeting, command);
            }
            Ask::ApplyPreset { change, reply } => {
                for worker in &self.workers {
                    let command = Command::ApplyPreset(change.clone());
                    if worker.commands.try_send(command).is_err() {
                        tracing::warn!("a worker was too busy to hear of a changed preset");
                    }
                }
                let _asker_gone = reply.send(());
            }
            #[cfg(test)]
            Ask::Break { meeting, reply } => {
                self.send(meeting, Command::Break { meeting, reply });
            }
            Ask::Shutdown { .. } => unreachable!("handled by run"),
        }
    }

    /// To the meeting's worker; without one, or when its queue is full, the asker sees its reply
    /// channel closed.
    fn send(&self, meeting: MeetingId, command: Command) {
        if let Some(placement) = self.placements.get(&meeting) {
            let _asker_sees_it = self.workers[placement.worker].commands.try_send(command);
        }
    }

    fn send_join(&mut self, command: Command) {
        let (Command::JoinBrowser { meeting, .. } | Command::JoinPhone { meeting, .. }) = &command
        else {
            unreachable!("only joins come here");
        };
        let (id, organization) = (meeting.id, meeting.organization);
        let worker = match self.placements.get(&id) {
            Some(placement) => placement.worker,
            None => self.least_loaded(),
        };
        match self.workers[worker].commands.try_send(command) {
            Ok(()) => {
                let placement = self.placements.entry(id).or_insert(Placement {
                    worker,
                    organization,
                    session: None,
                    joins_sent: 0,
                });
                placement.joins_sent += 1;
            }
            Err(NotTaken(command)) => refuse(*command, JoinRefusal::Overloaded),
        }
    }

    /// The running worker with the fewest phones and browsers; a phone costs about ten browsers'
    /// worth of packets in codec time. Meetings placed but not yet started count too.
    fn least_loaded(&self) -> usize {
        let now = clock::now();
        let load = |index: usize| {
            let health = self.workers[index].health.look(now);
            let placed = self
                .placements
                .values()
                .filter(|placement| placement.worker == index)
                .count();
            (
                !health.running,
                // By whole tenths: small differences are noise, and change faster than they are
                // measured.
                (health.load * 10.0) as usize,
                health.legs * 10 + health.peers * 2 + placed,
                index,
            )
        };
        (0..self.workers.len())
            .min_by_key(|index| load(*index))
            .unwrap_or(0)
    }

    fn live_meetings(&self) -> Vec<LiveMeeting> {
        let live = |(meeting, placement): (&MeetingId, &Placement)| {
            Some(LiveMeeting {
                meeting: *meeting,
                organization: placement.organization,
                session: placement.session?,
            })
        };
        self.placements.iter().filter_map(live).collect()
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event(event) => {
                self.track(&event);
                // A consumer that lags loses events, never calls.
                if self.events.try_send(event).is_err() {
                    self.metrics.events_dropped.inc();
                }
            }
            Notice::JoinsHandled { meeting, joins } => self.settle(meeting, joins),
        }
    }

    fn track(&mut self, event: &SessionEvent) {
        let Some(placement) = self.placements.get_mut(&event.meeting) else {
            return;
        };
        match event.what {
            SessionChange::Started => placement.session = Some(event.session),
            SessionChange::Ended if placement.session == Some(event.session) => {
                placement.session = None;
            }
            _ => {}
        }
    }

    /// A session has ended that had taken (or refused) this many joins: forget the placement
    /// unless another join is on its way to the same worker.
    fn settle(&mut self, meeting: MeetingId, joins: u64) {
        let Some(placement) = self.placements.get_mut(&meeting) else {
            return;
        };
        placement.joins_sent = placement.joins_sent.saturating_sub(joins);
        if placement.joins_sent == 0 {
            self.placements.remove(&meeting);
        }
    }

    async fn shutdown(&mut self, notices: &mut mpsc::Receiver<Notice>) {
        self.draining = true;
        for worker in &mut self.workers {
            worker.ask_to_end();
        }
        self.placements.clear();
        // The workers' last notices are taken while they end, else a full queue would hold them.
        // Every worker holds a sender: the queue closes when the last thread has ended.
        while let Some(notice) = notices.recv().await {
            self.handle_notice(notice);
        }
        for worker in self.workers.drain(..) {
            worker.join();
        }
    }
}

fn new_session_id() -> SessionId {
    SessionId::from_random(rand::rng().random())
}

fn refuse(command: Command, refusal: JoinRefusal) {
    match command {
        Command::JoinBrowser { reply, .. } => {
            let _asker_gone = reply.send(Err(refusal));
        }
        Command::JoinPhone { reply, .. } => {
            let _asker_gone = reply.send(Err(refusal));
        }
        _ => unreachable!("only joins are refused"),
    }
}
