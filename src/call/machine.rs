//! The state table of one call.
//!
//! Law: `new` once, then feeds and commands in any order; after each, drain [`Call::poll_output`]
//! until `None`. A feed that comes too late for its state (an answer to a question that no longer
//! matters) only makes the machine undo what it brought: a leg that joined after CANCEL is left.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use crate::call::caller::{self, Caller};
use crate::call::end::{EndReason, Refusal};
use crate::call::record::{CallRecord, INTERRUPTED, Outcome};
use crate::call::trace::Timeline;
use crate::id::{CallId, CredentialId, MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::meeting::leg::{LegEvent, LegMedia, LegRemoval, LegReport, LegTaste, PhoneCodec};
use crate::meeting::participant::{Joining, ParticipantKind};
use crate::meeting::preset::Preset;
use crate::rtp::srtp::KEYING_BYTES_MAX;
use crate::sdp::crypto::{LocalSecurity, SrtpPolicy};
use crate::sdp::negotiate::{self, LocalMedia, NegotiateError, Negotiated};
use crate::sdp::webrtc as browser;

/// What is known of a call when its INVITE has been authorised.
#[derive(Clone)]
pub struct CallStart {
    /// Our id, freshly drawn.
    pub id: CallId,
    /// The robo participant's id, freshly drawn.
    pub participant: ParticipantId,
    /// Freshly drawn session id of our SDP (RFC 8866 §5.2), below 2^63.
    pub sdp_session_id: u64,
    /// Freshly drawn; our SRTP keys come from it.
    pub srtp_keying: [u8; KEYING_BYTES_MAX],
    /// Wallclock now, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: i128,
    /// What should be a meeting's id: the Request-URI's user part, after the profile's dial rules.
    pub dialled: String,
    /// Who calls.
    pub caller: Caller,
    /// SIP Call-ID header.
    pub call_id_header: String,
    /// The credentials it authenticated with; `None` for a trunk known by its address.
    pub credential: Option<CredentialId>,
    /// Owner of those credentials.
    pub organization: OrganizationId,
    /// Attributes of the robo participant, from headers the profile names.
    pub attributes: BTreeMap<String, String>,
    /// The offer; `None` means we offer in the 200 (delayed offer).
    pub offer: Option<Vec<u8>>,
    /// What the peer's profile says.
    pub profile: CallProfile,
}

/// The part of a SIP profile that a call needs.
#[derive(Debug, Clone)]
pub struct CallProfile {
    /// For the record.
    pub name: String,
    /// Codecs we accept, most wanted first.
    pub codecs: Vec<PhoneCodec>,
    /// Whether telephone-event is answered.
    pub dtmf_events: bool,
    /// What is done with the phone's sound.
    pub taste: LegTaste,
    /// Whether media is protected.
    pub srtp: SrtpPolicy,
    /// Whether ringing already tells our answer (183 in place of 180).
    pub early_media: bool,
}

/// A meeting these credentials may join.
#[derive(Debug, Clone)]
pub struct FoundMeeting {
    /// Its id.
    pub id: MeetingId,
    /// What the phone may do there.
    pub preset: Preset,
}

/// Our side of the leg's sockets, as the phone is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalEndpoint {
    /// Address in `c=`.
    pub address: IpAddr,
    /// RTP port.
    pub rtp_port: u16,
    /// RTCP port.
    pub rtcp_port: u16,
}

/// What the shell must do. Questions (`LookUp`, `Reserve`, `Join`, `Leave`) are answered by the
/// feed of the same noun.
#[derive(Debug)]
pub enum Output {
    /// Find the meeting and check that the credentials open it → [`Call::handle_lookup`].
    LookUp(MeetingId),
    /// Send 180.
    Ring,
    /// Send 183 with this SDP.
    Progress {
        /// Our answer.
        sdp: String,
    },
    /// Reserve an RTP port pair → [`Call::handle_reserved`].
    Reserve,
    /// Join the leg to the meeting's session → [`Call::handle_joined`].
    Join {
        /// The meeting that was found.
        meeting: MeetingId,
        /// The robo participant.
        joining: Box<Joining>,
        /// The leg's media.
        media: LegMedia,
    },
    /// Send 200 with this SDP.
    Answer {
        /// Our answer, or our offer when the INVITE had none.
        sdp: String,
    },
    /// Send the final refusal.
    Refuse(Refusal),
    /// Answer the re-INVITE or UPDATE with 200.
    AcceptReinvite {
        /// Our SDP; `None` for an UPDATE without an offer.
        sdp: Option<String>,
    },
    /// Refuse the re-INVITE or UPDATE; the call goes on as it was.
    RefuseReinvite(Refusal),
    /// Give the leg its new media.
    UpdateLeg {
        /// As the last offer/answer settled it.
        media: LegMedia,
        /// The phone put us on hold.
        on_hold: bool,
    },
    /// Answer the REFER with 202.
    AcceptRefer,
    /// Refuse the REFER; the call goes on as it was.
    RefuseRefer(Refusal),
    /// Say what became of an accepted REFER.
    FinishRefer {
        /// 200, or the refusal's status.
        status: u16,
    },
    /// Send BYE.
    Bye(EndReason),
    /// Take the leg out of the session → [`Call::handle_left`].
    Leave,
    /// The call is over; keep the record and forget the call.
    Ended(Box<CallRecord>),
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for the meeting.
    LookingUp,
    /// Waiting for RTP ports.
    Reserving,
    /// Waiting for the session to take the leg; nothing answered yet.
    Joining,
    /// Refused or cancelled while the leg was joining; it will be left when it has joined.
    Undoing,
    /// 200 with our offer is out; the answer comes with the ACK (delayed offer).
    AwaitingAnswer,
    /// The delayed answer is in; waiting for the session to take the leg.
    JoiningLate,
    /// 200 is out.
    Answered,
    /// The phone moves: waiting for the leg to leave the meeting it was in.
    MovingOut,
    /// The phone moves: waiting for the other session to take the leg.
    MovingIn,
    /// Waiting for the leg's report.
    Leaving,
    /// Over.
    Ended,
}

/// One phone call.
pub struct Call {
    start: CallStart,
    started: Instant,
    state: State,
    meeting: Option<FoundMeeting>,
    local: Option<LocalEndpoint>,
    /// `o=` version of the last SDP we sent.
    sdp_version: u64,
    /// Our answer while the leg joins.
    pending_answer: Option<String>,
    /// Our last offer while its answer is awaited.
    pending_offer: Option<String>,
    media: Option<LegMedia>,
    /// The first offer of a client in a browser, and our connection's answer.
    webrtc: Option<(String, String)>,
    session: Option<SessionId>,
    answered: Option<Instant>,
    ending: Option<Ending>,
    on_hold: bool,
    /// Where the phone wants to move to.
    moving: Option<Moving>,
    outputs: VecDeque<Output>,
}

/// A move to another meeting.
#[derive(Debug, Clone)]
enum Moving {
    /// It is looked up.
    Asked,
    /// Its session is to take the leg.
    Into(FoundMeeting),
    /// It would not have it: back to where it was.
    Back,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Refused(Refusal),
    Ended(EndReason),
}

impl Call {
    /// Starts with the meeting look-up, or refuses what names no meeting.
    pub fn new(now: Instant, start: CallStart) -> Self {
        let dialled = caller::dialled_meeting(&start.dialled);
        let mut call = Self {
            start,
            started: now,
            state: State::LookingUp,
            meeting: None,
            local: None,
            sdp_version: 0,
            pending_answer: None,
            pending_offer: None,
            media: None,
            webrtc: None,
            session: None,
            answered: None,
            ending: None,
            on_hold: false,
            moving: None,
            outputs: VecDeque::new(),
        };
        match dialled {
            Some(meeting) => call.outputs.push_back(Output::LookUp(meeting)),
            None => call.refuse(now, Refusal::UnknownMeeting),
        }
        call
    }

    /// Where the call stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The meeting it is in, once found.
    pub fn meeting(&self) -> Option<MeetingId> {
        self.meeting.as_ref().map(|found| found.id)
    }

    /// Our id.
    pub fn id(&self) -> CallId {
        self.start.id
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The meeting was found, or why not.
    pub fn handle_lookup(&mut self, now: Instant, found: Result<FoundMeeting, Refusal>) {
        if matches!(
            (self.state, &self.moving),
            (State::Answered, Some(Moving::Asked))
        ) {
            return self.move_to(found);
        }
        if self.state != State::LookingUp {
            return;
        }
        match found {
            Ok(meeting) if !meeting.preset.phone => {
                self.refuse(now, Refusal::PresetForbidsPhone);
            }
            Ok(meeting) => {
                self.meeting = Some(meeting);
                self.state = State::Reserving;
                self.outputs.push_back(Output::Reserve);
            }
            Err(refusal) => self.refuse(now, refusal),
        }
    }

    /// The ports are reserved, or why not.
    pub fn handle_reserved(&mut self, now: Instant, reserved: Result<LocalEndpoint, Refusal>) {
        if self.state != State::Reserving {
            return;
        }
        let local = match reserved {
            Ok(local) => local,
            Err(refusal) => return self.refuse(now, refusal),
        };
        self.local = Some(local);
        let Some(offer) = self.start.offer.take() else {
            let sdp = negotiate::offer(&self.local_media(local));
            self.pending_offer = Some(sdp.clone());
            self.answered = Some(now);
            self.state = State::AwaitingAnswer;
            self.outputs.push_back(Output::Answer { sdp });
            return;
        };
        let local = self.local_media(local);
        let settled = match browser::is_webrtc(&offer) {
            true => browser::settle(&offer, &local),
            false => negotiate::answer(&offer, &local),
        };
        match settled {
            Ok(negotiated) => {
                // Only now: a phone that rings and is then told 488 has rung for nothing.
                self.outputs
                    .push_back(match self.start.profile.early_media {
                        true => Output::Progress {
                            sdp: negotiated.sdp.clone(),
                        },
                        false => Output::Ring,
                    });
                self.pending_answer = Some(negotiated.sdp);
                self.join(negotiated.media, State::Joining);
            }
            Err(error) => self.refuse(now, refusal_of(&error)),
        }
    }

    /// The leg's connection has answered the offer of a client in a browser. Comes before
    /// [`Call::handle_joined`].
    pub fn handle_described(&mut self, sdp: String) {
        let offer = self
            .media
            .as_mut()
            .and_then(|media| media.webrtc_offer.take());
        if let Some(offer) = offer {
            self.pending_answer = Some(sdp.clone());
            self.webrtc = Some((offer, sdp));
        }
    }

    /// The session took the leg, or why not.
    pub fn handle_joined(&mut self, now: Instant, joined: Result<SessionId, Refusal>) {
        match (self.state, joined) {
            (State::Joining, Ok(session)) => {
                self.session = Some(session);
                self.answered = Some(now);
                self.state = State::Answered;
                let sdp = self.pending_answer.take().unwrap_or_default();
                self.outputs.push_back(Output::Answer { sdp });
            }
            (State::Joining, Err(refusal)) => self.refuse(now, refusal),
            (State::JoiningLate, Ok(session)) => {
                self.session = Some(session);
                self.state = State::Answered;
            }
            (State::JoiningLate, Err(_)) => {
                self.outputs.push_back(Output::Bye(EndReason::WorkerFailed));
                self.ending = Some(Ending::Ended(EndReason::WorkerFailed));
                self.finish(now, None);
            }
            (State::MovingIn, joined) => self.handle_moved(now, joined),
            (State::Undoing, Ok(session)) => {
                self.session = Some(session);
                self.state = State::Leaving;
                self.outputs.push_back(Output::Leave);
            }
            (State::Undoing, Err(_)) => self.finish(now, None),
            _ => {}
        }
    }

    /// CANCEL arrived before the answer; 487 is already sent.
    pub fn handle_cancelled(&mut self, now: Instant) {
        self.abandon(now, Refusal::Cancelled);
    }

    /// The phone's connection closed before the answer.
    pub fn handle_flow_lost(&mut self, now: Instant) {
        self.abandon(now, Refusal::FlowLost);
    }

    /// ACK arrived, perhaps with the answer to our offer.
    pub fn handle_acked(&mut self, now: Instant, body: Option<&[u8]>) {
        let Some(offer) = self.pending_offer.take() else {
            return;
        };
        let Some(local) = self.local else { return };
        let accepted = body
            .ok_or(NegotiateError::AnswerMismatch)
            .and_then(|body| negotiate::accept_answer(&offer, body, &self.local_media(local)));
        match (self.state, accepted) {
            (State::AwaitingAnswer, Ok(negotiated)) => {
                self.join(negotiated.media, State::JoiningLate);
            }
            (State::AwaitingAnswer, Err(_)) => {
                self.outputs.push_back(Output::Bye(EndReason::BadAnswer));
                self.end(now, EndReason::BadAnswer);
            }
            (State::Answered, Ok(negotiated)) => self.update_leg(negotiated.media, negotiated.hold),
            // A re-INVITE without an offer whose ACK brings nothing usable: RFC 3264 §4 leaves the
            // session as it was before.
            _ => {}
        }
    }

    /// re-INVITE or UPDATE. A re-INVITE without an offer is answered with ours.
    pub fn handle_reinvite(&mut self, offer: Option<&[u8]>, is_update: bool) {
        let (State::Answered, Some(local)) = (self.state, self.local) else {
            self.outputs
                .push_back(Output::RefuseReinvite(Refusal::Unavailable));
            return;
        };
        self.sdp_version += 1;
        match offer {
            Some(offer) => match self.answer_again(offer, local) {
                Ok(Negotiated { media, sdp, hold }) => {
                    self.outputs
                        .push_back(Output::AcceptReinvite { sdp: Some(sdp) });
                    self.update_leg(media, hold);
                }
                Err(error) => {
                    self.sdp_version -= 1;
                    self.outputs
                        .push_back(Output::RefuseReinvite(refusal_of(&error)));
                }
            },
            None if is_update => {
                self.sdp_version -= 1;
                self.outputs.push_back(Output::AcceptReinvite { sdp: None });
            }
            None => {
                let sdp = negotiate::offer(&self.local_media(local));
                self.pending_offer = Some(sdp.clone());
                self.outputs
                    .push_back(Output::AcceptReinvite { sdp: Some(sdp) });
            }
        }
    }

    /// REFER: the phone wants its call in another meeting, whose id this should be.
    pub fn handle_refer(&mut self, dialled: &str) {
        let is_free = self.moving.is_none() && self.pending_offer.is_none();
        if self.state != State::Answered || !is_free {
            let refusal = Output::RefuseRefer(Refusal::Unavailable);
            return self.outputs.push_back(refusal);
        }
        match caller::dialled_meeting(dialled) {
            None => self
                .outputs
                .push_back(Output::RefuseRefer(Refusal::UnknownMeeting)),
            Some(id) if self.meeting.as_ref().is_some_and(|here| here.id == id) => {
                let here = [Output::AcceptRefer, Output::FinishRefer { status: 200 }];
                self.outputs.extend(here);
            }
            Some(id) => {
                self.moving = Some(Moving::Asked);
                self.outputs.push_back(Output::LookUp(id));
            }
        }
    }

    /// The meeting that the phone wants to move to was found, or not.
    fn move_to(&mut self, found: Result<FoundMeeting, Refusal>) {
        let found = match found {
            Ok(found) if found.preset.phone => Ok(found),
            Ok(_) => Err(Refusal::PresetForbidsPhone),
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok(found) => {
                self.moving = Some(Moving::Into(found));
                self.state = State::MovingOut;
                self.outputs.extend([Output::AcceptRefer, Output::Leave]);
            }
            Err(refusal) => {
                self.moving = None;
                self.outputs.push_back(Output::RefuseRefer(refusal));
            }
        }
    }

    /// The session to move to took the leg, or not: then back to the one before.
    fn handle_moved(&mut self, now: Instant, joined: Result<SessionId, Refusal>) {
        match (self.moving.take(), joined) {
            (moving, Ok(session)) => {
                self.session = Some(session);
                self.state = State::Answered;
                if let Some(Moving::Into(found)) = moving {
                    self.meeting = Some(found);
                    self.outputs.push_back(Output::FinishRefer { status: 200 });
                }
                if let (true, Some(media)) = (self.on_hold, self.media.clone()) {
                    self.update_leg(media, true);
                }
            }
            (Some(Moving::Into(_)), Err(refusal)) => {
                let status = refusal.sip().status;
                self.outputs.push_back(Output::FinishRefer { status });
                self.moving = Some(Moving::Back);
                self.rejoin();
            }
            (_, Err(_)) => {
                self.outputs.push_back(Output::Bye(EndReason::WorkerFailed));
                self.ending = Some(Ending::Ended(EndReason::WorkerFailed));
                self.finish(now, None);
            }
        }
    }

    fn rejoin(&mut self) {
        let meeting = match &self.moving {
            Some(Moving::Into(found)) => Some(found.clone()),
            _ => self.meeting.clone(),
        };
        if let (Some(meeting), Some(media)) = (meeting, self.media.clone()) {
            self.join_meeting(&meeting, media, State::MovingIn);
        }
    }

    /// BYE arrived; 200 is already sent.
    pub fn handle_bye(&mut self, now: Instant) {
        self.end(now, EndReason::CallerHungUp);
    }

    /// The dialog ended without a BYE of the phone: no ACK, session timer, 481, dead flow. The
    /// endpoint has sent what was to be sent.
    pub fn handle_dialog_lost(&mut self, now: Instant, reason: EndReason) {
        self.abandon(now, Refusal::FlowLost);
        self.end(now, reason);
    }

    /// Something happened on the leg.
    pub fn handle_leg(&mut self, now: Instant, event: &LegEvent) {
        let reason = match event {
            LegEvent::Removed(LegRemoval::Kicked) => EndReason::Kicked,
            LegEvent::Removed(LegRemoval::Denied) => EndReason::Denied,
            LegEvent::Removed(LegRemoval::SessionEnded) => EndReason::SessionEnded,
            LegEvent::Removed(LegRemoval::Replaced) => EndReason::Replaced,
            LegEvent::Removed(LegRemoval::WorkerFailed) => EndReason::WorkerFailed,
            LegEvent::MediaLost => EndReason::MediaLost,
            LegEvent::Dtmf(_) | LegEvent::MediaStarted => return,
        };
        self.hang_up(now, reason);
    }

    /// Ends the call from our side, whatever its state.
    pub fn hang_up(&mut self, now: Instant, reason: EndReason) {
        match self.state {
            State::LookingUp | State::Reserving | State::Joining => {
                let refusal = match reason {
                    EndReason::Shutdown => Refusal::Draining,
                    _ => Refusal::Unavailable,
                };
                self.outputs.push_back(Output::Refuse(refusal));
                self.abandon(now, refusal);
            }
            State::AwaitingAnswer
            | State::JoiningLate
            | State::Answered
            | State::MovingOut
            | State::MovingIn => {
                self.outputs.push_back(Output::Bye(reason));
                self.end(now, reason);
            }
            State::Undoing | State::Leaving | State::Ended => {}
        }
    }

    /// The leg has left; its figures.
    pub fn handle_left(&mut self, now: Instant, report: LegReport) {
        match self.state {
            State::Leaving => self.finish(now, Some(report)),
            State::MovingOut => self.rejoin(),
            _ => {}
        }
    }

    fn answer_again(
        &self,
        offer: &[u8],
        local: LocalEndpoint,
    ) -> Result<Negotiated, NegotiateError> {
        let local = self.local_media(local);
        match &self.webrtc {
            Some((first, answer)) => browser::answer_again(first, answer, offer, &local),
            None => negotiate::answer(offer, &local),
        }
    }

    fn join(&mut self, media: LegMedia, state: State) {
        if let Some(found) = self.meeting.clone() {
            self.join_meeting(&found, media, state);
        }
    }

    fn join_meeting(&mut self, found: &FoundMeeting, media: LegMedia, state: State) {
        let joining = Joining {
            id: self.start.participant,
            custom_participant_id: None,
            name: self.start.caller.shown_name(),
            picture: None,
            kind: ParticipantKind::Robo,
            preset: found.preset.clone(),
            pin: None,
            attributes: self.start.attributes.clone(),
        };
        self.media = Some(media.clone());
        self.state = state;
        let (meeting, joining) = (found.id, Box::new(joining));
        self.outputs.push_back(Output::Join {
            meeting,
            joining,
            media,
        });
    }

    fn update_leg(&mut self, media: LegMedia, on_hold: bool) {
        self.on_hold = on_hold;
        self.media = Some(media.clone());
        self.outputs.push_back(Output::UpdateLeg { media, on_hold });
    }

    fn local_media(&self, local: LocalEndpoint) -> LocalMedia {
        LocalMedia {
            address: local.address,
            rtp_port: local.rtp_port,
            rtcp_port: local.rtcp_port,
            session_id: self.start.sdp_session_id,
            version: self.sdp_version,
            codecs: self.start.profile.codecs.clone(),
            dtmf: self.start.profile.dtmf_events,
            taste: self.start.profile.taste,
            rtcp_mux: true,
            security: LocalSecurity {
                policy: self.start.profile.srtp,
                keying: self.start.srtp_keying,
            },
        }
    }

    /// Refuses an INVITE that has no leg yet.
    fn refuse(&mut self, now: Instant, refusal: Refusal) {
        self.outputs.push_back(Output::Refuse(refusal));
        self.ending = Some(Ending::Refused(refusal));
        self.finish(now, None);
    }

    /// Stops a call that was not answered and whose final response is already on its way.
    fn abandon(&mut self, now: Instant, refusal: Refusal) {
        match self.state {
            State::LookingUp | State::Reserving => {
                self.ending = Some(Ending::Refused(refusal));
                self.finish(now, None);
            }
            State::Joining => {
                self.ending = Some(Ending::Refused(refusal));
                self.state = State::Undoing;
            }
            _ => {}
        }
    }

    /// Ends an answered call whose BYE, if one is due, is already queued.
    fn end(&mut self, now: Instant, reason: EndReason) {
        match self.state {
            State::Answered => {
                self.ending = Some(Ending::Ended(reason));
                self.state = State::Leaving;
                self.outputs.push_back(Output::Leave);
            }
            State::AwaitingAnswer => {
                self.ending = Some(Ending::Ended(reason));
                self.finish(now, None);
            }
            State::JoiningLate if self.session.is_none() => {
                self.ending = Some(Ending::Ended(reason));
                self.state = State::Undoing;
            }
            // The leave or join that is under way ends it.
            State::MovingOut => {
                self.ending = Some(Ending::Ended(reason));
                self.state = State::Leaving;
            }
            State::MovingIn => {
                self.ending = Some(Ending::Ended(reason));
                self.state = State::Undoing;
            }
            _ => {}
        }
    }

    /// The record of a call that nothing more is heard of, as by a crash: kept open from its 200
    /// on, and replaced by the real one at its end.
    pub fn open_record(&self, now: Instant) -> CallRecord {
        self.record(now, 200, INTERRUPTED, Outcome::ServerError, None)
    }

    fn finish(&mut self, now: Instant, report: Option<LegReport>) {
        self.state = State::Ended;
        let (sip_status, reason, outcome) = match self.ending {
            Some(Ending::Refused(refusal)) => {
                (refusal.sip().status, refusal.label(), refusal.outcome())
            }
            Some(Ending::Ended(reason)) => (200, reason.label(), reason.outcome()),
            None => unreachable!("every way to finish names its ending first"),
        };
        let record = self.record(now, sip_status, reason, outcome, report);
        self.outputs.push_back(Output::Ended(Box::new(record)));
    }

    fn record(
        &self,
        now: Instant,
        sip_status: u16,
        reason: &'static str,
        outcome: Outcome,
        report: Option<LegReport>,
    ) -> CallRecord {
        let unix_ns = |at: Instant| {
            let since_start = at.saturating_duration_since(self.started).as_nanos();
            self.start.started_at_unix_ns + i128::try_from(since_start).unwrap_or(i128::MAX)
        };
        CallRecord {
            id: self.start.id,
            organization: self.start.organization,
            meeting: self.meeting.as_ref().map(|found| found.id),
            session: self.session,
            participant: self.session.map(|_| self.start.participant),
            credential: self.start.credential,
            call_id_header: self.start.call_id_header.clone(),
            caller: self.start.caller.shown_name(),
            profile: self.start.profile.name.clone(),
            started_at_unix_ns: self.start.started_at_unix_ns,
            answered_at_unix_ns: self.answered.map(unix_ns),
            ended_at_unix_ns: unix_ns(now),
            setup: self
                .answered
                .map(|at| at.saturating_duration_since(self.started)),
            sip_status,
            reason,
            outcome,
            report,
            timeline: Timeline::default(),
        }
    }
}

fn refusal_of(error: &NegotiateError) -> Refusal {
    match error {
        NegotiateError::NoCommonCodec => Refusal::NoCommonCodec,
        NegotiateError::SecurityMismatch => Refusal::SecurityMismatch,
        NegotiateError::NoAudio | NegotiateError::UnsupportedTransport => Refusal::NotAudio,
        error if error.status() == 400 => Refusal::BadOffer,
        _ => Refusal::NotAudio,
    }
}
