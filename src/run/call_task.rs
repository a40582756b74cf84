//! One small task a call: carries out what its [`Call`] machine says and feeds back what comes of
//! it. At most one question (look-up, ports, join, leave) is under way at a time, and events of
//! the dialog are heard meanwhile, so that a CANCEL never waits for a slow worker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::call::end::{EndReason, Refusal};
use crate::call::machine::{Call, FoundMeeting, LocalEndpoint, Output, State};
use crate::config::CurrentConfig;
use crate::id::{MeetingId, SessionId};
use crate::meeting::leg::{LegEvent, LegReport};
use crate::net::advertise::Advertise;
use crate::net::ports::{PortPool, RtpSockets};
use crate::net::routes::Routes;
use crate::run::call_news::CallNews;
use crate::run::call_record::{ending, keep};
use crate::run::call_refusal::{refusal_of, refuse, sip_refusal, turn_away};
use crate::run::call_start::{PeerFacts, Start, look_up, start_of};
use crate::run::call_tap::SharedTrace;
use crate::run::calls::{CallSeat, Calls, LiveCall, NoRoom, TrunkLimits};
use crate::run::clock;
use crate::run::directory::{Directory, MeetingInfo, PhoneSeat};
use crate::run::sip_task::{SipCommand, SipHandle};
use crate::run::webhook::{CallFacts, Webhooks};
use crate::sip::endpoint::{DialogId, Event, Info, Invite, OfferMethod, TerminationCause};
use crate::store::Store;
use crate::store::credential::CredentialGrant;
use crate::telemetry::metric::sip::SipMetrics;

/// What every call task shares.
pub struct CallContext {
    /// Settings and profiles.
    pub config: CurrentConfig,
    /// Meetings, presets, credentials, records.
    pub store: Store,
    /// Sessions.
    pub directory: Directory,
    /// RTP ports.
    pub ports: PortPool,
    /// What we call ourselves.
    pub advertise: Advertise,
    /// Which of our addresses a peer is reached from.
    pub routes: Arc<Routes>,
    /// The SIP task.
    pub sip: SipHandle,
    /// Calls in progress.
    pub calls: Calls,
    /// Counters.
    pub metrics: SipMetrics,
    /// Where what happens is told.
    pub webhooks: Webhooks,
}

/// Runs one call to its end.
pub async fn run(
    context: Arc<CallContext>,
    invite: Box<Invite>,
    events: mpsc::Receiver<Event>,
    trace: SharedTrace,
) {
    let dialog = invite.dialog;
    let Start {
        call: start,
        peer,
        grant,
        trunk,
    } = match start_of(&context, *invite) {
        Ok(start) => start,
        Err(refusal) => return turn_away(&context, dialog, refusal, false).await,
    };
    let (hang_up, hang_ups) = mpsc::channel(1);
    let live = LiveCall {
        id: start.id,
        organization: start.organization,
        meeting: None,
        participant: start.participant,
        caller: start.caller.shown_name(),
        profile: start.profile.name.clone(),
        started: clock::now(),
        answered: None,
        on_hold: false,
        trunk: trunk.as_ref().map(|trunk| trunk.id),
    };
    let facts = CallFacts {
        id: start.id,
        organization: start.organization,
        participant: start.participant,
        caller: live.caller.clone(),
        profile: live.profile.clone(),
        sip_call_id: start.call_id_header.clone(),
        trunk: live.trunk,
        started_at_unix_ns: start.started_at_unix_ns,
    };
    let limits = trunk.map_or_else(TrunkLimits::default, |trunk| TrunkLimits {
        concurrent_max: trunk.document.concurrent_calls_max,
        per_second_max: trunk.document.calls_per_second_max,
    });
    let seat = match context.calls.admit(live, limits, hang_up) {
        Ok(seat) => seat,
        Err(full) => {
            let refusal = match full {
                NoRoom::Process => Refusal::Overloaded,
                NoRoom::Trunk => Refusal::TrunkBusy,
            };
            return turn_away(&context, dialog, refusal, peer.report_headers).await;
        }
    };
    seat.traced(trace.clone());
    context.metrics.calls.inc();
    let task = CallTask {
        call: Call::new(clock::now(), start),
        dialog,
        peer,
        grant,
        news: CallNews::new(context.webhooks.clone(), facts),
        table: seat,
        ports: None,
        meetings: Vec::new(),
        leg: None,
        question: None,
        trace,
        context: Arc::clone(&context),
    };
    task.run(events, hang_ups).await;
    context.metrics.calls.dec();
}

/// The one question under way.
type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

enum Answer {
    LookedUp(Result<(FoundMeeting, MeetingInfo), Refusal>),
    Joined(Result<PhoneSeat, Refusal>),
    Left(LegReport),
}

struct CallTask {
    call: Call,
    dialog: DialogId,
    peer: PeerFacts,
    grant: Arc<CredentialGrant>,
    news: CallNews,
    table: CallSeat,
    ports: Option<RtpSockets>,
    /// Meetings found: the one it is in, and the one it moves to.
    meetings: Vec<MeetingInfo>,
    leg: Option<PhoneSeat>,
    question: Option<Question>,
    trace: SharedTrace,
    context: Arc<CallContext>,
}

impl CallTask {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut hang_ups: mpsc::Receiver<EndReason>,
    ) {
        let mut dialog_open = true;
        while !self.drain().await {
            tokio::select! {
                answer = next_answer(&mut self.question) => {
                    self.question = None;
                    self.handle_answer(answer);
                }
                event = events.recv(), if dialog_open => match event {
                    Some(event) => self.handle_sip(event).await,
                    // The dialog has had its last event, or its queue overflowed.
                    None => {
                        dialog_open = false;
                        self.call.handle_dialog_lost(clock::now(), EndReason::DialogLost);
                    }
                },
                Some(event) = next_leg_event(&mut self.leg) => self.handle_leg(event),
                Some(reason) = hang_ups.recv() => self.call.hang_up(clock::now(), reason),
            }
        }
    }

    /// Carries out what the machine says; true when the call is over.
    async fn drain(&mut self) -> bool {
        while let Some(output) = self.call.poll_output() {
            match output {
                Output::LookUp(meeting) => self.look_up(meeting),
                Output::Ring => {
                    self.news.ringing();
                    self.context.sip.send(SipCommand::Ring(self.dialog)).await;
                }
                Output::Progress { sdp } => {
                    let dialog = self.dialog;
                    let command = SipCommand::Progress { dialog, sdp };
                    self.context.sip.send(command).await;
                }
                Output::AcceptRefer => {
                    let command = SipCommand::AcceptRefer(self.dialog);
                    self.context.sip.send(command).await;
                }
                Output::RefuseRefer(refusal) => {
                    let command = SipCommand::RefuseRefer {
                        dialog: self.dialog,
                        refusal: sip_refusal(refusal, None),
                    };
                    self.context.sip.send(command).await;
                }
                Output::FinishRefer { status } => {
                    let dialog = self.dialog;
                    let command = SipCommand::FinishRefer { dialog, status };
                    self.context.sip.send(command).await;
                }
                Output::Reserve => self.reserve(),
                Output::Join {
                    meeting,
                    joining,
                    media,
                } => self.join(meeting, *joining, media),
                Output::Answer { sdp } => {
                    self.table.answered();
                    self.news.answered();
                    self.context
                        .store
                        .call_answered(self.call.open_record(clock::now()));
                    let headers = self.report_headers();
                    let command = SipCommand::Answer {
                        dialog: self.dialog,
                        sdp,
                        headers,
                    };
                    self.context.sip.send(command).await;
                }
                Output::Refuse(refusal) => {
                    self.trace.note(format!("refused: {}", refusal.label()));
                    let label = self.peer.report_headers.then(|| refusal.label());
                    refuse(&self.context, self.dialog, refusal, label).await;
                }
                Output::AcceptReinvite { sdp } => {
                    let command = SipCommand::AcceptReinvite {
                        dialog: self.dialog,
                        sdp,
                    };
                    self.context.sip.send(command).await;
                }
                Output::RefuseReinvite(refusal) => {
                    let refusal = sip_refusal(refusal, None);
                    let command = SipCommand::RefuseReinvite {
                        dialog: self.dialog,
                        refusal,
                    };
                    self.context.sip.send(command).await;
                }
                Output::UpdateLeg { media, on_hold } => {
                    self.table.held(on_hold);
                    self.news.held(on_hold);
                    self.trace.note_media(on_hold);
                    if let Some(leg) = &self.leg
                        && leg.update(media, on_hold).is_err()
                    {
                        self.call.hang_up(clock::now(), EndReason::WorkerFailed);
                    }
                }
                Output::Bye(reason) => {
                    self.trace.note(format!("hung up: {}", reason.label()));
                    let reason = reason.reason_header();
                    let command = SipCommand::Bye {
                        dialog: self.dialog,
                        reason,
                    };
                    self.context.sip.send(command).await;
                }
                Output::Leave => {
                    if let Some(leg) = self.leg.take() {
                        self.question = Some(Box::pin(async { Answer::Left(leg.leave().await) }));
                    } else {
                        self.call.handle_left(clock::now(), LegReport::default());
                    }
                }
                Output::Ended(mut record) => {
                    self.trace.note(ending(&record));
                    record.timeline = self.trace.timeline();
                    self.news.ended(&record);
                    keep(&self.context, *record).await;
                    return true;
                }
            }
        }
        false
    }

    /// What the customer's webhook may learn from a 200.
    fn report_headers(&self) -> Vec<(String, String)> {
        let id = |leg: &PhoneSeat| {
            (
                "X-Ringbridge-Participant-Id".to_owned(),
                leg.participant_id.to_string(),
            )
        };
        self.leg
            .as_ref()
            .filter(|_| self.peer.report_headers)
            .map(id)
            .into_iter()
            .collect()
    }

    fn look_up(&mut self, id: MeetingId) {
        let (store, grant) = (self.context.store.clone(), Arc::clone(&self.grant));
        let preset_name = self.peer.preset_name.clone();
        self.question = Some(Box::pin(async move {
            Answer::LookedUp(look_up(&store, &grant, id, &preset_name).await)
        }));
    }

    fn reserve(&mut self) {
        let routed = (self.context.routes).source(clock::now(), self.peer.source);
        let address = self.context.advertise.toward(self.peer.source, routed);
        let reserved = match self.context.ports.reserve(address) {
            Ok(sockets) => {
                let rtp_port = sockets.local.port();
                self.trace.note(format!("RTP port {rtp_port} reserved"));
                self.ports = Some(sockets);
                Ok(LocalEndpoint {
                    address,
                    rtp_port,
                    rtcp_port: rtp_port + 1,
                })
            }
            Err(error) => {
                warn!(%error, "A call is refused: no RTP ports");
                Err(Refusal::Overloaded)
            }
        };
        self.call.handle_reserved(clock::now(), reserved);
    }

    fn join(
        &mut self,
        meeting: MeetingId,
        mut joining: crate::meeting::participant::Joining,
        media: crate::meeting::leg::LegMedia,
    ) {
        let meeting = self.meetings.iter().find(|info| info.id == meeting);
        // Kept: the leg may move to another session.
        let (Some(meeting), Some(sockets)) = (meeting.cloned(), self.ports.clone()) else {
            self.call
                .handle_joined(clock::now(), Err(Refusal::Unavailable));
            return;
        };
        let directory = self.context.directory.clone();
        // A transfer's target is not what the rule's PIN is for.
        joining.pin = self.peer.pin.take();
        self.question = Some(Box::pin(async move {
            let joined = directory
                .join_phone(&meeting, joining, media, sockets)
                .await;
            Answer::Joined(joined.map_err(refusal_of))
        }));
    }

    fn handle_answer(&mut self, answer: Answer) {
        let now = clock::now();
        match answer {
            Answer::LookedUp(Ok((found, info))) => {
                if self.meetings.is_empty() {
                    self.table.joined(found.id);
                    self.news.meeting = Some(info.clone());
                }
                self.meetings
                    .retain(|known| Some(known.id) == self.call.meeting());
                self.meetings.push(info);
                self.trace.note("meeting found");
                self.call.handle_lookup(now, Ok(found));
            }
            Answer::LookedUp(Err(refusal)) => self.call.handle_lookup(now, Err(refusal)),
            Answer::Joined(Ok(seat)) => {
                let session: SessionId = seat.session_id;
                self.table.seated(seat.keys());
                if let Some(sdp) = seat.answer.clone() {
                    self.call.handle_described(sdp);
                }
                self.trace.note("in the session");
                self.leg = Some(seat);
                self.call.handle_joined(now, Ok(session));
                if let Some(meeting) = self.call.meeting() {
                    self.table.joined(meeting);
                    let info = self.meetings.iter().find(|known| known.id == meeting);
                    self.news.joined(info.cloned(), session);
                }
            }
            Answer::Joined(Err(refusal)) => self.call.handle_joined(now, Err(refusal)),
            Answer::Left(report) => self.call.handle_left(now, report),
        }
    }

    async fn handle_sip(&mut self, event: Event) {
        let now = clock::now();
        match event {
            Event::Cancelled { .. } => self.call.handle_cancelled(now),
            Event::Acked { body, .. } => self.call.handle_acked(now, body.as_deref()),
            Event::Reinvite { method, offer, .. } => {
                let is_update = method == OfferMethod::Update;
                self.call.handle_reinvite(offer.as_deref(), is_update);
            }
            Event::Bye { .. } => self.call.handle_bye(now),
            Event::AckTimeout { .. } => self.call.handle_dialog_lost(now, EndReason::NoAck),
            Event::Terminated { cause, .. } => match cause {
                TerminationCause::SessionExpired => {
                    self.call.handle_dialog_lost(now, EndReason::SessionExpired);
                }
                TerminationCause::PeerLost => {
                    self.call.handle_dialog_lost(now, EndReason::DialogLost);
                }
                TerminationCause::Unanswered | TerminationCause::Unacknowledged => {
                    self.call.handle_flow_lost(now);
                }
            },
            Event::Info {
                info: Info::Dtmf { digit, .. },
                ..
            } if self.peer.info_dtmf => {
                if let Some(leg) = &self.leg {
                    // A seat that is gone reports its own removal.
                    let _ = leg.press(digit);
                }
            }
            Event::Refer { target, .. } => {
                self.call.handle_refer(target.user().unwrap_or_default());
            }
            Event::Info { .. } | Event::ReinviteAnswered { .. } | Event::ReferRefused { .. } => {}
            Event::Invite(_)
            | Event::Registered(_)
            | Event::Unregistered(_)
            | Event::AuthFailed { .. } => {
                debug!("An event without a dialog reached a call");
            }
        }
    }

    fn handle_leg(&mut self, event: Option<LegEvent>) {
        match event {
            Some(event) => {
                self.trace.note_leg(&event);
                if let LegEvent::Dtmf(digit) = event {
                    self.news.dtmf(digit);
                }
                self.call.handle_leg(clock::now(), &event);
            }
            None if matches!(self.call.state(), State::Leaving | State::Ended) => {}
            // The leg ended without a word: its worker is gone.
            None => self.call.hang_up(clock::now(), EndReason::WorkerFailed),
        }
    }
}

async fn next_answer(question: &mut Option<Question>) -> Answer {
    match question {
        Some(question) => question.as_mut().await,
        None => std::future::pending().await,
    }
}

/// `Some(None)` once when the leg ended; never resolves without a leg.
async fn next_leg_event(leg: &mut Option<PhoneSeat>) -> Option<Option<LegEvent>> {
    match leg {
        Some(leg) => Some(leg.events.recv().await),
        None => std::future::pending().await,
    }
}
