//! Kamailio as a carrier's edge: a proxy that records its route and passes calls on over UDP.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::server::Server;
use super::sipp::free_port;
use super::{tool, wait};

/// A first start loads a dozen modules.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// A running proxy; ended when dropped.
pub struct Kamailio {
    child: Child,
    folder: PathBuf,
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
}

impl Kamailio {
    /// Starts it in front of the server and waits until it passes requests on.
    pub fn in_front_of(server: &Server) -> Kamailio {
        let program = tool::need("kamailio", "kamailio");
        let folder = server.folder().join("kamailio");
        fs::create_dir_all(&folder).expect("a folder");
        let address: SocketAddr = format!("127.0.0.1:{}", free_port())
            .parse()
            .expect("an address");
        let config = folder.join("kamailio.cfg");
        fs::write(&config, script(address, server.sip())).expect("a file");
        let log = fs::File::create(folder.join("kamailio.log")).expect("a log file");
        let child = Command::new(program)
            .arg("-f")
            .arg(&config)
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-Y"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("kamailio starts");
        let proxy = Kamailio {
            child,
            folder,
            address,
        };
        proxy.wait_until_ready();
        proxy
    }

    fn wait_until_ready(&self) {
        let asker = UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
        asker
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a timeout can be set");
        let local = asker.local_addr().expect("it is bound");
        let options = format!(
            "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKready;rport\r\n\
             From: <sip:ready@{local}>;tag=ready\r\nTo: <sip:{0}>\r\nCall-ID: ready-{local}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.address
        );
        wait::until("kamailio to pass OPTIONS on", START_TIMEOUT, || {
            let mut buffer = [0; 4096];
            // Nobody may listen yet.
            let _ = asker.send_to(options.as_bytes(), self.address);
            let answer = asker.recv(&mut buffer).map(|length| &buffer[..length]);
            let is_passed = answer.is_ok_and(|answer| answer.starts_with(b"SIP/2.0 200"));
            assert!(
                is_passed || !self.log().contains("ERROR"),
                "kamailio: {}",
                self.log()
            );
            is_passed
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("kamailio.log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its own children go with it when it is asked, not when it is killed.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("── kamailio's log ──\n{}", self.log());
        }
    }
}

fn script(address: SocketAddr, server: SocketAddr) -> String {
    let modules = ["tm", "sl", "rr", "pv", "maxfwd", "siputils", "textops"];
    let modules: String = modules
        .iter()
        .map(|module| format!("loadmodule \"{module}.so\"\n"))
        .collect();
    let path = modules_folder();
    format!(
        r#"debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:{address}
listen=tcp:{address}
mpath="{path}"
{modules}modparam("tm", "auto_inv_100", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    record_route();
    $du = "sip:{server};transport=udp";
    t_relay();
}}
"#,
        path = path.display()
    )
}

/// Debian puts them below the machine's triplet.
fn modules_folder() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders
        .map(|folder| folder.path().join("kamailio/modules"))
        .find(|folder| folder.is_dir());
    found.unwrap_or_else(|| Path::new("/usr/lib/kamailio/modules").to_owned())
}
