//! Phones of every codec in one meeting: who hears whom, how wide, at which level, at what cost.

use std::time::Duration;

use super::*;
use crate::audio::level::level_dbov;
use crate::meeting::leg::{LegMedia, LegTaste, PhoneCodec};

const CODECS: [PhoneCodec; 4] = PhoneCodec::ALL;

/// Mean power of a tone in what a phone heard lately, in dB of full scale.
fn tone_db(world: &World, phone: SeatId, hz: f64) -> f64 {
    let side = &world.phones[&phone];
    let rate = side.coder.rate_hz();
    let late = &side.heard_whole[side.heard_whole.len().saturating_sub(rate as usize)..];
    assert!(late.len() >= rate as usize / 2, "{} samples", late.len());
    10.0 * (power_at(late, rate, hz) / f64::from(i16::MAX).powi(2)).log10()
}

#[test]
fn phones_of_every_codec_and_a_browser_hear_everyone_but_themselves_at_one_level() {
    let mut world = World::new();
    let browser = world.browser(Some(1_900.0));
    let tones = [420.0, 710.0, 1_130.0, 1_490.0];
    let phones: Vec<SeatId> = CODECS
        .into_iter()
        .zip(tones)
        .map(|(codec, hz)| world.phone(codec, Some(hz)))
        .collect();
    world.all_connected();
    world.run(Duration::from_secs(1));
    world.listen_anew();
    world.run(Duration::from_secs(2));
    for (phone, codec) in phones.iter().zip(CODECS) {
        for (other, hz) in phones.iter().zip(tones) {
            let level = tone_db(&world, *phone, hz);
            if other == phone {
                assert!(level < -45.0, "{codec:?} hears itself at {level} dB");
            } else {
                // A quarter of full scale: −15 dB.
                assert!(
                    (level + 15.0).abs() < 1.5,
                    "{codec:?} hears {hz} Hz at {level} dB"
                );
            }
        }
        let level = tone_db(&world, *phone, 1_900.0);
        assert!(
            (level + 15.0).abs() < 2.5,
            "{codec:?} hears the browser at {level} dB"
        );
    }
    for (phone, hz) in phones.iter().zip(tones) {
        let id = world.phones[phone].id;
        assert!(holds_tone(&world.browser_hears(browser, id), hz), "{hz} Hz");
    }
}

#[test]
fn what_is_said_wide_is_heard_as_wide_as_the_listeners_codec_is() {
    let mut world = World::new();
    world.phone(PhoneCodec::Opus, Some(5_500.0));
    let listeners = CODECS.map(|codec| world.phone(codec, None));
    world.run(Duration::from_secs(2));
    for (phone, codec) in listeners.into_iter().zip(CODECS) {
        let side = &world.phones[&phone];
        let late = &side.heard_whole[side.heard_whole.len() / 2..];
        match codec {
            PhoneCodec::G722 | PhoneCodec::Opus => {
                let level = tone_db(&world, phone, 5_500.0);
                assert!((level + 15.0).abs() < 3.0, "{codec:?}: {level} dB");
            }
            PhoneCodec::Pcmu | PhoneCodec::Pcma => {
                assert!(
                    level_dbov(late) > 45,
                    "{codec:?} hears −{} dBov",
                    level_dbov(late)
                );
            }
        }
    }
}

#[test]
fn browsers_get_an_opus_phones_packets_as_they_are_and_its_keys_leave_no_gap() {
    let mut world = World::new();
    let browser = world.browser(None);
    let phone = world.phone(PhoneCodec::Opus, Some(900.0));
    world.all_connected();
    world.listen_anew();
    world.run(Duration::from_millis(500));
    // A key: the phone's sequence goes on under another payload type.
    let side = world.phones.get_mut(&phone).unwrap();
    for _ in 0..3 {
        side.sequence = side.sequence.wrapping_add(1);
        let packet = Packet {
            sequence: side.sequence,
            timestamp: 77,
            ssrc: phone.0 as u32,
            marker: false,
            payload_type: 101,
            payload: &[5, 0x8A, 1, 64],
        };
        let mut bytes = [0; 100];
        let length = packet.write(&mut bytes).unwrap();
        let wallclock = Duration::from_secs(1_700_000_000);
        let _ = world.session.handle_phone_rtp(
            world.now,
            wallclock,
            phone,
            side.address,
            &bytes[..length],
        );
    }
    world.run(Duration::from_millis(500));
    let side = &world.phones[&phone];
    let heard = world.browsers[&browser]
        .double
        .heard(side.id, Source::Microphone);
    assert!(heard.len() >= 45, "{} packets", heard.len());
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
    }
    for packet in heard {
        assert!(
            side.said.contains(&packet.payload.to_vec()),
            "an encoding of our own"
        );
    }
    assert_eq!(
        side.events
            .iter()
            .filter(|event| **event == LegEvent::Dtmf('5'))
            .count(),
        1
    );
    // Muted at the server it is not passed on.
    let id = side.id;
    assert!(world.session.mute(world.now, id, Source::Microphone, true));
    world.listen_anew();
    world.run(Duration::from_millis(300));
    assert!(
        world.browsers[&browser]
            .double
            .heard(id, Source::Microphone)
            .is_empty()
    );
}

#[test]
fn silent_phones_of_one_codec_are_sent_the_same_octets_and_speakers_their_own() {
    for codec in CODECS {
        let mut world = World::new();
        world.phone(PhoneCodec::Pcmu, Some(700.0));
        let silent = [world.silent_phone(codec), world.silent_phone(codec)];
        let speaking = world.phone(codec, Some(1_200.0));
        world.run(Duration::from_secs(1));
        world.listen_anew();
        world.run(Duration::from_secs(1));
        let sent = |seat: SeatId| &world.phones[&seat].sent;
        assert!(sent(silent[0]).len() >= 49, "{codec:?}");
        assert_eq!(sent(silent[0]), sent(silent[1]), "{codec:?}");
        assert_ne!(sent(silent[0]), sent(speaking), "{codec:?}");
    }
}

#[test]
fn a_phone_that_begins_and_stops_to_speak_hears_the_others_without_a_break() {
    for codec in [PhoneCodec::G722, PhoneCodec::Opus] {
        let mut world = World::new();
        world.phone(PhoneCodec::Pcma, Some(700.0));
        let phone = world.silent_phone(codec);
        world.run(Duration::from_secs(1));
        for speaks in [true, false, true, false] {
            let tone = speaks.then(|| ToneGenerator::new(world.rate_of(phone), 1_500.0, 0.25));
            let side = world.phones.get_mut(&phone).unwrap();
            side.voice = tone;
            side.mute = !speaks;
            world.listen_anew();
            world.run(Duration::from_millis(1_500));
            let side = &world.phones[&phone];
            let rate = side.coder.rate_hz() as usize;
            for (index, part) in side.heard_whole.chunks_exact(rate / 10).enumerate() {
                let power = power_at(part, rate as u32, 700.0) / f64::from(i16::MAX).powi(2);
                let level = 10.0 * power.log10();
                assert!(
                    (level + 15.0).abs() < 3.0,
                    "{codec:?} {speaks} {index}: {level} dB"
                );
            }
        }
    }
}

#[test]
fn packets_are_as_long_as_was_agreed_and_the_sound_is_whole() {
    for (codec, ptime_ms) in [
        (PhoneCodec::Pcmu, 10),
        (PhoneCodec::Pcma, 30),
        (PhoneCodec::Pcmu, 40),
        (PhoneCodec::G722, 60),
        (PhoneCodec::Opus, 40),
        (PhoneCodec::Opus, 60),
    ] {
        let mut world = World::new();
        world.phone(PhoneCodec::Pcmu, Some(700.0));
        let phone = world.silent_phone(codec);
        let address = world.phones[&phone].address;
        let mut media = leg_media(codec, address);
        media.ptime = Duration::from_millis(ptime_ms);
        world.session.update_phone(world.now, phone, media, false);
        world.run(Duration::from_secs(1));
        world.listen_anew();
        world.run(Duration::from_millis(1_200));
        let side = &world.phones[&phone];
        assert_eq!(
            side.packets as u64,
            1_200 / ptime_ms,
            "{codec:?} {ptime_ms} ms"
        );
        let samples = side.heard_whole.len() as u32;
        assert_eq!(
            samples,
            side.coder.rate_hz() * 6 / 5,
            "{codec:?} {ptime_ms} ms"
        );
        let level = tone_db(&world, phone, 700.0);
        assert!(
            (level + 15.0).abs() < 1.5,
            "{codec:?} {ptime_ms} ms: {level} dB"
        );
    }
}

#[test]
fn a_phone_may_send_packets_of_any_length() {
    for ptime_ticks in [1, 2, 3, 5] {
        let mut world = World::new();
        let sender = world.phone(PhoneCodec::Pcmu, Some(800.0));
        world.phones.get_mut(&sender).unwrap().ticks_per_packet = ptime_ticks;
        let listener = world.phone(PhoneCodec::Pcma, None);
        world.run(Duration::from_secs(3));
        let level = tone_db(&world, listener, 800.0);
        assert!(
            (level + 15.0).abs() < 1.5,
            "{} ms: {level} dB",
            ptime_ticks * 20
        );
        world.session.remove(world.now, sender, ByeReason::Left);
        world.deliver();
        let report = world.phones[&sender].report.clone().unwrap();
        assert_eq!(report.packets_discarded, 0);
    }
}

#[test]
fn a_codec_may_change_in_mid_call_to_one_of_another_rate_and_clock() {
    let mut world = World::new();
    let browser = world.browser(None);
    world.phone(PhoneCodec::Pcmu, Some(700.0));
    let phone = world.phone(PhoneCodec::Pcmu, Some(1_100.0));
    world.all_connected();
    for codec in [
        PhoneCodec::Opus,
        PhoneCodec::G722,
        PhoneCodec::Pcma,
        PhoneCodec::Opus,
    ] {
        let address = world.phones[&phone].address;
        let media: LegMedia = leg_media(codec, address);
        world.session.update_phone(world.now, phone, media, false);
        world.change_codec(phone, codec);
        world.run(Duration::from_secs(1));
        world.listen_anew();
        world.run(Duration::from_secs(1));
        let level = tone_db(&world, phone, 700.0);
        assert!((level + 15.0).abs() < 1.5, "{codec:?}: {level} dB");
        let id = world.phones[&phone].id;
        assert!(
            holds_tone(&world.browser_hears(browser, id), 1_100.0),
            "{codec:?}"
        );
    }
}

/// Gives a phone's leg another taste.
fn retaste(world: &mut World, phone: SeatId, codec: PhoneCodec, taste: LegTaste) {
    let mut media = leg_media(codec, world.phones[&phone].address);
    media.taste = taste;
    world.session.update_phone(world.now, phone, media, false);
}

#[test]
fn keys_are_heard_in_the_sound_only_where_the_profile_asks_for_it() {
    for codec in CODECS {
        for key_tones in [true, false] {
            let mut world = World::new();
            let phone = world.phone(codec, Some(941.0));
            let taste = LegTaste {
                key_tones,
                ..LegTaste::default()
            };
            retaste(&mut world, phone, codec, taste);
            // The row alone is no key; with its column it is.
            world.run(Duration::from_millis(400));
            assert!(
                world.phones[&phone].events.iter().all(is_no_key),
                "{codec:?}"
            );
            let rate = world.rate_of(phone);
            let side = world.phones.get_mut(&phone).unwrap();
            side.second = Some(ToneGenerator::new(rate, 1_336.0, 0.25));
            world.run(Duration::from_millis(600));
            let events = &world.phones[&phone].events;
            let keys: Vec<_> = events.iter().filter(|event| !is_no_key(event)).collect();
            let expected = [&LegEvent::Dtmf('0')];
            assert_eq!(keys, expected[..usize::from(key_tones)], "{codec:?}");
        }
    }
}

fn is_no_key(event: &LegEvent) -> bool {
    !matches!(event, LegEvent::Dtmf(_))
}

#[test]
fn a_quiet_caller_comes_up_where_the_profile_asks_for_it_for_phones_and_browsers() {
    for codec in [PhoneCodec::Pcma, PhoneCodec::Opus] {
        let mut world = World::new();
        world.syllables = true;
        let browser = world.browser(None);
        let caller = world.phone(codec, None);
        let rate = world.rate_of(caller);
        let side = world.phones.get_mut(&caller).unwrap();
        // 28 dB below full scale.
        side.voice = Some(ToneGenerator::new(rate, 700.0, 0.04));
        let listener = world.phone(PhoneCodec::Pcmu, None);
        world.all_connected();
        world.run(Duration::from_secs(2));
        let plain = tone_db(&world, listener, 700.0);
        let taste = LegTaste {
            automatic_gain: true,
            ..LegTaste::default()
        };
        retaste(&mut world, caller, codec, taste);
        world.run(Duration::from_secs(8));
        world.listen_anew();
        world.run(Duration::from_secs(2));
        let gained = tone_db(&world, listener, 700.0) - plain;
        assert!((5.0..=12.5).contains(&gained), "{codec:?}: {gained} dB");
        // What browsers get is then an encoding of ours, of the louder voice.
        let id = world.phones[&caller].id;
        let heard = world.browser_hears(browser, id);
        let power = power_at(&heard[4_000..], 8_000, 700.0) / f64::from(i16::MAX).powi(2);
        let in_browser = 10.0 * power.log10() - plain;
        assert!(
            (4.0..=14.0).contains(&in_browser),
            "{codec:?}: {in_browser} dB"
        );
    }
}
