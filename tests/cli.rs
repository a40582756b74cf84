//! The program as an operator's shell sees it: exit codes, messages, and that `check` binds
//! nothing.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

/// `EX_USAGE`.
const USAGE: Option<i32> = Some(64);

fn ringbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_bad_file_is_refused_with_64_and_one_line_naming_file_line_key_and_reason() {
    let folder = std::env::temp_dir().join(format!("ringbridge-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ringbridge.toml");
    std::fs::write(&path, "sip = \"0.0.0.0:5060\"\nopus-complexity = 12\n").unwrap();
    let file = path.to_str().unwrap();
    for arguments in [["check", "--config", file], ["serve", "--config", file]] {
        let output = ringbridge(&arguments);
        assert_eq!(output.status.code(), USAGE);
        assert_eq!(
            stderr(&output),
            format!("ringbridge: {file}:2: opus-complexity: `12` is not a number from 0 to 10\n")
        );
        assert_eq!(stdout(&output), "");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_bad_flag_is_refused_with_64() {
    for arguments in [
        &["--sip", "nowhere"][..],
        &["serve", "--no-such-flag"],
        &["no-such-command"],
    ] {
        let output = ringbridge(arguments);
        assert_eq!(output.status.code(), USAGE, "{arguments:?}");
        assert_ne!(stderr(&output), "");
    }
}

#[test]
fn check_says_what_the_settings_mean_and_binds_nothing() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let http = tcp.local_addr().unwrap().to_string();
    let sip = udp.local_addr().unwrap().to_string();
    let data = std::env::temp_dir().join("ringbridge-cli-never-made");
    let data = data.to_str().unwrap();
    let output = ringbridge(&["check", "--http", &http, "--sip", &sip, "--data", data]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(&http) && stdout(&output).contains(&sip));
    assert!(!std::path::Path::new(data).exists());
}

#[test]
fn help_and_version_are_answers() {
    let help = ringbridge(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("--rtp-ports <LO-HI>"));
    let version = ringbridge(&["version"]);
    assert_eq!(
        stdout(&version),
        concat!("ringbridge ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
