//! Opus (RFC 6716) by libopus. The only file that knows audiopus.
//!
//! Encoder and decoder run at the leg's own rate: libopus takes and gives 8 kHz directly, at half
//! the cost and 20 ms less delay than 48 kHz with a resampler. The RTP clock is 48 kHz whatever the
//! rate (RFC 7587 §4.1).

use audiopus::coder::{self, GenericCtl};
use audiopus::packet::Packet;
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, Signal};

use super::frame::Band;

/// RTP clock rate of Opus (RFC 7587 §4.1).
pub const CLOCK_RATE_HZ: u32 = 48_000;

/// Longest packet we make or take: 60 ms at the highest rate stays well below it (RFC 6716 §3.2.1
/// bounds one frame to 1275 octets).
pub const PACKET_BYTES_MAX: usize = 1_275;

/// Longest audio in one packet (RFC 6716 §2.1.4), in ms.
pub const PACKET_MS_MAX: usize = 120;

/// Encodings above this many octets are never "nothing to say"; DTX frames have 1 or 2.
const DTX_BYTES_MAX: usize = 2;

/// Settings of an [`Encoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Of the PCM given: 8, 12, 16, 24 or 48 kHz.
    pub sample_rate_hz: u32,
    /// Target in bit/s, 6,000–128,000.
    pub bitrate: u32,
    /// 0–10; 5 is half the cost of 10 and, from 8 kHz, hardly worse.
    pub complexity: u8,
    /// Add a coarse copy of the last frame to each packet (LBRR), for whoever lost it.
    pub fec: bool,
    /// Loss the copy is meant for, 0–100.
    pub expected_loss_percent: u8,
    /// Send nothing in silence, and in what libopus takes for silence: a steady tone, music.
    pub dtx: bool,
}

impl EncoderSettings {
    /// For a narrowband phone's voice: 8 kHz, 24 kbit/s (below 20 there is no room for FEC),
    /// complexity 5, FEC for 5 % loss, as on a path nobody has reported on. No DTX: callers send
    /// tones and music too; who is silent is better decided before encoding.
    pub fn narrowband_voice() -> Self {
        Self {
            sample_rate_hz: 8_000,
            bitrate: 24_000,
            complexity: 5,
            fec: true,
            expected_loss_percent: 5,
            dtx: false,
        }
    }
}

impl EncoderSettings {
    /// The same for a voice at a band's rate: wider ones get the bits they need to sound wider.
    pub fn for_band(self, band: Band) -> Self {
        let bitrate_min = match band {
            Band::Narrow => 0,
            Band::Wide => 28_000,
            Band::Full => 36_000,
        };
        Self {
            sample_rate_hz: band.sample_rate_hz(),
            bitrate: self.bitrate.max(bitrate_min),
            ..self
        }
    }
}

/// libopus refused. With settings from [`EncoderSettings`] this means a rate it does not know, or
/// no memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libopus: {0}")]
pub struct OpusError(String);

impl From<audiopus::Error> for OpusError {
    fn from(error: audiopus::Error) -> Self {
        Self(error.to_string())
    }
}

/// What the encoder made of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// So many octets to send.
    Packet(usize),
    /// Nothing to say: send nothing, let time pass.
    Silence,
}

/// An Opus encoder for one mono voice.
#[derive(Debug)]
pub struct Encoder {
    inner: coder::Encoder,
    settings: EncoderSettings,
}

impl Encoder {
    /// An encoder in VoIP mode.
    ///
    /// # Errors
    /// Unknown sample rate or setting out of range: the caller's configuration.
    pub fn new(settings: EncoderSettings) -> Result<Self, OpusError> {
        let rate = SampleRate::try_from(settings.sample_rate_hz as i32)?;
        let mut inner = coder::Encoder::new(rate, Channels::Mono, Application::Voip)?;
        inner.set_signal(Signal::Voice)?;
        inner.set_bitrate(Bitrate::BitsPerSecond(settings.bitrate as i32))?;
        inner.set_complexity(settings.complexity)?;
        inner.set_inband_fec(settings.fec)?;
        inner.set_packet_loss_perc(settings.expected_loss_percent)?;
        inner.set_dtx(settings.dtx)?;
        Ok(Self { inner, settings })
    }

    /// Encodes one frame of 20 ms (10, 40 and 60 work too) into `packet`.
    ///
    /// Never fails upward: what libopus refuses counts as silence.
    pub fn encode(&mut self, frame: &[i16], packet: &mut [u8]) -> Encoded {
        match self.inner.encode(frame, packet) {
            Ok(length) if length > DTX_BYTES_MAX => Encoded::Packet(length),
            _ => Encoded::Silence,
        }
    }

    /// Follows the loss the receivers report, 0–100; at 0 packets carry no copy of the last frame.
    pub fn set_expected_loss(&mut self, percent: u8) {
        let percent = percent.min(100);
        if percent == self.settings.expected_loss_percent {
            return;
        }
        let fec = percent > 0;
        let set = self.inner.set_inband_fec(fec).is_ok()
            && self.inner.set_packet_loss_perc(percent).is_ok();
        if set {
            self.settings.expected_loss_percent = percent;
            self.settings.fec = fec;
        }
    }

    /// Steps complexity down under load, and back; 0–10.
    pub fn set_complexity(&mut self, complexity: u8) {
        let complexity = complexity.min(10);
        if complexity != self.settings.complexity && self.inner.set_complexity(complexity).is_ok() {
            self.settings.complexity = complexity;
        }
    }

    /// Settings in force.
    pub fn settings(&self) -> EncoderSettings {
        self.settings
    }

    /// Samples by which decoded audio lags behind the input.
    pub fn lookahead_samples(&self) -> u32 {
        self.inner.lookahead().unwrap_or(0)
    }
}

/// An Opus decoder to mono at one rate, whatever the sender encoded from.
#[derive(Debug)]
pub struct Decoder {
    inner: coder::Decoder,
    sample_rate: SampleRate,
}

impl Decoder {
    /// A decoder that gives `sample_rate_hz`: 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// Unknown sample rate: the caller's.
    pub fn new(sample_rate_hz: u32) -> Result<Self, OpusError> {
        let sample_rate = SampleRate::try_from(sample_rate_hz as i32)?;
        Ok(Self {
            inner: coder::Decoder::new(sample_rate, Channels::Mono)?,
            sample_rate,
        })
    }

    /// Samples a packet holds at this decoder's rate, read from its header alone; `None` if it is
    /// no Opus packet, or longer than 120 ms.
    pub fn packet_samples(&self, packet: &[u8]) -> Option<usize> {
        let packet = Packet::try_from(packet).ok()?;
        let samples = audiopus::packet::nb_samples(packet, self.sample_rate).ok()?;
        let max = PACKET_MS_MAX * self.sample_rate as usize / 1_000;
        (1..=max).contains(&samples).then_some(samples)
    }

    /// Decodes a packet to the start of `pcm`; returns the samples written, `None` if it is broken.
    pub fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Option<usize> {
        let packet = Packet::try_from(packet).ok()?;
        let pcm = MutSignals::try_from(pcm).ok()?;
        self.inner.decode(Some(packet), pcm, false).ok()
    }

    /// Invents the audio of a lost packet of `pcm.len()` samples, a multiple of 2.5 ms.
    pub fn conceal(&mut self, pcm: &mut [i16]) -> Option<usize> {
        let pcm = MutSignals::try_from(pcm).ok()?;
        self.inner.decode(None, pcm, false).ok()
    }

    /// Restores a lost packet of `pcm.len()` samples from the copy in the packet after it, or
    /// conceals if that holds none.
    pub fn decode_fec(&mut self, next: &[u8], pcm: &mut [i16]) -> Option<usize> {
        let packet = Packet::try_from(next).ok()?;
        let pcm = MutSignals::try_from(pcm).ok()?;
        self.inner.decode(Some(packet), pcm, true).ok()
    }

    /// Forgets the past: a new stream begins.
    pub fn reset(&mut self) {
        // Cannot fail on a live decoder; if it did, old state would only colour a few ms.
        let _ = self.inner.reset_state();
    }
}

/// Does the packet carry a copy of the frame before it (RFC 6716 §4.2.4)? CELT-only packets cannot.
pub fn has_fec(packet: &[u8]) -> bool {
    // TOC configurations 0–15 hold SILK (RFC 6716 §3.1), whose header begins with one VAD bit per
    // SILK frame and the LBRR flag; a range decoder's first bits of probability 1/2 are plain bits.
    let [toc, first, ..] = packet else {
        return false;
    };
    let config = toc >> 3;
    let single_frame = toc & 0x03 == 0;
    let silk_frames = match config {
        0..=11 => match config & 0x03 {
            2 => 2,
            3 => 3,
            _ => 1,
        },
        12..=15 => 1,
        _ => return false,
    };
    single_frame && first & (0x80 >> silk_frames) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{ToneGenerator, find_peak};

    fn encoder(dtx: bool) -> Encoder {
        Encoder::new(EncoderSettings {
            dtx,
            expected_loss_percent: 20,
            ..EncoderSettings::narrowband_voice()
        })
        .unwrap()
    }

    fn packets(count: usize) -> Vec<Vec<u8>> {
        let mut generator = ToneGenerator::new(8_000, 440.0, 0.5);
        let mut encoder = encoder(false);
        (0..count)
            .map(|_| {
                let mut frame = [0i16; 160];
                generator.generate(&mut frame);
                let mut packet = [0u8; PACKET_BYTES_MAX];
                let Encoded::Packet(length) = encoder.encode(&frame, &mut packet) else {
                    panic!("a tone is not silence");
                };
                packet[..length].to_vec()
            })
            .collect()
    }

    #[test]
    fn a_tone_survives_8_khz_in_and_8_khz_out() {
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut heard = Vec::new();
        for packet in packets(50) {
            assert_eq!(decoder.packet_samples(&packet), Some(160));
            let mut pcm = [0i16; 960];
            let samples = decoder.decode(&packet, &mut pcm).unwrap();
            heard.extend_from_slice(&pcm[..samples]);
        }
        let peak = find_peak(&heard[2_000..], 8_000).unwrap();
        assert!(
            (peak.frequency_hz - 440.0).abs() < 1.0 && peak.purity > 0.9,
            "{peak:?}"
        );
    }

    #[test]
    fn silence_is_not_sent_with_dtx() {
        let mut encoder = encoder(true);
        let mut packet = [0u8; PACKET_BYTES_MAX];
        let sent = (0..200)
            .filter(|_| matches!(encoder.encode(&[0; 160], &mut packet), Encoded::Packet(_)))
            .count();
        assert!(sent < 60, "{sent} of 200 silent frames were sent");
    }

    #[test]
    fn a_lost_packet_is_restored_from_the_next_ones_copy() {
        let packets = packets(40);
        assert!(packets[20..].iter().all(|packet| has_fec(packet)));
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut pcm = [0i16; 160];
        for packet in &packets[..29] {
            decoder.decode(packet, &mut pcm).unwrap();
        }
        assert_eq!(decoder.decode_fec(&packets[30], &mut pcm), Some(160));
        let level = crate::audio::level::level_dbov(&pcm);
        assert!(level < 15, "restored at −{level} dBov");
    }

    #[test]
    fn garbage_is_refused_and_never_panics() {
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut pcm = [0i16; 960];
        let mut state = 1u32;
        for length in 0..400usize {
            let packet: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            if decoder.packet_samples(&packet).is_some() {
                decoder.decode(&packet, &mut pcm);
            }
        }
        assert_eq!(decoder.packet_samples(&[]), None);
        assert_eq!(decoder.decode(&[], &mut pcm), None);
    }
}
