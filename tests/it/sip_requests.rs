//! Requests outside dialogs, and what phones and carriers do to the grammar: the trap list of the
//! requirements, line by line.

use ringbridge::sip::endpoint::{EndpointConfig, Event};
use ringbridge::sip::flow::Transport;

use super::sip_support::{MEETING, SDP, USER, World, config};

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, REGISTER";

#[test]
fn options_tells_the_truth_and_agrees_with_what_a_call_would_get() {
    let mut world = World::new(Transport::Udp);
    let options = world.request("OPTIONS", 1, "", "");
    world.feed(&options);
    let ok = world.next();
    assert_eq!(ok.status(), 200);
    assert_eq!(ok.header("Allow"), Some(ALLOW));
    assert_eq!(ok.header("Accept"), Some("application/sdp"));
    assert_eq!(ok.header("Supported"), Some("timer, 100rel, norefersub"));
    assert_eq!(world.endpoint.next_timeout(), None, "nothing is kept");

    world.endpoint.set_available(false);
    world.feed(&options);
    let invite = world.request("INVITE", 1, "", SDP);
    world.feed(invite);
    for _ in 0..2 {
        let unavailable = world.next();
        assert_eq!(unavailable.status(), 503);
        assert_eq!(unavailable.header("Retry-After"), Some("30"));
    }
}

#[test]
fn a_call_in_progress_does_not_mind_that_no_new_ones_are_taken() {
    let mut world = World::new(Transport::Udp);
    let (invite, ok) = world.established();
    world.endpoint.set_available(false);
    let hold = world.in_dialog("INVITE", 3, &ok, "", SDP);
    world.feed(hold);
    world
        .command(|endpoint, now| endpoint.accept_reinvite(now, invite.dialog, Some(SDP)))
        .unwrap();
    assert_eq!(world.statuses(), [100, 200]);
}

#[test]
fn no_method_is_met_with_silence() {
    for (method, status) in [
        ("SUBSCRIBE", 489),
        ("PUBLISH", 489),
        ("MESSAGE", 405),
        ("REFER", 603),
        ("NOTIFY", 481),
        ("BYE", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("CANCEL", 481),
        ("FOO", 405),
        ("invite", 405),
    ] {
        let mut world = World::new(Transport::Udp);
        let request = world.request(method, 1, "", "");
        world.feed(request);
        let answer = world.next();
        assert_eq!(answer.status(), status, "{method}");
        if status == 405 {
            assert_eq!(answer.header("Allow"), Some(ALLOW), "{method}");
        }
        // RFC 6665 §4.1.3.
        let names_events = answer.header("Allow-Events").is_some();
        assert_eq!(names_events, status == 489, "{method}");
        assert!(world.events.is_empty() && world.endpoint.next_timeout().is_none());
    }
    let mut world = World::new(Transport::Udp);
    let ack = world.request("ACK", 1, "", "");
    world.feed(ack);
    assert!(world.sent.is_empty(), "an ACK is never answered");
}

#[test]
fn requests_for_a_dialog_that_is_not_get_481() {
    for method in [
        "BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY", "PRACK",
    ] {
        let mut world = World::new(Transport::Udp);
        let to = format!("<sip:{MEETING}@gateway.test>;tag=none");
        let request = world.request_to(method, "sip:x@gateway.test", &to, 7, "", "");
        world.feed(request);
        assert_eq!(world.statuses(), [481], "{method}");
    }
}

#[test]
fn what_we_cannot_do_is_refused_by_its_name() {
    for (extra, body, status, header) in [
        (
            "Require: precondition, timer\r\n",
            SDP,
            420,
            Some(("Unsupported", "precondition")),
        ),
        ("Max-Forwards: 0\r\n", SDP, 483, None),
        (
            "Content-Type: multipart/mixed;boundary=x\r\n",
            "--x--",
            415,
            Some(("Accept", "application/sdp")),
        ),
        (
            "Content-Encoding: gzip\r\n",
            SDP,
            415,
            Some(("Accept-Encoding", "identity")),
        ),
        ("Accept: text/plain\r\n", SDP, 406, None),
        (
            "Session-Expires: 60\r\nSupported: timer\r\n",
            SDP,
            422,
            Some(("Min-SE", "90")),
        ),
        ("Record-Route: nonsense\r\n", SDP, 400, None),
    ] {
        let mut world = World::new(Transport::Udp);
        let mut invite = world.request("INVITE", 1, extra, body);
        if extra.starts_with("Max") {
            invite = invite.replace("Max-Forwards: 70\r\n", "");
        }
        world.feed(invite);
        let answer = world.next();
        assert_eq!(answer.status(), status, "{extra}");
        if let Some((name, value)) = header {
            assert_eq!(answer.header(name), Some(value));
        }
        assert_eq!(world.endpoint.next_timeout(), None);
    }
}

#[test]
fn noise_on_the_port_is_swallowed() {
    let mut world = World::new(Transport::Udp);
    let stun_binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let noise: [&[u8]; 9] = [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\0",
        b"\0\0\0\0",
        &stun_binding,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xfe\xfd",
        b"INVITE",
    ];
    for bytes in noise {
        world.feed(bytes);
    }
    assert!(world.sent.is_empty() && world.events.is_empty());
    assert_eq!(world.endpoint.counters().noise, 9);
}

#[test]
fn a_request_without_via_cannot_be_answered() {
    let mut world = World::new(Transport::Udp);
    world.feed("OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n");
    assert!(world.sent.is_empty());
}

#[test]
fn a_missing_content_length_is_a_fault_on_a_stream_alone() {
    for (transport, status) in [
        (Transport::Udp, 200),
        (Transport::Ws, 200),
        (Transport::Tcp, 400),
        (Transport::Tls, 400),
    ] {
        let mut world = World::new(transport);
        let options = world
            .request("OPTIONS", 1, "", "")
            .replace("Content-Length: 0\r\n", "");
        world.feed(options);
        assert_eq!(world.statuses(), [status], "{transport}");
    }
}

#[test]
fn answers_go_to_the_source_and_say_so() {
    let mut world = World::new(Transport::Udp);
    let options = world.request(
        "OPTIONS",
        1,
        "Via: SIP/2.0/TCP 192.0.2.3;branch=z9hG4bKx\r\n",
        "",
    );
    world.feed(options);
    let ok = world.next();
    assert_eq!(ok.flow, Some(world.flow));
    let via = ok.headers("Via");
    assert!(
        via[0].ends_with(";rport=40000;received=198.51.100.7"),
        "{}",
        via[0]
    );
    assert_eq!(via[1], "SIP/2.0/TCP 192.0.2.3;branch=z9hG4bKx");
}

#[test]
fn merged_requests_get_482() {
    let mut world = World::new(Transport::Udp);
    world.invite();
    let again = world.request("INVITE", 2, "", SDP);
    world.feed(again);
    assert_eq!(world.statuses(), [482]);
}

#[test]
fn a_message_as_large_as_a_datagram_is_read_and_one_of_countless_headers_is_not() {
    let mut world = World::new(Transport::Udp);
    let big = format!("X-Big: {}\r\n", "b".repeat(60_000));
    let invite = world.request("INVITE", 1, &big, SDP);
    world.feed(invite);
    let many = world.request("INVITE", 2, &"X: y\r\n".repeat(8_000), SDP);
    world.feed(many);
    assert_eq!(world.statuses(), [401, 400]);
}

#[test]
fn what_is_hung_up_before_its_answer_is_refused() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    world
        .command(|endpoint, now| endpoint.bye(now, invite.dialog, None))
        .unwrap();
    assert_eq!(world.statuses(), [480]);
    assert!(world.events.is_empty());
}

#[test]
fn twilios_second_invite_is_taken_as_it_is() {
    let mut world = World::new(Transport::Udp);
    let routes = "Record-Route: <sip:54.172.60.1:5060;lr;ftag=3194>\r\n\
                  User-Agent: Twilio Gateway\r\nX-Twilio-CallSid: CA1\r\n\
                  P-Asserted-Identity: <sip:+14155550199@x>, <tel:+14155550199>\r\n";
    let first = world.request("INVITE", 1, routes, SDP);
    world.feed(first);
    let challenge = world.next();
    world.nc = 1;
    let uri = format!("sip:{MEETING}@gateway.test;transport=udp");
    let header = world.authorization(&challenge, "INVITE", &uri);
    assert!(header.contains("nc=00000002"));
    let second = world.request("INVITE", 2, &format!("{routes}Proxy-{header}"), SDP);
    world.feed(second);
    assert_eq!(world.next().status(), 100);
    match world.next_event() {
        Event::Invite(invite) => {
            assert_eq!(invite.user_agent.as_deref(), Some("Twilio Gateway"));
            assert_eq!(invite.caller.user.as_deref(), Some("+14155550199"));
            assert_eq!(invite.caller.display_name.as_deref(), Some("Ann"));
            assert!(invite.via_private && !invite.caller.privacy);
            assert!(
                invite
                    .headers
                    .contains(&("X-Twilio-CallSid".into(), "CA1".into()))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn callers_are_known_by_what_carriers_assert_and_privacy_is_seen() {
    for (extra, from, display_name, user, privacy) in [
        ("", "\"Ann\" <sip:+1@x>", Some("Ann"), Some("+1"), false),
        ("", "sip:200@x", None, Some("200"), false),
        (
            "",
            "\"J\u{fc}rg \\\"X\\\"\" <sip:j%40y@x>",
            Some("J\u{fc}rg \"X\""),
            Some("j@y"),
            false,
        ),
        (
            "Remote-Party-ID: \"Bob\" <sip:22@x>;privacy=full\r\n",
            "<sip:1@x>",
            Some("Bob"),
            Some("22"),
            true,
        ),
        (
            "P-Asserted-Identity: <tel:+34911;phone-context=x>\r\n",
            "\"Ann\" <sip:1@x>",
            Some("Ann"),
            Some("+34911"),
            false,
        ),
        (
            "Privacy: id;critical\r\n",
            "<sip:1@x>",
            None,
            Some("1"),
            true,
        ),
        (
            "",
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            Some("Anonymous"),
            Some("anonymous"),
            true,
        ),
        (
            "P-Asserted-Identity: <sip:+1333;verstat=TN-Validation-Passed@1.2.3.4>\r\n",
            "<sip:1@x>",
            None,
            Some("+1333"),
            false,
        ),
    ] {
        let trusting = EndpointConfig {
            trunk: Box::new(|_| Some("t".into())),
            ..config()
        };
        let mut world = World::with_config(Transport::Udp, trusting);
        let invite = world.request("INVITE", 1, extra, SDP);
        world.feed(invite.replace("\"Ann\" <sip:+14155550100@pstn.test>", from));
        match world.next_event() {
            Event::Invite(invite) => {
                assert_eq!(
                    invite.caller.display_name.as_deref(),
                    display_name,
                    "{extra}{from}"
                );
                assert_eq!(invite.caller.user.as_deref(), user, "{extra}{from}");
                assert_eq!(invite.caller.privacy, privacy, "{extra}{from}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn old_names_with_foreign_bytes_are_echoed_as_they_came() {
    let mut world = World::new(Transport::Udp);
    let options = world.request("OPTIONS", 1, "", "");
    let mut bytes = Vec::new();
    for (index, part) in options.split("Ann").enumerate() {
        if index > 0 {
            bytes.extend_from_slice(b"J\xfcrg");
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    let flow = world.flow;
    let now = world.now;
    world
        .endpoint
        .handle_datagram(now, flow, &bytes, &super::sip_support::OneUser);
    match world.endpoint.poll_output() {
        Some(ringbridge::sip::endpoint::Output::Transmit { bytes, .. }) => {
            assert!(bytes.windows(6).any(|w| w == b"\"J\xfcrg\""));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn compact_names_make_a_call_like_long_ones() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite_with("k: timer\r\nx: 1800\r\ns:\r\n", SDP);
    assert!(
        invite
            .headers
            .contains(&("Session-Expires".into(), "1800".into()))
    );
    let mut world = World::new(Transport::Udp);
    let options = world
        .request("OPTIONS", 1, "", "")
        .replace("Via:", "v :")
        .replace("From:", "f:")
        .replace("To:", "T:")
        .replace("Call-ID:", "i:")
        .replace("Content-Length:", "L:")
        .replace("Contact:", "m:");
    world.feed(options);
    assert_eq!(world.statuses(), [200]);
}

#[test]
fn a_phone_that_never_saw_rfc_3261_can_call() {
    let mut world = World::new(Transport::Udp);
    let strip = |text: String, branch: &str| {
        text.replace(&format!(";branch={branch};rport"), "")
            .replace(";tag=ann", "")
            .replace("Contact: <sip:ann@10.0.0.2:5060>\r\n", "")
    };
    let first = world.request("INVITE", 1, "", SDP);
    let first = strip(first, &world.last_branch());
    world.feed(first);
    let challenge = world.next();
    let header = world.authorization(&challenge, "INVITE", &format!("sip:{MEETING}@gateway.test"));
    let second = world.request("INVITE", 2, &header, SDP);
    let second = strip(second, &world.last_branch());
    world.feed(&second);
    world.feed(&second);
    assert_eq!(
        world.statuses(),
        [100, 100],
        "a copy is known without a branch"
    );
    let dialog = match world.next_event() {
        Event::Invite(invite) => invite.dialog,
        other => panic!("{other:?}"),
    };
    world
        .command(|endpoint, now| endpoint.answer(now, dialog, SDP, &[]))
        .unwrap();
    let ok = world.next();
    let ack = world.in_dialog("ACK", 2, &ok, "", "");
    let ack = strip(ack, &world.last_branch());
    world.feed(ack);
    assert!(matches!(world.next_event(), Event::Acked { .. }));
    world
        .command(|endpoint, now| endpoint.bye(now, dialog, None))
        .unwrap();
    assert_eq!(
        world.next().start(),
        "BYE sip:+14155550100@pstn.test SIP/2.0"
    );
}

// ── REGISTER ──────────────────────────────────────────────────────────────────────────────────

/// Registers with credentials; gives the final answer.
fn register(world: &mut World, cseq: u32, extra: &str) -> super::sip_support::Seen {
    let uri = "sip:gateway.test";
    let to = format!("<sip:{USER}@gateway.test>");
    let plain = |world: &mut World, cseq, extra: &str| {
        let text = world.request_to("REGISTER", uri, &to, cseq, extra, "");
        text.replace("Contact: <sip:ann@10.0.0.2:5060>\r\n", "")
    };
    let first = plain(world, cseq, extra);
    world.feed(first);
    let challenge = world.next();
    if challenge.status() != 401 {
        return challenge;
    }
    let header = authorization_for(world, &challenge, uri);
    let second = plain(world, cseq + 1, &format!("{extra}{header}"));
    world.feed(&second);
    let answer = world.next();
    world.feed(&second);
    assert_eq!(
        world.next().text,
        answer.text,
        "a copy gets the same answer"
    );
    answer
}

fn authorization_for(world: &mut World, challenge: &super::sip_support::Seen, uri: &str) -> String {
    world.nc = 0;
    world.authorization(challenge, "REGISTER", uri)
}

#[test]
fn a_softphone_turns_green_stays_so_and_leaves() {
    let mut world = World::new(Transport::Udp);
    let contact = "Contact: <sip:ann@10.0.0.2:5060;transport=UDP;rinstance=1>;q=0.5;\
                   +sip.instance=\"<urn:uuid:1>\"\r\n";
    let ok = register(&mut world, 1, &format!("{contact}Expires: 60\r\n"));
    assert_eq!(ok.status(), 200);
    assert_eq!(
        ok.header("Contact"),
        Some(
            "<sip:ann@10.0.0.2:5060;transport=UDP;rinstance=1>;q=0.5;\
             +sip.instance=\"<urn:uuid:1>\";expires=60"
        )
    );
    match world.next_event() {
        Event::Registered(registration) => {
            assert_eq!(registration.username, USER);
            assert_eq!(registration.expires.as_secs(), 60);
            assert_eq!(registration.flow, world.flow);
        }
        other => panic!("{other:?}"),
    }
    world.advance_ms(50_000);
    let moved = contact.replace("10.0.0.2:5060", "10.0.0.2:6060");
    let ok = register(&mut world, 3, &format!("{moved}Expires: 60\r\n"));
    assert_eq!(ok.headers("Contact").len(), 1, "the same instance moved");
    assert!(matches!(world.next_event(), Event::Registered(_)));
    let query = register(&mut world, 5, "");
    assert_eq!(query.headers("Contact").len(), 1);
    let gone = register(&mut world, 7, "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((gone.status(), gone.header("Contact")), (200, None));
    assert!(matches!(world.next_event(), Event::Unregistered(_)));
    assert_eq!(world.endpoint.counters().bindings, 0);
}

#[test]
fn a_binding_that_is_not_refreshed_runs_out() {
    let mut world = World::new(Transport::Udp);
    register(&mut world, 1, "Contact: <sip:a@10.0.0.2>;expires=30\r\n");
    assert!(matches!(world.next_event(), Event::Registered(_)));
    world.advance_ms(29_000);
    assert!(world.events.is_empty());
    world.advance_ms(1_000);
    assert!(matches!(world.next_event(), Event::Unregistered(_)));
}

#[test]
fn registrations_that_make_no_sense_are_refused() {
    for (extra, status) in [
        ("Contact: *\r\nExpires: 10\r\n", 400),
        ("Contact: *\r\n", 400),
        ("Contact: *\r\nContact: <sip:a@b>\r\nExpires: 0\r\n", 400),
        ("Contact: <http://x>\r\n", 400),
        ("Contact: <sip:a@b>;expires=5\r\n", 423),
        ("Contact: <sip:a@b>\r\nRequire: path\r\n", 420),
        ("Contact: <sip:a@b>;expires=rubbish\r\n", 200),
        ("Contact: <sip:a@b>;expires=99999999999999\r\n", 200),
    ] {
        let mut world = World::new(Transport::Udp);
        assert_eq!(register(&mut world, 1, extra).status(), status, "{extra}");
    }
}

#[test]
fn one_account_keeps_a_bounded_number_of_bindings() {
    let mut world = World::new(Transport::Udp);
    for index in 0..40 {
        let ok = register(
            &mut world,
            1 + 2 * index,
            &format!("Contact: <sip:a@10.0.0.{index}>\r\n"),
        );
        assert_eq!(ok.status(), 200);
    }
    assert_eq!(
        world.endpoint.counters().bindings,
        ringbridge::limits::SIP_BINDINGS_PER_CREDENTIAL_MAX
    );
}
