//! A WebRTC participant: joins a meeting over `/v2/signal` as a browser does, sends an Opus voice
//! and hears every track. Built on the `webrtc` crate, whose wiring of the protocol stack is not
//! the server's, so that the two check each other.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use ringbridge::probe::browser::{Browser, Join};
//! use ringbridge::probe::sound::Voice;
//!
//! let join = Join::new("ws://127.0.0.1:8080/v2/signal", "TOKEN", "Alice");
//! let browser = Browser::join(&join, Voice::tone(950.0, 48_000)).await?;
//! let phone = browser.wait_for_phone(Duration::from_secs(5)).await.ok_or("no phone")?;
//! let ear = browser.wait_for_voice(phone.id, Duration::from_secs(5)).await.ok_or("silent")?;
//! ear.wait_for_tone(550.0, Duration::from_secs(5)).await?;
//! browser.leave().await;
//! # Ok(()) }
//! ```

pub mod link;
mod microphone;
mod peer;
mod room;
mod seat;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use self::room::{HeardTrack, Room};
use self::seat::Seat;
use super::ear::Ear;
use super::phone::media::Spoken;
use super::sound::Voice;
use crate::id::ParticipantId;
use crate::meeting::participant::ParticipantKind;
use crate::meeting::signal::{ByeReason, ParticipantView};

/// How to get into a meeting.
#[derive(Debug, Clone)]
pub struct Join {
    /// `ws[s]://host[:port]/v2/signal`.
    pub signal_url: String,
    /// Participant or invite token (JWT).
    pub token: String,
    /// Display name.
    pub name: String,
    /// Believe any TLS certificate: for servers with a self-signed one, on explicit demand only.
    pub accept_any_certificate: bool,
    /// Longest wait until media is connected.
    pub wait: Duration,
}

impl Join {
    /// A join that takes 15 s at most and believes valid certificates only.
    pub fn new(signal_url: &str, token: &str, name: &str) -> Self {
        Self {
            signal_url: signal_url.to_owned(),
            token: token.to_owned(),
            name: name.to_owned(),
            accept_any_certificate: false,
            wait: Duration::from_secs(15),
        }
    }
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The signalling address is not usable.
    #[error("bad signalling address {0}")]
    BadUrl(String),
    /// The signalling server cannot be reached.
    #[error("signalling: {0}")]
    Unreachable(String),
    /// The server said no.
    #[error("refused: {code}: {message}")]
    Refused {
        /// Stable code.
        code: String,
        /// For people.
        message: String,
    },
    /// The server ended the seat during the join.
    #[error("dismissed: {0:?}")]
    Dismissed(ByeReason),
    /// Our peer connection failed, or did not like the server's SDP.
    #[error("peer connection: {0}")]
    Peer(String),
    /// The wait was over at this step.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
}

/// Moments of a join.
#[derive(Debug, Clone, Copy)]
pub struct JoinTimes {
    /// Before the first byte.
    pub begun: Instant,
    /// The server gave us the seat.
    pub joined: Instant,
    /// Our offer was answered.
    pub answered: Instant,
    /// ICE and DTLS are through.
    pub connected: Instant,
}

/// A participant in the meeting. Dropping it leaves.
#[derive(Debug)]
pub struct Browser {
    /// When what happened.
    pub times: JoinTimes,
    room: Arc<Room>,
    leave: Option<oneshot::Sender<()>>,
    voices: mpsc::Sender<Voice>,
    seat: Option<JoinHandle<()>>,
}

impl Browser {
    /// Joins and waits until media is connected; from then on `voice` (48 kHz) is sent.
    pub async fn join(join: &Join, voice: Voice) -> Result<Self, JoinError> {
        let room = Arc::new(Room::default());
        let (seat, times) = Seat::take(join, Arc::clone(&room)).await?;
        let (leave, left) = oneshot::channel();
        let (voices, voice_changes) = mpsc::channel(4);
        let seat = tokio::spawn(seat.run(voice, voice_changes, left));
        Ok(Self {
            times,
            room,
            leave: Some(leave),
            voices,
            seat: Some(seat),
        })
    }

    /// What is known of the meeting.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// What it said so far.
    pub fn spoken(&self) -> Spoken {
        self.room.spoken()
    }

    /// Says something else (48 kHz) from now on.
    pub async fn say(&self, voice: Voice) {
        // Fails only when the seat is gone; `Room::bye` tells why.
        let _seat_gone = self.voices.send(voice).await;
    }

    /// Waits until a phone is in the meeting.
    pub async fn wait_for_phone(&self, wait: Duration) -> Option<ParticipantView> {
        self.wait_for_participant(wait, |p| p.kind == ParticipantKind::Robo)
            .await
    }

    /// Waits until a participant like this is in the meeting.
    pub async fn wait_for_participant(
        &self,
        wait: Duration,
        like: impl Fn(&ParticipantView) -> bool,
    ) -> Option<ParticipantView> {
        self.room
            .wait_until(wait, |room| room.participants().into_iter().find(&like))
            .await
    }

    /// Waits until somebody's voice arrives.
    pub async fn wait_for_voice(&self, of: ParticipantId, wait: Duration) -> Option<Ear> {
        self.room.wait_until(wait, |room| room.voice_of(of)).await
    }

    /// Leaves, and waits until the server has let go.
    pub async fn leave(mut self) {
        drop(self.leave.take());
        if let Some(seat) = self.seat.take() {
            // An error is a panic of the task; its message is on stderr already.
            let _ended = seat.await;
        }
    }
}
