//! The program as an operator's shell sees it: exit codes, messages, and that `check` binds
//! nothing.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("ringbridge-cli-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover in the temporary folder is not worth a second panic.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Arguments of a server on loopback whose ports the kernel chooses, with `more` in their place.
fn loopback<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["serve", "--data", data];
    for flag in ["--sip", "--sips", "--http", "--https", "--admin"] {
        if !more.contains(&flag) {
            arguments.extend([flag, "127.0.0.1:0"]);
        }
    }
    arguments.extend(["--rtp-ports", "0", "--webrtc-port", "0", "--workers", "1"]);
    arguments.extend(more);
    arguments
}

#[test]
fn a_port_in_use_is_named_with_its_key_and_nothing_stays_behind() {
    let folder = Folder::new("port");
    let data = folder.join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, key) in [("--http", "http"), ("--admin", "admin"), ("--sip", "sip")] {
        let output = ringbridge(&loopback(&data, &[flag, &address]));
        assert_eq!(output.status.code(), Some(1));
        let all = stderr(&output);
        let last = all.lines().last().unwrap_or_default();
        let expected = format!("ringbridge: cannot listen on {address} for {key}: ");
        assert!(last.starts_with(&expected), "{flag}: {last}");
        assert_eq!(stdout(&output), "", "no card without a server");
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let folder = Folder::new("store");
    let file = folder.join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let output = ringbridge(&loopback(&file, &[]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&file), "{}", stderr(&output));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_sigterm_ends_the_first_with_0() {
    let folder = Folder::new("twice");
    let data = folder.join("data");
    let mut first = start(&data);
    let second = ringbridge(&loopback(&data, &[]));
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains(&data), "{}", stderr(&second));
    let killed = Command::new("kill").arg(first.id().to_string()).status();
    assert!(killed.unwrap().success());
    assert_eq!(wait(&mut first), Some(0));
}

/// Starts a server and waits until its first-call card is there.
fn start(data: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .args(loopback(data, &[]))
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let card = Path::new(data).join("first-call.json");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !card.exists() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the server has stopped: {ended:?}");
        assert!(Instant::now() < deadline, "no card after 20 s");
        std::thread::yield_now();
    }
    child
}

fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the server did not stop within 20 s");
        }
        std::thread::yield_now();
    }
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = ringbridge(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains("doctor"), "{shell}");
    }
    let output = ringbridge(&["man"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = stdout(&output);
    assert!(
        page.starts_with(".ie") && page.contains(".SH NAME"),
        "{page}"
    );
    assert!(
        page.contains("bans") && page.contains("rtp\\-ports"),
        "{page}"
    );
}

#[test]
fn a_profile_is_tested_without_a_server() {
    let folder = Folder::new("profile");
    let own = folder.join("mine.toml");
    let text = include_str!("../sip-profiles/zoiper.toml").replace("\"zoiper\"", "\"mine\"");
    std::fs::write(&own, &text).unwrap();
    let output = ringbridge(&["profile", "test", &own]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("valid. mine: "),
        "{}",
        stdout(&output)
    );
    std::fs::write(&own, text.replace("codecs = [", "codecs = [\"mp3\", ")).unwrap();
    let output = ringbridge(&["profile", "test", &own]);
    assert_eq!(output.status.code(), USAGE);
    assert!(stderr(&output).contains("mine.toml"), "{}", stderr(&output));
    let output = ringbridge(&["profile", "test", &own, "--json"]);
    assert_eq!(output.status.code(), USAGE);
    assert!(
        stdout(&output).contains("\"valid\": false"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn the_doctor_names_a_port_that_is_taken_and_makes_nothing() {
    let folder = Folder::new("doctor");
    let data = folder.join("data");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let mut arguments = loopback(&data, &["--http", &taken]);
    arguments[0] = "doctor";
    let output = ringbridge(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains(&format!("BAD http         {taken}: in use")),
        "{text}"
    );
    assert!(text.contains("ok  sip udp"), "{text}");
    assert!(!Path::new(&data).exists());

    drop(listener);
    let mut arguments = loopback(&data, &["--json"]);
    arguments[0] = "doctor";
    let output = ringbridge(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("\"subject\": \"open files\""),
        "{}",
        stdout(&output)
    );
}
