//! Publishers and players that are here now, each held by a task of its own: HTTP has no
//! connection that could stand for their seat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

use super::reply::Refused;
use crate::limits::ONE_SHOT_ASKS_MAX;
use crate::meeting::signal::{ClientMessage, OneShotRole, ServerMessage};
use crate::run::directory::BrowserSeat;

/// The session answers an offer at once, or not at all.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Its goodbye to who leaves, likewise.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);

/// What is known of one publisher or player.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    role: OneShotRole,
    /// SHA-256 of the token it began with.
    pub token: [u8; 32],
    /// Its ICE session.
    pub etag: String,
    /// Its offer, with its present credentials.
    pub offer: Arc<str>,
    asks: mpsc::Sender<Ask>,
}

enum Ask {
    /// Answer this offer, an ICE restart.
    Restart {
        offer: String,
        reply: oneshot::Sender<Result<String, Refused>>,
    },
    /// Leave; the sender is dropped when it has left.
    End { left: oneshot::Sender<()> },
}

impl Shot {
    /// Gives up the seat; returns when it is free.
    pub async fn end(self) {
        let (left, has_left) = oneshot::channel();
        if self.asks.send(Ask::End { left }).await.is_ok() {
            let _gone_either_way = has_left.await;
        }
    }

    /// The answer to an ICE restart.
    pub async fn restart(&self, offer: &str) -> Result<String, Refused> {
        let (reply, answer) = oneshot::channel();
        let offer = offer.to_owned();
        let ask = Ask::Restart { offer, reply };
        self.asks.try_send(ask).map_err(|_| Refused::Busy)?;
        match tokio::time::timeout(ANSWER_WAIT_MAX, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Refused::Busy),
        }
    }
}

/// Those who are here, by the id in their URL. Their number is bounded by the permits that
/// signalling WebSockets need too.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct OneShots {
    shots: Arc<Mutex<HashMap<Uuid, Shot>>>,
}

impl OneShots {
    fn with<R>(&self, act: impl FnOnce(&mut HashMap<Uuid, Shot>) -> R) -> R {
        act(&mut self.shots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn find(&self, id: Uuid, role: OneShotRole) -> Option<Shot> {
        self.with(|shots| shots.get(&id).filter(|shot| shot.role == role).cloned())
    }

    pub(super) fn forget(&self, id: Uuid) {
        self.with(|shots| shots.remove(&id));
    }

    pub(super) fn restarted(&self, id: Uuid, etag: &str, offer: &str) {
        self.with(|shots| {
            if let Some(shot) = shots.get_mut(&id) {
                etag.clone_into(&mut shot.etag);
                shot.offer = offer.into();
            }
        });
    }

    /// Keeps a seat until it ends.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn hold(
        &self,
        id: Uuid,
        role: OneShotRole,
        token: [u8; 32],
        etag: &str,
        offer: &str,
        seat: BrowserSeat,
        permit: OwnedSemaphorePermit,
    ) {
        let (asks, receiver) = mpsc::channel(ONE_SHOT_ASKS_MAX);
        let shot = Shot {
            role,
            token,
            etag: etag.to_owned(),
            offer: offer.into(),
            asks,
        };
        self.with(|shots| shots.insert(id, shot));
        let shots = self.clone();
        tokio::spawn(async move {
            keep(seat, receiver).await;
            shots.forget(id);
            drop(permit);
        });
    }
}

/// The seat's answer to its first offer.
pub(super) async fn first_answer(
    mut seat: BrowserSeat,
    offer: ClientMessage,
) -> Result<(BrowserSeat, String), Refused> {
    seat.send(offer).map_err(|_| Refused::Busy)?;
    let answer = tokio::time::timeout(ANSWER_WAIT_MAX, async {
        loop {
            match seat.outgoing.recv().await {
                Some(ServerMessage::Answer { sdp }) => return Ok(sdp),
                Some(ServerMessage::Error { code, message }) => {
                    return Err(Refused::Offer(code, message));
                }
                Some(ServerMessage::Bye { .. }) | None => return Err(Refused::Busy),
                Some(_) => {}
            }
        }
    });
    match answer.await {
        Ok(answer) => answer.map(|answer| (seat, answer)),
        Err(_) => Err(Refused::Busy),
    }
}

/// Until the session ends the seat or its owner gives it up.
async fn keep(mut seat: BrowserSeat, mut asks: mpsc::Receiver<Ask>) {
    let mut waiting: Option<oneshot::Sender<Result<String, Refused>>> = None;
    loop {
        tokio::select! {
            message = seat.outgoing.recv() => match message {
                Some(ServerMessage::Answer { sdp }) => {
                    let _asker_gone = waiting.take().map(|asker| asker.send(Ok(sdp)));
                }
                Some(ServerMessage::Error { code, message }) => {
                    let refused = Refused::Offer(code, message);
                    let _asker_gone = waiting.take().map(|asker| asker.send(Err(refused)));
                }
                // What a page would show is for nobody here.
                Some(ServerMessage::Bye { .. }) | None => return,
                Some(_) => {}
            },
            ask = asks.recv() => match ask {
                Some(Ask::Restart { offer, reply }) => {
                    let sources = Vec::new();
                    let sent = seat.send(ClientMessage::Offer { sdp: offer, sources });
                    waiting = sent.is_ok().then_some(reply);
                }
                Some(Ask::End { left }) => {
                    let _gone_already = seat.send(ClientMessage::Leave);
                    let farewell = async { while seat.outgoing.recv().await.is_some() {} };
                    let _in_time = tokio::time::timeout(FAREWELL_TIME_MAX, farewell).await;
                    drop(left);
                    return;
                }
                // Its entry has been removed, which only `end` does, after this.
                None => return,
            },
        }
    }
}
