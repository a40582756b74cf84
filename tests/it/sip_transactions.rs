//! One test for each arrow of RFC 3261 figures 5 to 8, as RFC 6026 changed them, on unreliable and
//! reliable transports.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ringbridge::sip::transaction::Action;
use ringbridge::sip::transaction::client::{self, Client, Heard, Kind};
use ringbridge::sip::transaction::invite_server::{self, InviteServer};
use ringbridge::sip::transaction::non_invite_server::{self, NonInviteServer};

const UNRELIABLE: bool = false;
const RELIABLE: bool = true;

fn message(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn send(text: &'static str) -> Action {
    Action::Send(message(text))
}

/// A machine with a clock: what the four have in common.
trait Machine {
    fn next_timeout(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant);
    fn poll_action(&mut self) -> Option<Action>;
}

macro_rules! machine {
    ($($machine:ty)*) => {$(
        impl Machine for $machine {
            fn next_timeout(&self) -> Option<Instant> {
                <$machine>::next_timeout(self)
            }
            fn handle_timeout(&mut self, now: Instant) {
                <$machine>::handle_timeout(self, now)
            }
            fn poll_action(&mut self) -> Option<Action> {
                <$machine>::poll_action(self)
            }
        }
    )*};
}

machine!(InviteServer NonInviteServer Client);

fn drain(machine: &mut impl Machine) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}

/// Runs the machine until `seconds` after `start`: when (ms) it did what.
fn run(machine: &mut impl Machine, start: Instant, seconds: u64) -> Vec<(u128, Action)> {
    let end = start + Duration::from_secs(seconds);
    let mut done = Vec::new();
    while let Some(at) = machine.next_timeout().filter(|at| *at <= end) {
        machine.handle_timeout(at);
        let ms = at.duration_since(start).as_millis();
        done.extend(drain(machine).into_iter().map(|action| (ms, action)));
    }
    done
}

fn at(times: &[u128], action: Action) -> Vec<(u128, Action)> {
    times.iter().map(|ms| (*ms, action.clone())).collect()
}

// ── INVITE server ─────────────────────────────────────────────────────────────────────────────

mod invite_server_arrows {
    use super::invite_server::State;
    use super::*;

    #[test]
    fn proceeding_sends_provisionals_and_repeats_the_last_for_each_copy() {
        let now = Instant::now();
        let mut machine = InviteServer::new(UNRELIABLE);
        machine.handle_retransmission();
        assert_eq!(drain(&mut machine), [], "nothing was said yet");
        machine.respond(now, 100, message("100"));
        machine.respond(now, 180, message("180"));
        machine.handle_retransmission();
        assert_eq!(drain(&mut machine), [send("100"), send("180"), send("180")]);
        assert_eq!(
            (machine.state(), machine.next_timeout()),
            (State::Proceeding, None)
        );
    }

    #[test]
    fn proceeding_to_accepted_to_terminated_by_timer_l() {
        for is_reliable in [UNRELIABLE, RELIABLE] {
            let now = Instant::now();
            let mut machine = InviteServer::new(is_reliable);
            machine.respond(now, 200, message("200"));
            assert_eq!(
                (machine.state(), drain(&mut machine)),
                (State::Accepted, vec![send("200")])
            );
            machine.handle_retransmission();
            machine.handle_ack(now);
            assert_eq!(drain(&mut machine), [], "copies are absorbed");
            machine.respond(now, 200, message("200"));
            assert_eq!(drain(&mut machine), [send("200")], "the dialog repeats");
            machine.respond(now, 486, message("486"));
            assert_eq!(drain(&mut machine), [], "one final answer is final");
            assert_eq!(run(&mut machine, now, 60), [(32_000, Action::Terminated)]);
            assert_eq!(machine.state(), State::Terminated);
        }
    }

    #[test]
    fn completed_repeats_by_timer_g_until_timer_h() {
        let now = Instant::now();
        let mut machine = InviteServer::new(UNRELIABLE);
        machine.respond(now, 486, message("486"));
        assert_eq!(
            (machine.state(), drain(&mut machine)),
            (State::Completed, vec![send("486")])
        );
        let mut expected = at(
            &[
                500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500,
            ],
            send("486"),
        );
        expected.extend([(32_000, Action::TimedOut), (32_000, Action::Terminated)]);
        assert_eq!(run(&mut machine, now, 60), expected);
    }

    #[test]
    fn completed_on_a_reliable_transport_waits_in_silence_for_timer_h() {
        let now = Instant::now();
        let mut machine = InviteServer::new(RELIABLE);
        machine.respond(now, 486, message("486"));
        drain(&mut machine);
        assert_eq!(
            run(&mut machine, now, 60),
            [(32_000, Action::TimedOut), (32_000, Action::Terminated)]
        );
    }

    #[test]
    fn completed_repeats_for_each_copy_of_the_invite() {
        let now = Instant::now();
        let mut machine = InviteServer::new(UNRELIABLE);
        machine.respond(now, 486, message("486"));
        machine.handle_retransmission();
        assert_eq!(drain(&mut machine), [send("486"), send("486")]);
        machine.respond(now, 200, message("200"));
        assert_eq!(drain(&mut machine), []);
    }

    #[test]
    fn completed_to_confirmed_by_ack_to_terminated_by_timer_i() {
        let now = Instant::now();
        let mut machine = InviteServer::new(UNRELIABLE);
        machine.respond(now, 486, message("486"));
        drain(&mut machine);
        machine.handle_ack(now);
        assert_eq!(machine.state(), State::Confirmed);
        machine.handle_ack(now);
        machine.handle_retransmission();
        assert_eq!(drain(&mut machine), [], "copies are absorbed");
        assert_eq!(run(&mut machine, now, 60), [(5_000, Action::Terminated)]);
    }

    #[test]
    fn completed_to_terminated_at_once_by_ack_on_a_reliable_transport() {
        let now = Instant::now();
        let mut machine = InviteServer::new(RELIABLE);
        machine.respond(now, 486, message("486"));
        drain(&mut machine);
        machine.handle_ack(now);
        assert_eq!(drain(&mut machine), [Action::Terminated]);
        assert_eq!(
            (machine.state(), machine.next_timeout()),
            (State::Terminated, None)
        );
    }
}

// ── non-INVITE server ─────────────────────────────────────────────────────────────────────────

mod non_invite_server_arrows {
    use super::non_invite_server::State;
    use super::*;

    #[test]
    fn trying_absorbs_copies_and_proceeding_repeats_the_provisional() {
        let now = Instant::now();
        let mut machine = NonInviteServer::new(UNRELIABLE);
        machine.handle_retransmission();
        assert_eq!(
            (machine.state(), drain(&mut machine)),
            (State::Trying, vec![])
        );
        machine.respond(now, 100, message("100"));
        machine.handle_retransmission();
        assert_eq!(drain(&mut machine), [send("100"), send("100")]);
        assert_eq!(
            (machine.state(), machine.next_timeout()),
            (State::Proceeding, None)
        );
    }

    #[test]
    fn completed_repeats_the_final_answer_until_timer_j() {
        for provisional in [false, true] {
            let now = Instant::now();
            let mut machine = NonInviteServer::new(UNRELIABLE);
            if provisional {
                machine.respond(now, 183, message("183"));
                drain(&mut machine);
            }
            machine.respond(now, 200, message("200"));
            machine.handle_retransmission();
            machine.respond(now, 500, message("500"));
            assert_eq!(drain(&mut machine), [send("200"), send("200")]);
            assert_eq!(machine.state(), State::Completed);
            assert_eq!(run(&mut machine, now, 60), [(32_000, Action::Terminated)]);
        }
    }

    #[test]
    fn on_a_reliable_transport_timer_j_is_zero() {
        let now = Instant::now();
        let mut machine = NonInviteServer::new(RELIABLE);
        machine.respond(now, 200, message("200"));
        assert_eq!(drain(&mut machine), [send("200"), Action::Terminated]);
        assert_eq!(machine.next_timeout(), None);
    }
}

// ── clients ───────────────────────────────────────────────────────────────────────────────────

mod client_arrows {
    use super::client::State;
    use super::*;

    fn start(kind: Kind, is_reliable: bool) -> (Instant, Client) {
        let now = Instant::now();
        let mut machine = Client::new(now, kind, is_reliable, message("request"));
        assert_eq!(drain(&mut machine), [send("request")]);
        (now, machine)
    }

    fn hear(machine: &mut Client, now: Instant, status: u16) -> Heard {
        machine.handle_response(now, status, || message("ack"))
    }

    #[test]
    fn an_invite_is_repeated_by_timer_a_until_timer_b() {
        let (now, mut machine) = start(Kind::Invite, UNRELIABLE);
        let mut expected = at(&[500, 1500, 3500, 7500, 15500, 31500], send("request"));
        expected.extend([(32_000, Action::TimedOut), (32_000, Action::Terminated)]);
        assert_eq!(run(&mut machine, now, 60), expected);
    }

    #[test]
    fn a_request_is_repeated_by_timer_e_until_timer_f() {
        let (now, mut machine) = start(Kind::NonInvite, UNRELIABLE);
        let mut expected = at(
            &[
                500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500,
            ],
            send("request"),
        );
        expected.extend([(32_000, Action::TimedOut), (32_000, Action::Terminated)]);
        assert_eq!(run(&mut machine, now, 60), expected);
    }

    #[test]
    fn on_a_reliable_transport_nothing_is_repeated() {
        for kind in [Kind::Invite, Kind::NonInvite] {
            let (now, mut machine) = start(kind, RELIABLE);
            assert_eq!(
                run(&mut machine, now, 60),
                [(32_000, Action::TimedOut), (32_000, Action::Terminated)]
            );
        }
    }

    #[test]
    fn a_provisional_answer_stops_an_invite_and_slows_another_request() {
        let (now, mut machine) = start(Kind::Invite, UNRELIABLE);
        assert_eq!(hear(&mut machine, now, 180), Heard::Provisional);
        assert_eq!(machine.state(), State::Proceeding);
        assert_eq!(run(&mut machine, now, 100), []);
        assert_eq!(hear(&mut machine, now, 183), Heard::Provisional);

        let (now, mut machine) = start(Kind::NonInvite, UNRELIABLE);
        assert_eq!(hear(&mut machine, now, 100), Heard::Provisional);
        let sends = at(
            &[4000, 8000, 12000, 16000, 20000, 24000, 28000],
            send("request"),
        );
        assert_eq!(run(&mut machine, now, 31), sends);
        let (now, mut machine) = start(Kind::NonInvite, RELIABLE);
        hear(&mut machine, now, 100);
        assert_eq!(run(&mut machine, now, 31), []);
    }

    #[test]
    fn a_ringing_invite_does_not_ring_for_ever() {
        let (now, mut machine) = start(Kind::Invite, UNRELIABLE);
        hear(&mut machine, now, 180);
        assert_eq!(
            run(&mut machine, now, 200),
            [(180_000, Action::TimedOut), (180_000, Action::Terminated)]
        );
    }

    #[test]
    fn a_refused_invite_is_acknowledged_and_again_for_each_copy_until_timer_d() {
        for provisional in [false, true] {
            let (now, mut machine) = start(Kind::Invite, UNRELIABLE);
            if provisional {
                hear(&mut machine, now, 180);
            }
            assert_eq!(hear(&mut machine, now, 486), Heard::Final);
            assert_eq!(hear(&mut machine, now, 486), Heard::Absorbed);
            assert_eq!(hear(&mut machine, now, 180), Heard::Absorbed);
            assert_eq!(hear(&mut machine, now, 200), Heard::Absorbed);
            assert_eq!(drain(&mut machine), [send("ack"), send("ack")]);
            assert_eq!(machine.state(), State::Completed);
            assert_eq!(run(&mut machine, now, 60), [(32_000, Action::Terminated)]);
        }
    }

    #[test]
    fn a_refused_invite_is_done_at_once_on_a_reliable_transport() {
        let (now, mut machine) = start(Kind::Invite, RELIABLE);
        assert_eq!(hear(&mut machine, now, 486), Heard::Final);
        assert_eq!(drain(&mut machine), [send("ack"), Action::Terminated]);
    }

    #[test]
    fn an_accepted_invite_passes_further_2xx_until_timer_m() {
        for is_reliable in [UNRELIABLE, RELIABLE] {
            let (now, mut machine) = start(Kind::Invite, is_reliable);
            assert_eq!(hear(&mut machine, now, 200), Heard::Final);
            assert_eq!(hear(&mut machine, now, 200), Heard::AcceptedAgain);
            assert_eq!(hear(&mut machine, now, 486), Heard::Absorbed);
            assert_eq!(machine.state(), State::Accepted);
            assert_eq!(run(&mut machine, now, 60), [(32_000, Action::Terminated)]);
        }
    }

    #[test]
    fn a_request_is_completed_until_timer_k_which_is_zero_on_reliable_transports() {
        let (now, mut machine) = start(Kind::NonInvite, UNRELIABLE);
        assert_eq!(hear(&mut machine, now, 481), Heard::Final);
        assert_eq!(hear(&mut machine, now, 481), Heard::Absorbed);
        assert_eq!(machine.state(), State::Completed);
        assert_eq!(run(&mut machine, now, 60), [(5_000, Action::Terminated)]);

        let (now, mut machine) = start(Kind::NonInvite, RELIABLE);
        assert_eq!(hear(&mut machine, now, 200), Heard::Final);
        assert_eq!(drain(&mut machine), [Action::Terminated]);
        assert_eq!(machine.state(), State::Terminated);
    }
}
