//! Digest under attack (rows 2 to 7 and 9 of docs/SECURITY.md).

use std::time::Duration;

use crate::harness::raw_sip::{Digest, RawCall, RawSip, field, header, status, to_tag};
use crate::harness::{Server, http, wait};

const SOON: Duration = Duration::from_secs(10);

/// Sends an INVITE with this Authorization and acknowledges the refusal.
fn try_invite(phone: &RawSip, call: &RawCall, cseq: u32, authorization: &str) -> String {
    let branch = format!("try{cseq}");
    phone.send(phone.invite(call, cseq, &branch, authorization));
    let answer = phone.final_response("INVITE");
    let tag = to_tag(&answer);
    phone.send(phone.request("ACK", call, cseq, &branch, &tag, "", ""));
    answer
}

#[test]
fn the_same_credentials_twice_are_stale_and_open_no_second_call() {
    let server = Server::start();
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let challenge = phone.challenge(&call, "first");
    let card = &server.card;
    let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&challenge);
    assert_eq!(status(&try_invite(&phone, &call, 2, &line)), 200);
    // Another call, from another host, with what was overheard.
    let thief = RawSip::from_host(&server, "127.0.0.12");
    let stolen = thief.new_call(&server);
    let answer = try_invite(&thief, &stolen, 2, &line);
    assert_eq!(status(&answer), 401, "{answer}");
    let again = header(&answer, "WWW-Authenticate").expect("a challenge");
    assert!(again.contains("stale=true"), "{again}");
    assert_eq!(server.participants().len(), 1);
}

#[test]
fn credentials_for_another_uri_realm_method_or_algorithm_are_worth_nothing() {
    let server = Server::start();
    let card = &server.card;
    let phone = RawSip::new(&server);
    let call = phone.new_call(&server);
    let challenge = phone.challenge(&call, "first");
    let elsewhere = "sip:6f0e1c1e-0000-4000-8000-000000000000@127.0.0.1";
    let good = Digest::new(&card.sip_username, &card.sip_password, &call.uri);
    let forms = [
        Digest {
            uri: elsewhere,
            ..good.clone()
        },
        Digest {
            realm: Some("elsewhere"),
            ..good.clone()
        },
        Digest {
            method: "REGISTER",
            ..good.clone()
        },
        Digest {
            algorithm: "SHA-256",
            ..good.clone()
        },
        Digest {
            algorithm: "MD5-sess",
            ..good.clone()
        },
    ];
    for (n, form) in forms.iter().enumerate() {
        let answer = try_invite(&phone, &call, 2 + n as u32, &form.line(&challenge));
        assert_eq!(status(&answer), 401, "{}\n{answer}", form.line(&challenge));
        assert!(!answer.contains("stale"), "{answer}");
    }
    assert!(server.participants().is_empty());
    assert_eq!(
        status(&try_invite(&phone, &call, 20, &good.line(&challenge))),
        200
    );
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_answered_alike() {
    let server = Server::start();
    let answers = ["nobody-at-all", &server.card.sip_username].map(|user| {
        let phone = RawSip::new(&server);
        let call = phone.new_call(&server);
        let challenge = phone.challenge(&call, "first");
        let line = Digest::new(user, "not-the-password", &call.uri).line(&challenge);
        let answer = try_invite(&phone, &call, 2, &line);
        let nonce = header(&answer, "WWW-Authenticate").map(|value| field(&value, "nonce"));
        let tag = to_tag(&answer);
        answer
            .replace(&nonce.expect("a challenge"), "NONCE")
            .replace(&tag, "TAG")
            .replace(&phone.local().port().to_string(), "PORT")
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_guesser_is_locked_out_then_not_heard_at_all_and_an_operator_can_lift_it() {
    let server = Server::start_with(&["--sip-ban-failures", "8"]);
    let guesser = RawSip::from_host(&server, "127.0.0.13");
    let call = guesser.new_call(&server);
    let challenge = guesser.challenge(&call, "first");
    let card = &server.card;
    let mut statuses = Vec::new();
    for n in 0..8 {
        let password = format!("guess-{n}");
        let line = Digest::new(&card.sip_username, &password, &call.uri).line(&challenge);
        statuses.push(status(&try_invite(&guesser, &call, 2 + n, &line)));
    }
    assert_eq!(statuses, [401, 401, 401, 401, 403, 403, 403, 403]);
    // Silence, for the right password too.
    let line = Digest::new(&card.sip_username, &card.sip_password, &call.uri).line(&challenge);
    guesser.send(guesser.invite(&call, 20, "right", &line));
    assert_eq!(guesser.receive(Duration::from_secs(1)), None);
    // Another host is heard.
    let honest = RawSip::from_host(&server, "127.0.0.14");
    let own = honest.new_call(&server);
    honest.send(honest.authenticated_invite(&server, &own, "honest"));
    assert_eq!(status(&honest.final_response("INVITE")), 200);

    // What fail2ban reads.
    let log = server.log();
    let failed = "sip authentication failed source=127.0.0.13 failure=\"rejected\"";
    assert_eq!(log.matches(failed).count(), 4, "{log}");
    assert!(
        log.contains("sip source banned source=127.0.0.13 seconds=600"),
        "{log}"
    );

    let listed = http::request(server.admin(), "GET", "/bans", None, None).expect("an answer");
    let listed = listed.json()["data"].clone();
    assert_eq!(listed[0]["source"], "127.0.0.13", "{listed}");
    assert_eq!(listed[0]["username"], serde_json::Value::Null);
    assert_eq!(
        listed[1]["username"],
        card.sip_username.as_str(),
        "{listed}"
    );
    let path = "/bans/127.0.0.13";
    let lifted = http::request(server.admin(), "DELETE", path, None, None).expect("an answer");
    assert_eq!(lifted.status, 200, "{}", lifted.body);
    let again = http::request(server.admin(), "DELETE", path, None, None).expect("an answer");
    assert_eq!(again.status, 404, "{}", again.body);
    guesser.send(guesser.invite(&call, 21, "lifted", &line));
    assert_eq!(status(&guesser.final_response("INVITE")), 200);
}

#[test]
fn the_public_listener_tells_and_lifts_no_bans() {
    let server = Server::start();
    assert_eq!(server.get("/bans").status, 404);
    assert_eq!(server.rest("DELETE", "/bans/127.0.0.1", None).status, 404);
}

#[test]
fn a_rogue_challenge_to_our_bye_gets_no_credentials() {
    let server = Server::start();
    let rogue = RawSip::new(&server);
    let call = rogue.new_call(&server);
    rogue.send(rogue.authenticated_invite(&server, &call, "rogue"));
    let answer = rogue.final_response("INVITE");
    let tag = to_tag(&answer);
    rogue.send(rogue.request("ACK", &call, 2, "ack", &tag, "", ""));
    let path = format!(
        "/meetings/{}/active-session/kick-all",
        server.card.meeting_id
    );
    wait::until("the phone in the meeting", SOON, || {
        server.participants().len() == 1
    });
    assert_eq!(server.rest("POST", &path, None).status, 200);
    let bye = wait::until_found("our BYE", SOON, || {
        let message = rogue
            .receive(Duration::from_millis(200))
            .unwrap_or_default();
        if message.starts_with("BYE ") {
            Ok(message)
        } else {
            Err(message)
        }
    });
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .iter()
        .map(|name| format!("{name}: {}\r\n", header(&bye, name).expect("it has one")))
        .collect();
    for status in ["401 Unauthorized", "407 Proxy Authentication Required"] {
        rogue.send(format!(
            "SIP/2.0 {status}\r\n{copied}WWW-Authenticate: Digest realm=\"ringbridge\", \
             nonce=\"rogue\", algorithm=MD5, qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
        ));
    }
    let further: Vec<String> =
        std::iter::from_fn(|| rogue.receive(Duration::from_secs(1))).collect();
    let leaked = further.iter().find(|text| text.contains("Authorization"));
    assert_eq!(leaked, None);
}

#[test]
fn which_meetings_there_are_is_told_to_nobody_without_a_password() {
    let server = Server::start();
    let unknown = "6f0e1c1e-0000-4000-8000-000000000000";
    let stranger = RawSip::from_host(&server, "127.0.0.15");
    let existing = stranger.new_call(&server);
    let guessed = RawCall {
        call_id: existing.call_id.clone(),
        uri: existing.uri.replace(&server.card.meeting_id, unknown),
    };
    let answers = [&existing, &guessed].map(|call| {
        stranger.send(stranger.invite(call, 1, "guess", ""));
        let answer = stranger.final_response("INVITE");
        let nonce = header(&answer, "WWW-Authenticate").map(|value| field(&value, "nonce"));
        answer
            .replace(&nonce.expect("a challenge"), "NONCE")
            .replace(&to_tag(&answer), "TAG")
            .replace(unknown, "MEETING")
            .replace(&server.card.meeting_id, "MEETING")
    });
    assert_eq!(answers[0], answers[1]);

    // With a password that opens another meeting, this one does not exist.
    let other = server.rest(
        "POST",
        "/meetings",
        Some(&serde_json::json!({ "title": "Other" })),
    );
    let other = other.json()["data"]["id"].clone();
    let body = serde_json::json!({ "meetings": [other] });
    let made = server.rest("POST", "/sip/credentials", Some(&body)).json()["data"].clone();
    let [user, password] = ["username", "password"].map(|key| made[key].as_str().expect("text"));
    let phone = RawSip::new(&server);
    for (n, uri) in [&existing.uri, &guessed.uri].into_iter().enumerate() {
        let call = RawCall {
            call_id: format!("guess-{n}-{}", std::process::id()),
            uri: uri.clone(),
        };
        let challenge = phone.challenge(&call, &format!("c{n}"));
        let line = Digest::new(user, password, uri).line(&challenge);
        assert_eq!(status(&try_invite(&phone, &call, 2, &line)), 404);
    }
}
