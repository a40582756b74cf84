//! The generator's media thread: every call's phone and browser, 20 ms steps spread over slots of
//! one millisecond, on an absolute schedule.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::meeting::signal::ClientMessage;
use ringbridge::probe::phone::media::RtpView;
use ringbridge::probe::sound::{expand, loudness};
use tokio::sync::{mpsc, oneshot};

use super::peer::Peer;
use super::speech::Speech;

/// Slots in 20 ms.
const SLOTS: u64 = 20;
const SLOT: Duration = Duration::from_millis(1);
/// Every call's browser is listened to in one second of these.
const LISTEN_EVERY: u64 = 8;
/// A generator later than this by its own fault is reported.
const LATE: Duration = Duration::from_millis(5);

/// What one end heard.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    streams: BTreeMap<u32, (u16, u64, u64)>,
    /// Packets whose sound was looked at.
    pub listened: u64,
    /// Of those, how many were no silence.
    pub loud: u64,
    /// Our own datagrams that the kernel refused.
    pub unsent: u64,
}

impl Heard {
    /// Counts a packet of a stream.
    pub fn count(&mut self, ssrc: u32, sequence: u16) {
        let (last, packets, expected) = self.streams.entry(ssrc).or_insert((sequence, 0, 1));
        let ahead = sequence.wrapping_sub(*last) as i16;
        if ahead > 0 {
            *expected += ahead as u64;
            *last = sequence;
        }
        *packets += 1;
    }

    pub fn packets(&self) -> u64 {
        self.streams.values().map(|(_, packets, _)| packets).sum()
    }

    pub fn expected(&self) -> u64 {
        self.streams.values().map(|(.., expected)| expected).sum()
    }

    fn reset(&mut self) {
        for (_, packets, expected) in self.streams.values_mut() {
            (*packets, *expected) = (0, 0);
        }
        (self.listened, self.loud, self.unsent) = (0, 0, 0);
    }
}

/// A phone's RTP.
pub struct PhoneLine {
    socket: UdpSocket,
    remote: SocketAddr,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    heard: Heard,
}

struct Call {
    peer: Peer,
    answers: mpsc::Sender<ClientMessage>,
    connected: Option<oneshot::Sender<()>>,
    phone: Option<PhoneLine>,
    /// Where in the speech it is; talkers are spread over it.
    frame: usize,
    phone_sent: u64,
    browser_sent: u64,
}

/// What the signalling side wants of the media thread.
pub enum Order {
    /// A browser that has sent its offer.
    Add {
        id: u64,
        peer: Box<Peer>,
        answer: String,
        answers: mpsc::Sender<ClientMessage>,
        connected: oneshot::Sender<()>,
    },
    /// An offer of the server.
    Offer { id: u64, sdp: String },
    /// The call's phone was answered.
    Phone {
        id: u64,
        socket: UdpSocket,
        remote: SocketAddr,
    },
    /// Remove the call.
    Remove { id: u64 },
    /// Count from here on.
    Reset,
    /// Tell what was counted.
    Tell(oneshot::Sender<Counted>),
}

/// Sums over all calls since the last reset.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    pub calls: u64,
    /// Calls whose both ends heard sound.
    pub calls_with_sound: u64,
    pub phone_sent: u64,
    pub phone_received: u64,
    pub phone_expected: u64,
    pub browser_sent: u64,
    pub browser_received: u64,
    pub browser_expected: u64,
    pub unsent: u64,
    /// Slots in which the generator itself was late.
    pub late_slots: u64,
    pub slots: u64,
}

/// The running thread.
pub struct Engine {
    orders: SyncSender<Order>,
    thread: Option<JoinHandle<()>>,
    stop: Sender<()>,
}

impl Engine {
    pub fn start(speech: Arc<Speech>) -> Self {
        let (orders, inbox) = sync_channel(4_096);
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || run(&speech, &inbox, &stopped));
        Self {
            orders,
            thread: Some(thread),
            stop,
        }
    }

    pub fn orders(&self) -> SyncSender<Order> {
        self.orders.clone()
    }

    /// Counts anew.
    pub fn reset(&self) {
        self.order(Order::Reset);
    }

    pub async fn counted(&self) -> Counted {
        let (reply, told) = oneshot::channel();
        self.order(Order::Tell(reply));
        told.await.unwrap_or_default()
    }

    fn order(&self, order: Order) {
        // Fails only when the thread panicked, which its message on stderr tells.
        let _thread_gone = self.orders.send(order);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _thread_gone = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn run(speech: &Speech, inbox: &Receiver<Order>, stopped: &Receiver<()>) {
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    let begun = Instant::now();
    let (mut slot, mut late_slots, mut slots) = (0u64, 0u64, 0u64);
    while stopped.try_recv().is_err() {
        let due = begun + SLOT * slot as u32;
        let now = Instant::now();
        if let Some(ahead) = due.checked_duration_since(now) {
            std::thread::sleep(ahead);
        } else {
            late_slots += u64::from(now - due > LATE);
        }
        slots += 1;
        let now = Instant::now();
        while let Ok(order) = inbox.try_recv() {
            match order {
                Order::Reset => {
                    (late_slots, slots) = (0, 0);
                    calls.values_mut().for_each(Call::reset);
                }
                Order::Tell(reply) => {
                    let mut counted = count(&calls);
                    (counted.late_slots, counted.slots) = (late_slots, slots);
                    let _asker_gone = reply.send(counted);
                }
                other => obey(now, &mut calls, other),
            }
        }
        let second = slot / 1_000;
        for (id, call) in &mut calls {
            if id % SLOTS == slot % SLOTS {
                call.step(now, speech, (second + id) % LISTEN_EVERY == 0);
            } else if !call.peer.connected {
                call.peer.drive(now, false);
            }
            if call.peer.connected
                && let Some(connected) = call.connected.take()
            {
                let _asker_gone = connected.send(());
            }
        }
        slot += 1;
    }
    for call in calls.values_mut() {
        call.peer.close();
    }
}

fn obey(now: Instant, calls: &mut BTreeMap<u64, Call>, order: Order) {
    match order {
        Order::Add {
            id,
            mut peer,
            answer,
            answers,
            connected,
        } => {
            if let Err(error) = peer.accept(now, answer) {
                eprintln!("bench: call {id}: the answer: {error}");
                return;
            }
            calls.insert(
                id,
                Call {
                    peer: *peer,
                    answers,
                    connected: Some(connected),
                    phone: None,
                    frame: id as usize * 37,
                    phone_sent: 0,
                    browser_sent: 0,
                },
            );
        }
        Order::Offer { id, sdp } => {
            if let Some(call) = calls.get_mut(&id) {
                match call.peer.answer(now, sdp) {
                    Ok(answer) => drop(call.answers.try_send(answer)),
                    Err(error) => eprintln!("bench: call {id}: the server's offer: {error}"),
                }
            }
        }
        Order::Phone { id, socket, remote } => {
            if let Some(call) = calls.get_mut(&id) {
                call.phone = Some(PhoneLine {
                    socket,
                    remote,
                    ssrc: rand::random(),
                    sequence: rand::random(),
                    timestamp: rand::random(),
                    heard: Heard::default(),
                });
            }
        }
        Order::Remove { id } => {
            if let Some(mut call) = calls.remove(&id) {
                call.peer.close();
            }
        }
        Order::Reset | Order::Tell(_) => {}
    }
}

impl Call {
    fn step(&mut self, now: Instant, speech: &Speech, listen: bool) {
        self.peer.drive(now, listen);
        let (opus, level) = &speech.browser[self.frame % speech.browser.len()];
        self.browser_sent += u64::from(self.peer.speak(now, opus, *level));
        // The two do not talk in step.
        let other = (self.frame + speech.phone.len() / 2) % speech.phone.len();
        if let Some(phone) = &mut self.phone {
            phone.drain();
            self.phone_sent += u64::from(phone.speak(&speech.phone[other]));
        }
        self.frame += 1;
    }

    fn reset(&mut self) {
        (self.phone_sent, self.browser_sent) = (0, 0);
        self.peer.heard.reset();
        if let Some(phone) = &mut self.phone {
            phone.heard.reset();
        }
    }
}

impl PhoneLine {
    fn drain(&mut self) {
        let mut buffer = [0u8; 1_600];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let Some(packet) = RtpView::parse(&buffer[..length]) else {
                continue;
            };
            self.heard.count(0, packet.sequence);
            self.heard.listened += 1;
            // One sample in four tells silence from speech as well.
            let samples: Vec<i16> = packet
                .payload
                .iter()
                .step_by(4)
                .map(|&byte| expand(Law::Ulaw, byte))
                .collect();
            self.heard.loud += u64::from(loudness(&samples) > 200.0);
        }
    }

    fn speak(&mut self, sound: &[u8]) -> bool {
        let mut packet = [0u8; 172];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[12..].copy_from_slice(sound);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        let sent = self.socket.send_to(&packet, self.remote).is_ok();
        self.heard.unsent += u64::from(!sent);
        sent
    }
}

fn count(calls: &BTreeMap<u64, Call>) -> Counted {
    let mut counted = Counted::default();
    for call in calls.values() {
        let Some(phone) = &call.phone else {
            continue;
        };
        let heard = &call.peer.heard;
        counted.calls += 1;
        // A third of speech-like sound is loud at the least, whatever the mixer does to it.
        let sounds = |h: &Heard| h.listened == 0 || h.loud * 3 >= h.listened;
        let packets = heard.packets() > 0 && phone.heard.packets() > 0;
        counted.calls_with_sound += u64::from(packets && sounds(heard) && sounds(&phone.heard));
        counted.phone_sent += call.phone_sent;
        counted.phone_received += phone.heard.packets();
        counted.phone_expected += phone.heard.expected();
        counted.browser_sent += call.browser_sent;
        counted.browser_received += heard.packets();
        counted.browser_expected += heard.expected();
        counted.unsent += heard.unsent + phone.heard.unsent;
    }
    counted
}
