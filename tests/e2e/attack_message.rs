//! Messages that lie about their form, their dialog or their call (rows 11, 13 to 15, 25, 30 and 32
//! of docs/SECURITY.md).

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use crate::harness::raw_sip::{Digest, RawCall, RawSip, header, status, to_tag};
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);

/// An answered and acknowledged call; the tag that the server gave.
fn answered(phone: &RawSip, server: &Server, call: &RawCall) -> String {
    phone.send(phone.authenticated_invite(server, call, "up"));
    let answer = phone.final_response("INVITE");
    assert_eq!(status(&answer), 200, "{answer}");
    let tag = to_tag(&answer);
    phone.send(phone.request("ACK", call, 2, "up-ack", &tag, "", ""));
    wait::until("the phone in the meeting", SOON, || {
        server.participants().len() == 1
    });
    tag
}

/// That the server answers a stranger who asks properly.
fn assert_alive(server: &Server) {
    let asker = RawSip::from_host(server, "127.0.0.20");
    let call = asker.new_call(server);
    asker.send(asker.request("OPTIONS", &call, 1, "alive", "", "", ""));
    assert_eq!(status(&asker.final_response("OPTIONS")), 200);
}

#[test]
fn the_torture_messages_of_the_rfcs_kill_nothing() {
    let server = Server::start();
    let sender = RawSip::from_host(&server, "127.0.0.21");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torture");
    let mut sent = 0;
    for folder in ["rfc4475", "rfc5118"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the fixtures") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "dat") {
                sender.send(std::fs::read(&path).expect("a message"));
                sent += 1;
            }
        }
    }
    assert!(sent >= 49, "{sent} messages");
    assert_alive(&server);
    assert!(server.participants().is_empty());
}

#[test]
fn headers_that_two_parsers_would_read_differently_are_refused() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let good = phone.request("OPTIONS", &call, 1, "smuggle", "", "", "");
    let twice = |name: &str, other: &str| {
        let line = good
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))
            .expect("it has one");
        good.replace(line, &format!("{line}\r\n{name}: {other}"))
    };
    let forms = [
        ("two Call-IDs", twice("Call-ID", "another")),
        ("two CSeqs", twice("CSeq", "2 OPTIONS")),
        ("two Froms", twice("From", "<sip:eve@192.0.2.1>;tag=eve")),
        ("two Content-Lengths", twice("Content-Length", "7")),
        (
            "a negative length",
            good.replace("Content-Length: 0", "Content-Length: -1"),
        ),
        (
            "a length beyond 64 bits",
            good.replace("Content-Length: 0", "Content-Length: 18446744073709551617"),
        ),
        (
            "a CSeq beyond 31 bits",
            good.replace("CSeq: 1 ", "CSeq: 4294967296 "),
        ),
        ("two methods", good.replace("1 OPTIONS", "1 INVITE")),
    ];
    for (what, text) in forms {
        let text = text.replace(
            "z9hG4bKsmuggle",
            &format!("z9hG4bK{}", what.replace(' ', "")),
        );
        phone.send(&text);
        let answer = phone
            .receive(SOON)
            .unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(status(&answer), 400, "{what}: {answer}");
    }
    // A blank before the colon must not hide a header (CVE-2020-28361): it is read like any other.
    let hidden = good.replace("Max-Forwards: 70", "Max-Forwards : 70\r\nCall-ID : another");
    phone.send(hidden.replace("z9hG4bKsmuggle", "z9hG4bKblank"));
    let answer = phone.receive(SOON).expect("an answer");
    assert_eq!(status(&answer), 400, "{answer}");
    assert_alive(&server);
}

#[test]
fn requests_of_no_dialog_are_refused_each_with_its_own_status() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    for (method, to_tag, expected) in [
        ("BYE", "none", 481),
        ("BYE", "", 481),
        ("CANCEL", "", 481),
        ("UPDATE", "none", 481),
        ("INFO", "none", 481),
        ("NOTIFY", "none", 481),
        ("NOTIFY", "", 481),
        ("PRACK", "none", 481),
        ("INVITE", "none", 481),
        ("REFER", "none", 481),
        ("REFER", "", 603),
        ("MESSAGE", "", 405),
        ("SUBSCRIBE", "", 489),
        ("PUBLISH", "", 489),
    ] {
        let branch = format!("stray{method}{to_tag}");
        let more = "Contact: <sip:raw@192.0.2.1>\r\nEvent: presence\r\n";
        phone.send(phone.request(method, &call, 1, &branch, to_tag, more, ""));
        let answer = phone.final_response(method);
        assert_eq!(status(&answer), expected, "{method} {to_tag}: {answer}");
    }
    // An ACK of nothing is never answered.
    phone.send(phone.request("ACK", &call, 1, "strayack", "none", "", ""));
    assert_eq!(phone.receive(Duration::from_millis(300)), None);
    assert_eq!(server.metric("ringbridge_sip_transactions"), 0.0);
}

#[test]
fn a_bye_with_a_guessed_tag_or_an_old_cseq_ends_no_call() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let tag = answered(&phone, &server, &call);
    let eve = RawSip::from_host(&server, "127.0.0.22");
    let own = phone.local().to_string();
    let forge = |text: String| text.replace(&eve.local().to_string(), &own);
    for (n, guess) in ["", "0123456789abcdef", &tag[1..]].into_iter().enumerate() {
        eve.send(forge(eve.request(
            "BYE",
            &call,
            9,
            &format!("eve{n}"),
            guess,
            "",
            "",
        )));
        assert_eq!(status(&eve.final_response("BYE")), 481, "{guess}");
    }
    // The right tag of ours, a wrong one of the phone's.
    let text = eve.request("BYE", &call, 9, "eve-from", &tag, "", "");
    eve.send(forge(text.replace(";tag=raw", ";tag=war")));
    assert_eq!(status(&eve.final_response("BYE")), 481);
    // A replay of something older.
    eve.send(forge(eve.request("BYE", &call, 1, "eve-old", &tag, "", "")));
    assert_eq!(status(&eve.final_response("BYE")), 500);
    assert_eq!(server.participants().len(), 1, "the call goes on");
    phone.send(phone.request("BYE", &call, 10, "real", &tag, "", ""));
    assert_eq!(status(&phone.final_response("BYE")), 200);
}

#[test]
fn media_is_moved_by_nobody_without_the_password() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let tag = answered(&phone, &server, &call);
    // Everything right, overheard, but from another host.
    let eve = RawSip::from_host(&server, "127.0.0.23");
    let offer = eve.invite(&call, 5, "move", "").replace(
        &format!("To: <{}>", call.uri),
        &format!("To: <{}>;tag={tag}", call.uri),
    );
    let own = format!("<sip:raw@{}>;tag=raw", phone.local());
    let offer = offer.replace(&format!("<sip:raw@{}>;tag=raw", eve.local()), &own);
    eve.send(offer);
    let answer = eve.final_response("INVITE");
    assert_eq!(status(&answer), 401, "{answer}");
    assert_eq!(server.participants().len(), 1, "the call goes on");
}

/// Offers that made other parsers crash, overflow or spin; each behind a right password.
fn bombs(port: u16) -> Vec<(&'static str, String)> {
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    let audio = format!("m=audio {port} RTP/AVP 0\r\n");
    let many = |line: &str, count: usize| line.repeat(count);
    vec![
        ("media lines", format!("{head}{}", many(&audio, 300))),
        (
            "fmtp lines",
            format!("{head}{audio}{}", many("a=fmtp:0 x=1\r\n", 900)),
        ),
        (
            "one long line",
            format!("{head}{audio}a=x:{}\r\n", "x".repeat(20_000)),
        ),
        (
            "formats",
            format!("{head}m=audio {port} RTP/AVP{}\r\n", many(" 96", 4_000)),
        ),
        ("ptime of nothing", format!("{head}{audio}a=ptime:0\r\n")),
        (
            "ptime beyond all",
            format!("{head}{audio}a=ptime:4294967295\r\na=maxptime:1\r\n"),
        ),
        (
            "ptime asymmetric",
            format!("{head}{audio}a=ptime:1\r\na=maxptime:65535\r\n"),
        ),
        (
            "payload types that collide",
            format!(
                "{head}m=audio {port} RTP/AVP 96 96 96\r\na=rtpmap:96 PCMU/8000\r\n\
                 a=rtpmap:96 telephone-event/8000\r\na=rtpmap:96 opus/48000/2\r\n"
            ),
        ),
        (
            "no audio port",
            format!("{head}m=audio 99999 RTP/AVP 0\r\n"),
        ),
        ("nothing", "\0\0\0\0".to_owned()),
        ("a version alone", "v=0\r\n".to_owned()),
    ]
}

#[test]
fn an_offer_made_to_break_parsers_gets_an_answer_and_breaks_nothing() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let card = &server.card;
    let port = phone.local().port() ^ 1;
    for (n, (what, sdp)) in bombs(port).into_iter().enumerate() {
        let base = phone.new_call(&server);
        let call = RawCall {
            call_id: format!("{}-{n}", base.call_id),
            uri: base.uri,
        };
        let challenge = phone.challenge(&call, &format!("bomb{n}a"));
        let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&challenge);
        let more = format!(
            "Contact: <sip:raw@{}>\r\n{line}Content-Type: application/sdp\r\n",
            phone.local()
        );
        let branch = format!("bomb{n}b");
        phone.send(phone.request("INVITE", &call, 2, &branch, "", &more, &sdp));
        let answer = phone.final_response("INVITE");
        let tag = to_tag(&answer);
        assert!(
            [200, 400, 488].contains(&status(&answer)),
            "{what}: {answer}"
        );
        phone.send(phone.request("ACK", &call, 2, &branch, &tag, "", ""));
        if status(&answer) == 200 {
            phone.send(phone.request("BYE", &call, 3, &format!("bomb{n}c"), &tag, "", ""));
            assert_eq!(status(&phone.final_response("BYE")), 200, "{what}");
        }
    }
    wait::until("nobody left", SOON, || server.participants().is_empty());
    assert_alive(&server);
}

#[test]
fn a_flood_of_info_ends_no_call() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let tag = answered(&phone, &server, &call);
    let more = "Content-Type: application/dtmf-relay\r\n";
    for n in 0..600 {
        let branch = format!("info{n}");
        let body = "Signal=5\r\nDuration=100\r\n";
        phone.send(phone.request("INFO", &call, 3 + n, &branch, &tag, more, body));
    }
    phone.send(phone.request("BYE", &call, 1_000, "done", &tag, "", ""));
    // Had the flood ended it, this would be answered 481.
    assert_eq!(status(&phone.final_response("BYE")), 200);
}

#[test]
fn what_a_caller_is_called_is_no_markup_and_no_log_line() {
    let server = Server::start_with(&["--log-personal-data", "true"]);
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let name = "<script>alert(1)</script>\u{1b}[31m";
    let plain = format!("From: <sip:raw@{}>;tag=raw", phone.local());
    let evil = format!("From: \"{name}\" <sip:raw@{}>;tag=raw", phone.local());
    let challenge = phone.challenge(&call, "name");
    let card = &server.card;
    let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&challenge);
    let more = format!("{line}User-Agent: x\\u000d\u{1b}[2J\u{7}evil\r\n");
    phone.send(
        phone
            .invite(&call, 2, "named", &more)
            .replace(&plain, &evil),
    );
    let answer = phone.final_response("INVITE");
    assert_eq!(status(&answer), 200, "{answer}");
    let tag = to_tag(&answer);
    phone.send(
        phone
            .request("ACK", &call, 2, "named-ack", &tag, "", "")
            .replace(&plain, &evil),
    );
    wait::until("the phone in the meeting", SOON, || {
        server.participants().len() == 1
    });
    phone.send(
        phone
            .request("BYE", &call, 3, "named-bye", &tag, "", "")
            .replace(&plain, &evil),
    );
    assert_eq!(status(&phone.final_response("BYE")), 200);
    wait::until("the call's line", SOON, || {
        server.log().contains("call ended")
    });
    let log = server.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{7}'), "{log}");

    // JSON says it as it is; no page of ours may run it.
    let listed = server.rest("GET", "/sip/calls", None);
    let kind = listed.header("Content-Type").unwrap_or_default().to_owned();
    assert!(kind.starts_with("application/json"), "{kind}");
    let page = server.get("/join");
    let policy = page.header("Content-Security-Policy").unwrap_or_default();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
}

#[test]
fn a_200_without_an_ack_is_given_up_after_32_seconds_and_leaves_nothing() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    phone.send(phone.authenticated_invite(&server, &call, "noack"));
    let answer = phone.final_response("INVITE");
    assert_eq!(status(&answer), 200);
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "));
    let port = line.and_then(|line| line.split(' ').next()?.parse::<u16>().ok());
    let target = ("127.0.0.1", port.expect("a port"));
    let media = UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
    let mut packet = [0x55; 172];
    packet[..2].copy_from_slice(&[0x80, 0]);
    let mut sequence = 0u16;
    let bye = wait::until_found("our BYE", Duration::from_secs(40), || {
        // It talks: silence would end the call sooner, and for another reason.
        sequence += 1;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        media.send_to(&packet, target).expect("it can be sent");
        let message = phone
            .receive(Duration::from_millis(100))
            .unwrap_or_default();
        if message.starts_with("BYE ") {
            Ok(message)
        } else {
            Err(message)
        }
    });
    let reason = header(&bye, "Reason").unwrap_or_default();
    assert!(reason.contains("No ACK"), "{bye}");
    wait::until("nobody left", SOON, || server.participants().is_empty());
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .iter()
        .map(|name| format!("{name}: {}\r\n", header(&bye, name).expect("it has one")))
        .collect();
    phone.send(format!(
        "SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"
    ));
    wait::until("no transaction", SOON, || {
        server.metric("ringbridge_sip_transactions") == 0.0
            && server.metric("ringbridge_sip_dialogs") == 0.0
    });
}
