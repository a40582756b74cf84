//! REFER within a call (RFC 3515): its owner is asked, and what became of it is told by NOTIFY.

use std::time::Instant;

use super::Endpoint;
use super::call::{Call, Phase};
use super::event::{CommandError, DialogId, Event};
use super::table::{Purpose, TransactionId};
use crate::sip::auth::CredentialSource;
use crate::sip::flow::Flow;
use crate::sip::header::NameAddr;
use crate::sip::headers::Headers;
use crate::sip::message::Request;
use crate::sip::reply::{Reply, reason_phrase};
use crate::sip::timer::{OFFER_WAIT, Timer};
use crate::sip::uri::{Scheme, Uri};

/// How far a REFER is.
#[derive(Debug)]
pub(super) enum Refer {
    /// Its owner has not answered.
    Asked {
        transaction: TransactionId,
        /// Whether the phone wants to be told (RFC 4488: `Refer-Sub: false` says no).
        is_subscribed: bool,
    },
    /// 202 is sent; what is next to be told when the NOTIFY under way is answered.
    Accepted {
        is_subscribed: bool,
        is_telling: bool,
        outcome: Option<u16>,
    },
}

/// Seconds that the subscription may last: a move takes milliseconds.
const SUBSCRIPTION: &str = "active;expires=60";

impl Endpoint {
    pub(super) fn handle_refer(
        &mut self,
        now: Instant,
        id: DialogId,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        if let Some(call) = self.calls.get(&id)
            && call.refer.is_some()
        {
            return self.reply_plainly(now, flow, &request, 491);
        }
        // Who moves a call decides who hears it, as who moves its media does.
        if !self.is_known_peer(now, id, flow, &request, credentials) {
            return;
        }
        let target = match self.calls.get(&id).map(|call| call.phase) {
            Some(Phase::Established) => read_target(&request.headers),
            _ => Err(603),
        };
        let target = match target {
            Ok(target) => target,
            Err(status) => {
                self.reply_plainly(now, flow, &request, status);
                return self.emit(Event::ReferRefused { dialog: id });
            }
        };
        let refer_sub = request.headers.get("Refer-Sub").map(str::trim);
        let is_subscribed = !refer_sub.is_some_and(|value| {
            let (value, _params) = value.split_once(';').unwrap_or((value, ""));
            value.trim().eq_ignore_ascii_case("false")
        });
        match self.open_server(flow, request, Some(id)) {
            Ok(transaction) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.refer = Some(Refer::Asked {
                        transaction,
                        is_subscribed,
                    });
                    call.timers.set(Timer::ReferWait, now + OFFER_WAIT);
                }
                self.settle(id);
                self.emit(Event::Refer { dialog: id, target });
            }
            Err(request) => self.reply_overloaded(flow, &request.headers),
        }
    }

    /// Takes the REFER: 202, and NOTIFY that it is being tried.
    pub fn accept_refer(&mut self, now: Instant, dialog: DialogId) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        let (transaction, is_subscribed) = call.take_asked()?;
        call.refer = Some(Refer::Accepted {
            is_subscribed,
            is_telling: false,
            outcome: None,
        });
        let mut reply = Reply::new(202);
        if !is_subscribed {
            reply = reply.header("Refer-Sub", "false");
        }
        self.respond_in_call(now, dialog, transaction, reply, &[]);
        if is_subscribed {
            self.tell(now, dialog, 100, SUBSCRIPTION);
        }
        self.settle(dialog);
        Ok(())
    }

    /// Refuses the REFER; the call goes on as it was.
    pub fn refuse_refer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        reason: &str,
    ) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        let (transaction, _) = call.take_asked()?;
        let reply = match reason {
            "" => Reply::new(status),
            reason => Reply::with_reason(status, reason),
        };
        self.respond_in_call(now, dialog, transaction, reply, &[]);
        self.settle(dialog);
        Ok(())
    }

    /// Says what became of an accepted REFER: 200 when the call has moved, else why it has not.
    pub fn finish_refer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
    ) -> Result<(), CommandError> {
        let call = self.established(dialog)?;
        let Some(Refer::Accepted {
            is_subscribed,
            is_telling,
            outcome,
        }) = &mut call.refer
        else {
            return Err(CommandError::WrongState);
        };
        if *is_telling {
            *outcome = Some(status);
            return Ok(());
        }
        let is_subscribed = *is_subscribed;
        call.refer = None;
        if is_subscribed {
            self.tell(now, dialog, status, "terminated;reason=noresource");
        }
        Ok(())
    }

    /// A NOTIFY has its final answer, whatever it is: the phone's own affair.
    pub(super) fn handle_notified(&mut self, now: Instant, id: DialogId) {
        let call = self.calls.get_mut(&id);
        let Some(Refer::Accepted {
            is_telling,
            outcome,
            ..
        }) = call.and_then(|call| call.refer.as_mut())
        else {
            return;
        };
        *is_telling = false;
        if let Some(status) = *outcome {
            // The dialog can only be ending, and then nobody wants to know.
            let _ = self.finish_refer(now, id, status);
        }
    }

    /// The owner did not answer in time.
    pub(super) fn give_up_refer(&mut self, now: Instant, id: DialogId) {
        let taken = self.calls.get_mut(&id).map(Call::take_asked);
        if let Some(Ok((transaction, _))) = taken {
            self.respond_in_call(now, id, transaction, Reply::new(603), &[]);
        }
    }

    /// One NOTIFY with a status line (RFC 3420).
    fn tell(&mut self, now: Instant, id: DialogId, status: u16, state: &str) {
        if let Some(Refer::Accepted { is_telling, .. }) =
            self.calls.get_mut(&id).and_then(|call| call.refer.as_mut())
        {
            *is_telling = true;
        }
        let mut headers = vec![
            ("Event", "refer".to_owned()),
            ("Subscription-State", state.to_owned()),
        ];
        if let Some(call) = self.calls.get(&id) {
            headers.push(("Contact", call.contact.clone()));
        }
        let fragment = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        let body = ("message/sipfrag;version=2.0", fragment.as_str());
        self.send_request(now, id, Purpose::Notify, "NOTIFY", &headers, Some(body));
    }
}

impl Call {
    fn take_asked(&mut self) -> Result<(TransactionId, bool), CommandError> {
        match self.refer.take() {
            Some(Refer::Asked {
                transaction,
                is_subscribed,
            }) => {
                self.timers.cancel(Timer::ReferWait);
                Ok((transaction, is_subscribed))
            }
            other => {
                self.refer = other;
                Err(CommandError::WrongState)
            }
        }
    }
}

/// Whom a REFER names, or the status that refuses it.
fn read_target(headers: &Headers) -> Result<Uri, u16> {
    let mut values = headers.all("Refer-To");
    let value = values.next().ok_or(400u16)?;
    if values.next().is_some() {
        return Err(400);
    }
    let target = NameAddr::parse(value).map_err(|_| 400u16)?;
    let uri = Uri::parse(&target.uri).map_err(|_| 400u16)?;
    let is_invite = uri
        .params()
        .get("method")
        .is_none_or(|method| method.eq_ignore_ascii_case("INVITE"));
    let is_sip = matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel);
    // Headers in it are a Replaces: an attended transfer joins two calls, and we have but one.
    match is_invite && is_sip && !uri.has_headers() {
        true => Ok(uri),
        false => Err(603),
    }
}
