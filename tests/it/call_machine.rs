//! One call's state table, in virtual time and without sockets: what the machine says is written
//! down as words, one per output, and compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringbridge::call::caller::Caller;
use ringbridge::call::end::{EndReason, Refusal};
use ringbridge::call::machine::{
    Call, CallProfile, CallStart, FoundMeeting, LocalEndpoint, Output, State,
};
use ringbridge::call::record::{CallRecord, Outcome};
use ringbridge::id::{CallId, MeetingId, OrganizationId, ParticipantId, SessionId};
use ringbridge::meeting::leg::{LegEvent, LegRemoval, LegReport, LegTaste, PhoneCodec};
use ringbridge::meeting::preset::Preset;
use ringbridge::rtp::srtp::KEYING_BYTES_MAX;
use ringbridge::sdp::crypto::SrtpPolicy;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

struct Table {
    call: Call,
    now: Instant,
    record: Option<CallRecord>,
}

impl Table {
    fn new(dialled: &str, offer: Option<&str>) -> Self {
        Self::of(start(dialled, offer))
    }

    fn of(start: CallStart) -> Self {
        let now = Instant::now();
        Self {
            call: Call::new(now, start),
            now,
            record: None,
        }
    }

    fn offered() -> Self {
        Self::new(&meeting().to_string(), Some(OFFER))
    }

    /// An answered and acknowledged call.
    fn answered() -> Self {
        let mut table = Self::offered();
        table.look_up();
        table.reserve();
        table
            .call
            .handle_joined(table.now, Ok(SessionId::from_random(5)));
        table.call.handle_acked(table.now, None);
        assert_eq!(table.call.state(), State::Answered);
        table.said();
        table
    }

    fn look_up(&mut self) {
        let found = FoundMeeting {
            id: meeting(),
            preset: Preset::host(),
        };
        self.call.handle_lookup(self.now, Ok(found));
    }

    fn reserve(&mut self) {
        let local = LocalEndpoint {
            address: "198.51.100.1".parse().unwrap(),
            rtp_port: 20_000,
            rtcp_port: 20_001,
        };
        self.call.handle_reserved(self.now, Ok(local));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Everything the machine has said since the last time.
    fn said(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(output) = self.call.poll_output() {
            words.push(match output {
                Output::LookUp(_) => "look-up".to_owned(),
                Output::Ring => "180".to_owned(),
                Output::Reserve => "reserve".to_owned(),
                Output::Join { joining, media, .. } => {
                    format!("join {} {:?}", joining.name, media.codec)
                }
                Output::Answer { .. } => "200".to_owned(),
                Output::Refuse(refusal) => refusal.sip().status.to_string(),
                Output::AcceptReinvite { sdp: Some(_) } => "200 re-INVITE".to_owned(),
                Output::AcceptReinvite { sdp: None } => "200 UPDATE".to_owned(),
                Output::RefuseReinvite(refusal) => format!("{} re-INVITE", refusal.sip().status),
                Output::UpdateLeg { on_hold, .. } => format!("update hold={on_hold}"),
                Output::Progress { .. } => "183".to_owned(),
                Output::AcceptRefer => "202".to_owned(),
                Output::RefuseRefer(refusal) => format!("{} REFER", refusal.sip().status),
                Output::FinishRefer { status } => format!("NOTIFY {status}"),
                Output::Bye(reason) => format!("BYE {}", reason.label()),
                Output::Leave => "leave".to_owned(),
                Output::Ended(record) => {
                    let ended = format!("ended {}", record.reason);
                    assert!(self.record.replace(*record).is_none(), "ended twice");
                    ended
                }
            });
        }
        words
    }

    fn record(&self) -> &CallRecord {
        self.record.as_ref().expect("the call has ended")
    }
}

fn start(dialled: &str, offer: Option<&str>) -> CallStart {
    CallStart {
        id: CallId::from_random(1),
        participant: ParticipantId::from_random(2),
        sdp_session_id: 7,
        srtp_keying: [9; KEYING_BYTES_MAX],
        started_at_unix_ns: 1_000_000_000_000_000_000,
        dialled: dialled.to_owned(),
        caller: Caller {
            user: Some("+15550100".to_owned()),
            ..Caller::default()
        },
        call_id_header: "c1@192.0.2.9".to_owned(),
        credential: None,
        organization: OrganizationId::from_random(3),
        attributes: BTreeMap::new(),
        offer: offer.map(|offer| offer.as_bytes().to_vec()),
        profile: CallProfile {
            name: "generic".to_owned(),
            codecs: vec![PhoneCodec::Pcmu, PhoneCodec::Pcma],
            dtmf_events: true,
            taste: LegTaste::default(),
            srtp: SrtpPolicy::Optional,
            early_media: false,
        },
    }
}

fn meeting() -> MeetingId {
    MeetingId::from_random(4)
}

#[test]
fn a_call_is_looked_up_rung_joined_answered_and_recorded() {
    let mut table = Table::offered();
    assert_eq!(table.said(), ["look-up"]);
    table.look_up();
    assert_eq!(table.said(), ["reserve"]);
    table.reserve();
    assert_eq!(table.said(), ["180", "join +15550100 Pcmu"]);
    table.pass(Duration::from_millis(8));
    table
        .call
        .handle_joined(table.now, Ok(SessionId::from_random(5)));
    assert_eq!(table.said(), ["200"]);
    table.call.handle_acked(table.now, None);
    assert!(table.said().is_empty());
    table.pass(Duration::from_secs(60));
    table.call.handle_bye(table.now);
    assert_eq!(table.said(), ["leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended caller_hung_up"]);
    let record = table.record();
    assert_eq!(record.setup, Some(Duration::from_millis(8)));
    assert_eq!(
        record.ended_at_unix_ns - record.started_at_unix_ns,
        60_008_000_000
    );
    assert_eq!((record.sip_status, record.outcome), (200, Outcome::Success));
}

#[test]
fn what_names_no_meeting_is_404_and_one_that_is_not_ours_too() {
    let mut table = Table::new("1000", Some(OFFER));
    assert_eq!(table.said(), ["404", "ended unknown_meeting"]);
    let mut table = Table::offered();
    table.said();
    table
        .call
        .handle_lookup(table.now, Err(Refusal::UnknownMeeting));
    assert_eq!(table.said(), ["404", "ended unknown_meeting"]);
    assert_eq!(table.record().outcome, Outcome::ClientError);
}

#[test]
fn a_preset_without_phones_is_403() {
    let mut table = Table::offered();
    table.said();
    let preset = Preset {
        phone: false,
        ..Preset::host()
    };
    table.call.handle_lookup(
        table.now,
        Ok(FoundMeeting {
            id: meeting(),
            preset,
        }),
    );
    assert_eq!(table.said(), ["403", "ended preset_forbids_phone"]);
}

#[test]
fn an_offer_without_a_common_codec_is_488_and_never_rings() {
    let g729 = OFFER.replace("0 8 101", "18 101");
    let mut table = Table::new(&meeting().to_string(), Some(&g729));
    table.look_up();
    table.reserve();
    let all = ["look-up", "reserve", "488", "ended no_common_codec"];
    assert_eq!(table.said(), all);
}

#[test]
fn cancel_while_the_leg_joins_undoes_the_join() {
    let mut table = Table::offered();
    table.look_up();
    table.reserve();
    table.said();
    table.call.handle_cancelled(table.now);
    assert!(table.said().is_empty(), "487 is the endpoint's");
    table
        .call
        .handle_joined(table.now, Ok(SessionId::from_random(5)));
    assert_eq!(table.said(), ["leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended cancelled"]);
    assert_eq!(table.record().sip_status, 487);
}

#[test]
fn cancel_while_the_leg_joins_ends_also_when_the_join_fails() {
    let mut table = Table::offered();
    table.look_up();
    table.reserve();
    table.said();
    table.call.handle_cancelled(table.now);
    table
        .call
        .handle_joined(table.now, Err(Refusal::Overloaded));
    assert_eq!(table.said(), ["ended cancelled"]);
}

#[test]
fn a_refused_join_is_the_final_answer() {
    let mut table = Table::offered();
    table.look_up();
    table.reserve();
    table.said();
    table
        .call
        .handle_joined(table.now, Err(Refusal::MeetingFull));
    assert_eq!(table.said(), ["486", "ended meeting_full"]);
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_joins_with_the_acks_answer() {
    let mut table = Table::new(&meeting().to_string(), None);
    table.look_up();
    table.said();
    table.reserve();
    assert_eq!(table.said(), ["200"]);
    table.call.handle_acked(table.now, Some(OFFER.as_bytes()));
    assert_eq!(table.said(), ["join +15550100 Pcmu"]);
    table
        .call
        .handle_joined(table.now, Ok(SessionId::from_random(5)));
    assert_eq!(table.call.state(), State::Answered);
}

#[test]
fn an_ack_without_the_owed_answer_ends_the_call() {
    let mut table = Table::new(&meeting().to_string(), None);
    table.look_up();
    table.reserve();
    table.said();
    table.call.handle_acked(table.now, None);
    assert_eq!(table.said(), ["BYE bad_answer", "ended bad_answer"]);
    assert_eq!(table.record().outcome, Outcome::ClientError);
}

#[test]
fn bye_while_a_late_leg_joins_leaves_it_when_it_has_joined() {
    let mut table = Table::new(&meeting().to_string(), None);
    table.look_up();
    table.reserve();
    table.call.handle_acked(table.now, Some(OFFER.as_bytes()));
    table.said();
    table.call.handle_bye(table.now);
    assert!(table.said().is_empty());
    table
        .call
        .handle_joined(table.now, Ok(SessionId::from_random(5)));
    assert_eq!(table.said(), ["leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended caller_hung_up"]);
}

#[test]
fn hold_and_resume_update_the_leg() {
    let mut table = Table::answered();
    let hold = format!("{OFFER}a=sendonly\r\n");
    table.call.handle_reinvite(Some(hold.as_bytes()), false);
    assert_eq!(table.said(), ["200 re-INVITE", "update hold=true"]);
    table.call.handle_reinvite(Some(OFFER.as_bytes()), false);
    assert_eq!(table.said(), ["200 re-INVITE", "update hold=false"]);
}

#[test]
fn an_unusable_reinvite_is_refused_and_the_call_goes_on() {
    let mut table = Table::answered();
    table
        .call
        .handle_reinvite(Some(OFFER.replace("0 8 101", "18").as_bytes()), false);
    assert_eq!(table.said(), ["488 re-INVITE"]);
    assert_eq!(table.call.state(), State::Answered);
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_takes_the_acks_answer() {
    let mut table = Table::answered();
    table.call.handle_reinvite(None, false);
    assert_eq!(table.said(), ["200 re-INVITE"]);
    table.call.handle_acked(table.now, Some(OFFER.as_bytes()));
    assert_eq!(table.said(), ["update hold=false"]);
}

#[test]
fn every_removal_of_the_leg_hangs_up_with_its_reason() {
    for (removal, label) in [
        (LegRemoval::Kicked, "kicked"),
        (LegRemoval::Denied, "denied"),
        (LegRemoval::SessionEnded, "session_ended"),
        (LegRemoval::Replaced, "replaced"),
        (LegRemoval::WorkerFailed, "worker_failed"),
    ] {
        let mut table = Table::answered();
        table
            .call
            .handle_leg(table.now, &LegEvent::Removed(removal));
        assert_eq!(table.said(), [format!("BYE {label}"), "leave".to_owned()]);
        table.call.handle_left(table.now, LegReport::default());
        assert_eq!(table.said(), [format!("ended {label}")]);
    }
}

#[test]
fn a_call_without_an_ack_ends_as_such() {
    let mut table = Table::answered();
    table.call.handle_dialog_lost(table.now, EndReason::NoAck);
    assert_eq!(table.said(), ["leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended no_ack"]);
    assert_eq!(table.record().outcome, Outcome::UpstreamError);
}

#[test]
fn shutdown_refuses_an_unanswered_call_and_hangs_up_an_answered_one() {
    let mut table = Table::offered();
    table.said();
    table.call.hang_up(table.now, EndReason::Shutdown);
    assert_eq!(table.said(), ["503", "ended draining"]);
    let mut table = Table::answered();
    table.call.hang_up(table.now, EndReason::Shutdown);
    assert_eq!(table.said(), ["BYE shutdown", "leave"]);
}

/// Every order of events ends every call exactly once, and never leaves a leg behind.
#[test]
fn any_order_of_events_ends_once_and_leaves_what_joined() {
    for seed in 0..20_000u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let offer = (next(3) != 0).then_some(OFFER);
        let mut table = Table::new(&meeting().to_string(), offer);
        let (mut joins, mut joined, mut leaves) = (0, 0, 0);
        for _ in 0..40 {
            for word in table.said() {
                joins += u32::from(word.starts_with("join "));
                leaves += u32::from(word == "leave");
            }
            match next(11) {
                0 => table.look_up(),
                1 => table.reserve(),
                2 if joined < joins => {
                    joined += 1;
                    table
                        .call
                        .handle_joined(table.now, Ok(SessionId::from_random(5)));
                }
                3 => table.call.handle_acked(table.now, Some(OFFER.as_bytes())),
                4 => table.call.handle_cancelled(table.now),
                5 => table.call.handle_bye(table.now),
                6 => table
                    .call
                    .handle_reinvite(Some(OFFER.as_bytes()), next(2) == 0),
                7 => table.call.handle_leg(table.now, &LegEvent::Dtmf('1')),
                8 => table.call.hang_up(table.now, EndReason::Kicked),
                9 => table
                    .call
                    .handle_dialog_lost(table.now, EndReason::SessionExpired),
                _ if leaves > 0 => table.call.handle_left(table.now, LegReport::default()),
                _ => {}
            }
        }
        // Whatever is still open is answered and ended now.
        table.call.hang_up(table.now, EndReason::Shutdown);
        table
            .said()
            .iter()
            .for_each(|word| joins += u32::from(word.starts_with("join ")));
        if joined < joins {
            table
                .call
                .handle_joined(table.now, Ok(SessionId::from_random(5)));
        }
        table.said();
        table.call.handle_left(table.now, LegReport::default());
        table.said();
        assert_eq!(table.call.state(), State::Ended, "seed {seed}");
        assert!(table.record.is_some(), "seed {seed}");
    }
}

/// Where it moves to.
fn elsewhere() -> MeetingId {
    MeetingId::from_random(40)
}

fn found(id: MeetingId) -> FoundMeeting {
    let preset = Preset::host();
    FoundMeeting { id, preset }
}

/// An answered call that has been let into `elsewhere`, not yet joined there.
fn moving() -> Table {
    let mut table = Table::answered();
    table.call.handle_refer(&elsewhere().to_string());
    assert_eq!(table.said(), ["look-up"]);
    table.call.handle_lookup(table.now, Ok(found(elsewhere())));
    assert_eq!(table.said(), ["202", "leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["join +15550100 Pcmu"]);
    table
}

#[test]
fn a_refer_moves_the_call_to_another_meeting() {
    let mut table = moving();
    let joined = Ok(SessionId::from_random(50));
    table.call.handle_joined(table.now, joined);
    assert_eq!(table.said(), ["NOTIFY 200"]);
    assert_eq!(table.call.meeting(), Some(elsewhere()));
    table.call.handle_bye(table.now);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["leave", "ended caller_hung_up"]);
    assert_eq!(table.record().meeting, Some(elsewhere()));
    assert_eq!(table.record().session, Some(SessionId::from_random(50)));
}

#[test]
fn a_meeting_that_will_not_have_it_sends_it_back_to_where_it_was() {
    let mut table = moving();
    table
        .call
        .handle_joined(table.now, Err(Refusal::MeetingFull));
    assert_eq!(table.said(), ["NOTIFY 486", "join +15550100 Pcmu"]);
    let joined = Ok(SessionId::from_random(5));
    table.call.handle_joined(table.now, joined);
    assert!(table.said().is_empty());
    assert_eq!(
        (table.call.state(), table.call.meeting()),
        (State::Answered, Some(meeting()))
    );
    // It may try again.
    table.call.handle_refer(&elsewhere().to_string());
    assert_eq!(table.said(), ["look-up"]);
}

#[test]
fn a_call_that_neither_meeting_will_have_is_hung_up() {
    let mut table = moving();
    table
        .call
        .handle_joined(table.now, Err(Refusal::MeetingFull));
    table.said();
    table
        .call
        .handle_joined(table.now, Err(Refusal::Overloaded));
    assert_eq!(table.said(), ["BYE worker_failed", "ended worker_failed"]);
}

#[test]
fn a_refer_to_what_these_credentials_do_not_open_changes_nothing() {
    let mut table = Table::answered();
    table.call.handle_refer("+14155550100");
    assert_eq!(table.said(), ["404 REFER"]);
    table.call.handle_refer(&elsewhere().to_string());
    assert_eq!(table.said(), ["look-up"]);
    let unknown = Err(Refusal::UnknownMeeting);
    table.call.handle_lookup(table.now, unknown);
    assert_eq!(table.said(), ["404 REFER"]);
    table.call.handle_refer(&meeting().to_string());
    assert_eq!(table.said(), ["202", "NOTIFY 200"], "it is there already");
    assert_eq!(table.call.state(), State::Answered);
}

#[test]
fn who_hangs_up_while_moving_leaves_nothing_behind() {
    let mut table = moving();
    table.call.handle_bye(table.now);
    assert!(table.said().is_empty());
    let joined = Ok(SessionId::from_random(50));
    table.call.handle_joined(table.now, joined);
    assert_eq!(table.said(), ["leave"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended caller_hung_up"]);

    let mut table = Table::answered();
    table.call.handle_refer(&elsewhere().to_string());
    table.call.handle_lookup(table.now, Ok(found(elsewhere())));
    table.said();
    table.call.hang_up(table.now, EndReason::HungUpByOperator);
    assert_eq!(table.said(), ["BYE hung_up_by_operator"]);
    table.call.handle_left(table.now, LegReport::default());
    assert_eq!(table.said(), ["ended hung_up_by_operator"]);
}

#[test]
fn a_profile_may_ring_with_our_answer() {
    let mut start = start(&meeting().to_string(), Some(OFFER));
    start.profile.early_media = true;
    let mut table = Table::of(start);
    table.look_up();
    table.reserve();
    assert_eq!(
        table.said(),
        ["look-up", "reserve", "183", "join +15550100 Pcmu"]
    );
}
