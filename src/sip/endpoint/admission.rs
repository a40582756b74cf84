//! Who may come in: trunks by their address, everyone else by digest; and REGISTER.

use std::time::{Duration, Instant};

use super::event::{Event, Registration};
use super::{ALLOW, Endpoint, SUPPORTED};
use crate::id::CredentialId;
use crate::sip::auth::{AuthFailure, CredentialSource, Question, Verdict};
use crate::sip::flow::Flow;
use crate::sip::header::NameAddr;
use crate::sip::message::Request;
use crate::sip::registrar::{Binding, Change, RegisterRefusal, reg_id_of};
use crate::sip::reply::Reply;
use crate::sip::uri::{Scheme, Uri};

/// RFC 5626, for REGISTER alone.
pub(super) const OUTBOUND: &str = "outbound";

/// How often a phone shall say that it is there, so that its NAT keeps the way open
/// (RFC 5626 §4.4: below 30 s on UDP, below two minutes on streams).
fn flow_timer(flow: Flow) -> Duration {
    match flow.transport.is_reliable() {
        true => Duration::from_secs(110),
        false => Duration::from_secs(25),
    }
}

/// Whether a REGISTER asks for RFC 5626: it knows it, and numbers its flows (§6).
fn is_outbound(request: &Request) -> bool {
    let numbers_flows = |value| {
        NameAddr::parse(value).is_ok_and(|contact| {
            reg_id_of(&contact).is_some() && contact.params.get("+sip.instance").is_some()
        })
    };
    let headers = &request.headers;
    let is_known = ["Supported", "Require"]
        .iter()
        .any(|name| headers.has_token(name, OUTBOUND));
    is_known && headers.all("Contact").any(numbers_flows)
}

/// Somebody whose credentials are right.
#[derive(Debug)]
pub(super) struct Admitted {
    pub credential: CredentialId,
    pub username: String,
}

impl Endpoint {
    /// Verifies a request's credentials; `None`: the request is answered with a challenge or 403.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        credentials: &dyn CredentialSource,
    ) -> Option<Admitted> {
        let algorithms = (self.config.algorithms)(&flow);
        let question = Question {
            method: request.method.as_str(),
            uri: &request.uri,
            headers: &request.headers,
            source: flow.remote.ip(),
            algorithms: &algorithms,
        };
        let failure = match self.auth.verify(now, question, credentials) {
            Verdict::Granted {
                credential,
                username,
            } => {
                return Some(Admitted {
                    credential,
                    username,
                });
            }
            Verdict::Missing => None,
            Verdict::Refused { failure, username } => {
                // A nonce that ran out is nobody's fault.
                if failure != AuthFailure::Stale {
                    self.emit(Event::AuthFailed {
                        source: flow.remote.ip(),
                        username,
                        failure,
                    });
                }
                Some(failure)
            }
        };
        if failure == Some(AuthFailure::LockedOut) {
            self.reply_stateless(flow, &request.headers, Reply::new(403));
            return None;
        }
        self.counters.challenges += 1;
        let mut reply = Reply::new(401);
        for challenge in self.auth.challenges(now, &algorithms, failure) {
            reply = reply.header("WWW-Authenticate", challenge);
        }
        self.reply_stateless(flow, &request.headers, reply);
        None
    }

    pub(super) fn handle_register(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        credentials: &dyn CredentialSource,
    ) {
        // RFC 4475 §3.3.6: an address-of-record is a SIP URI.
        let is_sip = Uri::parse(&request.to.uri)
            .is_ok_and(|uri| matches!(uri.scheme(), Scheme::Sip | Scheme::Sips));
        let is_readable = request
            .headers
            .all("Contact")
            .all(|contact| contact == "*" || crate::sip::header::NameAddr::parse(contact).is_ok());
        if !is_sip || !is_readable {
            let reason = match is_sip {
                true => "Malformed Contact",
                false => "Malformed To",
            };
            return self.reply_stateless(flow, &request.headers, Reply::with_reason(400, reason));
        }
        let Some(admitted) = self.authenticate(now, flow, &request, credentials) else {
            return;
        };
        let (credential, username) = (admitted.credential, admitted.username);
        let outcome = self
            .registrar
            .register(now, &request, flow, credential, &username);
        match outcome {
            Ok(changes) => {
                let mut reply = Reply::new(200);
                for contact in self.registrar.contacts(now, credential) {
                    reply = reply.header("Contact", contact);
                }
                let mut reply = reply
                    .header("Allow", ALLOW)
                    .header("Supported", format!("{SUPPORTED}, {OUTBOUND}"));
                if is_outbound(&request) {
                    reply = reply
                        .header("Require", OUTBOUND)
                        .header("Flow-Timer", flow_timer(flow).as_secs().to_string());
                }
                self.reply_in_transaction(now, flow, &request, reply);
                for change in changes {
                    self.emit_registration(change);
                }
            }
            Err(refusal) => {
                let reply = self.register_refusal(refusal);
                self.reply_in_transaction(now, flow, &request, reply);
            }
        }
    }

    /// Takes up a binding of an earlier run, before anything is received. A phone's own REGISTER
    /// replaces it.
    pub fn restore_registration(&mut self, now: Instant, kept: Registration) {
        let reg_id = NameAddr::parse(&kept.contact_value).ok();
        let binding = Binding {
            username: kept.username,
            uri: kept.contact,
            flow: kept.flow,
            user_agent: kept.user_agent,
            reg_id: reg_id.and_then(|contact| reg_id_of(&contact)),
            contact: kept.contact_value,
            instance: kept.instance,
            call_id: kept.call_id,
            cseq: kept.cseq,
            expires_at: now + kept.expires,
        };
        self.registrar.restore(kept.credential, binding);
    }

    fn register_refusal(&mut self, refusal: RegisterRefusal) -> Reply<'static> {
        match refusal {
            RegisterRefusal::Contact => Reply::with_reason(400, "Malformed Contact"),
            RegisterRefusal::OutOfOrder => Reply::with_reason(500, "CSeq Out Of Order"),
            RegisterRefusal::TooBrief => {
                let min = self.config.registration_expires.min.as_secs();
                Reply::new(423).header("Min-Expires", min.to_string())
            }
            RegisterRefusal::Full => {
                self.counters.overloads += 1;
                let retry_after = self.config.retry_after.as_secs();
                Reply::new(503).header("Retry-After", retry_after.to_string())
            }
        }
    }

    pub(super) fn emit_registration(&mut self, change: Change) {
        let Change {
            credential,
            binding,
            expires,
        } = change;
        let registration = Registration {
            credential,
            username: binding.username,
            contact: binding.uri,
            flow: binding.flow,
            expires: expires.unwrap_or_default(),
            user_agent: binding.user_agent,
            contact_value: binding.contact,
            instance: binding.instance,
            call_id: binding.call_id,
            cseq: binding.cseq,
        };
        self.emit(match expires {
            Some(_) => Event::Registered(registration),
            None => Event::Unregistered(registration),
        });
    }
}
