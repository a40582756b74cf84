//! The worker's sessions: made, called, ticked, drained, ended.

use std::time::Instant;

use rand::Rng;
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, MeetingInfo, SeatKey};
use super::entry::{Entry, Panicked, PhoneLink};
use super::governor::Newcomer;
use super::machine::Worker;
use super::phone_socket::drain_phone;
use super::rule::wallclock;
use super::schedule::PHASES;
use super::thread::Notice;
use crate::id::{MeetingId, SessionId};
use crate::limits::{LEG_EVENTS_MAX, SEAT_OUTGOING_MAX};
use crate::meeting::leg::LegMedia;
use crate::meeting::participant::Joining;
use crate::meeting::session::{JoinError, Session, SessionChange, SessionName, SessionOutput};
use crate::meeting::signal::ByeReason;
use crate::meeting::track::SeatId;
use crate::net::batch;
use crate::net::ports::RtpSockets;
use crate::run::clock;
use crate::run::directory::{BrowserSeat, JoinRefusal, PhoneSeat, SeatDoor};

impl Worker {
    pub(super) fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::JoinBrowser {
                meeting,
                session,
                joining,
                resume_token,
                reply,
            } => {
                let joined = self.join_browser(now, &meeting, session, *joining, resume_token);
                // An asker who has gone drops the seat, and the seat leaves.
                let _asker_gone = reply.send(joined);
            }
            Command::JoinPhone {
                meeting,
                session,
                joining,
                media,
                sockets,
                reply,
            } => {
                let joined = self.join_phone(now, &meeting, session, *joining, *media, sockets);
                let _asker_gone = reply.send(joined);
            }
            Command::Client {
                seat,
                message,
                permit,
            } => {
                let key = SeatId(seat.seat);
                self.call(seat.meeting, |session| {
                    session.handle_client(now, key, *message);
                });
                drop(permit);
            }
            Command::UpdatePhone {
                seat,
                media,
                on_hold,
            } => {
                let key = SeatId(seat.seat);
                self.call(seat.meeting, |session| {
                    session.update_phone(now, key, *media, on_hold);
                });
            }
            Command::Press { seat, digit } => {
                let key = SeatId(seat.seat);
                self.call(seat.meeting, |session| session.press(key, digit));
            }
            Command::SendKeys { seat, keys, reply } => {
                let key = SeatId(seat.seat);
                let sent = self.call(seat.meeting, |session| session.send_keys(key, &keys));
                if let Some(sent) = sent.flatten() {
                    let _asker_gone = reply.send(sent);
                }
            }
            Command::Leave { seat } => self.leave(now, seat),
            Command::Snapshot { meeting, reply } => {
                if let Some(entry) = self.sessions.get(&meeting) {
                    let _asker_gone = reply.send(entry.session().snapshot());
                }
            }
            Command::Kick {
                meeting,
                whom,
                reply,
            } => {
                let kicked = self.kick(now, meeting, &whom);
                let _asker_gone = reply.send(kicked);
            }
            Command::Figures {
                meeting,
                participant,
                reply,
            } => {
                let entry = self.sessions.get(&meeting);
                let report = entry.and_then(|entry| entry.session().leg_report(participant));
                if let Some(report) = report {
                    let _asker_gone = reply.send(report);
                }
            }
            Command::Mute {
                meeting,
                participant,
                source,
                muted,
                reply,
            } => {
                let found = self.call(meeting, |session| {
                    session.mute(now, participant, source, muted)
                });
                let _asker_gone = reply.send(found.unwrap_or(false));
            }
            Command::Decide {
                meeting,
                participants,
                admitted,
                reply,
            } => {
                let decided = self.decide(now, meeting, &participants, admitted);
                let _asker_gone = reply.send(decided);
            }
            Command::ApplyPreset(change) => self.apply_preset(now, &change),
            #[cfg(test)]
            Command::Break { meeting, reply } => {
                let broken = self.call(meeting, |_| -> () { panic!("asked for by a test") });
                let _asker_gone = reply.send(broken.is_none());
            }
        }
    }

    // ── come and go ───────────────────────────────────────────────────────────────────────────

    fn join_browser(
        &mut self,
        now: Instant,
        meeting: &MeetingInfo,
        session: SessionId,
        joining: Joining,
        resume_token: String,
    ) -> Result<BrowserSeat, JoinRefusal> {
        let participant = joining.id;
        self.admit(meeting.id, participant, Newcomer::Peer)?;
        let key = self.new_seat(meeting.id);
        let (sender, outgoing) = mpsc::channel(SEAT_OUTGOING_MAX);
        let entry = self.session_for(now, meeting, session);
        entry.browsers.insert(SeatId(key.seat), sender);
        let session_id = entry.session().name().id;
        let joined = self.call(meeting.id, |session| {
            session.join_browser(now, SeatId(key.seat), joining, resume_token)
        });
        self.joined(key, joined)?;
        let door = SeatDoor::new(key, self.door.clone());
        Ok(BrowserSeat::new(session_id, participant, outgoing, door))
    }

    fn join_phone(
        &mut self,
        now: Instant,
        meeting: &MeetingInfo,
        session: SessionId,
        joining: Joining,
        media: LegMedia,
        sockets: RtpSockets,
    ) -> Result<PhoneSeat, JoinRefusal> {
        let participant = joining.id;
        self.admit(meeting.id, participant, Newcomer::Leg)?;
        // Without stamps arrival is when we look: worse figures, but a call.
        let _stamps_are_missed_not_needed = batch::enable_receive_stamps(&sockets.rtp);
        let key = self.new_seat(meeting.id);
        let (sender, events) = mpsc::channel(LEG_EVENTS_MAX);
        let (report_sender, report) = oneshot::channel();
        let link = PhoneLink {
            sockets,
            events: sender,
            report: Some(report_sender),
        };
        let entry = self.session_for(now, meeting, session);
        entry.phones.insert(SeatId(key.seat), link);
        let session_id = entry.session().name().id;
        let joined = self.call(meeting.id, |session| {
            session.join_phone(now, SeatId(key.seat), joining, media)
        });
        let answer = self.joined(key, joined)?;
        let door = SeatDoor::new(key, self.door.clone());
        Ok(PhoneSeat::new(
            session_id,
            participant,
            answer,
            events,
            report,
            door,
        ))
    }

    /// Undoes what was prepared for a seat that was not given.
    fn joined<T>(
        &mut self,
        key: SeatKey,
        joined: Option<Result<T, JoinError>>,
    ) -> Result<T, JoinRefusal> {
        let refusal = match joined {
            Some(Ok(joined)) => return Ok(joined),
            Some(Err(JoinError::UnusableOffer)) => JoinRefusal::UnusableOffer,
            Some(Err(JoinError::Full)) => JoinRefusal::MeetingFull,
            Some(Err(JoinError::PresetForbidsPhone)) => JoinRefusal::PresetForbidsPhone,
            None => JoinRefusal::WorkerFailed,
        };
        if let Some(entry) = self.sessions.get_mut(&key.meeting) {
            entry.browsers.remove(&SeatId(key.seat));
            entry.phones.remove(&SeatId(key.seat));
        }
        Err(refusal)
    }

    fn new_seat(&mut self, meeting: MeetingId) -> SeatKey {
        self.next_seat += 1;
        SeatKey {
            meeting,
            seat: self.next_seat,
        }
    }

    /// The meeting's session, made if there is none.
    fn session_for(&mut self, now: Instant, meeting: &MeetingInfo, id: SessionId) -> &mut Entry {
        let phases = &mut self.phases;
        let settings = &self.settings;
        let tick = self.tick;
        let complexity = self.governor.complexity();
        let entry = self.sessions.entry(meeting.id).or_insert_with(|| {
            let name = SessionName {
                id,
                meeting: meeting.id,
                organization: meeting.organization,
                title: meeting.title.clone(),
            };
            let seed = rand::rng().random();
            let mut session = Session::new(now, wallclock(), name, settings.clone(), seed);
            session.set_complexity(complexity);
            let phase = (0..PHASES).min_by_key(|phase| phases[*phase].len());
            let phase = phase.unwrap_or(0);
            phases[phase].push(meeting.id);
            Entry::new(meeting.clone(), session, phase, tick)
        });
        entry.joins_handled += 1;
        entry
    }

    /// The seat was given up by its owner.
    pub(super) fn leave(&mut self, now: Instant, seat: SeatKey) {
        let key = SeatId(seat.seat);
        self.call(seat.meeting, |session| {
            session.remove(now, key, ByeReason::Left);
        });
    }

    /// Forgets a session; whoever is still in it has been told.
    pub(super) fn end_session(&mut self, now: Instant, meeting: MeetingId) {
        let Some(entry) = self.unlist(meeting) else {
            return;
        };
        if entry.session().has_started() {
            self.notice(now, &entry, SessionChange::Ended);
        }
        self.settle(&entry);
    }

    fn unlist(&mut self, meeting: MeetingId) -> Option<Entry> {
        let entry = self.sessions.remove(&meeting)?;
        self.phases[entry.phase].retain(|other| *other != meeting);
        let seats = entry.browsers.keys().chain(entry.phones.keys());
        let seats: Vec<u64> = seats.map(|SeatId(seat)| *seat).collect();
        for seat in seats {
            self.routes.forget(SeatKey { meeting, seat });
        }
        Some(entry)
    }

    fn settle(&mut self, entry: &Entry) {
        self.backlog.push_back(Notice::JoinsHandled {
            meeting: entry.info.id,
            joins: entry.joins_handled,
        });
    }

    fn notice(&mut self, now: Instant, entry: &Entry, what: SessionChange) {
        self.backlog.push_back(entry.event(now, what));
    }

    /// The session has panicked: its people are told, everyone else goes on.
    fn bury(&mut self, meeting: MeetingId) {
        let Some(entry) = self.unlist(meeting) else {
            return;
        };
        tracing::error!(session = %entry.session().name().id, "a session was ended by a bug");
        self.metrics.session_panics.inc();
        self.notice(clock::now(), &entry, SessionChange::Ended);
        self.settle(&entry);
        entry.bury();
    }

    // ── calling into sessions ─────────────────────────────────────────────────────────────────

    /// Calls into a session and acts on what it has to say; `None` if there is none, or it
    /// panicked.
    pub(super) fn call<R>(
        &mut self,
        meeting: MeetingId,
        call: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        let entry = self.sessions.get_mut(&meeting)?;
        let result = entry.guarded(|session, _| call(session));
        self.after_call(meeting, result)
    }

    fn after_call<R>(&mut self, meeting: MeetingId, result: Result<R, Panicked>) -> Option<R> {
        let drained = result.and_then(|result| self.drain(meeting).map(|()| result));
        match drained {
            Ok(result) => Some(result),
            Err(Panicked) => {
                self.bury(meeting);
                None
            }
        }
    }

    /// A session's 20 ms: what its phones have sent, then its tick.
    pub(super) fn tick_session(&mut self, meeting: MeetingId, tick: u64) {
        let Some(entry) = self.sessions.get_mut(&meeting) else {
            return;
        };
        let skipped = tick.saturating_sub(entry.ticked + 1);
        entry.ticked = tick;
        self.metrics.ticks_skipped.inc_by(skipped);
        let (ring, metrics) = (&mut self.ring, &self.metrics);
        let result = entry.guarded(|session, phones| {
            let wallclock = wallclock();
            for (seat, link) in phones {
                drain_phone(ring, metrics, session, *seat, link, wallclock, tick);
            }
            let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
            session.tick(clock::now(), wallclock, skipped);
        });
        self.after_call(meeting, result);
    }

    /// Sends the session's packets and delivers its messages.
    fn drain(&mut self, meeting: MeetingId) -> Result<(), Panicked> {
        self.send_packets(meeting);
        loop {
            let Some(entry) = self.sessions.get_mut(&meeting) else {
                return Ok(());
            };
            let Some(output) = entry.guarded(|session, _| session.poll_output())? else {
                return Ok(());
            };
            let removed = self.deliver(meeting, output);
            if let (Some((seat, reason)), Some(entry)) = (removed, self.sessions.get_mut(&meeting))
            {
                let now = clock::now();
                entry.guarded(|session, _| session.remove(now, seat, reason))?;
                self.send_packets(meeting);
            }
        }
    }

    /// Packets go before messages, for with its last message a leg's sockets close.
    fn send_packets(&mut self, meeting: MeetingId) {
        let Some(entry) = self.sessions.get_mut(&meeting) else {
            return;
        };
        let (batch, routes) = (&mut self.batch, &mut self.routes);
        let datagrams = &self.metrics.datagrams;
        let sending = entry.guarded(|session, phones| {
            let egress = session.egress();
            for packet in &egress.browsers {
                let seat = packet.seat.0;
                routes.learn(SeatKey { meeting, seat }, packet.to, &packet.bytes);
                batch.push(packet.to, &packet.bytes);
            }
            for (seat, socket, to, bytes) in egress.phones() {
                let Some(link) = phones.get(&seat) else {
                    continue;
                };
                if link.send(socket, to, bytes) {
                    datagrams.phones_sent.inc();
                } else {
                    datagrams.phones_unsent.inc();
                }
            }
            egress.clear();
        });
        debug_assert!(sending.is_ok(), "nothing of a session runs here");
    }

    /// Delivers one output; returns a seat that cannot be reached any more.
    fn deliver(
        &mut self,
        meeting: MeetingId,
        output: SessionOutput,
    ) -> Option<(SeatId, ByeReason)> {
        use mpsc::error::TrySendError::{Closed, Full};
        let entry = self.sessions.get_mut(&meeting)?;
        match output {
            SessionOutput::Signal { seat, message } => {
                match entry.browsers.get(&seat)?.try_send(Box::new(message)) {
                    Ok(()) => None,
                    // A browser that does not read is gone; signalling is never lost silently.
                    Err(Full(_)) => Some((seat, ByeReason::ConnectionLost)),
                    Err(Closed(_)) => Some((seat, ByeReason::Left)),
                }
            }
            SessionOutput::Route {
                seat: SeatId(seat),
                ufrag,
            } => {
                self.routes.add_ufrag(ufrag, SeatKey { meeting, seat });
                None
            }
            SessionOutput::BrowserGone { seat } => {
                entry.browsers.remove(&seat);
                let SeatId(seat) = seat;
                self.routes.forget(SeatKey { meeting, seat });
                None
            }
            SessionOutput::Leg { seat, event } => {
                match entry.phones.get(&seat)?.events.try_send(event) {
                    Ok(()) => None,
                    Err(Full(_)) => Some((seat, ByeReason::Internal)),
                    Err(Closed(_)) => Some((seat, ByeReason::Left)),
                }
            }
            SessionOutput::LegGone { seat, report } => {
                let SeatId(number) = seat;
                self.routes.forget(SeatKey {
                    meeting,
                    seat: number,
                });
                self.metrics.legs_quality.observe(&report);
                if let Some(report_sender) = entry.phones.remove(&seat)?.report.take() {
                    let _caller_gone = report_sender.send(report);
                }
                None
            }
            SessionOutput::Change(what) => {
                if what == SessionChange::Started {
                    self.metrics.sessions_started.inc();
                }
                self.backlog.push_back(entry.event(clock::now(), what));
                None
            }
        }
    }
}
