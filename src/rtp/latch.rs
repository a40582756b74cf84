//! Symmetric RTP with a guard: where to send, and whose packets to believe.
//!
//! Phones behind NAT announce addresses we cannot reach; their packets show the one we can. But
//! whoever sprays packets at our ports must neither hear the call (RTP Bleed, AST-2017-008,
//! CVE-2025-53399) nor be heard in it. So: we send to the SDP address at once, and move to another
//! source only after it has shown a whole stream, and never again without a reason.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::discard::Discard;
use super::packet::Packet;

/// Packets in a row, of one SSRC and payload type, that make a source other than SDP's believable.
/// Five are 100 ms at the usual ptime: no speech is lost that anybody would notice, since callers
/// do not speak in the first 100 ms.
pub const LATCH_PACKETS: u8 = 5;

/// Silence of the trusted source after which the *same stream* may go on from another address
/// (a NAT binding that moved, a phone that changed network).
pub const LATCH_MOVE_SILENCE: Duration = Duration::from_secs(2);

/// Time after an offer/answer exchange in which a phone that moved may prove a new source, SSRC and
/// all: signalling has just vouched for it.
pub const LATCH_OPEN_AFTER_RENEGOTIATION: Duration = Duration::from_secs(10);

/// Silence of the trusted source that such a move needs: while it talks, it has not moved.
const RENEGOTIATED_MOVE_SILENCE: Duration = Duration::from_millis(200);

/// Steps forward in sequence that still count as the same stream after it moved.
const MOVE_SEQUENCE_MAX: u16 = 1_000;

/// Steps forward that still count as continuous within a candidate's probation: one lost packet.
const CONTINUOUS_SEQUENCE_MAX: u16 = 2;

/// Candidates watched at once. When full, the one heard longest ago gives way.
const CANDIDATES_MAX: usize = 4;

/// The guarded latch of one RTP socket.
#[derive(Debug, Clone)]
pub struct Latch {
    announced: SocketAddr,
    trusted: Option<Trusted>,
    candidates: [Option<Candidate>; CANDIDATES_MAX],
    renegotiated_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Trusted {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    heard_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    packets: u8,
    heard_at: Instant,
}

impl Latch {
    /// Sends to `announced`, SDP's address, until a better source has proved itself.
    pub fn new(announced: SocketAddr) -> Self {
        Self {
            announced,
            trusted: None,
            candidates: [None; CANDIDATES_MAX],
            renegotiated_at: None,
        }
    }

    /// Where to send now.
    pub fn destination(&self) -> SocketAddr {
        self.trusted
            .map_or(self.announced, |trusted| trusted.address)
    }

    /// The source believed, once there is one.
    pub fn trusted(&self) -> Option<SocketAddr> {
        self.trusted.map(|trusted| trusted.address)
    }

    /// A new offer/answer exchange settled `announced`. Another address opens the latch. The same
    /// one keeps it (a session refresh must not cost audio), but lets a phone that moved prove
    /// itself anew. `c=0.0.0.0` is a hold, no place to send to.
    pub fn handle_renegotiated(&mut self, now: Instant, announced: SocketAddr) {
        if announced != self.announced && !announced.ip().is_unspecified() {
            *self = Self::new(announced);
        }
        self.renegotiated_at = Some(now);
    }

    /// Judges one packet whose payload type was agreed on (the caller refuses others before).
    /// `Ok` means: use it.
    ///
    /// # Errors
    /// [`Discard::Stranger`]: not from the trusted source. Nobody has to act.
    pub fn handle_packet(
        &mut self,
        arrival: Instant,
        source: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<(), Discard> {
        if let Some(trusted) = &mut self.trusted
            && trusted.address == source
        {
            trusted.heard(arrival, packet);
            return Ok(());
        }
        // SDP's own address needs no proof: whoever wrote the SDP was authenticated. It also takes
        // the call back from a source that latched before the phone's first packet.
        if source == self.announced {
            self.trust(arrival, source, packet);
            return Ok(());
        }
        let believable = match &self.trusted {
            None => true,
            Some(trusted) => {
                let silent = arrival.saturating_duration_since(trusted.heard_at);
                let goes_on = packet.ssrc == trusted.ssrc
                    && forward(trusted.sequence, packet.sequence) <= MOVE_SEQUENCE_MAX;
                silent >= LATCH_MOVE_SILENCE && goes_on
                    || silent >= RENEGOTIATED_MOVE_SILENCE && self.is_renegotiating(arrival)
            }
        };
        if believable && self.probation(arrival, source, packet) >= LATCH_PACKETS {
            self.trust(arrival, source, packet);
            return Ok(());
        }
        Err(Discard::Stranger)
    }

    /// An SRTP packet that passed authentication came from `source`: proof enough at any time.
    pub fn handle_authenticated(
        &mut self,
        arrival: Instant,
        source: SocketAddr,
        packet: &Packet<'_>,
    ) {
        self.trust(arrival, source, packet);
    }

    fn is_renegotiating(&self, now: Instant) -> bool {
        self.renegotiated_at
            .is_some_and(|at| now.saturating_duration_since(at) < LATCH_OPEN_AFTER_RENEGOTIATION)
    }

    fn trust(&mut self, arrival: Instant, source: SocketAddr, packet: &Packet<'_>) {
        self.trusted = Some(Trusted {
            address: source,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            heard_at: arrival,
        });
        self.candidates = [None; CANDIDATES_MAX];
    }

    /// Notes one packet of a candidate; returns how many it has shown in a row.
    fn probation(&mut self, arrival: Instant, source: SocketAddr, packet: &Packet<'_>) -> u8 {
        let slot = self.candidate_slot(source);
        let packets = match slot {
            Some(candidate)
                if candidate.address == source
                    && candidate.ssrc == packet.ssrc
                    && candidate.payload_type == packet.payload_type
                    && (1..=CONTINUOUS_SEQUENCE_MAX)
                        .contains(&forward(candidate.sequence, packet.sequence)) =>
            {
                candidate.packets.saturating_add(1)
            }
            _ => 1,
        };
        *slot = Some(Candidate {
            address: source,
            ssrc: packet.ssrc,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            packets,
            heard_at: arrival,
        });
        packets
    }

    fn candidate_slot(&mut self, source: SocketAddr) -> &mut Option<Candidate> {
        let known = self
            .candidates
            .iter()
            .position(|slot| slot.is_some_and(|candidate| candidate.address == source));
        let index = known.unwrap_or_else(|| {
            let oldest = |slot: &&(usize, &Option<Candidate>)| slot.1.map(|one| one.heard_at);
            let slots: [_; CANDIDATES_MAX] = std::array::from_fn(|at| (at, &self.candidates[at]));
            slots.iter().min_by_key(oldest).map_or(0, |slot| slot.0)
        });
        &mut self.candidates[index]
    }
}

impl Trusted {
    fn heard(&mut self, arrival: Instant, packet: &Packet<'_>) {
        if packet.ssrc != self.ssrc || forward(self.sequence, packet.sequence) < 0x8000 {
            self.ssrc = packet.ssrc;
            self.sequence = packet.sequence;
        }
        self.heard_at = arrival;
    }
}

/// Steps from `from` forward to `to`, around the wrap.
fn forward(from: u16, to: u16) -> u16 {
    to.wrapping_sub(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.9:61000";
    const MOVED: &str = "198.51.100.9:61001";
    const STRANGER: &str = "203.0.113.66:9";

    struct Scene {
        latch: Latch,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                latch: Latch::new(SDP.parse().unwrap()),
                now: Instant::now(),
            }
        }

        /// Sends one packet 20 ms later; says whether it would be heard.
        fn send(&mut self, source: &str, ssrc: u32, sequence: u16) -> bool {
            self.now += Duration::from_millis(20);
            let packet = Packet {
                sequence,
                timestamp: u32::from(sequence) * 160,
                ssrc,
                marker: false,
                payload_type: 0,
                payload: &[0xFF; 160],
            };
            self.latch
                .handle_packet(self.now, source.parse().unwrap(), &packet)
                .is_ok()
        }

        fn renegotiate(&mut self, announced: &str) {
            let announced = announced.parse().unwrap();
            self.latch.handle_renegotiated(self.now, announced);
        }

        fn sends_to(&self, destination: &str) -> bool {
            self.latch.destination() == destination.parse::<SocketAddr>().unwrap()
        }
    }

    #[test]
    fn we_send_to_the_announced_address_at_once_and_hear_it_at_once() {
        let mut scene = Scene::new();
        assert!(scene.sends_to(SDP));
        assert!(scene.send(SDP, 1, 0));
        assert!(scene.sends_to(SDP));
    }

    #[test]
    fn a_phone_behind_nat_is_believed_after_five_packets_in_a_row() {
        let mut scene = Scene::new();
        for sequence in 0..4 {
            assert!(!scene.send(NAT, 1, sequence));
            assert!(scene.sends_to(SDP));
        }
        assert!(scene.send(NAT, 1, 4));
        assert!(scene.sends_to(NAT));
    }

    #[test]
    fn one_lost_packet_does_not_restart_probation_but_a_repeated_one_does_not_advance_it() {
        let mut scene = Scene::new();
        for sequence in [0, 2, 3, 4] {
            assert!(!scene.send(NAT, 1, sequence));
        }
        assert!(scene.send(NAT, 1, 5));

        let mut scene = Scene::new();
        for _ in 0..50 {
            assert!(!scene.send(STRANGER, 1, 77));
        }
    }

    #[test]
    fn a_spray_of_foreign_packets_is_neither_heard_nor_sent_to() {
        let mut scene = Scene::new();
        assert!(scene.send(SDP, 1, 0));
        let (mut heard, mut leaked) = (0, 0);
        for number in 0..1_000u16 {
            // From many sources, guessing, and from one source with a perfect stream.
            heard += usize::from(scene.send(STRANGER, 99, number));
            heard += usize::from(scene.send(
                &format!("203.0.113.{}:9", number % 250),
                u32::from(number),
                number.wrapping_mul(7_919),
            ));
            leaked += usize::from(!scene.sends_to(SDP));
            assert!(scene.send(SDP, 1, number + 1));
        }
        assert_eq!((heard, leaked), (0, 0));
    }

    #[test]
    fn the_announced_source_takes_the_call_back_from_one_that_came_first() {
        let mut scene = Scene::new();
        for sequence in 0..10 {
            scene.send(STRANGER, 99, sequence);
        }
        assert!(scene.sends_to(STRANGER));
        assert!(scene.send(SDP, 1, 0));
        assert!(scene.sends_to(SDP));
        assert!(!scene.send(STRANGER, 99, 10));
    }

    #[test]
    fn the_same_stream_may_move_after_two_seconds_of_silence_and_no_sooner() {
        let mut scene = Scene::new();
        for sequence in 0..10 {
            scene.send(NAT, 1, sequence);
        }
        assert!(scene.sends_to(NAT));
        for sequence in 10..60 {
            assert!(!scene.send(MOVED, 1, sequence), "too soon");
        }
        scene.now += LATCH_MOVE_SILENCE;
        let heard = (60..70).filter(|&at| scene.send(MOVED, 1, at)).count();
        assert_eq!(heard, 10 - usize::from(LATCH_PACKETS) + 1);
        assert!(scene.sends_to(MOVED));
    }

    #[test]
    fn a_stranger_does_not_inherit_a_silent_call() {
        let mut scene = Scene::new();
        assert!(scene.send(SDP, 1, 0));
        scene.now += Duration::from_secs(60);
        for sequence in 0..100 {
            assert!(!scene.send(STRANGER, 2, sequence), "another SSRC");
            assert!(!scene.send(STRANGER, 1, 30_000 + sequence), "a guess");
        }
        assert!(scene.sends_to(SDP));
    }

    #[test]
    fn a_session_refresh_keeps_the_latch_and_a_new_address_opens_it() {
        let mut scene = Scene::new();
        for sequence in 0..10 {
            scene.send(NAT, 1, sequence);
        }
        scene.renegotiate(SDP);
        assert!(scene.sends_to(NAT));
        scene.renegotiate("0.0.0.0:4000");
        assert!(scene.sends_to(NAT));
        scene.renegotiate(MOVED);
        assert!(scene.sends_to(MOVED));
        assert!(!scene.send(NAT, 1, 10));
    }

    #[test]
    fn after_a_session_refresh_a_phone_that_moved_proves_itself_with_a_new_ssrc() {
        let mut scene = Scene::new();
        for sequence in 0..10 {
            scene.send(NAT, 1, sequence);
        }
        scene.renegotiate(SDP);
        for sequence in 10..20 {
            assert!(scene.send(NAT, 1, sequence));
            assert!(
                !scene.send(STRANGER, 7, sequence),
                "the old source still talks"
            );
        }
        scene.now += RENEGOTIATED_MOVE_SILENCE;
        let heard = (0..10).filter(|&at| scene.send(MOVED, 2, at)).count();
        assert_eq!(heard, 10 - usize::from(LATCH_PACKETS) + 1);
        scene.now += LATCH_OPEN_AFTER_RENEGOTIATION;
        assert!((0..50).all(|at| !scene.send(STRANGER, 9, at)));
    }

    #[test]
    fn the_trusted_source_may_change_its_ssrc() {
        let mut scene = Scene::new();
        assert!(scene.send(SDP, 1, 100));
        assert!(scene.send(SDP, 2, 60_000));
        assert!(!scene.send(STRANGER, 2, 60_001));
    }
}
