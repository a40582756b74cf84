//! A session's whole tick, from phones' datagrams to phones' datagrams, allocates nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::audio::opus::EncoderSettings;
use ringbridge::audio::tone::ToneGenerator;
use ringbridge::id::{MeetingId, OrganizationId, ParticipantId, SessionId};
use ringbridge::meeting::leg::{LegMedia, PhoneCodec};
use ringbridge::meeting::participant::{Joining, ParticipantKind};
use ringbridge::meeting::peer::{Certificate, PeerSetup};
use ringbridge::meeting::preset::Preset;
use ringbridge::meeting::session::{Session, SessionName, SessionSettings};
use ringbridge::meeting::track::SeatId;
use ringbridge::rtp::packet::Packet;

use crate::allocations;
use crate::audio_sim::Random;

const PHONES: u64 = 4;
const WALLCLOCK: Duration = Duration::from_secs(1_700_000_000);

struct Conference {
    now: Instant,
    session: Session,
    tones: Vec<ToneGenerator>,
    sequence: u16,
    random: Random,
    sent: usize,
}

impl Conference {
    fn new() -> Self {
        let now = Instant::now();
        let server: SocketAddr = "192.0.2.9:7000".parse().unwrap();
        let certificate = Certificate::generate().unwrap();
        let settings = SessionSettings {
            peer: PeerSetup::new(certificate, server, &[server.ip()]),
            opus: EncoderSettings::narrowband_voice(),
        };
        let name = SessionName {
            id: SessionId::from_random(1),
            meeting: MeetingId::from_random(2),
            organization: OrganizationId::from_random(3),
            title: "Demo".to_owned(),
        };
        let mut session = Session::new(now, WALLCLOCK, name, Arc::new(settings), [7; 32]);
        for phone in 0..PHONES {
            let joining = Joining {
                id: ParticipantId::from_random(u128::from(phone)),
                custom_participant_id: None,
                name: format!("phone {phone}"),
                picture: None,
                kind: ParticipantKind::Robo,
                preset: Preset::host(),
                attributes: BTreeMap::new(),
                pin: None,
            };
            let media = media(phone);
            session
                .join_phone(now, SeatId(phone), joining, media)
                .unwrap();
        }
        let tone = |phone: u64| ToneGenerator::new(8_000, 300.0 + 100.0 * phone as f64, 0.2);
        Self {
            now,
            session,
            tones: (0..PHONES).map(tone).collect(),
            sequence: 0,
            random: Random::new(3),
            sent: 0,
        }
    }

    /// 20 ms: every phone's packet, some lost, the tick, and what goes out.
    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        self.sequence = self.sequence.wrapping_add(1);
        for phone in 0..PHONES {
            let mut frame = [0i16; 160];
            self.tones[phone as usize].generate(&mut frame);
            let mut codes = [0u8; 160];
            Law::Ulaw.encode(&frame, &mut codes);
            let packet = Packet {
                sequence: self.sequence,
                timestamp: u32::from(self.sequence) * 160,
                ssrc: phone as u32 + 1,
                marker: false,
                payload_type: 0,
                payload: &codes,
            };
            let mut bytes = [0u8; 200];
            let length = packet.write(&mut bytes).unwrap();
            let arrival = self.now - Duration::from_micros(self.random.next() % 6_000);
            if self.random.chance(0.02) {
                continue;
            }
            let seat = SeatId(phone);
            let taken = self.session.handle_phone_rtp(
                arrival,
                WALLCLOCK,
                seat,
                media(phone).remote_rtp,
                &bytes[..length],
            );
            taken.unwrap();
        }
        self.session.tick(self.now, WALLCLOCK, 0);
        self.session.handle_timeout(self.now);
        self.sent += self.session.egress().phones().count();
        self.session.egress().clear();
        while self.session.poll_output().is_some() {}
    }
}

fn media(phone: u64) -> LegMedia {
    let remote = SocketAddr::from(([203, 0, 113, 1], 30_000 + 2 * phone as u16));
    LegMedia {
        codec: PhoneCodec::Pcmu,
        opus: Default::default(),
        receive_payload_type: 0,
        send_payload_type: 0,
        dtmf_payload_type: Some(101),
        dtmf_send_payload_type: Some(101),
        ptime: Duration::from_millis(20),
        remote_rtp: remote,
        remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
        rtcp_mux: false,
        srtp: None,
        webrtc_offer: None,
        taste: Default::default(),
        may_send: true,
        may_receive: true,
    }
}

#[test]
fn a_conference_of_talking_phones_ticks_without_allocating() {
    let mut conference = Conference::new();
    // The buffers have grown, the first report has been written, the quality measured.
    for _ in 0..20 * 50 {
        conference.tick();
    }
    conference.sent = 0;
    let mut worst = (0, 0);
    for tick in 0..20 * 50 {
        let made = allocations::during(|| conference.tick());
        if made > worst.0 {
            worst = (made, tick);
        }
    }
    assert_eq!(worst.0, 0, "in tick {} of the second part", worst.1);
    assert!(conference.sent as u64 >= 20 * 50 * PHONES);
    let id = ParticipantId::from_random(0);
    let report = conference.session.leg_report(id).unwrap();
    assert!(report.concealed_ms > 0 && report.curve.len() >= 7);
}
