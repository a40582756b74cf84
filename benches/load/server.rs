//! The server under test: started fresh on its own core, stopped at the end.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringbridge::probe::rest::Rest;
use serde::Deserialize;

use super::ServerArgs;

const LOAD_MAX: &str = "--worker-load-max";

/// What the bench reads of `first-call.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct FirstCall {
    pub sip_uri: String,
    pub sip_username: String,
    pub sip_password: String,
    pub api_base: String,
    pub organization_id: String,
    pub api_key: String,
    pub admin_base: String,
}

/// A running server; dropping it stops it and removes its data.
pub struct Server {
    child: Child,
    data: PathBuf,
    pub card: FirstCall,
    /// From its start to its first-call card and a ready `/readyz`.
    pub ready_after: Duration,
}

impl Server {
    /// Starts it with one worker, every port chosen by the kernel, and waits until it is ready.
    pub async fn start(args: &ServerArgs) -> Result<Self, Box<dyn Error>> {
        let data = std::env::temp_dir().join(format!("ringbridge-bench-{}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let log = std::fs::File::create(data.join("server.log"))?;
        let begun = Instant::now();
        let child = Command::new("nice")
            .args(["-n", &args.server_nice.to_string(), "taskset"])
            .args(["-c", &args.server_core.to_string()])
            .arg(&args.server)
            .args(["serve", "--data"])
            .arg(&data)
            .args([
                "--sip",
                "127.0.0.1:0",
                "--sips",
                "off",
                "--http",
                "127.0.0.1:0",
            ])
            .args(["--https", "off", "--admin", "127.0.0.1:0"])
            .args(["--rtp-ports", "0", "--webrtc-port", "0"])
            .args(["--public-address", "127.0.0.1", "--workers", "1"])
            // What a core can do is found out by going there; give the flag again to stop earlier.
            .args(
                match args.server_arg.iter().any(|a| a.starts_with(LOAD_MAX)) {
                    true => &[][..],
                    false => &[LOAD_MAX, "100"][..],
                },
            )
            .args(&args.server_arg)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", args.server.display()))?;
        let mut server = Self {
            child,
            card: FirstCall {
                sip_uri: String::new(),
                sip_username: String::new(),
                sip_password: String::new(),
                api_base: String::new(),
                organization_id: String::new(),
                api_key: String::new(),
                admin_base: String::new(),
            },
            data,
            ready_after: Duration::ZERO,
        };
        server.card = server
            .wait_for_card(begun + Duration::from_secs(10))
            .await?;
        // For its TLS provider, which the plain client needs as well.
        server.rest()?;
        let readyz = format!("{}/readyz", server.card.api_base.trim_end_matches("/v2"));
        while reqwest::get(&readyz)
            .await
            .is_ok_and(|r| !r.status().is_success())
        {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("the server does not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.ready_after = begun.elapsed();
        Ok(server)
    }

    async fn wait_for_card(&mut self, until: Instant) -> Result<FirstCall, Box<dyn Error>> {
        loop {
            let text = std::fs::read_to_string(self.data.join("first-call.json"));
            if let Some(card) = text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
                return Ok(card);
            }
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.data.join("server.log"))?;
                return Err(format!("the server ended with {status}: {log}").into());
            }
            if Instant::now() > until {
                return Err("no first-call.json within 10 s".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A REST client of the server's organisation.
    pub fn rest(&self) -> Result<Rest, Box<dyn Error>> {
        let card = &self.card;
        let base = card.api_base.trim_end_matches("/v2");
        Ok(Rest::new(
            base,
            &card.organization_id,
            &card.api_key,
            false,
        )?)
    }

    /// The metrics page.
    pub async fn metrics(&self) -> Result<String, Box<dyn Error>> {
        let page = reqwest::get(format!("{}/metrics", self.card.admin_base)).await?;
        Ok(page.error_for_status()?.text().await?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and what is left in the temporary folder harms nobody.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _left = std::fs::remove_dir_all(&self.data);
    }
}
