//! A phone's media in a Session: what comes from its socket, and what its ear gets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::audio::frame::Band;
use crate::audio::gain::AutomaticGain;
use crate::audio::key_tone::KeyToneDetector;
use crate::audio::level::{SILENCE_DBOV, level_dbov};
use crate::audio::opus::EncoderSettings;
use crate::audio::playout::{Played, Playout, PlayoutCodec, PlayoutConfig};
use crate::limits::LEG_SILENCE_MAX;
use crate::meeting::ear::{Ear, KeyError};
use crate::meeting::ears::OwnEar;
use crate::meeting::leg::{LegEvent, LegMedia, PhoneCodec};
use crate::meeting::quality::{QUALITY_INTERVAL, QualityMeter};
use crate::meeting::voice::{VoicePacket, VoiceTrack};
use crate::rtp::discard::Discard;
use crate::rtp::dtmf::{DtmfEvent, DtmfReceiver, Key};
use crate::rtp::latch::Latch;
use crate::rtp::packet::{DatagramKind, Packet, classify};
use crate::rtp::reception::Reception;
use crate::rtp::rtcp::{REPORT_BYTES_MAX, RtcpSession};
use crate::rtp::srtp::{OVERHEAD_BYTES_MAX, SrtpKeys, SrtpSession};

mod connection;
mod passed;
mod report;
mod reports;

pub use self::connection::LegConnection;
pub use self::passed::PassedPacket;

/// RFC 3551 §4.5: comfort noise.
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

/// Quieter than this is the line itself, not what is said on it: the smallest step of µ-law is −72.
const IDLE_LEVEL_DBOV: u8 = 70;

/// Ticks of that before a phone's voice is no longer encoded. libopus could decide by itself (DTX),
/// but it takes a steady tone for silence.
const IDLE_AFTER_TICKS: u32 = 25;

/// What in-band FEC towards a phone is always ready for, until RTCP tells of more.
const EXPECTED_LOSS_PERCENT_MIN: u8 = 5;

/// RTCP interval (RFC 3550 §6.2: 5 s for small sessions); the quality is measured with it.
const REPORT_INTERVAL: Duration = QUALITY_INTERVAL;

/// Octets of an RTP packet we send a phone: the longest of Opus, header and protection.
pub const RTP_BYTES_MAX: usize = 1_400;

/// Octets of an RTCP packet we send a phone.
pub const RTCP_BYTES_MAX: usize = REPORT_BYTES_MAX + OVERHEAD_BYTES_MAX;

/// Random numbers one leg starts with.
#[derive(Debug, Clone, Copy)]
pub struct LegSeed {
    /// Of the stream to the phone.
    pub ssrc: u32,
    /// First sequence number to the phone.
    pub sequence: u16,
    /// First timestamp to the phone.
    pub timestamp: u32,
    /// Of the phone's voice towards browsers.
    pub track_ssrc: u32,
}

/// See the module.
pub struct PhoneLeg {
    media: LegMedia,
    on_hold: bool,
    srtp: Option<SrtpSession>,
    latch: Latch,
    rtcp_remote: SocketAddr,
    dtmf: DtmfReceiver,
    playout: Playout,
    reception: Reception,
    rtcp: RtcpSession,
    report_at: Instant,
    quality: QualityMeter,
    ear: Ear,
    connection: Option<Box<LegConnection>>,
    started: bool,
    heard_at: Instant,
    lost_told: bool,
    discarded: u64,
    /// This tick's voice, at the rate of its band.
    voice: Vec<i16>,
    gain: Option<AutomaticGain>,
    key_tones: Option<KeyToneDetector>,
    /// A packet just taken that goes to browsers as it is.
    passed: Option<PassedPacket>,
    speaks: bool,
    level: u8,
    silent_ticks: u32,
    /// Its mix and encoding when it hears something of its own.
    own: OwnEar,
    track: VoiceTrack,
}

/// What is needed to give a leg what it hears.
pub(super) struct Listener<'a> {
    pub(super) media: &'a LegMedia,
    /// What it says, if that is worth a mix of its own.
    pub(super) voice: Option<&'a [i16]>,
    pub(super) own: &'a mut OwnEar,
    pub(super) ear: &'a mut Ear,
}

impl PhoneLeg {
    /// A leg whose phone has not been heard.
    pub fn new(
        now: Instant,
        media: LegMedia,
        encoder_settings: EncoderSettings,
        seed: LegSeed,
    ) -> Self {
        let ear = Ear::new(&media, seed.ssrc, seed.sequence, seed.timestamp);
        Self {
            srtp: srtp_session(media.srtp.as_ref()),
            latch: Latch::new(media.remote_rtp),
            rtcp_remote: media.remote_rtcp,
            on_hold: false,
            dtmf: DtmfReceiver::new(),
            playout: playout(&media, seed.ssrc),
            reception: Reception::new(media.codec.clock_rate_hz()),
            // RFC 7022: the name says nothing about the host.
            rtcp: RtcpSession::new(seed.ssrc, &format!("{:08x}", seed.track_ssrc)),
            report_at: now + REPORT_INTERVAL,
            quality: QualityMeter::new(now),
            ear,
            connection: None,
            started: false,
            heard_at: now,
            lost_told: false,
            discarded: 0,
            voice: vec![0; media.band().samples()],
            gain: gain(&media),
            key_tones: key_tones(&media),
            passed: None,
            speaks: false,
            level: SILENCE_DBOV,
            silent_ticks: IDLE_AFTER_TICKS,
            own: OwnEar::default(),
            track: VoiceTrack::new(
                encoder_settings.for_band(media.band()),
                seed.track_ssrc,
                seed.sequence,
                seed.timestamp,
            ),
            media,
        }
    }

    /// At which rate it speaks and hears.
    pub fn band(&self) -> Band {
        self.media.band()
    }

    /// Its packets are Opus, and go to browsers as they are.
    pub fn is_passed_through(&self) -> bool {
        self.media.codec == PhoneCodec::Opus && self.gain.is_none()
    }

    /// The codec towards the phone.
    pub fn codec(&self) -> PhoneCodec {
        self.media.codec
    }

    /// SSRC under which its voice goes to browsers, before rewriting.
    pub fn track_ssrc(&self) -> u32 {
        self.track.ssrc()
    }

    /// The phone has put us on hold.
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    /// A later offer/answer exchange.
    pub fn update(&mut self, now: Instant, media: LegMedia, on_hold: bool) {
        let is_same = media.codec == self.media.codec
            && media.opus == self.media.opus
            && media.taste == self.media.taste;
        if !is_same {
            self.change_codec(&media);
        }
        self.ear.update(&media);
        // The same keys go on with their packet counters; new ones begin afresh.
        if media.srtp != self.media.srtp {
            self.srtp = srtp_session(media.srtp.as_ref());
        }
        self.latch.handle_renegotiated(now, media.remote_rtp);
        self.rtcp_remote = media.remote_rtcp;
        self.on_hold = on_hold;
        self.heard_at = now;
        self.media = media;
    }

    fn change_codec(&mut self, media: &LegMedia) {
        let ssrc = self.ear.stream().ssrc();
        self.playout = playout(media, ssrc);
        self.voice = vec![0; media.band().samples()];
        self.gain = gain(media);
        self.key_tones = key_tones(media);
        self.speaks = false;
        self.own.restart();
        self.track.set_band(media.band());
        if media.codec.clock_rate_hz() != self.media.codec.clock_rate_hz() {
            self.reception = Reception::new(media.codec.clock_rate_hz());
        }
    }

    // ── in ────────────────────────────────────────────────────────────────────────────────────

    /// Takes a datagram of the RTP socket. `ntp` is the wallclock in NTP format.
    pub fn handle_rtp(
        &mut self,
        arrival: Instant,
        ntp: u64,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Option<LegEvent>, Discard> {
        match classify(datagram) {
            DatagramKind::Rtp => {}
            DatagramKind::Rtcp if self.media.rtcp_mux => {
                self.handle_rtcp(arrival, ntp, from, datagram)?;
                return Ok(None);
            }
            DatagramKind::Rtcp | DatagramKind::Other => return self.discard(Discard::Malformed),
        }
        let opened;
        let datagram = match &mut self.srtp {
            None => datagram,
            // Nothing is learnt from a packet, its source least of all, before it authenticates.
            Some(srtp) => match srtp.unprotect_rtp(datagram) {
                Ok(plain) => {
                    opened = plain;
                    &opened[..]
                }
                Err(reason) => return self.discard(reason),
            },
        };
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(reason) => return self.discard(reason),
        };
        let kind = self.media.receive_payload_type;
        let is_voice = packet.payload_type == kind;
        let is_dtmf = Some(packet.payload_type) == self.media.dtmf_payload_type;
        let is_noise = packet.payload_type == COMFORT_NOISE_PAYLOAD_TYPE;
        if !(is_voice || is_dtmf || is_noise) {
            return self.discard(Discard::UnknownPayloadType);
        }
        if let Err(reason) = self.latch.handle_packet(arrival, from, &packet) {
            return self.discard(reason);
        }
        self.reception.handle_packet(arrival, &packet, is_voice);
        self.heard_at = arrival;
        self.lost_told = false;
        let passes = self.is_passed_through() && !self.on_hold;
        if passes && !is_voice {
            // Also the copies of a key's end, which are refused below: each has used a number.
            self.passed = Some(PassedPacket::new(&packet, is_voice));
        }
        let event = if is_dtmf {
            match self.dtmf.handle_packet(arrival, &packet) {
                Ok(event) => event.and_then(pressed),
                Err(reason) => return self.discard(reason),
            }
        } else if is_noise {
            self.playout.handle_comfort_noise(&packet);
            None
        } else {
            if let Err(reason) = self.playout.handle_packet(arrival, packet) {
                return self.discard(reason);
            }
            self.passed = passes.then(|| PassedPacket::new(&packet, is_voice));
            None
        };
        if !self.started {
            self.started = true;
            return Ok(event.or(Some(LegEvent::MediaStarted)));
        }
        Ok(event)
    }

    /// The packet just taken, if browsers are to get it as it is.
    pub fn take_passed(&mut self) -> Option<PassedPacket> {
        self.passed.take()
    }

    /// Takes a datagram of the RTCP socket: figures only, and only from where the phone is.
    pub fn handle_rtcp(
        &mut self,
        arrival: Instant,
        ntp: u64,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let from_the_phone =
            from.ip() == self.latch.destination().ip() || from.ip() == self.media.remote_rtcp.ip();
        if !from_the_phone {
            return self.discard(Discard::Stranger).map(drop);
        }
        let opened;
        let datagram = match &mut self.srtp {
            None => datagram,
            Some(srtp) => match srtp.unprotect_rtcp(datagram) {
                Ok(plain) => {
                    opened = plain;
                    &opened[..]
                }
                Err(reason) => return self.discard(reason).map(drop),
            },
        };
        match self.rtcp.handle_datagram(arrival, ntp, datagram) {
            // Behind NAT the RTCP port is what it is seen as, too (RFC 4961).
            Ok(_) => {
                self.rtcp_remote = from;
                Ok(())
            }
            Err(reason) => self.discard(reason).map(drop),
        }
    }

    fn discard(&mut self, reason: Discard) -> Result<Option<LegEvent>, Discard> {
        self.discarded += 1;
        Err(reason)
    }

    // ── the tick ──────────────────────────────────────────────────────────────────────────────

    /// Takes this tick's voice out of the buffer. `audible` is false while the server mutes it.
    pub fn play(&mut self, now: Instant, audible: bool) -> Option<LegEvent> {
        let played = self.playout.play(now, &mut self.voice);
        let key = self.key_tones.as_mut();
        let key = key.and_then(|key_tones| key_tones.hear(&self.voice));
        if let Some(gain) = &mut self.gain {
            gain.apply(&mut self.voice);
        }
        if !audible || self.on_hold {
            self.voice.fill(0);
        }
        let silent = matches!(played, Played::Silence) || !audible || self.on_hold;
        self.level = if silent {
            SILENCE_DBOV
        } else {
            level_dbov(&self.voice)
        };
        // Digital silence costs a decoder nothing to invent: it is not worth a mix of its own.
        self.speaks = self.level < SILENCE_DBOV;
        self.silent_ticks = if self.level < IDLE_LEVEL_DBOV {
            0
        } else {
            self.silent_ticks.saturating_add(1)
        };
        let quiet = now.saturating_duration_since(self.heard_at);
        let expected = self.media.may_receive && !self.on_hold;
        if let Some(released) = self.dtmf.handle_timeout(now) {
            debug_assert!(!matches!(released, DtmfEvent::Pressed(_)));
        }
        if expected && quiet >= LEG_SILENCE_MAX && !self.lost_told {
            self.lost_told = true;
            return Some(LegEvent::MediaLost);
        }
        key.map(LegEvent::Dtmf)
    }

    /// What was played, if it is worth mixing.
    pub fn voice(&self) -> Option<&[i16]> {
        self.speaks.then_some(&self.voice[..])
    }

    /// The parts of it that hearing is about.
    pub(super) fn listener(&mut self) -> Listener<'_> {
        Listener {
            media: &self.media,
            voice: self.speaks.then_some(&self.voice[..]),
            own: &mut self.own,
            ear: &mut self.ear,
        }
    }

    /// −dBov of what was played.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Somebody hears what is sent: the phone has not put us on hold.
    pub fn has_ear(&self) -> bool {
        self.media.may_send
    }

    /// The voice as an Opus packet for browsers, if there is one this tick; `listened` is false
    /// when no browser would get it. Time passes either way.
    pub fn encode_voice(&mut self, listened: bool) -> Option<VoicePacket> {
        let silent = self.silent_ticks >= IDLE_AFTER_TICKS;
        let voice = (!silent).then_some(&self.voice[..]);
        self.track.next_packet(voice, listened)
    }

    /// Takes the worst loss, 0.0–1.0, that browsers report of what we send them now.
    pub fn handle_listeners_loss(&mut self, now: Instant, loss: Option<f32>) {
        self.track.handle_loss(now, loss);
    }

    /// Steps the complexity of its encoders, 0–10.
    pub fn set_complexity(&mut self, complexity: u8) {
        self.track.set_complexity(complexity);
        self.own.set_complexity(complexity);
    }

    /// Writes a packet for the phone's ear that is full into `buffer`, and where to send it; to be
    /// called until `None`.
    pub fn write_packet(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
        if !self.media.may_send {
            self.ear.skip_packets();
            return None;
        }
        let written = self.ear.write_packet(buffer)?;
        let written = match &mut self.srtp {
            None => written,
            Some(srtp) => srtp.protect_rtp(buffer, written)?,
        };
        Some((self.latch.destination(), written))
    }

    /// Presses keys in the phone's ear: all of them, or none.
    ///
    /// # Errors
    /// The phone takes no keys, or too many are waiting.
    pub fn send_keys(&mut self, keys: &[Key]) -> Result<(), KeyError> {
        self.ear.press(keys)
    }

    /// `ticks` were skipped after a stall: time has passed for the phone's ear and its voice.
    pub fn skip_ticks(&mut self, ticks: u32) {
        self.ear.skip_ticks(ticks);
        self.track.skip_ticks(ticks);
    }
}

fn srtp_session(keys: Option<&SrtpKeys>) -> Option<SrtpSession> {
    // Never `None` for keys that cannot be used: a leg agreed to be secure must not go plain.
    keys.map(|keys| SrtpSession::new(keys.clone()).expect("offer/answer checks the keys' lengths"))
}

fn gain(media: &LegMedia) -> Option<AutomaticGain> {
    media.taste.automatic_gain.then(AutomaticGain::new)
}

fn key_tones(media: &LegMedia) -> Option<KeyToneDetector> {
    let rate_hz = media.band().sample_rate_hz();
    media.taste.key_tones.then(|| KeyToneDetector::new(rate_hz))
}

fn playout(media: &LegMedia, seed: u32) -> Playout {
    let codec = match (media.codec, media.codec.law()) {
        (_, Some(law)) => PlayoutCodec::G711(law),
        (PhoneCodec::G722, None) => PlayoutCodec::G722,
        (_, None) => PlayoutCodec::Opus,
    };
    Playout::new(PlayoutConfig {
        codec,
        sample_rate_hz: media.band().sample_rate_hz(),
        seed,
    })
    .expect("libopus knows the rate of every band")
}

fn pressed(event: DtmfEvent) -> Option<LegEvent> {
    match event {
        DtmfEvent::Pressed(Key::Digit(digit)) => Some(LegEvent::Dtmf(digit)),
        DtmfEvent::Pressed(Key::Flash) | DtmfEvent::Released { .. } => None,
    }
}
