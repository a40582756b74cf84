//! What the owner of a call may ask of its dialog.

use std::time::Instant;

use super::Endpoint;
use super::call::{Call, Phase};
use super::event::{CommandError, DialogId, OfferMethod, Refusal};
use super::paths::ReplyPath;
use super::table::{Purpose, TransactionId};
use crate::sip::reply::Reply;
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::Timer;

impl Endpoint {
    /// Whether new calls are taken; if not, OPTIONS and new INVITEs get 503 with Retry-After.
    pub fn set_available(&mut self, available: bool) {
        self.available = available;
    }

    /// Sends 180.
    pub fn ring(&mut self, now: Instant, dialog: DialogId) -> Result<(), CommandError> {
        self.provisional(now, dialog, Reply::new(180))
    }

    /// Sends 183 with a session description: early media.
    pub fn progress(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: &str,
    ) -> Result<(), CommandError> {
        let reply = Reply {
            body: Some(("application/sdp", sdp.as_bytes())),
            ..Reply::new(183)
        };
        self.provisional(now, dialog, reply)
    }

    /// Sends 200 with a session description (the answer, or our offer where the INVITE had none)
    /// and further headers, and repeats it until its ACK.
    pub fn answer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: &str,
        headers: &[(String, String)],
    ) -> Result<(), CommandError> {
        self.incoming(dialog)?;
        if self.postpone_answer(dialog, sdp, headers) {
            return Ok(());
        }
        let call = self.incoming(dialog)?;
        let (invite, cseq, session) = (call.invite, call.invite_cseq, call.session);
        let path = self.reply_path(invite)?;
        let reply = Reply {
            headers: session
                .map(SessionTimer::response_headers)
                .unwrap_or_default(),
            body: Some(("application/sdp", sdp.as_bytes())),
            ..Reply::new(200)
        };
        let bytes = self
            .respond_in_call(now, dialog, invite, reply, headers)
            .ok_or(CommandError::UnknownDialog)?;
        let call = self.call_mut(dialog)?;
        call.phase = Phase::Established;
        call.provisional = None;
        call.local_sdp = Some(sdp.to_owned());
        call.timers.clear();
        call.await_ack(now, cseq, path, bytes);
        call.start_session(now, session);
        self.settle(dialog);
        Ok(())
    }

    /// Refuses an INVITE not yet answered; nothing follows for the dialog. A status below 300 is
    /// sent as 500: a refusal refuses.
    pub fn refuse(
        &mut self,
        now: Instant,
        dialog: DialogId,
        refusal: &Refusal,
    ) -> Result<(), CommandError> {
        let invite = self.incoming(dialog)?.invite;
        let status = match refusal.status {
            status @ 300..700 => status,
            _ => 500,
        };
        let reply = match refusal.reason.as_str() {
            "" => Reply::new(status),
            reason => Reply::with_reason(status, reason),
        };
        self.respond_in_call(now, dialog, invite, reply, &refusal.headers);
        self.remove_call(dialog);
        Ok(())
    }

    /// Hangs up an answered call (before its ACK: as soon as that is allowed, RFC 3261 §15), or
    /// refuses one not yet answered with 480; nothing follows for the dialog. `reason` is the value
    /// of the Reason header: `Q.850;cause=16`.
    pub fn bye(
        &mut self,
        now: Instant,
        dialog: DialogId,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        if self.incoming(dialog).is_ok() {
            return self.refuse(now, dialog, &Refusal::new(480, ""));
        }
        let call = self.established(dialog)?;
        if call.answer.is_some() {
            call.wanted_bye = Some(reason.map(str::to_owned));
            return Ok(());
        }
        self.send_bye(now, dialog, reason);
        Ok(())
    }

    /// Answers a re-INVITE or UPDATE with 200; without description only where it repeats what was
    /// agreed before.
    pub fn accept_reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: Option<&str>,
    ) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        let offer = call.offer.take().ok_or(CommandError::WrongState)?;
        call.timers.cancel(Timer::OfferWait);
        if let Some(sdp) = sdp {
            call.local_sdp = Some(sdp.to_owned());
        }
        let (session, sdp) = (call.session, call.local_sdp.clone());
        let reply = Reply {
            headers: session
                .map(SessionTimer::response_headers)
                .unwrap_or_default(),
            body: sdp.as_ref().map(|sdp| ("application/sdp", sdp.as_bytes())),
            ..Reply::new(200)
        };
        let server = self.transactions.server(offer.transaction);
        let (cseq, path) = server
            .map(|server| (server.request.cseq, server.path))
            .ok_or(CommandError::WrongState)?;
        let bytes = self
            .respond_in_call(now, dialog, offer.transaction, reply, &[])
            .ok_or(CommandError::WrongState)?;
        let call = self.call_mut(dialog)?;
        call.start_session(now, session);
        if offer.method == OfferMethod::Invite {
            call.await_ack(now, cseq, path, bytes);
        }
        self.settle(dialog);
        Ok(())
    }

    /// Refuses a re-INVITE or UPDATE; the call goes on as it was (RFC 3261 §14.2).
    pub fn refuse_reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        reason: &str,
    ) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        let offer = call.offer.take().ok_or(CommandError::WrongState)?;
        call.timers.cancel(Timer::OfferWait);
        let reply = match reason {
            "" => Reply::new(status),
            reason => Reply::with_reason(status, reason),
        };
        self.respond_in_call(now, dialog, offer.transaction, reply, &[]);
        self.settle(dialog);
        Ok(())
    }

    /// Sends a re-INVITE with a new offer; its answer comes as `Event::ReinviteAnswered`.
    pub fn reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: &str,
    ) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        if call.answer.is_some() || call.offer.is_some() || call.own_request.is_some() {
            return Err(CommandError::WrongState);
        }
        call.local_sdp = Some(sdp.to_owned());
        self.send_reinvite(now, dialog, Purpose::Reinvite, sdp);
        Ok(())
    }

    pub(super) fn reply_path(&self, invite: TransactionId) -> Result<ReplyPath, CommandError> {
        let server = self.transactions.server(invite);
        server
            .map(|server| server.path)
            .ok_or(CommandError::UnknownDialog)
    }

    pub(super) fn call_mut(&mut self, dialog: DialogId) -> Result<&mut Call, CommandError> {
        self.calls
            .get_mut(&dialog)
            .ok_or(CommandError::UnknownDialog)
    }

    pub(super) fn incoming(&mut self, dialog: DialogId) -> Result<&mut Call, CommandError> {
        match self.call_mut(dialog)? {
            call if call.phase == Phase::Incoming => Ok(call),
            call if call.phase == Phase::Ending => Err(CommandError::UnknownDialog),
            _ => Err(CommandError::WrongState),
        }
    }

    pub(super) fn established(&mut self, dialog: DialogId) -> Result<&mut Call, CommandError> {
        match self.call_mut(dialog)? {
            call if call.phase == Phase::Ending || call.wanted_bye.is_some() => {
                Err(CommandError::UnknownDialog)
            }
            call if call.phase == Phase::Established => Ok(call),
            _ => Err(CommandError::WrongState),
        }
    }
}
