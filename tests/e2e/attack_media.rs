//! Strangers at a phone's media ports (rows 16 to 20 and 24 of docs/SECURITY.md).

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringbridge::rtp::srtp::{OVERHEAD_BYTES_MAX, SrtpKeys, SrtpSession, SrtpSuite};

use crate::harness::raw_sip::{Digest, RawCall, RawSip, status, to_tag};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);
/// What a stranger may get before the phone has spoken (docs/SECURITY.md).
const LEAKED_PACKETS_MAX: usize = 5;
const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;

/// An RTP packet of 20 ms of µ-law silence.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xff; 160]);
    packet
}

/// A socket of some host of this machine's.
fn socket(host: &str) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).expect("a loopback socket");
    socket.set_nonblocking(true).expect("it can be told");
    socket
}

/// Datagrams that wait at a socket.
fn waiting(socket: &UdpSocket) -> usize {
    let mut buffer = [0; 2_048];
    std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
}

/// A phone in a call, with media by hand.
struct Phone {
    sip: RawSip,
    call: RawCall,
    tag: String,
    media: UdpSocket,
    /// Where the server's RTP is.
    server_rtp: SocketAddr,
    answer: String,
    sent: u16,
}

impl Phone {
    /// Calls; `crypto` is its `a=crypto` line, if it speaks SRTP.
    fn call(server: &Server, crypto: Option<&str>) -> Phone {
        let (sip, media) = (RawSip::new(server), socket("127.0.0.1"));
        let call = sip.new_call(server);
        let challenge = sip.challenge(&call, "media-first");
        let card = &server.card;
        let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&challenge);
        let profile = if crypto.is_some() {
            "RTP/SAVP"
        } else {
            "RTP/AVP"
        };
        let port = media.local_addr().expect("it is bound").port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} {profile} 0\r\n{}",
            crypto.unwrap_or_default()
        );
        let more = format!(
            "Contact: <sip:raw@{}>\r\n{line}Content-Type: application/sdp\r\n",
            sip.local()
        );
        sip.send(sip.request("INVITE", &call, 2, "media", "", &more, &sdp));
        let answer = sip.final_response("INVITE");
        assert_eq!(status(&answer), 200, "{answer}");
        let tag = to_tag(&answer);
        sip.send(sip.request("ACK", &call, 2, "media-ack", &tag, "", ""));
        let line = answer.lines().find(|line| line.starts_with("m=audio "));
        let port = line.and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let server_rtp = SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
        Phone {
            sip,
            call,
            tag,
            media,
            server_rtp,
            answer,
            sent: 0,
        }
    }

    fn say(&mut self, packets: usize) {
        for _ in 0..packets {
            self.send(&rtp(0x0770_0770, self.sent));
            self.sent += 1;
        }
    }

    fn send(&self, packet: &[u8]) {
        self.media
            .send_to(packet, self.server_rtp)
            .expect("it can be sent");
    }

    /// That it still gets the meeting's sound.
    fn assert_hears(&self) {
        waiting(&self.media);
        let mut heard = 0;
        wait::until("more sound", SOON, || {
            heard += waiting(&self.media);
            heard >= 20
        });
    }

    /// Hangs up; what the call's record says of its media.
    fn hang_up(self, server: &Server) -> serde_json::Value {
        let bye = self
            .sip
            .request("BYE", &self.call, 3, "media-bye", &self.tag, "", "");
        self.sip.send(bye);
        assert_eq!(
            status(&self.sip.final_response("BYE")),
            200,
            "the call was up"
        );
        wait::until_found("the call's record", SOON, || {
            let listed = server.rest("GET", "/sip/calls?status=ENDED", None).json();
            let quality = listed["data"][0]["quality"].clone();
            if quality.is_null() {
                Err(listed.to_string())
            } else {
                Ok(quality)
            }
        })
    }
}

/// Packets refused so far for this reason.
fn datagrams_received(server: &Server) -> f64 {
    let page = server.metrics();
    let is_it = |line: &&str| {
        line.starts_with("ringbridge_media_datagrams_total{")
            && line.contains("side=\"phone\"")
            && line.contains("direction=\"received\"")
    };
    let line = page.lines().find(is_it).expect("datagrams are counted");
    let value = line.rsplit(' ').next().and_then(|n| n.parse().ok());
    value.expect("a number")
}

fn refused(server: &Server, reason: &str) -> u64 {
    let line = format!("ringbridge_media_rtp_discarded_total{{reason=\"{reason}\"}} ");
    let page = server.metrics();
    let value = page
        .lines()
        .find_map(|text| text.strip_prefix(line.as_str()));
    value
        .and_then(|value| value.parse().ok())
        .expect("the metric")
}

#[test]
fn a_spray_of_foreign_packets_hears_almost_nothing_and_is_not_heard() {
    let server = Server::start();
    let mut phone = Phone::call(&server, None);
    let strangers: Vec<UdpSocket> = (1..=20).map(|n| socket(&format!("127.0.1.{n}"))).collect();
    let target = phone.server_rtp;
    let spray = |round: u16| {
        for (n, stranger) in (0u32..).zip(&strangers) {
            let packet = rtp(n + 1, round.wrapping_mul(7_919));
            stranger.send_to(&packet, target).expect("it can be sent");
        }
        // A burst would be lost in the socket's buffer instead of being refused.
        std::thread::sleep(Duration::from_millis(20));
    };
    // Before the phone has said anything, and while it talks.
    (0..25).for_each(spray);
    for round in 25..60 {
        phone.say(1);
        spray(round);
    }
    phone.assert_hears();
    wait::until("the rest refused", SOON, || {
        refused(&server, "stranger") >= 1_000
    });
    let leaked: usize = strangers.iter().map(waiting).sum();
    assert!(leaked <= LEAKED_PACKETS_MAX, "{leaked} packets leaked");
    let sent = u64::from(phone.sent);
    let quality = phone.hang_up(&server);
    assert!(
        quality["packets_received"].as_u64() <= Some(sent),
        "{quality}"
    );
}

#[test]
fn a_stranger_who_copies_the_phones_stream_is_not_let_in_while_the_phone_talks() {
    let server = Server::start();
    let mut phone = Phone::call(&server, None);
    phone.say(10);
    phone.assert_hears();
    let thief = socket("127.0.2.1");
    let began = Instant::now();
    // The same SSRC, payload type and sequence numbers that go on: all a listener can know.
    while began.elapsed() < Duration::from_secs(3) {
        phone.say(1);
        let copy = rtp(0x0770_0770, phone.sent);
        thief
            .send_to(&copy, phone.server_rtp)
            .expect("it can be sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(waiting(&thief), 0, "the thief hears");
    phone.assert_hears();
    assert!(refused(&server, "stranger") >= 100);
    phone.hang_up(&server);
}

#[test]
fn rtcp_of_strangers_ends_and_moves_nothing() {
    let server = Server::start();
    let mut phone = Phone::call(&server, None);
    phone.say(10);
    let thief = socket("127.0.2.2");
    let rtcp = SocketAddr::new(phone.server_rtp.ip(), phone.server_rtp.port() + 1);
    // BYE of the phone's SSRC, a report, and every length of a packet that claims more.
    let bye = [&[0x81, 203, 0, 1][..], &0x0770_0770u32.to_be_bytes()].concat();
    let report = [&[0x80, 201, 0, 1][..], &0x0770_0770u32.to_be_bytes()].concat();
    for target in [rtcp, phone.server_rtp] {
        for _ in 0..20 {
            for packet in [&bye, &report] {
                thief.send_to(packet, target).expect("it can be sent");
                for length in 0..packet.len() {
                    let _ = thief.send_to(&packet[..length], target);
                    let claims = [&[0x9f, 200, 0xff, 0xff], &packet[..length]].concat();
                    thief.send_to(&claims, target).expect("it can be sent");
                }
            }
        }
    }
    phone.say(5);
    phone.assert_hears();
    assert_eq!(waiting(&thief), 0, "the thief hears");
    assert_eq!(server.participants().len(), 1);
    phone.hang_up(&server);
}

/// A phone with SRTP, and its sending half.
fn secure_phone(server: &Server) -> (Phone, SrtpSession) {
    let keying = vec![7; SUITE.keying_bytes()];
    let line = format!(
        "a=crypto:1 {} inline:{}\r\n",
        SUITE.name(),
        STANDARD.encode(&keying)
    );
    let phone = Phone::call(server, Some(&line));
    let answered = phone.answer.split("inline:").nth(1).expect("its key");
    let end = answered.find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    let remote = STANDARD
        .decode(&answered[..end.unwrap_or(answered.len())])
        .expect("Base64");
    let keys = SrtpKeys {
        suite: SUITE,
        local: keying,
        remote,
    };
    (
        phone,
        SrtpSession::new(keys).expect("keys of the suite's length"),
    )
}

fn protected(session: &mut SrtpSession, sequence: u16) -> Vec<u8> {
    let plain = rtp(0x0770_0771, sequence);
    let mut packet = plain.clone();
    packet.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
    let length = session
        .protect_rtp(&mut packet, plain.len())
        .expect("it can be protected");
    packet.truncate(length);
    packet
}

#[test]
fn garbage_and_replays_on_a_secure_leg_are_counted_and_end_and_move_nothing() {
    let server = Server::start();
    let (phone, mut session) = secure_phone(&server);
    let packets: Vec<Vec<u8>> = (0..30).map(|n| protected(&mut session, n)).collect();
    packets.iter().for_each(|packet| phone.send(packet));
    phone.assert_hears();
    // From the phone's own address, more than FreeSWITCH's hundred (CVE-2021-41105).
    for n in 0..500u16 {
        phone.send(&rtp(0x0770_0771, 1_000 + n));
        if n % 10 == 9 {
            // A burst would be lost in the socket's buffer instead of being refused.
            let so_far = u64::from(n) + 1;
            wait::until("ten refused", SOON, || {
                refused(&server, "not_authentic") >= so_far
            });
        }
    }
    // What a listener recorded, from elsewhere: right keys, and still no reason to move.
    let thief = socket("127.0.2.3");
    for packet in &packets {
        thief
            .send_to(packet, phone.server_rtp)
            .expect("it can be sent");
    }
    wait::until("all of it refused", SOON, || {
        refused(&server, "not_authentic") >= 530
    });
    phone.assert_hears();
    assert_eq!(waiting(&thief), 0, "the thief hears");
    // What is authentic still counts, once the worker has read it: the BYE could overtake it.
    let so_far = datagrams_received(&server);
    (30..40).for_each(|n| phone.send(&protected(&mut session, n)));
    wait::until("ten more read", SOON, || {
        datagrams_received(&server) >= so_far + 10.0
    });
    let quality = phone.hang_up(&server);
    assert_eq!(quality["packets_received"], 40, "{quality}");
}

#[test]
fn the_ports_of_a_call_that_ended_rest_before_the_next_may_have_them() {
    let low = loop {
        let port = socket("127.0.0.1")
            .local_addr()
            .expect("it is bound")
            .port();
        if port.is_multiple_of(2) && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            break port;
        }
    };
    let server = Server::start_with(&["--rtp-ports", &format!("{low}-{}", low + 1)]);
    let mut phone = Phone::call(&server, None);
    phone.say(3);
    let stale = phone.media.try_clone().expect("a second handle");
    let old_port = phone.server_rtp;
    phone.hang_up(&server);
    // The old phone has missed the end and talks on.
    stale
        .send_to(&rtp(0x0770_0770, 9), old_port)
        .expect("it can be sent");
    let next = RawSip::from_host(&server, "127.0.0.24");
    let call = next.new_call(&server);
    next.send(next.authenticated_invite(&server, &call, "next"));
    let answer = next.final_response("INVITE");
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("Retry-After:"), "{answer}");
}
