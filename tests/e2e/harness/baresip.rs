//! baresip: a softphone without a screen. It plays a tone, writes what it hears to a file, and is
//! driven over its `ctrl_tcp` module.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::Server;
use super::sipp::{Transport, free_port};
use super::tone::{Recording, sine};
use super::{tool, wait};

/// Where Debian keeps its modules.
const MODULE_FOLDER: &str = "/usr/lib/baresip/modules";
/// How long it may take to start, and to answer a command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What kind of phone.
pub struct Options {
    pub transport: Transport,
    /// `PCMU`, `PCMA`, `G722` or `opus`.
    pub codec: &'static str,
    /// Length of its packets, and of those it asks for, in ms.
    pub ptime: u32,
    /// Shown to the others.
    pub name: &'static str,
    /// Its `mediaenc`: none, or SDES-SRTP that it insists on.
    pub srtp: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            transport: Transport::Udp,
            codec: "PCMU",
            ptime: 20,
            name: "Desk Phone",
            srtp: false,
        }
    }
}

/// A running phone; killed when dropped.
pub struct Baresip {
    child: Child,
    folder: PathBuf,
    control: TcpStream,
    unread: Vec<u8>,
    events: Vec<Value>,
    meeting_uri: String,
}

impl Baresip {
    /// Starts a phone that will play `tone_hz` in its calls.
    pub fn start(server: &Server, tone_hz: f64) -> Baresip {
        Baresip::start_with(server, tone_hz, &Options::default())
    }

    /// As [`Baresip::start`].
    pub fn start_with(server: &Server, tone_hz: f64, options: &Options) -> Baresip {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = tool::need("baresip", "baresip-core");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = server.folder().join(format!("baresip-{number}"));
        fs::create_dir_all(&folder).expect("a folder for baresip");
        // As it names its codecs itself: without their rate and channels it takes all it has.
        let (rate_hz, codec) = match options.codec {
            "G722" => (16_000, "G722/16000/1"),
            "opus" => (48_000, "opus/48000/2"),
            narrow => (8_000, narrow),
        };
        let tone = sine(rate_hz, tone_hz, 120, -10.0);
        write_wav(&folder.join("tone.wav"), &tone);

        let control_port = free_port();
        fs::write(
            folder.join("config"),
            config(&folder, &control_port, rate_hz),
        )
        .expect("its config");
        let (transport, host) = match options.transport {
            Transport::Udp => ("udp", server.sip()),
            Transport::Tcp => ("tcp", server.sip()),
            Transport::Tls => ("tls", server.sips()),
        };
        let card = &server.card;
        let srtp = if options.srtp {
            ";mediaenc=srtp-mand"
        } else {
            ""
        };
        let account = format!(
            "\"{}\" <sip:{}@{host};transport={transport}>;auth_user={};auth_pass={};regint=0;audio_codecs={};ptime={}{srtp}\n",
            options.name,
            card.sip_username,
            card.sip_username,
            card.sip_password,
            codec,
            options.ptime,
        );
        fs::write(folder.join("accounts"), account).expect("its account");

        let log = fs::File::create(folder.join("screen.log")).expect("a log file");
        let child = Command::new(program)
            .arg("-f")
            .arg(&folder)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("baresip starts");
        let address = format!("127.0.0.1:{control_port}");
        let control = wait::until_found("baresip's control port", ANSWER_TIMEOUT, || {
            TcpStream::connect(&address).map_err(|e| e.to_string())
        });
        control
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout can be set");
        Baresip {
            child,
            folder,
            control,
            unread: Vec::new(),
            events: Vec::new(),
            meeting_uri: format!("sip:{}@{host};transport={transport}", card.meeting_id),
        }
    }

    /// Calls the demo meeting and waits until the call is up.
    pub fn call(&mut self) {
        let uri = self.meeting_uri.clone();
        self.command("dial", &uri);
        self.expect_event("CALL_ESTABLISHED");
    }

    /// Presses a key: one RFC 4733 event.
    pub fn press(&mut self, digit: char) {
        self.command("sndcode", &digit.to_string());
    }

    /// Puts the meeting on hold by re-INVITE.
    pub fn hold(&mut self) {
        self.command("hold", "");
    }

    /// Takes it back.
    pub fn resume(&mut self) {
        self.command("resume", "");
    }

    /// Hangs up and waits until the call is gone.
    pub fn hang_up(&mut self) {
        self.command("hangup", "");
        self.expect_event("CALL_CLOSED");
    }

    /// Waits until the other side has ended the call.
    pub fn expect_hung_up(&mut self) {
        self.expect_event("CALL_CLOSED");
    }

    /// What it heard in the last `ms` milliseconds.
    pub fn heard(&self, ms: usize) -> Recording {
        // `sndfile` has not finished the header while the call is up: skip it.
        const HEADER_BYTES: usize = 44;
        let bytes = fs::read_dir(&self.folder)
            .expect("its folder")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .max()
            .and_then(|path| fs::read(path).ok())
            .unwrap_or_default();
        let (channels, rate_hz) = match bytes.get(..HEADER_BYTES) {
            Some(header) => (
                usize::from(header[22]),
                u32::from_le_bytes([header[24], header[25], header[26], header[27]]),
            ),
            None => (1, 8_000),
        };
        let samples = bytes
            .get(HEADER_BYTES..)
            .unwrap_or_default()
            .chunks_exact(2 * channels)
            .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
            .collect();
        Recording { rate_hz, samples }.last_ms(ms)
    }

    /// Waits until it hears every one of these tones in one second of sound.
    pub fn wait_to_hear(&self, tones_hz: &[f64], within: Duration) -> Recording {
        wait::until_found(
            &format!("the phone to hear {tones_hz:?} Hz"),
            within,
            || {
                let heard = self.heard(1000);
                if heard.duration_ms() < 1000 {
                    return Err(format!("{} ms of sound", heard.duration_ms()));
                }
                let all = tones_hz.iter().all(|hz| heard.has_tone(*hz));
                if all {
                    Ok(heard.clone())
                } else {
                    Err(heard.describe(tones_hz))
                }
            },
        )
    }

    /// Its own log, without the status line that it draws over and over.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("screen.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace('\r', "\n");
        text.lines()
            .filter(|line| !line.contains("(bit/s)"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn command(&mut self, command: &str, params: &str) {
        let message = json!({ "command": command, "params": params, "token": command }).to_string();
        let frame = format!("{}:{message},", message.len());
        self.control
            .write_all(frame.as_bytes())
            .expect("baresip listens");
        let reply = self.wait_for(&format!("the reply to {command}"), |m| {
            m["response"] == true && m["token"] == command
        });
        assert_eq!(
            reply["ok"], true,
            "baresip refused {command} {params}: {reply}"
        );
    }

    fn expect_event(&mut self, kind: &str) {
        self.wait_for(kind, |m| m["type"] == kind);
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            if let Some(at) = self.events.iter().position(&is_it) {
                return self.events.remove(at);
            }
            if start.elapsed() > ANSWER_TIMEOUT {
                panic!(
                    "waited for baresip: {what}; got {:?}\n{}",
                    self.events,
                    self.log()
                );
            }
            self.read_events();
        }
    }

    /// Netstrings of JSON: `<length>:<object>,`.
    fn read_events(&mut self) {
        let mut buffer = [0; 4096];
        match self.control.read(&mut buffer) {
            Ok(0) => panic!("baresip ended\n{}", self.log()),
            Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            Err(_) => return,
        }
        while let Some(colon) = self.unread.iter().position(|byte| *byte == b':') {
            let length: usize = std::str::from_utf8(&self.unread[..colon])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .unwrap_or_else(|| panic!("not a netstring: {:?}", self.unread));
            let end = colon + 1 + length;
            if self.unread.len() <= end {
                return;
            }
            let message = serde_json::from_slice(&self.unread[colon + 1..end]).expect("JSON");
            self.events.push(message);
            self.unread.drain(..=end);
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── baresip's log ──\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(folder: &Path, control_port: &str, rate_hz: u32) -> String {
    let folder = folder.display();
    format!(
        "poll_method epoll\n\
         net_interface 127.0.0.1\n\
         sip_listen 127.0.0.1:0\n\
         audio_source aufile,{folder}/tone.wav\n\
         audio_path {folder}\n\
         ausrc_srate {rate_hz}\n\
         auplay_srate {rate_hz}\n\
         ausrc_channels 1\n\
         auplay_channels 1\n\
         rtp_ports 10000-60000\n\
         module_path {MODULE_FOLDER}\n\
         module g711.so\n\
         module g722.so\n\
         module opus.so\n\
         module aufile.so\n\
         module srtp.so\n\
         module sndfile.so\n\
         module_tmp account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen 127.0.0.1:{control_port}\n\
         snd_path {folder}\n"
    )
}

fn write_wav(path: &Path, recording: &Recording) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: recording.rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a WAV file");
    for sample in &recording.samples {
        writer.write_sample(*sample).expect("it can be written");
    }
    writer.finalize().expect("it can be finished");
}
