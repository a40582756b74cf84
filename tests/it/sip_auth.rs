//! Digest authentication as an attacker and as a forgetful phone meet it.

use std::time::Duration;

use ringbridge::sip::auth::{AuthFailure, DigestAlgorithm};
use ringbridge::sip::endpoint::{EndpointConfig, Event};
use ringbridge::sip::flow::Transport;

use super::sip_support::{MEETING, PASSWORD, SDP, Seen, USER, World, authorization, config, flow};

fn uri() -> String {
    format!("sip:{MEETING}@gateway.test")
}

/// A challenge to an INVITE without credentials.
fn challenge(world: &mut World) -> Seen {
    let invite = world.request("INVITE", 1, "", SDP);
    world.feed(invite);
    let challenge = world.next();
    assert_eq!(challenge.status(), 401);
    challenge
}

fn header(challenge: &Seen, nc: &str, password: &str) -> String {
    let challenge = challenge.header("WWW-Authenticate").unwrap();
    authorization(challenge, "INVITE", &uri(), nc, password)
}

/// The answer to an INVITE with this header.
fn try_invite(world: &mut World, authorization: &str) -> Seen {
    let invite = world.request("INVITE", 2, authorization, SDP);
    let call_id = world.last_branch();
    world.feed(invite.replace("call-1", &call_id));
    world.next()
}

#[test]
fn an_invite_without_credentials_leaves_nothing_behind() {
    let mut world = World::new(Transport::Udp);
    let invite = world.request("INVITE", 1, "", SDP);
    for _ in 0..3 {
        world.feed(&invite);
    }
    let tags: Vec<_> = world
        .sent
        .drain(..)
        .map(|seen| seen.to_tag().unwrap().to_owned())
        .collect();
    assert_eq!(tags[0], tags[1], "each copy gets the same tag");
    assert_eq!(tags[1], tags[2]);
    assert_eq!(world.endpoint.next_timeout(), None);
    let counters = world.endpoint.counters();
    assert_eq!((counters.transactions, counters.dialogs), (0, 0));
}

#[test]
fn any_first_count_is_right_and_hex_counts_go_on_past_nine() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    for nc in [
        "00000002", "00000003", "0000000a", "0000000F", "00000100", "101", "000000ff",
    ] {
        let answer = try_invite(&mut world, &header(&challenge, nc, PASSWORD));
        assert_eq!(answer.status(), 100, "{nc}");
    }
}

#[test]
fn credentials_work_once_and_their_replay_is_stale() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    let header = header(&challenge, "00000001", PASSWORD);
    assert_eq!(try_invite(&mut world, &header).status(), 100);
    let refused = try_invite(&mut world, &header);
    assert_eq!(refused.status(), 401);
    assert!(
        refused
            .header("WWW-Authenticate")
            .unwrap()
            .ends_with("stale=true")
    );
    world.events.pop_front();
    assert!(matches!(
        world.next_event(),
        Event::AuthFailed {
            failure: AuthFailure::Replayed,
            ..
        }
    ));
}

#[test]
fn a_copy_of_an_invite_is_no_replay() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    let invite = world.request("INVITE", 2, &header(&challenge, "00000001", PASSWORD), SDP);
    world.feed(&invite);
    world.feed(&invite);
    assert_eq!(world.statuses(), [100, 100]);
    assert_eq!(world.events.len(), 1);
    assert_eq!(world.endpoint.counters().retransmissions, 1);
}

#[test]
fn an_old_nonce_and_one_of_another_start_are_stale_only_with_the_right_password() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    world.advance(Duration::from_secs(301));
    let stale = try_invite(&mut world, &header(&challenge, "00000001", PASSWORD));
    assert!(
        stale
            .header("WWW-Authenticate")
            .unwrap()
            .contains("stale=true")
    );
    assert!(world.events.is_empty(), "an old nonce is nobody's fault");
    let wrong = try_invite(&mut world, &header(&challenge, "00000001", "wrong"));
    assert!(!wrong.header("WWW-Authenticate").unwrap().contains("stale"));

    let mut restarted = World::new(Transport::Udp);
    restarted.endpoint = ringbridge::sip::endpoint::Endpoint::new(config(), [8; 32], 1);
    let stale = try_invite(&mut restarted, &header(&challenge, "00000001", PASSWORD));
    assert!(
        stale
            .header("WWW-Authenticate")
            .unwrap()
            .contains("stale=true")
    );
}

#[test]
fn wrong_passwords_and_unknown_users_are_answered_alike_and_locked_after_five() {
    let mut answers = Vec::new();
    for (password, user) in [("wrong", USER), ("wrong", "nobody")] {
        let mut world = World::new(Transport::Udp);
        let challenge = challenge(&mut world);
        let header = header(&challenge, "00000001", password).replace(USER, user);
        let statuses: Vec<_> = (0..6)
            .map(|_| try_invite(&mut world, &header).status())
            .collect();
        answers.push(statuses);
        let names: Vec<_> = world
            .events
            .drain(..)
            .map(|event| match event {
                Event::AuthFailed { username, .. } => username.unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, vec![user; 6]);
    }
    assert_eq!(answers[0], [401, 401, 401, 401, 403, 403]);
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_lock_holds_for_its_source_alone_and_a_minute() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    for _ in 0..5 {
        try_invite(&mut world, &header(&challenge, "00000001", "wrong"));
    }
    assert_eq!(
        try_invite(&mut world, &header(&challenge, "00000002", PASSWORD)).status(),
        403
    );
    let elsewhere = flow(Transport::Udp, "192.0.2.10:5060");
    let invite = world.request("INVITE", 2, &header(&challenge, "00000003", PASSWORD), SDP);
    world.feed_on(elsewhere, invite);
    assert_eq!(world.next().status(), 100);
    world.advance(Duration::from_secs(61));
    assert_eq!(
        try_invite(&mut world, &header(&challenge, "00000004", PASSWORD)).status(),
        100
    );
}

#[test]
fn the_digest_uri_may_differ_in_what_phones_and_proxies_add_but_not_in_whom_it_names() {
    for (digest_uri, status) in [
        (format!("{};transport=tls", uri()), 100),
        (format!("sips:{MEETING}@GATEWAY.test:5061;user=phone"), 100),
        (format!("SIP:{}@gateway.test", MEETING.to_uppercase()), 100),
        ("sip:another-meeting@gateway.test".to_owned(), 401),
        (format!("sip:{MEETING}@elsewhere.test"), 401),
        ("nonsense".to_owned(), 401),
    ] {
        let mut world = World::new(Transport::Udp);
        let challenge = challenge(&mut world);
        let value = challenge.header("WWW-Authenticate").unwrap();
        let header = authorization(value, "INVITE", &digest_uri, "00000001", PASSWORD);
        assert_eq!(
            try_invite(&mut world, &header).status(),
            status,
            "{digest_uri}"
        );
    }
}

#[test]
fn both_header_names_are_accepted_and_other_realms_pass_by() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    let own = header(&challenge, "00000001", PASSWORD);
    let foreign = own.replace("ringbridge.test", "other.test");
    assert_eq!(try_invite(&mut world, &foreign).status(), 401);
    assert!(world.events.is_empty(), "no failure: it was not for us");
    let both = format!("{foreign}Proxy-{own}");
    assert_eq!(try_invite(&mut world, &both).status(), 100);
}

#[test]
fn methods_and_fields_that_were_not_hashed_do_not_pass() {
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    let good = header(&challenge, "00000001", PASSWORD);
    for bad in [
        good.replace("nc=00000001", "nc=00000009"),
        good.replace("cnonce=\"c\"", "cnonce=\"d\""),
        good.replace("algorithm=MD5", "algorithm=SHA-256"),
        good.replace("algorithm=MD5", "algorithm=MD5-sess"),
        good.replace("response=\"", "response=\"0"),
        authorization(
            challenge.header("WWW-Authenticate").unwrap(),
            "BYE",
            &uri(),
            "00000001",
            PASSWORD,
        ),
        "Authorization: Digest\r\n".to_owned(),
        "Authorization: Digest username=\"\u{0}\",,,=\r\n".to_owned(),
    ] {
        let mut fresh = World::new(Transport::Udp);
        assert_eq!(try_invite(&mut fresh, &bad).status(), 401, "{bad}");
    }
    assert_eq!(try_invite(&mut world, &good).status(), 100);
}

fn with_algorithms(algorithms: &'static [DigestAlgorithm]) -> EndpointConfig {
    EndpointConfig {
        algorithms: Box::new(|_| algorithms.to_vec()),
        ..config()
    }
}

#[test]
fn sha_256_is_offered_only_where_configured_and_then_in_order() {
    let both = &[DigestAlgorithm::Sha256, DigestAlgorithm::Md5];
    let mut world = World::with_config(Transport::Udp, with_algorithms(both));
    let challenge = challenge(&mut world);
    let values: Vec<String> = challenge
        .headers("WWW-Authenticate")
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(values[0].contains("algorithm=SHA-256") && values[1].contains("algorithm=MD5"));
    for (nc, value) in ["00000001", "00000002"].into_iter().zip(&values) {
        let header = authorization(value, "INVITE", &uri(), nc, PASSWORD);
        assert_eq!(try_invite(&mut world, &header).status(), 100, "{value}");
    }
}

#[test]
fn a_client_without_qop_may_use_a_nonce_once() {
    use ringbridge::sip::auth::{DigestResponse, ha1};
    let mut world = World::new(Transport::Udp);
    let challenge = challenge(&mut world);
    let nonce = challenge
        .header("WWW-Authenticate")
        .unwrap()
        .split('"')
        .nth(3)
        .unwrap();
    let fields = format!(
        "username=\"{USER}\",realm=\"ringbridge.test\",nonce=\"{nonce}\",uri=\"{}\"",
        uri()
    );
    let blank = DigestResponse::parse(&format!("Digest {fields},response=x"))
        .unwrap()
        .unwrap();
    let ha1 = ha1(DigestAlgorithm::Md5, USER, "ringbridge.test", PASSWORD);
    let response = blank.expected(DigestAlgorithm::Md5, &ha1, "INVITE");
    let header = format!("Authorization: Digest {fields},response=\"{response}\"\r\n");
    assert_eq!(try_invite(&mut world, &header).status(), 100);
    assert_eq!(try_invite(&mut world, &header).status(), 401);
}

#[test]
fn a_trunk_is_admitted_by_its_address_and_named() {
    let config = EndpointConfig {
        trunk: Box::new(|ip| (ip.to_string() == "54.172.60.2").then(|| "twilio".to_owned())),
        ..config()
    };
    let mut world = World::with_config(Transport::Udp, config);
    let invite = world.request("INVITE", 1, "", SDP);
    world.feed_on(flow(Transport::Udp, "54.172.60.2:5060"), invite);
    assert_eq!(world.next().status(), 100);
    match world.next_event() {
        Event::Invite(invite) => {
            assert_eq!(invite.trunk.as_deref(), Some("twilio"));
            assert_eq!((invite.credential, invite.username), (None, None));
        }
        other => panic!("{other:?}"),
    }
    let stranger = world
        .request("INVITE", 1, "", SDP)
        .replace("call-1", "call-2");
    world.feed_on(flow(Transport::Udp, "54.172.60.4:5060"), stranger);
    assert_eq!(world.next().status(), 401);
}

#[test]
fn credentials_never_reach_the_owner_of_the_call() {
    let mut world = World::new(Transport::Udp);
    let invite = world.invite();
    assert!(
        invite
            .headers
            .iter()
            .all(|(name, _)| !name.contains("Authorization"))
    );
    assert_eq!(invite.username.as_deref(), Some(USER));
}
