//! The yardstick: what one 20 ms frame of Opus costs on the server's core at this minute. Machines
//! differ, and neighbours on the same silicon make everything slower by a factor of up to two.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use ringbridge::audio::opus::{Decoder, Encoded, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use ringbridge::probe::sound::expand;

use super::ServerArgs;
use super::speech::Speech;

/// Measures on the server's core, in a process of its own.
pub fn print(args: &ServerArgs) {
    let output = std::env::current_exe().and_then(|exe| {
        Command::new("nice")
            .args(["-n", &args.server_nice.to_string(), "taskset", "-c"])
            .arg(args.server_core.to_string())
            .arg(exe)
            .arg("calibrate")
            .output()
    });
    match output {
        Ok(output) => print!("{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => println!("no yardstick: {error}"),
    }
}

/// Encodes and decodes ten seconds, as the server does for one call.
pub fn run() -> Result<(), Box<dyn Error>> {
    let speech = Speech::make()?;
    let codec = ringbridge::meeting::leg::PhoneCodec::Pcmu;
    let frames: Vec<Vec<i16>> = speech
        .phone
        .iter()
        .map(|frame| frame.iter().map(|&byte| expand(codec, byte)).collect())
        .collect();
    let settings = EncoderSettings::narrowband_voice();
    let mut encoder = Encoder::new(settings)?;
    let mut packet = [0u8; PACKET_BYTES_MAX];
    let begun = Instant::now();
    let mut silent = 0;
    for frame in &frames {
        silent += u32::from(encoder.encode(frame, &mut packet) == Encoded::Silence);
    }
    let encode_us = begun.elapsed().as_secs_f64() * 1e6 / frames.len() as f64;
    let mut decoder = Decoder::new(8_000)?;
    let mut pcm = [0i16; 960];
    let begun = Instant::now();
    for (packet, _) in &speech.browser {
        decoder.decode(packet, &mut pcm);
    }
    let decode_us = begun.elapsed().as_secs_f64() * 1e6 / speech.browser.len() as f64;
    println!(
        "yardstick on the server's core: Opus encode 8 kHz complexity {} {encode_us:.1} us a frame, \
         decode to 8 kHz {decode_us:.1} us ({silent} of {} frames silent); the pair alone allows \
         {:.0} calls per core",
        settings.complexity,
        frames.len(),
        20_000.0 / (encode_us + decode_us)
    );
    Ok(())
}
