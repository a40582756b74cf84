//! Headless Chromium, driven by `tests/e2e/browser/driver.mjs` over JSON lines.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use super::server::Server;
use super::tone::Recording;
use super::tool;

/// As in `browser/fakes.mjs`.
const RECORDING_RATE_HZ: u32 = 16_000;
/// The driver has deadlines of its own; this one is for the driver.
const REPLY_TIMEOUT: Duration = Duration::from_secs(90);

/// One browser at a time: two cores carry a server, its phones and one Chromium, not four.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A browser's turn, until it is dropped.
pub type Turn = MutexGuard<'static, ()>;

/// Waits for a browser's turn.
pub fn turn() -> Turn {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stand-ins for the devices of a page.
#[derive(Default, Clone, Copy)]
pub struct Fakes {
    /// What the microphone hears; without it there is no microphone.
    pub tone_hz: Option<f64>,
    /// What the camera sees, as CSS; without it there is no camera.
    pub colour: Option<&'static str>,
    /// Whether the camera sees in 1280×720 instead of 320×240, too little for simulcast.
    pub large: bool,
    /// The error that asking for the microphone ends in, by its DOM name.
    pub microphone_error: Option<&'static str>,
    /// Whether the browser plays nothing until the page is clicked to hear.
    pub sound_held_back: bool,
}

impl Fakes {
    /// A microphone that hears a tone.
    pub fn tone(hz: f64) -> Fakes {
        Fakes {
            tone_hz: Some(hz),
            ..Fakes::default()
        }
    }
}

/// A running browser; ended when dropped.
pub struct Chromium {
    child: Child,
    pipe: RefCell<Pipe>,
    _turn: Turn,
}

struct Pipe {
    commands: Option<ChildStdin>,
    replies: Receiver<String>,
}

impl Chromium {
    /// Starts one, when its turn comes.
    pub fn start() -> Chromium {
        let node = tool::need("node", "nodejs");
        tool::need("chromium", "chromium");
        tool::need_file(
            "node_modules/playwright-core",
            "run `npm ci --prefix tests/e2e`",
        );
        let driver = tool::need_file("browser/driver.mjs", "it belongs to the tests");
        let turn = turn();
        let mut child = Command::new(node)
            .arg(driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let commands = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Chromium {
            child,
            pipe: RefCell::new(Pipe { commands, replies }),
            _turn: turn,
        }
    }

    /// Opens `url` in a profile of its own.
    pub fn open(&self, name: &'static str, url: &str, fakes: Fakes) -> Page<'_> {
        let fakes = json!({
            "tone_hz": fakes.tone_hz,
            "colour": fakes.colour,
            "large": fakes.large,
            "microphone_error": fakes.microphone_error,
            "sound_held_back": fakes.sound_held_back,
        });
        self.command(json!({ "op": "open", "page": name, "url": url, "fakes": fakes }));
        Page {
            browser: self,
            name,
        }
    }

    /// Opens the demo meeting's link and joins.
    pub fn join(&self, name: &'static str, server: &Server, fakes: Fakes) -> Page<'_> {
        let page = self.open(name, &server.card.join_url, fakes);
        page.join();
        page
    }

    fn try_command(&self, command: Value) -> Result<Value, String> {
        let mut pipe = self.pipe.borrow_mut();
        let commands = pipe.commands.as_mut().expect("it is open until the end");
        writeln!(commands, "{command}").map_err(|e| format!("the driver is gone: {e}"))?;
        let line = pipe
            .replies
            .recv_timeout(REPLY_TIMEOUT)
            .map_err(|e| format!("no reply: {e}"))?;
        let reply: Value = serde_json::from_str(&line).map_err(|e| format!("{e}: {line}"))?;
        match reply["ok"].as_bool() {
            Some(true) => Ok(reply["value"].clone()),
            _ => Err(reply["error"].as_str().unwrap_or(&line).to_owned()),
        }
    }

    fn command(&self, command: Value) -> Value {
        let described = command.to_string();
        self.try_command(command)
            .unwrap_or_else(|error| panic!("{described}\n{error}"))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The driver closes the browser and ends when its stdin does.
        self.pipe.borrow_mut().commands = None;
        let _ = self.child.wait();
    }
}

/// One page.
pub struct Page<'a> {
    browser: &'a Chromium,
    name: &'static str,
}

impl Page<'_> {
    /// Fills in the page's own name, joins, and waits until media is connected.
    pub fn join(&self) {
        self.fill("#name", self.name);
        self.click("#join");
        self.wait("document.querySelector('#connection').textContent === 'Connected'");
    }

    pub fn fill(&self, selector: &str, value: &str) {
        self.on("fill", json!({ "selector": selector, "value": value }));
    }

    pub fn click(&self, selector: &str) {
        self.on("click", json!({ "selector": selector }));
    }

    /// Presses a key of the keyboard.
    pub fn press(&self, key: &str) {
        self.on("press", json!({ "key": key }));
    }

    /// Chooses an option of a menu by its value.
    pub fn select(&self, selector: &str, value: &str) {
        self.on("select", json!({ "selector": selector, "value": value }));
    }

    /// Makes the window so large, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        self.on("resize", json!({ "width": width, "height": height }));
    }

    /// What the accessibility checker finds wrong with what is shown now.
    pub fn barriers(&self) -> Vec<String> {
        let found = self.on("axe", json!({}));
        serde_json::from_value(found).expect("a list of lines")
    }

    /// What a JavaScript expression is now.
    pub fn evaluate(&self, script: &str) -> Value {
        self.on("evaluate", json!({ "script": script }))
    }

    /// Waits until a JavaScript expression is truthy, and returns it.
    ///
    /// # Panics
    /// After 15 s; shows what the page shows and what it wrote to its console.
    pub fn wait(&self, script: &str) -> Value {
        self.wait_within(script, Duration::from_secs(15))
    }

    /// As [`Page::wait`].
    pub fn wait_within(&self, script: &str, within: Duration) -> Value {
        let millis = u64::try_from(within.as_millis()).expect("a test is shorter");
        let command = json!({
            "op": "wait", "page": self.name, "script": script, "timeout_ms": millis,
        });
        self.browser.try_command(command).unwrap_or_else(|error| {
            let text = self.try_on("evaluate", json!({ "script": "document.body.innerText" }));
            let console = self.try_on("console", json!({}));
            let picture = format!("ringbridge-e2e-{}-{}.png", std::process::id(), self.name);
            let picture = std::env::temp_dir().join(picture);
            let _ = self.try_on("screenshot", json!({ "path": picture }));
            panic!(
                "page {}: {script}\n{error}\n── it shows ({})\n{}\n── its console\n{console:#?}",
                self.name,
                picture.display(),
                text.as_ref()
                    .ok()
                    .and_then(Value::as_str)
                    .unwrap_or("nothing"),
            )
        })
    }

    /// Waits until the page shows these words.
    pub fn wait_for_text(&self, text: &str) {
        self.wait(&format!(
            "document.body.innerText.includes({})",
            json!(text)
        ));
    }

    /// What it plays in the next `ms` milliseconds.
    pub fn heard(&self, ms: u64) -> Recording {
        let base64 = self.evaluate(&format!("window.e2eRecord({ms})"));
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(base64.as_str().expect("a string"))
            .expect("base64");
        let samples = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Recording {
            rate_hz: RECORDING_RATE_HZ,
            samples,
        }
    }

    /// Waits until it plays every one of these tones in one second of sound.
    pub fn wait_to_hear(&self, tones_hz: &[f64], within: Duration) -> Recording {
        let what = format!("page {} to hear {tones_hz:?} Hz", self.name);
        super::wait::until_found(&what, within, || {
            let heard = self.heard(1000);
            let all = tones_hz.iter().all(|hz| heard.has_tone(*hz));
            if all {
                Ok(heard.clone())
            } else {
                Err(heard.describe(tones_hz))
            }
        })
    }

    /// Waits until a tile's video shows a colour, given as red, green, blue.
    pub fn wait_to_see(&self, selector: &str, [red, green, blue]: [u8; 3]) {
        self.wait(&format!(
            "window.e2eColour({})?.every((v, i) => Math.abs(v - [{red},{green},{blue}][i]) < 40)",
            json!(selector)
        ));
    }

    /// Names, kinds and ids of the tiles, oneself included.
    pub fn tiles(&self) -> Vec<Value> {
        let script = "[...document.querySelectorAll('.tile')].map((t) => ({ \
            kind: t.dataset.kind, id: t.dataset.participantId, \
            name: t.querySelector('.label-name').textContent }))";
        self.evaluate(script)
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until there are so many tiles of a kind (`self`, `browser`, `robo`, `screen`).
    pub fn wait_for_tiles(&self, kind: &str, count: usize) {
        self.wait(&format!(
            "document.querySelectorAll('.tile[data-kind={kind}]').length === {count}"
        ));
    }

    /// Lines the page wrote to its console.
    pub fn console(&self) -> Vec<String> {
        let lines = self.on("console", json!({}));
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .filter_map(|line| Some(line.as_str()?.to_owned()))
            .collect()
    }

    /// Closes it, as closing the tab does.
    pub fn close(self) {
        self.on("close", json!({}));
    }

    fn on(&self, op: &str, more: Value) -> Value {
        self.try_on(op, more)
            .unwrap_or_else(|error| panic!("page {}: {op}\n{error}", self.name))
    }

    fn try_on(&self, op: &str, mut command: Value) -> Result<Value, String> {
        command["op"] = json!(op);
        command["page"] = json!(self.name);
        self.browser.try_command(command)
    }
}
