//! sipp, playing the scenarios in `tests/e2e/sipp/`.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::server::Server;
use super::tool;

/// How sipp talks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    /// For baresip: Debian's sipp is built without it.
    Tls,
}

/// One scenario to be played, once or many times.
pub struct Sipp<'a> {
    server: &'a Server,
    scenario: &'static str,
    transport: Transport,
    service: String,
    username: String,
    password: String,
    calls: u32,
    source: &'static str,
    target: SocketAddr,
}

/// A scenario that is being played.
pub struct Playing {
    child: Child,
    scenario: &'static str,
    folder: PathBuf,
}

impl<'a> Sipp<'a> {
    /// `scenario` is a file's name in `tests/e2e/sipp/`, without `.xml`. Calls the demo meeting
    /// with the card's credentials.
    pub fn new(server: &'a Server, scenario: &'static str, transport: Transport) -> Self {
        Sipp {
            server,
            scenario,
            transport,
            service: server.card.meeting_id.clone(),
            username: server.card.sip_username.clone(),
            password: server.card.sip_password.clone(),
            calls: 1,
            source: "127.0.0.1",
            target: server.sip(),
        }
    }

    /// Calls `sip:<service>@…` instead.
    pub fn service(mut self, service: &str) -> Self {
        self.service = service.to_owned();
        self
    }

    /// Calls from another loopback address.
    pub fn from(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// Uses another password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// Sends to a proxy instead.
    pub fn through(mut self, proxy: SocketAddr) -> Self {
        self.target = proxy;
        self
    }

    /// Plays it so many times, ten times a second.
    pub fn times(mut self, calls: u32) -> Self {
        self.calls = calls;
        self
    }

    /// Plays it to its end.
    ///
    /// # Panics
    /// When something else came than the scenario expects; shows every message.
    pub fn run(self) {
        self.start().finish();
    }

    /// Begins to play it.
    pub fn start(self) -> Playing {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = tool::need("sipp", "sip-tester");
        let file = tool::need_file(
            &format!("sipp/{}.xml", self.scenario),
            "it belongs to the tests",
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self
            .server
            .folder()
            .join(format!("sipp-{number}-{}", self.scenario));
        fs::create_dir_all(&folder).expect("a folder for sipp's logs");
        let log = fs::File::create(folder.join("screen.log")).expect("a log file");
        let child = Command::new(program)
            .arg(self.target.to_string())
            .arg("-sf")
            .arg(file)
            .args([
                "-s",
                &self.service,
                "-au",
                &self.username,
                "-ap",
                &self.password,
            ])
            .args([
                "-t",
                match self.transport {
                    Transport::Udp => "u1",
                    Transport::Tcp => "t1",
                    Transport::Tls => "l1",
                },
            ])
            .args([
                "-i",
                self.source,
                "-p",
                &free_port(),
                "-mp",
                &free_port(),
                "-m",
                &self.calls.to_string(),
                "-r",
                "10",
            ])
            .args([
                "-nostdin",
                "-timeout",
                "30",
                "-timeout_error",
                "-recv_timeout",
                "8000",
            ])
            .args(["-trace_msg", "-message_file", "messages.log"])
            .args(["-trace_err", "-error_file", "errors.log"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("sipp starts");
        Playing {
            child,
            scenario: self.scenario,
            folder,
        }
    }
}

impl Playing {
    /// Waits for the scenario's end.
    ///
    /// # Panics
    /// As [`Sipp::run`].
    pub fn finish(mut self) {
        let status = self.child.wait().expect("sipp can be waited for");
        if !status.success() {
            panic!(
                "sipp {} failed ({status})\n── errors\n{}\n── messages\n{}",
                self.scenario,
                self.file("errors.log"),
                self.file("messages.log")
            );
        }
    }

    /// Every message sent and received so far.
    pub fn messages(&self) -> String {
        self.file("messages.log")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, for programs that cannot say which one the kernel chose.
pub fn free_port() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
    socket.local_addr().expect("it is bound").port().to_string()
}
