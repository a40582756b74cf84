//! The yardstick: what one 20 ms frame of Opus costs on the server's core at this minute. Machines
//! differ, and neighbours on the same silicon make everything slower by a factor of up to two.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use ringbridge::audio::opus::{Decoder, Encoder, EncoderSettings, PACKET_BYTES_MAX};
use ringbridge::probe::sound::expand;

use super::speech::Speech;
use super::{ServerArgs, process};

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

/// CPU time given to each of the two codecs: `/proc` counts in 10 ms.
const MEASURED: Duration = Duration::from_millis(600);

/// Encodes and decodes as the server does for one call, in CPU time.
pub fn run() -> Result<(), Box<dyn Error>> {
    let speech = Speech::make()?;
    let law = ringbridge::audio::g711::Law::Ulaw;
    let frames: Vec<Vec<i16>> = speech
        .phone
        .iter()
        .map(|frame| frame.iter().map(|&byte| expand(law, byte)).collect())
        .collect();
    let settings = EncoderSettings::narrowband_voice();
    let mut packet = [0u8; PACKET_BYTES_MAX];
    let mut encode_us = |settings| -> Result<f64, Box<dyn Error>> {
        let mut encoder = Encoder::new(settings)?;
        Ok(cost_us(frames.len(), |k| {
            // What comes out is no matter; an encoder that thinks it silence would show at once.
            let _encoded = encoder.encode(&frames[k], &mut packet);
        }))
    };
    let with_fec = encode_us(settings)?;
    let without_fec = encode_us(EncoderSettings {
        fec: false,
        expected_loss_percent: 0,
        ..settings
    })?;
    let mut decoder = Decoder::new(8_000)?;
    let mut pcm = [0i16; 960];
    let decode_us = cost_us(speech.browser.len(), |k| {
        decoder.decode(&speech.browser[k].0, &mut pcm);
    });
    println!(
        "yardstick on the server's core, us of CPU a frame: Opus encode 8 kHz complexity {} \
         {with_fec:.1} (without FEC {without_fec:.1}), decode to 8 kHz {decode_us:.1}; the pair \
         alone allows {:.0} calls per core",
        settings.complexity,
        20_000.0 / (with_fec + decode_us)
    );
    Ok(())
}

/// CPU time of one call of `work`, which is given 0 to `count` − 1 in turn.
fn cost_us(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let own = || process::cpu_time(std::process::id());
    let (begun, mut done) = (own(), 0u32);
    loop {
        for k in 0..count {
            work(k);
            done += 1;
        }
        let spent = own() - begun;
        if spent >= MEASURED {
            return spent.as_secs_f64() * 1e6 / f64::from(done);
        }
    }
}
