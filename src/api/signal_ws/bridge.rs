//! Messages between a browser and its seat until either ends.

use std::time::{Duration, Instant};

use axum::extract::ws::close_code;

use super::wire::{Broken, Heard, Wire};
use crate::api::state::ApiState;
use crate::id::MeetingId;
use crate::limits::{
    SIGNAL_MESSAGES_BURST_MAX, SIGNAL_MESSAGES_PER_SECOND, SIGNAL_PING_INTERVAL, SIGNAL_SILENCE_MAX,
};
use crate::meeting::signal::{ClientMessage, DialIn, ServerMessage};
use crate::run::clock;
use crate::run::directory::{BrowserSeat, SeatGone};
use crate::store::routing_rule::RuleDocument;

/// The session's goodbye to who has said `leave` comes at once, or not at all.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);

/// What to do after a message was handled.
enum Next {
    GoOn,
    /// The browser said `leave`: only the goodbye is still due.
    Farewell,
    /// Close, having said why.
    Refuse {
        code: &'static str,
        message: &'static str,
        close_code: u16,
    },
    Stop,
}

/// Bridges until the browser leaves, is removed, misbehaves or vanishes. Dropping the seat leaves
/// the session.
pub(super) async fn run(state: &ApiState, mut wire: Wire, mut seat: BrowserSeat) {
    let mut allowance = Allowance::new(clock::now());
    let mut heard_at = clock::now();
    let mut pings = tokio::time::interval(SIGNAL_PING_INTERVAL);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            outgoing = seat.outgoing.recv() => match outgoing {
                Some(message) => pass_on(state, &mut wire, message).await,
                // The session has ended the seat and said so before, if it could.
                None => {
                    wire.close(close_code::NORMAL, "ended").await;
                    Next::Stop
                }
            },
            heard = wire.hear() => {
                heard_at = clock::now();
                handle(&mut wire, &seat, &mut allowance, heard, heard_at).await
            }
            _ = pings.tick() => check(&mut wire, heard_at).await,
        };
        match next {
            Next::GoOn => {}
            Next::Farewell => {
                let goodbye = farewell(&mut wire, &mut seat);
                let _in_time = tokio::time::timeout(FAREWELL_TIME_MAX, goodbye).await;
                wire.close(close_code::NORMAL, "left").await;
                return;
            }
            Next::Refuse {
                code,
                message,
                close_code,
            } => {
                // Out of the meeting at once, before the browser has taken note.
                drop(seat);
                wire.refuse(code, message, close_code).await;
                return;
            }
            Next::Stop => return,
        }
    }
}

/// Writes what the session says; to `joined` it adds what the session does not know: what a phone
/// dials.
async fn pass_on(state: &ApiState, wire: &mut Wire, mut message: ServerMessage) -> Next {
    if let ServerMessage::Joined {
        meeting_id,
        sip_uri,
        dial_in,
        ..
    } = &mut message
    {
        *sip_uri = Some(state.urls().sip_uri(*meeting_id));
        *dial_in = numbers_of(state, *meeting_id);
    }
    match wire.say(&message).await {
        Ok(()) => Next::GoOn,
        Err(Broken) => Next::Stop,
    }
}

/// The numbers that lead to a meeting, by its organisation's routing rules.
fn numbers_of(state: &ApiState, meeting: MeetingId) -> Vec<DialIn> {
    let rules = state.store().trunk_book().dial_in(meeting);
    let number = |rule: &RuleDocument| {
        Some(DialIn {
            number: rule.number.clone()?,
            pin: rule.pin.clone(),
        })
    };
    rules
        .iter()
        .filter_map(|rule| number(&rule.document))
        .collect()
}

async fn handle(
    wire: &mut Wire,
    seat: &BrowserSeat,
    allowance: &mut Allowance,
    heard: Heard,
    now: Instant,
) -> Next {
    match heard {
        Heard::Gone => return Next::Stop,
        Heard::TooLarge => {
            return Next::Refuse {
                code: "message_too_large",
                message: "the message is too large",
                close_code: close_code::SIZE,
            };
        }
        Heard::Alive | Heard::Malformed(_) | Heard::Message(_) => {}
    }
    if !allowance.take(now) {
        return Next::Refuse {
            code: "too_many_messages",
            message: "too many messages in too short a time",
            close_code: close_code::POLICY,
        };
    }
    let answered = match heard {
        Heard::Message(ClientMessage::Ping) => wire.say(&ServerMessage::Pong).await,
        Heard::Message(ClientMessage::Join { .. }) => {
            let message = "this connection has joined already";
            wire.complain("already_joined", message).await
        }
        Heard::Message(message) => {
            let leaving = matches!(message, ClientMessage::Leave);
            return match seat.send(message) {
                Ok(()) if leaving => Next::Farewell,
                Ok(()) => Next::GoOn,
                // If the session ended the seat, its goodbye is in `outgoing`, which ends then.
                Err(SeatGone) if seat.outgoing.is_closed() => Next::GoOn,
                Err(SeatGone) => Next::Refuse {
                    code: "overloaded",
                    message: "the session does not take more messages now",
                    close_code: close_code::AGAIN,
                },
            };
        }
        Heard::Malformed(why) => wire.complain("malformed_message", &why).await,
        Heard::Alive | Heard::TooLarge | Heard::Gone => Ok(()),
    };
    match answered {
        Ok(()) => Next::GoOn,
        Err(Broken) => Next::Stop,
    }
}

async fn check(wire: &mut Wire, heard_at: Instant) -> Next {
    if clock::now().saturating_duration_since(heard_at) > SIGNAL_SILENCE_MAX {
        return Next::Stop;
    }
    match wire.ping().await {
        Ok(()) => Next::GoOn,
        Err(Broken) => Next::Stop,
    }
}

/// Passes on what the session still says until its goodbye.
async fn farewell(wire: &mut Wire, seat: &mut BrowserSeat) {
    while let Some(message) = seat.outgoing.recv().await {
        let last = matches!(message, ServerMessage::Bye { .. });
        if wire.say(&message).await.is_err() || last {
            return;
        }
    }
}

/// How much a browser may still say: a token bucket.
struct Allowance {
    messages: f64,
    refilled_at: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self {
            messages: f64::from(SIGNAL_MESSAGES_BURST_MAX),
            refilled_at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled_at);
        self.refilled_at = now;
        let refill = passed.as_secs_f64() * f64::from(SIGNAL_MESSAGES_PER_SECOND);
        self.messages = (self.messages + refill).min(f64::from(SIGNAL_MESSAGES_BURST_MAX));
        if self.messages < 1.0 {
            return false;
        }
        self.messages -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_a_flood_is_not_and_time_restores_it() {
        let start = clock::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..SIGNAL_MESSAGES_BURST_MAX {
            assert!(allowance.take(start));
        }
        assert!(!allowance.take(start));
        let later = start + Duration::from_secs(1);
        for _ in 0..SIGNAL_MESSAGES_PER_SECOND {
            assert!(allowance.take(later));
        }
        assert!(!allowance.take(later));
    }
}
