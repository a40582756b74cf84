//! linphone on its command line: a registered softphone that takes commands.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::server::Server;
use super::sipp::Transport;
use super::tool;

/// A running softphone; ended when dropped.
pub struct Linphone {
    child: Child,
    commands: ChildStdin,
    folder: PathBuf,
    uri: String,
}

impl Linphone {
    /// Starts one that registers over this transport; `encryption` is `none` or `srtp`.
    pub fn start(server: &Server, transport: Transport, encryption: &str) -> Linphone {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = tool::need("linphonec", "linphone-cli");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = server.folder().join(format!("linphone-{number}"));
        // It keeps its contacts there, and complains where it cannot.
        fs::create_dir_all(folder.join(".local/share/linphone")).expect("a folder");
        let (name, target) = match transport {
            Transport::Udp => ("udp", server.sip()),
            Transport::Tcp => ("tcp", server.sip()),
            Transport::Tls => ("tls", server.sips()),
        };
        let uri = |user: &str| format!("sip:{user}@{target};transport={name}");
        let card = &server.card;
        let settings = format!(
            "[sip]\nsip_port=-1\nsip_tcp_port=-2\nsip_tls_port=-2\nverify_server_certs=0\n\
             verify_server_cn=0\nuse_ipv6=0\nmedia_encryption={encryption}\ndefault_proxy=0\n\
             [auth_info_0]\nusername={user}\npasswd={password}\nrealm=ringbridge\n\
             [proxy_0]\nreg_proxy=<sip:{target};transport={name}>\n\
             reg_identity=sip:{user}@{host}\nreg_expires=300\nreg_sendregister=1\npublish=0\n",
            user = card.sip_username,
            password = card.sip_password,
            host = target.ip(),
        );
        let settings = match transport {
            // With the others beside it, it takes TCP.
            Transport::Udp => settings.replace("=-2", "=0"),
            Transport::Tcp | Transport::Tls => settings,
        };
        fs::write(folder.join("linphonerc"), settings).expect("a file");
        let log = fs::File::create(folder.join("screen.log")).expect("a log file");
        let mut child = Command::new(program)
            .args(["-c", "linphonerc", "-d", "6", "-l", "linphone.log"])
            .env("HOME", &folder)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("linphonec starts");
        let commands = child.stdin.take().expect("it is piped");
        let mut phone = Linphone {
            child,
            commands,
            folder,
            uri: uri(&card.meeting_id),
        };
        phone.say("soundcard use files");
        phone
    }

    /// Types a command.
    pub fn say(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("it listens");
        self.commands.flush().expect("it listens");
    }

    /// Calls the demo meeting.
    pub fn call(&mut self) {
        let command = format!("call {}", self.uri);
        self.say(&command);
    }

    /// What it has shown.
    pub fn screen(&self) -> String {
        fs::read_to_string(self.folder.join("screen.log")).unwrap_or_default()
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("── linphone's screen ──\n{}", self.screen());
        }
    }
}
