//! JsSIP in Chromium: the phone that a web page has, over SIP's own WebSocket.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::chromium::{self, Turn};
use crate::harness::{Server, tool, wait};

/// Chromium starts slowly, and so do its neighbours.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_page_registers_calls_and_hangs_up() {
    let server = Server::start();
    let mut phone = JsSip::start(&server);
    assert_eq!(phone.expect("registered")["status"], json!(200));
    let listed = server.rest("GET", "/sip/registrations", None).json();
    assert_eq!(listed["data"][0]["transport"], json!("WS"), "{listed}");
    assert_eq!(phone.expect("options")["status"], json!(200));
    phone.expect("progress");
    phone.expect("confirmed");
    // ICE and DTLS are up.
    phone.expect("media");
    wait::until("the page among the participants", SOON, || {
        server.participants().len() == 1
    });
    phone.hang_up();
    phone.expect("ended");
    wait::until("nobody left", SOON, || server.participants().is_empty());
}

/// A running page with a phone in it.
struct JsSip {
    child: Child,
    commands: Option<ChildStdin>,
    steps: Receiver<Value>,
    /// Its turn among the browsers.
    _turn: Turn,
}

impl JsSip {
    /// Registers, asks OPTIONS and calls the demo meeting.
    fn start(server: &Server) -> JsSip {
        let node = tool::need("node", "nodejs");
        tool::need("chromium", "chromium");
        tool::need_file("node_modules/jssip", "run `npm ci --prefix tests/e2e`");
        let script = tool::need_file("browser/jssip.mjs", "it belongs to the tests");
        let card = &server.card;
        let settings = json!({
            "socket": format!("ws://{}/sip", server.http()),
            "uri": format!("sip:{}@gateway.invalid", card.sip_username),
            "user": card.sip_username,
            "password": card.sip_password,
            "target": format!("sip:{}@gateway.invalid", card.meeting_id),
        });
        let turn = chromium::turn();
        let mut child = Command::new(node)
            .arg(script)
            .arg(settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let commands = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, steps) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let step = serde_json::from_str(&line).unwrap_or(Value::Null);
                if sender.send(step).is_err() {
                    return;
                }
            }
        });
        JsSip {
            child,
            commands,
            steps,
            _turn: turn,
        }
    }

    fn hang_up(&mut self) {
        let commands = self.commands.as_mut().expect("it listens");
        writeln!(commands, "hang up").expect("it listens");
    }

    /// The next step, which must be this one.
    fn expect(&self, step: &str) -> Value {
        let came = self.steps.recv_timeout(SOON);
        let came = came.unwrap_or_else(|_| panic!("no step but {step} was waited for"));
        assert_eq!(came["step"], json!(step), "{came}");
        came
    }
}

impl Drop for JsSip {
    fn drop(&mut self) {
        // Chromium goes when node is told that nobody listens any more.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
