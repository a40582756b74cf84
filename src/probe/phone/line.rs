//! The task that owns one call: it carries the machine's bytes, keeps its deadlines and tells the
//! call's owner how it goes on.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::session::{Direction, RemoteMedia};
use super::uac::{Uac, UacEvent, UacOutput};
use super::wire::Wire;
use super::{CallEvent, DialError, SetUpTimes, resolve};
use crate::run::clock;

/// How long a BYE or a CANCEL may take before the phone forgets the call.
const HANG_UP_WAIT: Duration = Duration::from_secs(5);

type Reply<T> = oneshot::Sender<Result<T, DialError>>;

/// What the call's owner wants.
pub(super) enum Command {
    Reinvite(Direction, Reply<Option<RemoteMedia>>),
    InfoDtmf(char, Reply<()>),
    HangUp(Reply<u16>),
}

/// Who waits for the answer to a request in the dialog.
enum Waiting {
    Nothing,
    Reinvite(Reply<Option<RemoteMedia>>),
    Info(Reply<()>),
    Bye(Reply<u16>),
}

/// The task that owns one call's machine and socket.
pub(super) struct Line {
    uac: Uac,
    wire: Wire,
    server: SocketAddr,
    answer_by: Instant,
    times: SetUpTimes,
    answer: Option<Reply<(SetUpTimes, RemoteMedia)>>,
    last_status: u16,
    progress: Option<mpsc::Sender<u16>>,
    events: Option<mpsc::Sender<CallEvent>>,
    waiting: Waiting,
}

impl Line {
    pub(super) fn new(uac: Uac, wire: Wire, server: SocketAddr, answer_wait: Duration) -> Self {
        let now = clock::now();
        Self {
            uac,
            wire,
            server,
            answer_by: now + answer_wait,
            times: SetUpTimes {
                invited: now,
                challenged: None,
                ringing: None,
                answered: now,
            },
            answer: None,
            last_status: 0,
            progress: None,
            events: None,
            waiting: Waiting::Nothing,
        }
    }

    pub(super) fn reporting_to(
        self,
        answer: Reply<(SetUpTimes, RemoteMedia)>,
        progress: mpsc::Sender<u16>,
        events: mpsc::Sender<CallEvent>,
    ) -> Self {
        Self {
            answer: Some(answer),
            progress: Some(progress),
            events: Some(events),
            ..self
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.times.invited = clock::now();
        self.uac.start(self.times.invited);
        let mut forget_at: Option<Instant> = None;
        let mut open = true;
        loop {
            if self.drain().await.is_err() {
                self.fail();
                return;
            }
            let now = clock::now();
            if self.uac.is_over() || forget_at.is_some_and(|at| at <= now) {
                self.fail();
                return;
            }
            let unanswered = self.answer.is_some() && forget_at.is_none();
            if unanswered && self.answer_by <= now {
                forget_at = Some(now + HANG_UP_WAIT);
                self.uac.hang_up(now);
                continue;
            }
            let wake_at = [
                self.uac.next_timeout(),
                forget_at,
                unanswered.then_some(self.answer_by),
            ]
            .into_iter()
            .flatten()
            .min();
            tokio::select! {
                message = self.wire.receive() => match message {
                    Ok(message) if message.header("Call-ID") == Some(self.uac.call_id()) => {
                        self.uac.handle_message(clock::now(), &message);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        self.break_off(error);
                        return;
                    }
                },
                command = commands.recv(), if open => match command {
                    Some(command) => self.obey(command, &mut forget_at),
                    None => {
                        open = false;
                        forget_at = Some(clock::now() + HANG_UP_WAIT);
                        self.uac.hang_up(clock::now());
                    }
                },
                () = sleep_until(wake_at) => self.uac.handle_timeout(clock::now()),
            }
        }
    }

    fn obey(&mut self, command: Command, forget_at: &mut Option<Instant>) {
        let now = clock::now();
        match command {
            Command::Reinvite(direction, reply) => {
                self.waiting = Waiting::Reinvite(reply);
                self.uac.reinvite(now, direction);
            }
            Command::InfoDtmf(digit, reply) => {
                self.waiting = Waiting::Info(reply);
                self.uac.info_dtmf(now, digit);
            }
            Command::HangUp(reply) => {
                self.waiting = Waiting::Bye(reply);
                *forget_at = Some(now + HANG_UP_WAIT);
                self.uac.hang_up(now);
            }
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        while let Some(output) = self.uac.poll_output() {
            match output {
                UacOutput::Send(bytes) => self.wire.send(&bytes).await?,
                UacOutput::Event(event) => {
                    if matches!(event, UacEvent::Answered(_)) {
                        self.follow_contact().await;
                    }
                    self.tell(event);
                }
            }
        }
        Ok(())
    }

    /// ACK and BYE go where the server's Contact or Route says, as every phone does it.
    async fn follow_contact(&mut self) {
        let next_hop = self.uac.next_hop();
        let next_hop = next_hop.trim_start_matches('<').to_owned();
        if let Ok(address) = resolve(&next_hop).await {
            self.wire.redirect(address);
        }
    }

    fn tell(&mut self, event: UacEvent) {
        let now = clock::now();
        match event {
            UacEvent::Challenged => self.times.challenged = Some(now),
            UacEvent::Progress(status) => {
                self.last_status = status;
                if status > 100 && self.times.ringing.is_none() {
                    self.times.ringing = Some(now);
                }
                if let Some(progress) = &self.progress {
                    // Nobody need listen to the progress of a call.
                    let _unheard = progress.try_send(status);
                }
            }
            UacEvent::Answered(media) => {
                self.times.answered = now;
                let times = self.times;
                self.decide(media.map(|m| (times, m)).ok_or(DialError::NoMedia));
            }
            UacEvent::Refused { status, reason } => self.decide(Err(match status {
                401 | 403 | 407 => DialError::Unauthorized(status),
                _ => DialError::Refused { status, reason },
            })),
            UacEvent::Reinvited(media) => self.report(CallEvent::Reinvited(media)),
            UacEvent::RemoteHungUp { reason } => self.report(CallEvent::RemoteHungUp(reason)),
            UacEvent::RequestDone { status, media } => self.request_done(status, media),
            UacEvent::HungUp(status) => {
                if let Waiting::Bye(reply) = self.take_waiting() {
                    let _caller_gone = reply.send(Ok(status));
                }
            }
            UacEvent::TimedOut { heard_anything, .. } => {
                self.decide(Err(match heard_anything {
                    true => DialError::NotAnswered(self.last_status),
                    false => DialError::Silence(self.server),
                }));
                self.report(CallEvent::Lost);
            }
        }
    }

    fn request_done(&mut self, status: u16, media: Option<RemoteMedia>) {
        let refused = || DialError::Refused {
            status,
            reason: String::new(),
        };
        let ok = status < 300;
        // A caller that no longer waits has dropped its call: nothing to tell.
        match self.take_waiting() {
            Waiting::Reinvite(reply) => {
                let _caller_gone = reply.send(if ok { Ok(media) } else { Err(refused()) });
            }
            Waiting::Info(reply) => {
                let _caller_gone = reply.send(if ok { Ok(()) } else { Err(refused()) });
            }
            other => self.waiting = other,
        }
    }

    fn take_waiting(&mut self) -> Waiting {
        std::mem::replace(&mut self.waiting, Waiting::Nothing)
    }

    fn decide(&mut self, answer: Result<(SetUpTimes, RemoteMedia), DialError>) {
        if let Some(sender) = self.answer.take() {
            let _caller_gone = sender.send(answer);
        }
    }

    fn report(&mut self, event: CallEvent) {
        if let Some(events) = &self.events {
            let _nobody_listens = events.try_send(event);
        }
    }

    fn fail(&mut self) {
        let heard = self.last_status != 0 || self.times.challenged.is_some();
        self.decide(Err(match heard {
            true => DialError::NotAnswered(self.last_status),
            false => DialError::Silence(self.server),
        }));
    }

    fn break_off(&mut self, error: io::Error) {
        self.decide(Err(DialError::Socket(error)));
        self.report(CallEvent::Lost);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
