//! A call's facts while it lasts, shared by its task, the SIP task and the API; and the tap on SIP
//! that adds what passes between phone and us: first lines only, so that no secret gets in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::call::trace::{CallTrace, Direction, Timeline};
use crate::meeting::leg::LegEvent;
use crate::run::clock;

/// One call's facts; clones share them.
#[derive(Debug, Clone)]
pub struct SharedTrace(Arc<Mutex<CallTrace>>);

impl SharedTrace {
    /// Empty, for a call that begins `now`.
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(CallTrace::new(now))))
    }

    /// Adds something that happened within us.
    pub fn note(&self, text: impl Into<Cow<'static, str>>) {
        lock(&self.0).note(clock::now(), Direction::Inside, text);
    }

    /// Adds what the leg saw.
    pub fn note_leg(&self, event: &LegEvent) {
        self.note(match event {
            // Which one is nobody's business: it may be a PIN.
            LegEvent::Dtmf(_) => "a key was pressed",
            LegEvent::MediaStarted => "first RTP packet",
            LegEvent::MediaLost => "no RTP for too long",
            LegEvent::Removed(_) => "taken out of the session",
        });
    }

    /// Adds that an offer was settled.
    pub fn note_media(&self, on_hold: bool) {
        self.note(match on_hold {
            true => "media renegotiated, on hold",
            false => "media renegotiated",
        });
    }

    /// What is kept so far.
    pub fn timeline(&self) -> Timeline {
        lock(&self.0).timeline()
    }
}

fn lock(trace: &Mutex<CallTrace>) -> MutexGuard<'_, CallTrace> {
    // A fact is added whole or not at all.
    trace.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Length beyond which the table is looked through for calls that have ended.
const SWEEP_FIRST: usize = 64;

/// Which call's facts a SIP message belongs to, by its Call-ID.
#[derive(Debug, Default)]
pub(super) struct CallTap {
    traces: HashMap<String, Weak<Mutex<CallTrace>>>,
    sweep_at: usize,
}

impl CallTap {
    /// A call begins with an INVITE that has been let in and answered 100.
    pub fn begin(&mut self, now: Instant, call_id: &str) -> SharedTrace {
        if self.traces.len() >= self.sweep_at.max(SWEEP_FIRST) {
            self.traces.retain(|_, trace| trace.strong_count() > 0);
            self.sweep_at = self.traces.len() * 2;
        }
        let trace = SharedTrace::new(now);
        {
            let mut facts = lock(&trace.0);
            facts.note(now, Direction::Ingress, "INVITE");
            facts.note(now, Direction::Egress, "100 Trying");
        }
        self.traces
            .insert(call_id.to_owned(), Arc::downgrade(&trace.0));
        trace
    }

    /// A message passed.
    pub fn saw(&self, now: Instant, direction: Direction, bytes: &[u8]) {
        if self.traces.is_empty() {
            return;
        }
        let trace = header(bytes, "Call-ID", "i")
            .and_then(|id| self.traces.get(id))
            .and_then(Weak::upgrade);
        if let (Some(trace), Some(text)) = (trace, in_words(bytes)) {
            lock(&trace).note(now, direction, text);
        }
    }
}

/// `BYE`, or `200 OK (BYE)`: neither URIs nor headers, which name people.
fn in_words(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let Some(status) = line.strip_prefix("SIP/2.0 ") else {
        return line.split(' ').next().map(str::to_owned);
    };
    let method = header(bytes, "CSeq", "")
        .and_then(|cseq| cseq.split_whitespace().nth(1))
        .unwrap_or_default();
    Some(format!("{status} ({method})"))
}

/// The first header of this name in a raw head.
fn header<'a>(bytes: &'a [u8], name: &str, compact: &str) -> Option<&'a str> {
    for line in bytes.split(|&byte| byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let found = line[..colon].trim_ascii();
        let is_compact = !compact.is_empty() && found.eq_ignore_ascii_case(compact.as_bytes());
        if is_compact || found.eq_ignore_ascii_case(name.as_bytes()) {
            return std::str::from_utf8(line[colon + 1..].trim_ascii()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYE: &[u8] = b"BYE sip:+14155550100@192.0.2.1 SIP/2.0\r\nVia: x\r\n\
        Authorization: Digest response=\"secret\"\r\ni: call-1\r\nCSeq: 3 BYE\r\n\r\n";
    const OK: &[u8] = b"SIP/2.0 200 OK\r\nCall-ID : call-1\r\nCSeq: 3 BYE\r\n\r\nCall-ID: no";

    #[test]
    fn a_message_becomes_a_fact_of_its_call_without_numbers_or_secrets() {
        let now = clock::now();
        let mut tap = CallTap::default();
        let trace = tap.begin(now, "call-1");
        tap.begin(now, "call-2");
        tap.saw(now, Direction::Ingress, BYE);
        tap.saw(now, Direction::Egress, OK);
        let texts: Vec<String> = trace
            .timeline()
            .facts
            .into_iter()
            .map(|fact| fact.text)
            .collect();
        assert_eq!(texts, ["INVITE", "100 Trying", "BYE", "200 OK (BYE)"]);
    }

    #[test]
    fn calls_that_have_ended_are_forgotten() {
        let now = clock::now();
        let mut tap = CallTap::default();
        let _kept = tap.begin(now, "kept");
        for n in 0..10_000 {
            tap.begin(now, &n.to_string());
        }
        assert!(tap.traces.len() <= 2 * SWEEP_FIRST, "{}", tap.traces.len());
        assert!(tap.traces.contains_key("kept"));
    }
}
