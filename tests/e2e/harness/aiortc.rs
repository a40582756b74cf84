//! A WHIP publisher or WHEP player: `tests/e2e/aiortc/client.py`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Folder, Server};
use super::tone::Recording;
use super::{tool, wait};

const RATE_HZ: u32 = 48_000;

/// A running client; leaves when dropped.
pub struct Aiortc {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Value>,
    heard: PathBuf,
    _folder: Folder,
}

impl Aiortc {
    /// Plays a tone and a green picture into the meeting.
    pub fn publish(server: &Server, token: &str, tone_hz: f64) -> Aiortc {
        Aiortc::start(server, "publish", "whip", token, Some(tone_hz))
    }

    /// Hears the meeting.
    pub fn play(server: &Server, token: &str) -> Aiortc {
        Aiortc::start(server, "play", "whep", token, None)
    }

    fn start(server: &Server, role: &str, path: &str, token: &str, tone: Option<f64>) -> Aiortc {
        let python = tool::need_file(".venv/bin/python", "run scripts/setup test");
        let script = tool::need_file("aiortc/client.py", "it belongs to the tests");
        let folder = Folder::new();
        let heard = folder.path.join("heard.raw");
        let extra = tone.map_or_else(|| heard.display().to_string(), |hz| hz.to_string());
        let mut child = Command::new(python)
            .arg(script)
            .args([role, &format!("{}/{path}", server.card.api_base), token])
            .arg(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Aiortc {
            child,
            stdin,
            events,
            heard,
            _folder: folder,
        }
    }

    /// Waits for an event of this name.
    pub fn expect(&self, event: &str) -> Value {
        self.expect_where(event, |found| found["event"] == event)
    }

    /// Waits until ICE and DTLS are through.
    pub fn expect_connected(&self) {
        self.expect_where("connected", |found| found["state"] == "connected");
    }

    fn expect_where(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) if is(&event) => return event,
                Ok(event) => before.push(event),
                Err(error) => panic!("no {what} ({error}); it said {before:?}"),
            }
        }
    }

    /// The last `ms` milliseconds of what it heard.
    pub fn heard(&self, ms: usize) -> Recording {
        let bytes = fs::read(&self.heard).unwrap_or_default();
        let samples = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Recording {
            rate_hz: RATE_HZ,
            samples,
        }
        .last_ms(ms)
    }

    /// Waits until a tone is in the last second.
    pub fn wait_to_hear(&self, hz: f64, within: Duration) -> Recording {
        wait::until_found(&format!("the player to hear {hz} Hz"), within, || {
            let heard = self.heard(1000);
            if heard.duration_ms() < 1000 {
                return Err(format!("only {} ms", heard.duration_ms()));
            }
            if heard.has_tone(hz) {
                Ok(heard.clone())
            } else {
                Err(heard.describe(&[hz]))
            }
        })
    }

    /// Lets it delete its session, and waits until it has.
    pub fn leave(&mut self) -> Value {
        self.stdin = None;
        self.expect("left")
    }
}

impl Drop for Aiortc {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
