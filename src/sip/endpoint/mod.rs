//! The SIP endpoint: the only public door of this module.
//!
//! Feed it datagrams, closed flows and time; command it by dialog; drain it with
//! [`Endpoint::poll_output`] until `None` after each.

mod config;
mod event;

use std::collections::VecDeque;
use std::time::Instant;

pub use config::{Advertise, AlgorithmTable, EndpointConfig, RegistrationExpires, TrunkTable};
pub use event::{
    CallerIdentity, CommandError, DialogId, Event, Info, Invite, OfferMethod, Output, Refusal,
    Registration, TerminationCause,
};

use crate::sip::auth::CredentialSource;
use crate::sip::flow::{Flow, FlowId};

/// Transactions, dialogs, digest and registrations of all SIP listeners.
#[derive(Debug)]
pub struct Endpoint {
    #[expect(dead_code)]
    config: EndpointConfig,
    outputs: VecDeque<Output>,
    available: bool,
}

impl Endpoint {
    /// A new endpoint. `secret` keys nonces and tags and must be new at each start; `rng_seed`
    /// makes tags and branches differ between starts.
    pub fn new(config: EndpointConfig, secret: [u8; 32], rng_seed: u64) -> Self {
        let _ = (secret, rng_seed);
        Self {
            config,
            outputs: VecDeque::new(),
            available: true,
        }
    }

    /// Takes one whole SIP message: a UDP datagram, or what `framing` cut from a stream.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: &[u8],
        credentials: &dyn CredentialSource,
    ) {
        let _ = (now, flow, bytes, credentials);
    }

    /// A stream connection has closed.
    pub fn handle_flow_closed(&mut self, now: Instant, flow: FlowId) {
        let _ = (now, flow);
    }

    /// Time has passed; call it at [`Endpoint::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The earliest deadline.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether new calls are taken; if not, OPTIONS and new INVITEs get 503 with Retry-After.
    pub fn set_available(&mut self, available: bool) {
        self.available = available;
    }

    /// Sends 180.
    pub fn ring(&mut self, now: Instant, dialog: DialogId) -> Result<(), CommandError> {
        let _ = (now, dialog);
        Err(CommandError::UnknownDialog)
    }

    /// Sends 183 with a session description: early media.
    pub fn progress(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: &str,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, sdp);
        Err(CommandError::UnknownDialog)
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
        let _ = (now, dialog, sdp, headers);
        Err(CommandError::UnknownDialog)
    }

    /// Refuses an INVITE not yet answered; nothing follows for the dialog.
    pub fn refuse(
        &mut self,
        now: Instant,
        dialog: DialogId,
        refusal: &Refusal,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, refusal);
        Err(CommandError::UnknownDialog)
    }

    /// Hangs up an answered call (before its ACK: as soon as that is allowed); nothing follows for
    /// the dialog. `reason` is the value of the Reason header: `Q.850;cause=16`.
    pub fn bye(
        &mut self,
        now: Instant,
        dialog: DialogId,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, reason);
        Err(CommandError::UnknownDialog)
    }

    /// Answers a re-INVITE or UPDATE with 200; without description only where the request had
    /// none.
    pub fn accept_reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: Option<&str>,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, sdp);
        Err(CommandError::UnknownDialog)
    }

    /// Refuses a re-INVITE or UPDATE; the call goes on as it was (RFC 3261 §14.2).
    pub fn refuse_reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        reason: &str,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, status, reason);
        Err(CommandError::UnknownDialog)
    }

    /// Sends a re-INVITE with a new offer; its answer comes as [`Event::ReinviteAnswered`].
    pub fn reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        sdp: &str,
    ) -> Result<(), CommandError> {
        let _ = (now, dialog, sdp);
        Err(CommandError::UnknownDialog)
    }
}
