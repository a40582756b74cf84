//! Messages broken by chance, before and past the challenge: nothing panics, nothing is kept that
//! should not be, and the endpoint still takes a call afterwards. Each failure names its seed.

use ringbridge::sip::endpoint::{DialogId, EndpointConfig, Event};
use ringbridge::sip::flow::Transport;
use ringbridge::sip::framing::StreamFramer;

use super::sip_support::{SDP, World, config};

/// Cases for each kind of start.
const CASES: u64 = 4_000;

/// SplitMix64: enough to pick bytes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Pieces that parsers dislike.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b"\t",
    b"\0",
    b"\xff",
    b"\xf4\x8f\xbf\xbf",
    b"<",
    b">",
    b"\"",
    b"\\",
    b";",
    b",",
    b":",
    b"@",
    b"%",
    b"[",
    b"]",
    b"=",
    b"4294967296",
    b"-1",
    b";tag=",
    b"sip:",
];

fn mutate(dice: &mut Dice, message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..1 + dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(24)).min(bytes.len());
        match dice.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, dice.pick(&PIECES).iter().copied())),
            2 => drop(bytes.splice(at..end, dice.pick(&PIECES).iter().copied())),
            3 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => mutate_line(dice, &mut bytes),
        }
    }
    bytes
}

/// Repeats, removes or moves a whole line.
fn mutate_line(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|&b| b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let from = dice.below(lines.len());
    let line = lines[from].clone();
    match dice.below(3) {
        0 => drop(lines.remove(from)),
        1 => lines.insert(dice.below(lines.len()), line),
        _ => {
            lines.remove(from);
            lines.insert(dice.below(lines.len() + 1), line);
        }
    }
    *bytes = lines.concat();
}

/// Owners answer and refuse as the dice fall.
fn be_owner(world: &mut World, dice: &mut Dice) {
    while let Some(event) = world.events.pop_front() {
        let choice = dice.below(4);
        world.command(|endpoint, now| match event {
            Event::Invite(invite) => {
                let _ = match choice {
                    0 => endpoint.ring(now, invite.dialog),
                    1 => endpoint.progress(now, invite.dialog, SDP),
                    _ => endpoint.answer(now, invite.dialog, SDP, &[]),
                };
            }
            Event::Acked { dialog, .. } if choice == 0 => {
                let _ = endpoint.bye(now, dialog, None);
            }
            Event::Acked { dialog, .. } if choice == 1 => {
                let _ = endpoint.reinvite(now, dialog, SDP);
            }
            Event::Reinvite { dialog, .. } => {
                let _ = endpoint.accept_reinvite(now, dialog, (choice > 0).then_some(SDP));
            }
            _ => {}
        });
    }
}

/// Hangs up what is left and waits.
fn settle(world: &mut World, seed: u64) {
    for dialog in 1..20 {
        world.command(|endpoint, now| {
            let _ = endpoint.bye(now, DialogId(dialog), None);
        });
    }
    world.advance_ms(400_000);
    let counters = world.endpoint.counters();
    assert_eq!(
        (counters.transactions, counters.dialogs),
        (0, 0),
        "seed {seed}: all comes to an end"
    );
}

fn assert_still_takes_a_call(world: &mut World) {
    world.sent.clear();
    world.events.clear();
    let (invite, _) = world.established();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
}

#[test]
fn broken_messages_without_credentials_leave_nothing_behind() {
    for seed in 0..CASES {
        let mut dice = Dice(seed);
        let mut world = World::new(*dice.pick(&[Transport::Udp, Transport::Tcp, Transport::Ws]));
        let method = *dice.pick(&[
            "INVITE", "OPTIONS", "REGISTER", "BYE", "ACK", "CANCEL", "FOO",
        ]);
        let extra = "Record-Route: <sip:a;lr>, <sip:b>\r\nSession-Expires: 1800;refresher=uac\r\n\
                     Authorization: Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"sip:x\",response=\"r\"\r\n";
        let message = world.request(method, 1, extra, SDP);
        let broken = mutate(&mut dice, message.as_bytes());
        world.feed(&broken);
        assert!(world.sent.len() <= 1, "seed {seed}");
        let counters = world.endpoint.counters();
        assert_eq!(
            (counters.transactions, counters.dialogs),
            (0, 0),
            "seed {seed}"
        );
        assert_eq!(world.endpoint.next_timeout(), None, "seed {seed}");
    }
}

#[test]
fn broken_messages_past_the_challenge_do_no_harm() {
    for seed in 0..CASES {
        let mut dice = Dice(seed ^ 0x5eed);
        let trusting = EndpointConfig {
            trunk: Box::new(|_| Some("trunk".into())),
            ..config()
        };
        let transport = *dice.pick(&[Transport::Udp, Transport::Tls]);
        let mut world = World::with_config(transport, trusting);
        let extra = "Record-Route: <sip:192.0.2.4;lr>\r\nSession-Expires: 300;refresher=uas\r\nSupported: timer\r\n\
                     P-Asserted-Identity: \"A\" <tel:+1>\r\nPrivacy: none\r\n";
        let invite = world.request("INVITE", 1, extra, SDP);
        world.feed(mutate(&mut dice, invite.as_bytes()));
        be_owner(&mut world, &mut dice);
        for step in 0..6 {
            let Some(last) = world
                .sent
                .iter()
                .rev()
                .find(|seen| seen.start().starts_with("SIP/2.0 2"))
                .cloned()
            else {
                break;
            };
            let method = match step {
                0 => "ACK",
                _ => *dice.pick(&["INVITE", "UPDATE", "INFO", "BYE", "REFER", "ACK", "PRACK"]),
            };
            if last.header("To").is_none() {
                break;
            }
            let cseq = if method == "ACK" { 1 } else { 2 + step };
            let message = world.in_dialog(method, cseq, &last, "", SDP);
            let message = match dice.below(2) {
                0 => message.into_bytes(),
                _ => mutate(&mut dice, message.as_bytes()),
            };
            world.feed(message);
            be_owner(&mut world, &mut dice);
            if let Some(own) = world
                .sent
                .iter()
                .rev()
                .find(|seen| !seen.start().starts_with("SIP/2.0"))
                .cloned()
            {
                let status = *dice.pick(&[100, 200, 401, 481, 491, 500]);
                world.respond(&own, status, "Contact: <sip:new@192.0.2.9>\r\n", "");
            }
            world.advance_ms(dice.below(3_000) as u64);
        }
        settle(&mut world, seed);
    }
}

#[test]
fn one_endpoint_survives_all_of_it_and_takes_a_call() {
    let mut world = World::new(Transport::Udp);
    for seed in 0..CASES {
        let mut dice = Dice(seed ^ 0xbad);
        let method = *dice.pick(&["INVITE", "OPTIONS", "REGISTER", "BYE", "ACK", "CANCEL"]);
        let message = world.request(method, 1, "", SDP);
        let broken = mutate(&mut dice, message.as_bytes());
        world.feed(&broken);
        world.ladder.clear();
    }
    assert_still_takes_a_call(&mut world);
}

#[test]
fn broken_streams_are_framed_or_closed_in_any_pieces() {
    for seed in 0..CASES {
        let mut dice = Dice(seed ^ 0x57e4);
        let mut world = World::new(Transport::Tcp);
        let message = world.request("OPTIONS", 1, "", SDP);
        let stream = mutate(
            &mut dice,
            [message.as_bytes(), message.as_bytes()].concat().as_slice(),
        );
        let whole = {
            let mut framer = StreamFramer::new();
            framer.handle_bytes(&stream);
            std::iter::from_fn(|| framer.poll_frame()).collect::<Vec<_>>()
        };
        let mut framer = StreamFramer::new();
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + dice.below(rest.len().min(50)));
            framer.handle_bytes(piece);
            pieces.extend(std::iter::from_fn(|| framer.poll_frame()));
            rest = after;
        }
        assert_eq!(pieces, whole, "seed {seed}");
    }
}
