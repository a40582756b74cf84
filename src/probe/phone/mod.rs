//! A small real telephone: calls a SIP URI over UDP or TCP, authenticates, talks and listens in
//! G.711 in real time. The probe, the end-to-end tests and the load generator share it. It has
//! its own SIP, SDP, digest and RTP code on purpose: a foreign check on the server's.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ringbridge::probe::phone::Dial;
//! use ringbridge::probe::sound::Voice;
//!
//! let mut call = Dial::new("sip:MEETING@127.0.0.1:5060", "user", "password").call().await?;
//! let media = call.media(Voice::tone(440.0, 8_000))?;
//! media.ear().wait_for_tone(1_000.0, std::time::Duration::from_secs(5)).await;
//! call.hang_up().await?;
//! # Ok(()) }
//! ```

pub mod digest;
mod line;
pub mod media;
pub mod message;
mod plan;
pub mod session;
mod transaction;
pub mod uac;
pub mod wire;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use self::digest::Credentials;
use self::line::{Command, Line};
use self::media::PhoneMedia;
use self::session::{Direction, RemoteMedia};
use self::uac::{Transport, Uac, UacConfig};
use self::wire::{Wire, local_ip_towards};
use crate::meeting::leg::PhoneCodec;
use crate::probe::sound::Voice;

/// What to dial, and as whom.
#[derive(Debug, Clone)]
pub struct Dial {
    /// `sip:user@host[:port][;transport=tcp]`.
    pub uri: String,
    /// Digest username and user part of From.
    pub username: String,
    /// Digest password.
    pub password: String,
    /// Display name of From.
    pub display_name: String,
    /// Signalling transport; [`Dial::new`] takes it from the URI.
    pub transport: Transport,
    /// Send to this address instead of the URI's host.
    pub proxy: Option<SocketAddr>,
    /// Codecs offered, best first.
    pub codecs: Vec<PhoneCodec>,
    /// Further headers of the INVITE.
    pub headers: Vec<(String, String)>,
    /// INVITE without SDP.
    pub delayed_offer: bool,
    /// Longest wait for the answer.
    pub answer_wait: Duration,
}

/// Why a call did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URI is not one, or its host has no address.
    #[error("cannot resolve {0}")]
    Unresolved(String),
    /// A socket of ours failed.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// Nothing at all came back.
    #[error("no reply from {0}")]
    Silence(SocketAddr),
    /// Our credentials were refused.
    #[error("credentials refused with {0}")]
    Unauthorized(u16),
    /// Any other final refusal.
    #[error("refused with {status} {reason}")]
    Refused {
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Provisional answers only, until the wait was over.
    #[error("not answered in time (last status {0})")]
    NotAnswered(u16),
    /// The answer's description is nothing a G.711 phone can use.
    #[error("the answer's SDP has no usable audio")]
    NoMedia,
}

/// Moments of a call's set-up.
#[derive(Debug, Clone, Copy)]
pub struct SetUpTimes {
    /// First INVITE sent.
    pub invited: Instant,
    /// The challenge came.
    pub challenged: Option<Instant>,
    /// First 180 or 183.
    pub ringing: Option<Instant>,
    /// The 200 came.
    pub answered: Instant,
}

/// What happens in an established call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// The server hung up, with its Reason header.
    RemoteHungUp(Option<String>),
    /// The server changed the media.
    Reinvited(Option<RemoteMedia>),
    /// The signalling connection broke or a request was never answered.
    Lost,
}

/// An answered call. Dropping it hangs up.
#[derive(Debug)]
pub struct PhoneCall {
    /// When what happened.
    pub times: SetUpTimes,
    /// What the server's answer settled.
    pub remote: RemoteMedia,
    rtp: Option<UdpSocket>,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<CallEvent>,
}

/// A call that is not answered yet. Dropping it cancels.
#[derive(Debug)]
pub struct Dialing {
    answer: oneshot::Receiver<Result<(SetUpTimes, RemoteMedia), DialError>>,
    progress: mpsc::Receiver<u16>,
    call: Option<PhoneCallParts>,
}

#[derive(Debug)]
struct PhoneCallParts {
    rtp: UdpSocket,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<CallEvent>,
}

impl Dial {
    /// A call with digest credentials; µ-law before A-law.
    pub fn new(uri: &str, username: &str, password: &str) -> Self {
        let tcp = uri.to_ascii_lowercase().contains(";transport=tcp");
        Self {
            uri: uri.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            display_name: String::new(),
            transport: if tcp { Transport::Tcp } else { Transport::Udp },
            proxy: None,
            codecs: vec![PhoneCodec::Pcmu, PhoneCodec::Pcma],
            headers: Vec::new(),
            delayed_offer: false,
            answer_wait: Duration::from_secs(20),
        }
    }

    /// Dials and waits for the answer.
    pub async fn call(&self) -> Result<PhoneCall, DialError> {
        self.start().await?.answered().await
    }

    /// Where the call's signalling goes.
    pub async fn resolve(&self) -> Result<SocketAddr, DialError> {
        match self.proxy {
            Some(proxy) => Ok(proxy),
            None => resolve(&self.uri).await,
        }
    }

    /// Dials; the call goes on by itself.
    pub async fn start(&self) -> Result<Dialing, DialError> {
        let server = self.resolve().await?;
        let rtp = UdpSocket::bind((local_ip_towards(server)?, 0))?;
        rtp.set_nonblocking(true)?;
        let wire = Wire::open(self.transport, server).await?;
        let uac = Uac::new(UacConfig {
            uri: self.uri.clone(),
            local: wire.local()?,
            transport: self.transport,
            from_user: self.username.clone(),
            display_name: self.display_name.clone(),
            credentials: Some(Credentials {
                username: self.username.clone(),
                password: self.password.clone(),
            }),
            headers: self.headers.clone(),
            codecs: self.codecs.clone(),
            rtp: rtp.local_addr()?,
            delayed_offer: self.delayed_offer,
        });
        let (commands, command_queue) = mpsc::channel(8);
        let (event_sender, events) = mpsc::channel(64);
        let (progress_sender, progress) = mpsc::channel(16);
        let (answer_sender, answer) = oneshot::channel();
        let line = Line::new(uac, wire, server, self.answer_wait).reporting_to(
            answer_sender,
            progress_sender,
            event_sender,
        );
        tokio::spawn(line.run(command_queue));
        Ok(Dialing {
            answer,
            progress,
            call: Some(PhoneCallParts {
                rtp,
                commands,
                events,
            }),
        })
    }
}

impl Dialing {
    /// Waits for the next provisional answer; `None` once the call is decided.
    pub async fn progress(&mut self) -> Option<u16> {
        self.progress.recv().await
    }

    /// Waits for the answer.
    pub async fn answered(mut self) -> Result<PhoneCall, DialError> {
        let (times, remote) = (&mut self.answer)
            .await
            .unwrap_or(Err(DialError::NotAnswered(0)))?;
        let parts = self.call.take().expect("taken only here and in cancel");
        Ok(PhoneCall {
            times,
            remote,
            rtp: Some(parts.rtp),
            commands: parts.commands,
            events: parts.events,
        })
    }

    /// Gives up; the status that ended the INVITE is 487 when the server is right.
    pub async fn cancel(mut self) -> Result<u16, DialError> {
        drop(self.call.take());
        match (&mut self.answer).await {
            Ok(Err(DialError::Refused { status, .. })) => Ok(status),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Ok(200),
            Err(_) => Err(DialError::NotAnswered(0)),
        }
    }
}

impl PhoneCall {
    /// Starts talking and listening. Once per call.
    ///
    /// # Errors
    /// The socket was taken already, or is broken.
    pub fn media(&mut self, voice: Voice) -> io::Result<PhoneMedia> {
        let socket = self.rtp.take().ok_or(io::ErrorKind::NotConnected)?;
        PhoneMedia::start(socket, self.remote, voice)
    }

    /// Hands the RTP socket over to somebody who does media without us.
    pub fn take_rtp_socket(&mut self) -> Option<UdpSocket> {
        self.rtp.take()
    }

    /// Puts the meeting on hold or takes it back; what the server's answer says.
    pub async fn reinvite(&self, direction: Direction) -> Result<Option<RemoteMedia>, DialError> {
        self.ask(|reply| Command::Reinvite(direction, reply)).await
    }

    /// Presses a key by SIP INFO.
    pub async fn info_dtmf(&self, digit: char) -> Result<(), DialError> {
        self.ask(|reply| Command::InfoDtmf(digit, reply)).await
    }

    /// Hangs up; the status of the BYE.
    pub async fn hang_up(self) -> Result<u16, DialError> {
        self.ask(Command::HangUp).await
    }

    /// The next thing that happens to the call; `None` when it is over.
    pub async fn event(&mut self) -> Option<CallEvent> {
        self.events.recv().await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, DialError>>) -> Command,
    ) -> Result<T, DialError> {
        let (reply, answer) = oneshot::channel();
        let gone = || DialError::Socket(io::ErrorKind::NotConnected.into());
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Address that a SIP URI names; port 5060 unless it says otherwise.
pub async fn resolve(uri: &str) -> Result<SocketAddr, DialError> {
    let unresolved = || DialError::Unresolved(uri.to_owned());
    let bare = uri.trim().trim_start_matches('<');
    let rest = bare
        .get(..4)
        .filter(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    let rest = rest.and_then(|_| bare.get(4..)).ok_or_else(unresolved)?;
    let host_port = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host_port = host_port.split([';', '?', '>']).next().unwrap_or(host_port);
    if let Ok(address) = host_port.parse::<SocketAddr>() {
        return Ok(address);
    }
    let has_port = host_port
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let with_port = match has_port && !host_port.ends_with(']') {
        true => host_port.to_owned(),
        false => format!("{host_port}:5060"),
    };
    let mut found = tokio::net::lookup_host(with_port)
        .await
        .map_err(|_| unresolved())?
        .collect::<Vec<_>>();
    found.sort_by_key(|address| !address.is_ipv4());
    found.into_iter().next().ok_or_else(unresolved)
}
