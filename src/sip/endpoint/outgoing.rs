//! Our own requests in a dialog, and the responses to them.

use std::time::Instant;

use bytes::Bytes;

use super::call::{OwnAck, Phase};
use super::event::{DialogId, Event, TerminationCause};
use super::table::{ClientEntry, Owner, Purpose, TransactionId};
use super::{ALLOW, Endpoint, SUPPORTED};
use crate::sip::dialog::{Outgoing, seconds};
use crate::sip::flow::Flow;
use crate::sip::message::Response;
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::Timer;
use crate::sip::transaction::Action;
use crate::sip::transaction::client::{Client, Heard, Kind};

impl Endpoint {
    /// Hangs up: the call is `Ending` from here on.
    pub(super) fn send_bye(&mut self, now: Instant, id: DialogId, reason: Option<&str>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.phase = Phase::Ending;
        call.timers.clear();
        call.answer = None;
        let offer = call.offer.take();
        let headers: Vec<_> = reason
            .map(|reason| ("Reason", reason.to_owned()))
            .into_iter()
            .collect();
        if let Some(offer) = offer {
            let reply = crate::sip::reply::Reply::new(487);
            self.respond_in_call(now, id, offer.transaction, reply, &[]);
        }
        self.send_request(now, id, Purpose::Bye, "BYE", &headers, None);
        self.settle(id);
    }

    /// Sends a re-INVITE with this description.
    pub(super) fn send_reinvite(
        &mut self,
        now: Instant,
        id: DialogId,
        purpose: Purpose,
        sdp: &str,
    ) {
        let headers = self.target_refresh_headers(id);
        let body = Some(("application/sdp", sdp));
        self.send_request(now, id, purpose, "INVITE", &headers, body);
    }

    /// Refreshes the session (RFC 4028 §7.4): by UPDATE where the peer allows it.
    pub(super) fn refresh_session(&mut self, now: Instant, id: DialogId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let is_busy = call.own_request.is_some() || call.offer.is_some() || call.answer.is_some();
        if is_busy || call.phase != Phase::Established {
            // Whatever is under way may refresh it too.
            call.timers
                .set(Timer::SessionRefresh, now + crate::sip::timer::T2);
            return;
        }
        let (allows_update, sdp) = (call.peer_allows_update, call.local_sdp.clone());
        match sdp {
            Some(sdp) if !allows_update => self.send_reinvite(now, id, Purpose::Refresh, &sdp),
            _ => {
                let headers = self.target_refresh_headers(id);
                self.send_request(now, id, Purpose::Refresh, "UPDATE", &headers, None);
            }
        }
    }

    fn target_refresh_headers(&self, id: DialogId) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("Allow", ALLOW.to_owned()),
            ("Supported", SUPPORTED.to_owned()),
        ];
        let Some(call) = self.calls.get(&id) else {
            return headers;
        };
        headers.push(("Contact", call.contact.clone()));
        if let Some(session) = call.session {
            headers.push(("Session-Expires", session.request_value()));
            let min = self.config.min_session_expires.as_secs();
            headers.push(("Min-SE", min.to_string()));
        }
        headers
    }

    pub(super) fn send_request(
        &mut self,
        now: Instant,
        id: DialogId,
        purpose: Purpose,
        method: &'static str,
        headers: &[(&'static str, String)],
        body: Option<(&str, &str)>,
    ) {
        let via = self.new_via(id);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let cseq = call.dialog.next_cseq();
        let mut headers = headers.to_vec();
        headers.push(("User-Agent", self.config.product.clone()));
        let bytes = Bytes::from(call.dialog.request(Outgoing {
            method,
            cseq,
            via: &via.value,
            headers: &headers,
            body,
        }));
        let is_invite = method == "INVITE";
        let kind = match is_invite {
            true => Kind::Invite,
            false => Kind::NonInvite,
        };
        let is_reliable = call.flow.transport.is_reliable();
        let client = self.transactions.insert_client(ClientEntry {
            key: (via.branch, method.to_owned()),
            machine: Client::new(now, kind, is_reliable, bytes),
            dialog: id,
            purpose,
            is_invite,
            cseq,
            via: via.value,
        });
        if matches!(purpose, Purpose::Reinvite | Purpose::Refresh)
            && let Some(call) = self.calls.get_mut(&id)
        {
            call.own_request = Some(client);
        }
        self.drain_client(now, client);
    }

    fn new_via(&mut self, id: DialogId) -> NewVia {
        let branch = format!("z9hG4bK{}", self.tokens.next());
        let Some(call) = self.calls.get(&id) else {
            return NewVia {
                value: String::new(),
                branch,
            };
        };
        let (host, port) = (self.config.advertise)(&call.flow);
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host,
        };
        let transport = call.flow.transport.via_token();
        NewVia {
            value: format!("SIP/2.0/{transport} {host}:{port};branch={branch};rport"),
            branch,
        }
    }

    /// Does what a client transaction wants, and notes its next deadline.
    pub(super) fn drain_client(&mut self, now: Instant, id: TransactionId) {
        let (mut is_done, mut timed_out) = (false, false);
        loop {
            let Some(client) = self.transactions.client_mut(id) else {
                return;
            };
            let dialog = client.dialog;
            match client.machine.poll_action() {
                Some(Action::Send(bytes)) => self.send_in_dialog(dialog, bytes),
                Some(Action::TimedOut) => timed_out = true,
                Some(Action::Terminated) => is_done = true,
                None => break,
            }
        }
        let Some(client) = self.transactions.client(id) else {
            return;
        };
        let (dialog, purpose, next) =
            (client.dialog, client.purpose, client.machine.next_timeout());
        if is_done {
            self.transactions.remove_client(id);
            self.deadlines.set(Owner::Client(id), None);
        } else {
            self.deadlines.set(Owner::Client(id), next);
        }
        if timed_out {
            self.handle_final(now, dialog, purpose, 408, None);
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, flow: Flow, response: Response) {
        let Some(branch) = response.via.branch() else {
            return;
        };
        let key = (branch.to_owned(), response.cseq.method.clone());
        let Some(id) = self.transactions.find_client(&key) else {
            return;
        };
        let Some(client) = self.transactions.client_mut(id) else {
            return;
        };
        let (dialog, purpose, cseq) = (client.dialog, client.purpose, client.cseq);
        if response.cseq.number != cseq {
            return;
        }
        let call = self.calls.get(&dialog);
        let via = client.via.clone();
        let heard = client.machine.handle_response(now, response.status, || {
            let ack = call.map(|call| call.dialog.ack_refusal(cseq, &via, &response));
            Bytes::from(ack.unwrap_or_default())
        });
        let is_invite = client.is_invite;
        let is_gone = call.is_some_and(|call| self.is_gone(&call.flow));
        if let Some(call) = self.calls.get_mut(&dialog) {
            if is_gone && call.flow.transport == flow.transport {
                // The connection that was opened to the Route: our branch came back on it.
                call.flow = flow;
            }
            call.follow(flow);
        }
        self.drain_client(now, id);
        match heard {
            Heard::Final => {
                if is_invite && response.status < 300 {
                    self.acknowledge(dialog, cseq, &response);
                }
                self.handle_final(now, dialog, purpose, response.status, Some(&response));
            }
            Heard::AcceptedAgain => {
                let ack = self
                    .calls
                    .get(&dialog)
                    .and_then(|call| call.own_ack.as_ref());
                let ack = ack
                    .filter(|ack| ack.cseq == cseq)
                    .map(|ack| ack.bytes.clone());
                if let Some(ack) = ack {
                    self.send_in_dialog(dialog, ack);
                }
            }
            Heard::Provisional | Heard::Absorbed => {}
        }
    }

    /// ACK of a 2xx to our re-INVITE (RFC 3261 §13.2.2.4).
    fn acknowledge(&mut self, id: DialogId, cseq: u32, response: &Response) {
        let via = self.new_via(id);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        // A Contact we cannot read leaves the target as it was.
        let _ = call.dialog.refresh_target(&response.headers);
        let bytes = Bytes::from(call.dialog.request(Outgoing {
            method: "ACK",
            cseq,
            via: &via.value,
            headers: &[],
            body: None,
        }));
        call.own_ack = Some(OwnAck {
            cseq,
            bytes: bytes.clone(),
        });
        self.send_in_dialog(id, bytes);
    }

    /// A request of ours has its final answer, or none in time.
    fn handle_final(
        &mut self,
        now: Instant,
        id: DialogId,
        purpose: Purpose,
        status: u16,
        response: Option<&Response>,
    ) {
        if purpose == Purpose::Bye {
            // Whatever it says, a challenge too: we have no credentials for anyone, and the call is
            // over.
            return self.remove_call(id);
        }
        if purpose == Purpose::Notify {
            return self.handle_notified(now, id);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.own_request = None;
        if call.phase != Phase::Established {
            return;
        }
        if matches!(status, 408 | 481) {
            let event = Event::Terminated {
                dialog: id,
                cause: TerminationCause::PeerLost,
            };
            return self.end(now, id, None, event);
        }
        match status {
            200..300 => {
                let agreed = response.and_then(|r| SessionTimer::from_response(&r.headers));
                let session = agreed.or(call.session.filter(|_| purpose == Purpose::Refresh));
                call.start_session(now, session);
            }
            _ if purpose == Purpose::Refresh => {
                let min = response
                    .and_then(|r| r.headers.get("Min-SE"))
                    .and_then(seconds);
                if let (422, Some(min), Some(session)) = (status, min, call.session.as_mut()) {
                    let min = std::time::Duration::from_secs(min.into());
                    session.interval = session.interval.max(min);
                }
                if matches!(status, 405 | 501) {
                    call.peer_allows_update = false;
                }
                // Tried again until the session runs out.
                call.timers
                    .set(Timer::SessionRefresh, now + crate::sip::timer::T2);
            }
            _ => {}
        }
        self.settle(id);
        if purpose == Purpose::Reinvite {
            self.emit(Event::ReinviteAnswered {
                dialog: id,
                status,
                body: response
                    .map(|r| r.body.clone())
                    .filter(|body| !body.is_empty()),
            });
        }
    }
}

struct NewVia {
    value: String,
    branch: String,
}
