//! The task that keeps a participant's seat: signalling on one side, the peer connection on the
//! other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use webrtc::peer_connection::RTCPeerConnectionState;

use super::link::Link;
use super::peer::Peer;
use super::room::Room;
use super::{Join, JoinError, JoinTimes};
use crate::meeting::signal::{ClientMessage, ServerMessage, Source, SourceMid};
use crate::probe::sound::Voice;
use crate::run::clock;

/// Longest wait for the server's goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// A seat in a meeting with connected media.
pub struct Seat {
    link: Link,
    peer: Peer,
    room: Arc<Room>,
    listeners: JoinSet<()>,
}

impl Seat {
    /// Joins and waits for media to be connected.
    pub async fn take(join: &Join, room: Arc<Room>) -> Result<(Self, JoinTimes), JoinError> {
        let begun = clock::now();
        let until = begun + join.wait;
        let connecting = Link::connect(&join.signal_url, join.accept_any_certificate);
        let link = in_time(until, "connecting the signalling", connecting).await?;
        let peer = Peer::new(link.server).await?;
        let mut seat = Self {
            link,
            peer,
            room,
            listeners: JoinSet::new(),
        };
        match seat.negotiate(join, until, begun).await {
            Ok(times) => Ok((seat, times)),
            Err(error) => {
                seat.give_up().await;
                Err(error)
            }
        }
    }

    async fn negotiate(
        &mut self,
        join: &Join,
        until: Instant,
        begun: Instant,
    ) -> Result<JoinTimes, JoinError> {
        let hello = ClientMessage::Join {
            token: join.token.clone(),
            name: Some(join.name.clone()),
        };
        self.link.send(&hello).await?;
        let joined = |message: &ServerMessage| matches!(message, ServerMessage::Joined { .. });
        in_time(until, "waiting for the seat", self.wait_for(joined)).await?;
        let joined = clock::now();
        let (sdp, mid) = self.peer.offer().await?;
        let sources = vec![SourceMid {
            mid,
            source: Source::Microphone,
        }];
        self.link
            .send(&ClientMessage::Offer { sdp, sources })
            .await?;
        let answer = |message: &ServerMessage| matches!(message, ServerMessage::Answer { .. });
        in_time(until, "waiting for the answer", self.wait_for(answer)).await?;
        let answered = clock::now();
        in_time(until, "connecting media", self.wait_for_media()).await?;
        Ok(JoinTimes {
            begun,
            joined,
            answered,
            connected: clock::now(),
        })
    }

    /// Obeys the server until a message like this came.
    async fn wait_for(&mut self, like: impl Fn(&ServerMessage) -> bool) -> Result<(), JoinError> {
        loop {
            let message = self.link.receive().await.ok_or_else(server_closed)?;
            let found = like(&message);
            if let ServerMessage::Error { code, message } = message {
                return Err(JoinError::Refused { code, message });
            }
            self.obey(message).await?;
            if found {
                return Ok(());
            }
        }
    }

    async fn wait_for_media(&mut self) -> Result<(), JoinError> {
        let mut state = self.peer.state();
        loop {
            match *state.borrow_and_update() {
                RTCPeerConnectionState::Connected => return Ok(()),
                RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => {
                    return Err(JoinError::Peer("ICE or DTLS failed".to_owned()));
                }
                _ => {}
            }
            tokio::select! {
                changed = state.changed() => changed
                    .map_err(|_| JoinError::Peer("the connection ended".to_owned()))?,
                message = self.link.receive() => {
                    let message = message.ok_or_else(server_closed)?;
                    self.obey(message).await?;
                }
            }
        }
    }

    /// Keeps the seat until told to leave or dismissed by the server.
    pub async fn run(
        mut self,
        voice: Voice,
        voices: mpsc::Receiver<Voice>,
        mut left: oneshot::Receiver<()>,
    ) {
        match self.peer.microphone().await {
            Ok(microphone) => {
                let room = Arc::clone(&self.room);
                self.listeners.spawn(microphone.run(voice, voices, room));
            }
            Err(error) => tracing::warn!(%error, "no microphone"),
        }
        loop {
            tokio::select! {
                // The handle was dropped or says so: either way we go.
                _ = &mut left => break,
                message = self.link.receive() => {
                    let Some(message) = message else { break };
                    let dismissed = matches!(message, ServerMessage::Bye { .. });
                    if self.obey(message).await.is_err() || dismissed {
                        break;
                    }
                }
                Some(track) = self.peer.next_track() => {
                    let listening = self.peer.listen(track, Arc::clone(&self.room));
                    self.listeners.spawn(listening);
                }
            }
        }
        self.give_up().await;
    }

    async fn obey(&mut self, message: ServerMessage) -> Result<(), JoinError> {
        self.room.note(&message);
        match message {
            ServerMessage::Answer { sdp } => self.peer.accept(sdp).await,
            ServerMessage::Offer { sdp, .. } => {
                let sdp = self.peer.answer(sdp).await?;
                self.link.send(&ClientMessage::Answer { sdp }).await
            }
            ServerMessage::Bye { reason } => Err(JoinError::Dismissed(reason)),
            _ => Ok(()),
        }
    }

    async fn give_up(mut self) {
        if self.room.bye().is_none() && self.link.send(&ClientMessage::Leave).await.is_ok() {
            let until = clock::now() + GOODBYE_WAIT;
            while let Ok(Some(message)) = timeout_at(until.into(), self.link.receive()).await {
                self.room.note(&message);
            }
        }
        self.listeners.shutdown().await;
        self.peer.close().await;
        self.link.close().await;
    }
}

fn server_closed() -> JoinError {
    JoinError::Unreachable("the server closed the connection".to_owned())
}

async fn in_time<T>(
    until: Instant,
    step: &'static str,
    work: impl Future<Output = Result<T, JoinError>>,
) -> Result<T, JoinError> {
    timeout_at(until.into(), work)
        .await
        .unwrap_or(Err(JoinError::TimedOut(step)))
}
