//! `ringbridge probe` against the real server: what it measures, and the stage it names when
//! something is wrong.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Server;

fn probe(server: &Server, more: &[&str]) -> Output {
    let card = &server.card;
    let flags = [
        ("--api-base", &card.api_base),
        ("--organization-id", &card.organization_id),
        ("--api-key", &card.api_key),
        ("--sip-uri", &card.sip_uri),
        ("--sip-username", &card.sip_username),
        ("--sip-password", &card.sip_password),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringbridge"));
    command.args(["probe", "--seconds", "2"]);
    for (flag, value) in flags {
        if !more.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(more).output().expect("the binary starts")
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"))
}

/// The stage that failed; none when all passed.
fn failed_stage(output: &Output) -> Option<String> {
    let stage = report(output)["failure"]["stage"]
        .as_str()
        .map(str::to_owned);
    assert_eq!(stage.is_none(), output.status.success());
    stage
}

#[test]
fn the_probe_hears_both_ends_and_leaves_nothing_behind() {
    let server = Server::start();
    for transport in ["", ";transport=tcp"] {
        let uri = format!("{}{transport}", server.card.sip_uri);
        let output = probe(&server, &["--json", "--sip-uri", &uri]);
        assert_eq!(failed_stage(&output), None);
        let report = report(&output);
        for way in ["phone_to_browser", "browser_to_phone"] {
            let delay = report[way]["delay_ms"]["median"].as_f64().expect("a delay");
            assert!((1.0..400.0).contains(&delay), "{way}: {delay} ms");
            assert!(report[way]["audible_percent"].as_f64() > Some(50.0));
            assert!(report[way]["own_tone_share"].as_f64() < Some(0.01));
        }
        assert_eq!(report["dtmf"], Value::Bool(true));
        assert_eq!(report["hang_up_status"], 200);
        assert!(server.participants().is_empty());
    }
}

#[test]
fn the_probe_reads_the_first_call_file_and_speaks_to_people() {
    let server = Server::start();
    let file = server.folder().join("data/first-call.json");
    let output = Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .args(["probe", "--seconds", "2", "--first-call"])
        .arg(&file)
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.ends_with("OK\n"), "{text}");
    assert!(!text.contains(&server.card.sip_password) && !text.contains(&server.card.api_key));
}

#[test]
fn the_probe_names_the_stage_that_failed() {
    let server = Server::start();
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let cases: [(&[&str], &str); 5] = [
        (&["--sip-password", "wrong"], "auth"),
        (&["--api-key", "wrong"], "token"),
        (&["--meeting-id", nowhere], "token"),
        (&["--sip-uri", "sip:x@no-such-host.invalid"], "resolve"),
        (
            &["--sip-uri", "sip:x@127.0.0.1:9", "--timeout", "1"],
            "invite",
        ),
    ];
    for (flags, stage) in cases {
        let meeting = server.card.meeting_id.as_str();
        let mut line = vec!["--json"];
        if !flags.contains(&"--meeting-id") {
            line.extend(["--meeting-id", meeting]);
        }
        line.extend(flags);
        let output = probe(&server, &line);
        assert_eq!(failed_stage(&output).as_deref(), Some(stage), "{flags:?}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert!(server.participants().is_empty());
}

#[test]
fn a_probe_without_a_target_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .args(["probe", "--json"])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(failed_stage(&output).as_deref(), Some("arguments"));
}
