//! The real binary, started on ports of the kernel's choosing and a data folder of its own.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::{http, wait};

/// A first start makes keys, a certificate and a database.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the server writes for whoever makes the first call.
#[derive(Debug, Clone, Deserialize)]
pub struct FirstCall {
    pub join_url: String,
    pub https_join_url: String,
    pub sip_uri: String,
    pub sip_tls_uri: String,
    pub sip_username: String,
    pub sip_password: String,
    pub api_base: String,
    pub admin_base: String,
    pub organization_id: String,
    pub api_key: String,
    pub meeting_id: String,
}

/// A running server; killed, and its folder removed, when dropped.
pub struct Server {
    child: Child,
    folder: Folder,
    /// Its first-call card.
    pub card: FirstCall,
}

impl Server {
    /// Starts one and waits until it takes calls.
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// As [`Server::start`], with more arguments.
    pub fn start_with(more: &[&str]) -> Server {
        Server::start_in(more, &[])
    }

    /// As [`Server::start_with`], with more environment variables.
    pub fn start_in(more: &[&str], environment: &[(&str, &str)]) -> Server {
        let folder = Folder::new();
        let data = folder.path.join("data");
        let mut child = spawn(&folder, &data, more, environment);
        let card = wait::until_found("the first-call card", START_TIMEOUT, || {
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                panic!("the server ended at once ({status}):\n{}", folder.log());
            }
            let text =
                fs::read_to_string(data.join("first-call.json")).map_err(|e| e.to_string())?;
            serde_json::from_str::<FirstCall>(&text).map_err(|e| format!("{e} in {text}"))
        });
        let server = Server {
            child,
            folder,
            card,
        };
        wait::until_found("/readyz", START_TIMEOUT, || {
            match http::request(server.http(), "GET", "/readyz", None, None) {
                Ok(reply) if reply.status == 200 => Ok(()),
                Ok(reply) => Err(format!("{} {}", reply.status, reply.body)),
                Err(e) => Err(e.to_string()),
            }
        });
        server
    }

    /// Where SIP is answered, UDP and TCP.
    pub fn sip(&self) -> SocketAddr {
        host_of(&self.card.sip_uri)
    }

    /// Where SIP over TLS is answered.
    pub fn sips(&self) -> SocketAddr {
        host_of(&self.card.sip_tls_uri)
    }

    /// Where HTTP is answered.
    pub fn http(&self) -> SocketAddr {
        authority(&self.card.api_base)
    }

    /// Where HTTPS is answered.
    pub fn https(&self) -> SocketAddr {
        authority(&self.card.https_join_url)
    }

    /// Where the first media worker hears browsers.
    pub fn webrtc(&self) -> SocketAddr {
        let log = self.folder.log();
        let said = log.split("listener=\"webrtc\" address=").nth(1);
        let address = said.and_then(|rest| rest.split_whitespace().next());
        let address = address.unwrap_or_else(|| panic!("no worker listens:\n{log}"));
        address.parse().unwrap_or_else(|e| panic!("{e}: {address}"))
    }

    /// Where metrics are told.
    pub fn admin(&self) -> SocketAddr {
        authority(&self.card.admin_base)
    }

    /// A REST call with the card's API key; `path` begins after `/v2`.
    pub fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> http::Reply {
        let key = (
            self.card.organization_id.as_str(),
            self.card.api_key.as_str(),
        );
        http::request(self.http(), method, &format!("/v2{path}"), Some(key), body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// A GET without credentials.
    pub fn get(&self, path: &str) -> http::Reply {
        http::request(self.http(), "GET", path, None, None)
            .unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        http::request(self.admin(), "GET", "/metrics", None, None)
            .expect("metrics are told")
            .body
    }

    /// The sum of a metric over its labels.
    ///
    /// # Panics
    /// When there is no such metric: a name that changed must not read as zero.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.metrics();
        assert!(
            page.contains(&format!("# TYPE {name} ")),
            "no metric is called {name}"
        );
        page.lines()
            .filter(|line| {
                // A counter's samples have a suffix that its type's line has not.
                line.strip_prefix(name).is_some_and(|rest| {
                    let rest = rest.strip_prefix("_total").unwrap_or(rest);
                    rest.starts_with([' ', '{'])
                })
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Participants of the demo meeting's live session; empty when there is none.
    pub fn participants(&self) -> Vec<Value> {
        let path = format!("/meetings/{}/active-session", self.card.meeting_id);
        let reply = self.rest("GET", &path, None);
        match reply.status {
            404 => Vec::new(),
            200 => reply.json()["data"]["participants"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            other => panic!("active-session: {other} {}", reply.body),
        }
    }

    /// Octets of memory it holds.
    pub fn memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a figure") * 1_024
    }

    /// All it has written so far.
    pub fn log(&self) -> String {
        self.folder.log()
    }

    /// The program with these arguments against this server's data folder: its output.
    pub fn operator(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_ringbridge"))
            .args(arguments)
            .arg("--data")
            .arg(self.folder.path.join("data"))
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }

    /// How many sockets, files and the like it holds.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("it runs")
            .count()
    }

    /// A folder for the test's own files, removed with the server.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Asks it to stop, as a service manager would, and says how it ended.
    pub fn terminate(mut self, within: Duration) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(
            kill.is_ok_and(|status| status.success()),
            "SIGTERM could not be sent"
        );
        let status = wait::until_found("the server's end after SIGTERM", within, || {
            let status = self.child.try_wait().expect("the child can be asked");
            status.ok_or_else(|| "still running".to_owned())
        });
        (status, asked.elapsed())
    }

    /// Sends it a signal, such as `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(
            kill.is_ok_and(|status| status.success()),
            "SIG{name} could not be sent"
        );
    }

    /// Waits for its end, and says how it ended.
    pub fn wait_end(&mut self, within: Duration) -> ExitStatus {
        wait::until_found("the server's end", within, || {
            let status = self.child.try_wait().expect("the child can be asked");
            status.ok_or_else(|| "still running".to_owned())
        })
    }

    /// Kills it hard and starts another with the same data on the same HTTP port.
    pub fn crash_and_restart(&mut self) {
        self.crash_and_restart_with(&[]);
    }

    /// As [`Server::crash_and_restart`], with more arguments.
    pub fn crash_and_restart_with(&mut self, more: &[&str]) {
        let http = self.http().to_string();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let data = self.folder.path.join("data");
        let arguments = [&["--http", &http], more].concat();
        self.child = spawn(&self.folder, &data, &arguments, &[]);
        let address = self.http();
        wait::until("the restarted server", START_TIMEOUT, || {
            http::request(address, "GET", "/readyz", None, None).is_ok_and(|r| r.status == 200)
        });
        let text =
            fs::read_to_string(data.join("first-call.json")).expect("the card is still there");
        self.card = serde_json::from_str(&text).expect("the card can be read");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.folder.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(80)..];
            eprintln!(
                "── the server's log, last {} lines ──\n{}",
                tail.len(),
                tail.join("\n")
            );
        }
    }
}

/// The command every test starts the server with.
pub fn command(data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringbridge"));
    command.arg("serve").arg("--data").arg(data);
    let defaults = [
        ("--sip", "127.0.0.1:0"),
        ("--sips", "127.0.0.1:0"),
        ("--http", "127.0.0.1:0"),
        ("--https", "127.0.0.1:0"),
        ("--admin", "127.0.0.1:0"),
        // An unoptimised build beside others: what it costs says nothing.
        ("--worker-load-max", "100"),
        ("--rtp-ports", "0-0"),
        ("--webrtc-port", "0"),
        ("--public-address", "127.0.0.1"),
    ];
    for (flag, value) in defaults {
        if !more.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(more).stdin(Stdio::null());
    command
}

fn spawn(folder: &Folder, data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.log_path())
        .expect("a log file");
    command(data, more)
        .envs(environment.iter().copied())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

/// Of a SIP URI.
fn host_of(uri: &str) -> SocketAddr {
    let host = uri.rsplit('@').next().unwrap_or(uri);
    let host = host.split(';').next().unwrap_or(host);
    host.parse().unwrap_or_else(|e| panic!("{e}: {uri}"))
}

fn authority(url: &str) -> SocketAddr {
    let rest = url.split("://").nth(1).unwrap_or(url);
    let host = rest.split('/').next().unwrap_or(rest);
    let host = host.replace("localhost", &IpAddr::from(Ipv4Addr::LOCALHOST).to_string());
    host.parse().unwrap_or_else(|e| panic!("{e}: {url}"))
}

/// A temporary folder; kept when its test fails.
pub struct Folder {
    /// Where.
    pub path: PathBuf,
}

impl Folder {
    /// Makes one.
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ringbridge-e2e-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder { path }
    }

    fn log_path(&self) -> PathBuf {
        self.path.join("server.log")
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
