//! How a call is refused.

use crate::call::end::Refusal;
use crate::run::call_task::CallContext;
use crate::run::directory::JoinRefusal;
use crate::run::sip_task::SipCommand;
use crate::sip::endpoint::{DialogId, Refusal as SipRefusal};
use crate::telemetry::sip_event::CallTurnedAway;

pub(super) async fn turn_away(
    context: &CallContext,
    dialog: DialogId,
    refusal: Refusal,
    report_headers: bool,
) {
    let (outcome, reason) = (refusal.outcome().label(), refusal.label());
    CallTurnedAway { outcome, reason }.emit(&context.metrics);
    let label = report_headers.then_some(reason);
    refuse(context, dialog, refusal, label).await;
}

pub(super) async fn refuse(
    context: &CallContext,
    dialog: DialogId,
    refusal: Refusal,
    label: Option<&'static str>,
) {
    let refusal = sip_refusal(refusal, label);
    context
        .sip
        .send(SipCommand::Refuse { dialog, refusal })
        .await;
}

pub(super) fn sip_refusal(refusal: Refusal, label: Option<&'static str>) -> SipRefusal {
    let sip = refusal.sip();
    let mut headers = Vec::new();
    if let Some(seconds) = sip.retry_after_s {
        headers.push(("Retry-After".to_owned(), seconds.to_string()));
    }
    if let Some(label) = label {
        headers.push(("X-Ringbridge-Error".to_owned(), label.to_owned()));
    }
    SipRefusal {
        status: sip.status,
        reason: sip.reason.to_owned(),
        headers,
    }
}

pub(super) fn refusal_of(refusal: JoinRefusal) -> Refusal {
    match refusal {
        JoinRefusal::MeetingFull => Refusal::MeetingFull,
        JoinRefusal::PresetForbidsPhone => Refusal::PresetForbidsPhone,
        JoinRefusal::UnusableOffer => Refusal::NotAudio,
        JoinRefusal::Overloaded | JoinRefusal::Busy { .. } => Refusal::Overloaded,
        JoinRefusal::Draining => Refusal::Draining,
        JoinRefusal::WorkerFailed => Refusal::Unavailable,
    }
}
