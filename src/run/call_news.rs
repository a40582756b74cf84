//! What webhooks hear of a call.

use serde_json::{Value, json};

use crate::call::record::CallRecord;
use crate::id::SessionId;
use crate::run::clock;
use crate::run::directory::MeetingInfo;
use crate::run::webhook::{CallFacts, Webhooks, call_event, ending};

/// One call's teller.
pub(super) struct CallNews {
    webhooks: Webhooks,
    facts: CallFacts,
    on_hold: bool,
    /// What it has joined.
    pub(super) meeting: Option<MeetingInfo>,
    session: Option<SessionId>,
}

impl CallNews {
    pub(super) fn new(webhooks: Webhooks, facts: CallFacts) -> Self {
        Self {
            webhooks,
            facts,
            on_hold: false,
            meeting: None,
            session: None,
        }
    }

    /// It has a seat: its first, or another by transfer.
    pub(super) fn joined(&mut self, meeting: Option<MeetingInfo>, session: SessionId) {
        self.meeting = meeting;
        if self.session.replace(session).is_some() {
            self.tell("call.transferred", json!({}));
        }
    }

    pub(super) fn ringing(&self) {
        self.tell("call.ringing", json!({}));
    }

    pub(super) fn answered(&self) {
        self.tell("call.answered", json!({}));
    }

    pub(super) fn dtmf(&self, digit: char) {
        self.tell("call.dtmf", json!({ "digit": digit }));
    }

    pub(super) fn held(&mut self, on_hold: bool) {
        if std::mem::replace(&mut self.on_hold, on_hold) == on_hold {
            return;
        }
        let event = if on_hold { "call.held" } else { "call.resumed" };
        self.tell(event, json!({}));
    }

    pub(super) fn ended(&self, record: &CallRecord) {
        let answered = record.answered_at_unix_ns.is_some();
        let event = if answered {
            "call.ended"
        } else {
            "call.missed"
        };
        self.tell(event, ending(record));
    }

    fn tell(&self, event: &'static str, more: Value) {
        let (facts, meeting) = (&self.facts, self.meeting.as_ref());
        self.webhooks.tell(facts.organization, event, || {
            call_event(event, clock::unix_ns(), facts, meeting, self.session, more)
        });
    }
}
