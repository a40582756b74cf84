//! How a refusal of ours, or of a meeting, is told to the phone.

use crate::call::end::Refusal;
use crate::run::directory::JoinRefusal;
use crate::sip::endpoint::Refusal as SipRefusal;

/// As the SIP endpoint sends it; `label` is for customers who asked for it.
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

/// As the call understands it.
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
