//! Puts a recording through a phone's path without a network: G.711 packets, random loss, the
//! jitter buffer. `cargo bench --bench playout -- IN.wav OUT.wav LOSS_PERCENT SEED [opus]`, 8 kHz
//! mono WAVs; compare with PESQ.

use std::time::{Duration, Instant};

use ringbridge::audio::g711::Law;
use ringbridge::audio::opus::{Encoded, Encoder, EncoderSettings};
use ringbridge::audio::playout::{Playout, PlayoutCodec, PlayoutConfig};
use ringbridge::rtp::packet::Packet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` adds a flag of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [input, output, loss, seed, rest @ ..] = arguments.as_slice() else {
        return Err("usage: playout IN.wav OUT.wav LOSS_PERCENT SEED [opus]".into());
    };
    let (loss, mut state): (f64, u64) = (loss.parse()?, seed.parse()?);
    let opus = rest.first().is_some_and(|codec| codec == "opus");
    let mut chance = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut reader = hound::WavReader::open(input)?;
    let specification = reader.spec();
    let pcm: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>()?;
    let mut writer = hound::WavWriter::create(output, specification)?;
    let codec = match opus {
        true => PlayoutCodec::Opus,
        false => PlayoutCodec::G711(Law::Ulaw),
    };
    let mut encoder = Encoder::new(EncoderSettings {
        expected_loss_percent: loss.round() as u8,
        ..EncoderSettings::narrowband_voice()
    })?;
    let mut playout = Playout::new(PlayoutConfig {
        codec,
        sample_rate_hz: 8_000,
        seed: 1,
    })?;
    let start = Instant::now();
    for (number, frame) in pcm.chunks_exact(160).enumerate() {
        let at = start + Duration::from_millis(20 * number as u64);
        let mut payload = [0u8; 1_275];
        let length = match opus {
            false => Law::Ulaw.encode(frame, &mut payload),
            true => match encoder.encode(frame, &mut payload) {
                Encoded::Packet(length) => length,
                Encoded::Silence => 0,
            },
        };
        let packet = Packet {
            sequence: number as u16,
            timestamp: number as u32 * if opus { 960 } else { 160 },
            ssrc: 1,
            marker: false,
            payload_type: 0,
            payload: &payload[..length],
        };
        if chance() * 100.0 >= loss {
            let _ = playout.handle_packet(at, packet);
        }
        let mut heard = [0i16; 160];
        playout.play(at + Duration::from_millis(12), &mut heard);
        for sample in heard {
            writer.write_sample(sample)?;
        }
    }
    writer.finalize()?;
    println!("{:?}", playout.stats());
    Ok(())
}
