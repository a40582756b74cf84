//! The phone's voice and ear: G.711 over RTP (RFC 3550, RFC 3551) in 20 ms packets, in real time,
//! and keys as telephone-events (RFC 4733).

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::session::{RemoteMedia, payload_type};
use crate::audio::g711::Law;
use crate::meeting::leg::PhoneCodec;
use crate::probe::ear::Ear;
use crate::probe::sound::{Voice, compand, expand};
use crate::run::clock;

/// Length of a packet.
const PTIME: Duration = Duration::from_millis(20);
/// Samples of a packet.
const FRAME_SAMPLES: usize = 160;
/// Volume of a key, −dBm0 (RFC 4733 §2.3).
const KEY_VOLUME: u8 = 10;

/// What the phone sent.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    /// Packets sent.
    pub packets: u64,
    /// Moments at which chirps left: the packet's sending plus the chirp's place in it.
    pub chirps: Vec<Instant>,
}

enum Command {
    Say(Voice),
    Key(char, Duration),
    SendTo(SocketAddr),
}

/// A phone's running media. Dropping it stops both ways.
#[derive(Debug)]
pub struct PhoneMedia {
    ear: Ear,
    spoken: Arc<Mutex<Spoken>>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl PhoneMedia {
    /// Talks to `remote` and listens on `socket`.
    pub(super) fn start(
        socket: StdUdpSocket,
        remote: RemoteMedia,
        voice: Voice,
    ) -> io::Result<Self> {
        let socket = UdpSocket::from_std(socket)?;
        let ear = Ear::default();
        let spoken = Arc::new(Mutex::new(Spoken::default()));
        let (commands, queue) = mpsc::channel(32);
        let line = MediaLine {
            socket,
            sender: RtpSender::new(remote, voice),
            remote,
            ear: ear.clone(),
            spoken: Arc::clone(&spoken),
        };
        Ok(Self {
            ear,
            spoken,
            commands,
            task: tokio::spawn(line.run(queue)),
        })
    }

    /// What it hears.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }

    /// What it said so far.
    pub fn spoken(&self) -> Spoken {
        let spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        spoken.clone()
    }

    /// Says something else from now on.
    pub async fn say(&self, voice: Voice) {
        self.tell(Command::Say(voice)).await;
    }

    /// Presses a key (`0`–`9`, `*`, `#`, `A`–`D`) for `length` as a telephone-event, if the
    /// server agreed to one.
    pub async fn press(&self, key: char, length: Duration) {
        self.tell(Command::Key(key, length)).await;
    }

    /// Sends to another address from now on (after a re-INVITE).
    pub async fn send_to(&self, address: SocketAddr) {
        self.tell(Command::SendTo(address)).await;
    }

    async fn tell(&self, command: Command) {
        // The task ends only with us, or with its socket; then there is nobody to tell.
        let _socket_broken = self.commands.send(command).await;
    }
}

impl Drop for PhoneMedia {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct MediaLine {
    socket: UdpSocket,
    sender: RtpSender,
    remote: RemoteMedia,
    ear: Ear,
    spoken: Arc<Mutex<Spoken>>,
}

impl MediaLine {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut ticks = tokio::time::interval(PTIME);
        // A late phone catches up, as a sound card's clock would make it.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut buffer = [0u8; 2_048];
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => self.speak().await,
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier packet shows up here and means nothing now.
                    if let Ok((length, _)) = received {
                        self.listen(&buffer[..length]);
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Say(voice)) => self.sender.voice = voice,
                    Some(Command::Key(key, length)) => self.sender.press(key, length),
                    Some(Command::SendTo(address)) => self.remote.rtp = address,
                    None => return,
                },
            }
        }
    }

    async fn speak(&mut self) {
        let (packets, chirp) = self.sender.next_packets();
        let now = clock::now();
        let mut sent = 0;
        for packet in &packets {
            sent += u64::from(self.socket.send_to(packet, self.remote.rtp).await.is_ok());
        }
        let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        spoken.packets += sent;
        if let Some(offset) = chirp {
            spoken
                .chirps
                .push(now + Duration::from_micros(offset as u64 * 125));
        }
    }

    fn listen(&self, datagram: &[u8]) {
        let arrival = clock::now();
        let Some(packet) = RtpView::parse(datagram) else {
            return;
        };
        let law = match packet.payload_type {
            0 => Law::Ulaw,
            8 => Law::Alaw,
            _ => return self.ear.note_other(packet.sequence, false),
        };
        if Some(law) != self.remote.codec.law() {
            return self.ear.note_other(packet.sequence, true);
        }
        let samples = packet.payload.iter().map(|&b| expand(law, b)).collect();
        self.ear
            .hear(arrival, packet.sequence, packet.timestamp, 1, samples);
    }
}

/// The parts of an RTP packet that a phone looks at.
#[derive(Debug, Clone, Copy)]
pub struct RtpView<'a> {
    /// 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Media time.
    pub timestamp: u32,
    /// Behind header, CSRCs and extension; without padding.
    pub payload: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// Reads a datagram; `None` for RTCP (RFC 5761), STUN and rubbish.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (&first, &second) = (datagram.first()?, datagram.get(1)?);
        if first >> 6 != 2 || (192..=223).contains(&second) {
            return None;
        }
        let mut start = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = datagram.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let mut payload = datagram.get(start..)?;
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([datagram[2], datagram[3]]),
            timestamp: u32::from_be_bytes(datagram[4..8].try_into().ok()?),
            payload,
        })
    }
}

/// A key being pressed.
struct Key {
    event: u8,
    started: u32,
    length: u32,
    ends_left: u8,
    first: bool,
}

/// The sending half: one packet per tick, sound or key.
struct RtpSender {
    voice: Voice,
    codec: PhoneCodec,
    dtmf_payload_type: Option<u8>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    first: bool,
    keys: std::collections::VecDeque<Key>,
}

impl RtpSender {
    fn new(remote: RemoteMedia, voice: Voice) -> Self {
        Self {
            voice,
            codec: remote.codec,
            dtmf_payload_type: remote.dtmf_payload_type,
            ssrc: rand::random(),
            sequence: rand::random(),
            timestamp: rand::random(),
            first: true,
            keys: std::collections::VecDeque::new(),
        }
    }

    fn press(&mut self, key: char, length: Duration) {
        let event = match key.to_ascii_uppercase() {
            digit @ '0'..='9' => digit as u8 - b'0',
            '*' => 10,
            '#' => 11,
            letter @ 'A'..='D' => 12 + (letter as u8 - b'A'),
            _ => return,
        };
        self.keys.push_back(Key {
            event,
            started: 0,
            length: (length.as_millis() as u32 * 8).max(2 * FRAME_SAMPLES as u32),
            ends_left: 3,
            first: true,
        });
    }

    /// Packets of this tick, and where in the sound a chirp begins.
    fn next_packets(&mut self) -> (Vec<Vec<u8>>, Option<usize>) {
        let mut samples = [0i16; FRAME_SAMPLES];
        let chirp = self.voice.fill(&mut samples);
        let packets = match (self.keys.front().is_some(), self.dtmf_payload_type) {
            (true, Some(payload_type)) => self.key_packets(payload_type),
            _ => {
                self.keys.clear();
                let marker = std::mem::take(&mut self.first);
                // Our offers name no other codecs than the two laws of G.711.
                let law = self.codec.law().unwrap_or(Law::Ulaw);
                let sound: Vec<u8> = samples.iter().map(|&s| compand(law, s)).collect();
                let payload_type = payload_type(self.codec);
                vec![self.packet(payload_type, marker, self.timestamp, &sound)]
            }
        };
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        (packets, chirp)
    }

    /// RFC 4733 §2.5.1: same timestamp throughout, growing duration, the end three times.
    fn key_packets(&mut self, payload_type: u8) -> Vec<Vec<u8>> {
        let now = self.timestamp;
        let Some(mut key) = self.keys.pop_front() else {
            return Vec::new();
        };
        if key.first {
            key.started = now;
        }
        let lasted = now.wrapping_sub(key.started) + FRAME_SAMPLES as u32;
        let ended = lasted >= key.length;
        let duration = lasted.min(key.length).min(u32::from(u16::MAX)) as u16;
        let flags = KEY_VOLUME | if ended { 0x80 } else { 0 };
        let [high, low] = duration.to_be_bytes();
        let payload = [key.event, flags, high, low];
        let copies = if ended { key.ends_left } else { 1 };
        let packets = (0..copies)
            .map(|_| {
                let marker = std::mem::take(&mut key.first);
                self.packet(payload_type, marker, key.started, &payload)
            })
            .collect();
        match ended {
            true => self.first = true, // A talk spurt begins behind the key.
            false => self.keys.push_front(key),
        }
        packets
    }

    fn packet(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.push(0x80);
        packet.push(payload_type | if marker { 0x80 } else { 0 });
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::phone::session::Direction;

    #[test]
    fn a_key_keeps_its_timestamp_grows_and_ends_three_times() {
        let remote = RemoteMedia {
            rtp: "127.0.0.1:9".parse().unwrap(),
            codec: PhoneCodec::Pcmu,
            dtmf_payload_type: Some(101),
            direction: Direction::SendRecv,
        };
        let mut sender = RtpSender::new(remote, Voice::silence(8_000));
        sender.press('#', Duration::from_millis(60));
        let packets: Vec<Vec<u8>> = (0..4).flat_map(|_| sender.next_packets().0).collect();
        let views: Vec<RtpView<'_>> = packets.iter().filter_map(|p| RtpView::parse(p)).collect();
        let keys: Vec<_> = views.iter().filter(|v| v.payload_type == 101).collect();
        assert_eq!(keys.len(), 5);
        assert!(keys.iter().all(|v| v.timestamp == keys[0].timestamp));
        let durations: Vec<u16> = keys
            .iter()
            .map(|v| u16::from_be_bytes([v.payload[2], v.payload[3]]))
            .collect();
        assert_eq!(durations, [160, 320, 480, 480, 480]);
        assert!(packets[0][1] & 0x80 != 0 && packets[1][1] & 0x80 == 0);
        let voice = views.last().unwrap();
        assert_eq!(voice.payload_type, 0);
        assert_eq!(voice.timestamp.wrapping_sub(keys[0].timestamp), 480);
    }

    #[test]
    fn rtcp_and_rubbish_are_no_rtp() {
        assert!(RtpView::parse(&[0x80, 200, 0, 0]).is_none());
        assert!(RtpView::parse(&[0x00, 1, 0, 0]).is_none());
        assert!(RtpView::parse(&[0xb0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
