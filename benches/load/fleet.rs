//! Sets up bridged calls: a meeting, its browser over the WebSocket, its phone over SIP; then the
//! engine has the media and a task each keeps the signalling.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use ringbridge::id::MeetingId;
use ringbridge::meeting::signal::{ClientMessage, ServerMessage};
use ringbridge::probe::args::with_user;
use ringbridge::probe::browser::link::Link;
use ringbridge::probe::phone::{Dial, PhoneCall};
use ringbridge::probe::rest::Rest;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::engine::Order;
use super::peer::Peer;
use super::server::FirstCall;

type Failed = Box<dyn Error + Send + Sync>;

/// Set-ups at the same time.
const AT_ONCE: usize = 8;
const ENGINE_GONE: &str = "the media thread ended";
const STEP_WAIT: Duration = Duration::from_secs(15);

/// The calls that are up. Dropping it hangs up.
pub struct Fleet {
    rest: Rest,
    card: FirstCall,
    orders: SyncSender<Order>,
    next_id: Arc<AtomicU64>,
    calls: Vec<BridgedCall>,
}

struct BridgedCall {
    id: u64,
    phone: PhoneCall,
    leave: oneshot::Sender<()>,
    signalling: tokio::task::JoinHandle<()>,
}

impl Fleet {
    pub fn new(rest: Rest, card: FirstCall, orders: SyncSender<Order>) -> Self {
        Self {
            rest,
            card,
            orders,
            next_id: Arc::default(),
            calls: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Adds calls until there are `count`.
    pub async fn grow_to(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let mut joining: JoinSet<Result<BridgedCall, Failed>> = JoinSet::new();
        let mut left = count.saturating_sub(self.calls.len());
        while left > 0 || !joining.is_empty() {
            while left > 0 && joining.len() < AT_ONCE {
                left -= 1;
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let (rest, card) = (self.rest.clone(), self.card.clone());
                joining.spawn(set_up(id, rest, card, self.orders.clone()));
            }
            if let Some(done) = joining.join_next().await {
                let call =
                    done?.map_err(|error| format!("after {} calls: {error}", self.calls.len()))?;
                self.calls.push(call);
            }
        }
        Ok(())
    }

    /// Hangs everything up.
    pub async fn end(self) {
        let mut leaving = JoinSet::new();
        for call in self.calls {
            let orders = self.orders.clone();
            leaving.spawn(async move {
                let _hung_up = call.phone.hang_up().await;
                let _left = call.leave.send(());
                let _ended = call.signalling.await;
                let _engine_gone = orders.send(Order::Remove { id: call.id });
            });
        }
        while leaving.join_next().await.is_some() {}
    }
}

async fn set_up(
    id: u64,
    rest: Rest,
    card: FirstCall,
    orders: SyncSender<Order>,
) -> Result<BridgedCall, Failed> {
    let meeting = rest.create_meeting(&format!("load {id}")).await?;
    let token = rest.join_token(meeting, "load").await?;
    let mut link = Link::connect(&rest.signal_url(), false).await?;
    let join = ClientMessage::Join { token, name: None };
    link.send(&join).await?;
    let joined = |m: &ServerMessage| matches!(m, ServerMessage::Joined { .. });
    wait_for(&mut link, joined, "the seat").await?;
    let mut peer = Box::new(Peer::new(Instant::now())?);
    link.send(&peer.offer(Instant::now())?).await?;
    let answered = |m: &ServerMessage| matches!(m, ServerMessage::Answer { .. });
    let ServerMessage::Answer { sdp } = wait_for(&mut link, answered, "the answer").await? else {
        return Err("unreachable: waited for an answer".into());
    };
    let (answers, to_send) = mpsc::channel(16);
    let (connected, media) = oneshot::channel();
    orders
        .send(Order::Add {
            id,
            peer,
            answer: sdp,
            answers,
            connected,
        })
        .map_err(|_| ENGINE_GONE)?;
    let (leave, left) = oneshot::channel();
    let signalling = tokio::spawn(signal(id, link, to_send, orders.clone(), left));
    tokio::time::timeout(STEP_WAIT, media)
        .await
        .map_err(|_| "media never connected")??;
    let (phone, socket) = dial(&card, meeting).await?;
    let remote = phone.remote.rtp;
    let has_phone = orders.send(Order::Phone { id, socket, remote });
    has_phone.map_err(|_| ENGINE_GONE)?;
    Ok(BridgedCall {
        id,
        phone,
        leave,
        signalling,
    })
}

async fn dial(
    card: &FirstCall,
    meeting: MeetingId,
) -> Result<(PhoneCall, std::net::UdpSocket), Failed> {
    let uri = with_user(&card.sip_uri, &meeting.to_string());
    let dial = Dial::new(&uri, &card.sip_username, &card.sip_password);
    let mut phone = dial.call().await?;
    let socket = phone.take_rtp_socket().ok_or("no RTP socket")?;
    Ok((phone, socket))
}

async fn wait_for(
    link: &mut Link,
    like: impl Fn(&ServerMessage) -> bool,
    what: &str,
) -> Result<ServerMessage, Failed> {
    let waiting = async {
        loop {
            match link.receive().await {
                None => return Err(format!("closed while waiting for {what}").into()),
                Some(ServerMessage::Error { code, message }) => {
                    return Err(format!("{what}: {code}: {message}").into());
                }
                Some(ServerMessage::Bye { reason }) => {
                    return Err(format!("{what}: dismissed: {reason:?}").into());
                }
                Some(message) if like(&message) => return Ok(message),
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(STEP_WAIT, waiting)
        .await
        .unwrap_or_else(|_| Err(format!("timed out waiting for {what}").into()))
}

async fn signal(
    id: u64,
    mut link: Link,
    mut to_send: mpsc::Receiver<ClientMessage>,
    orders: SyncSender<Order>,
    mut left: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = &mut left => break,
            answer = to_send.recv() => match answer {
                Some(answer) => if link.send(&answer).await.is_err() { break },
                None => break,
            },
            message = link.receive() => match message {
                Some(ServerMessage::Offer { sdp, .. }) => {
                    if orders.send(Order::Offer { id, sdp }).is_err() {
                        break;
                    }
                }
                Some(ServerMessage::Bye { reason }) => {
                    eprintln!("bench: call {id}: dismissed: {reason:?}");
                    break;
                }
                Some(_) => {}
                None => {
                    eprintln!("bench: call {id}: signalling closed");
                    break;
                }
            },
        }
    }
    let _gone = link.send(&ClientMessage::Leave).await;
    link.close().await;
}
