//! A SIP client in a browser: a phone whose sound comes over ICE and DTLS.

use std::time::Duration;

use super::*;
use crate::meeting::leg::PhoneCodec;

/// Joins one; its double stands among the browsers, but its seat is a phone's.
fn webrtc_phone(world: &mut World, tone_hz: f64) -> SeatId {
    let (seat, joining) = world.joining(ParticipantKind::Robo);
    let id = joining.id;
    let address = SocketAddr::from(([198, 51, 100, 1], 20_000 + seat.0 as u16));
    let mut double = BrowserDouble::sip_client(world.now, address, seat.0 as u32 * 1_000);
    let ClientMessage::Offer { sdp, .. } = double.offer(world.now) else {
        panic!("no offer");
    };
    let mut media = leg_media(PhoneCodec::Opus, address);
    media.webrtc_offer = Some(sdp);
    let answer = world
        .session
        .join_phone(world.now, seat, joining, media)
        .unwrap()
        .expect("an answer");
    assert!(answer.contains("UDP/TLS/RTP/SAVPF"), "{answer}");
    assert!(answer.contains("a=sendrecv"), "{answer}");
    double.handle_message(world.now, &ServerMessage::Answer { sdp: answer });
    let settings = EncoderSettings::narrowband_voice();
    let side = BrowserSide {
        id,
        double,
        messages: Vec::new(),
        voice: Some((
            ToneGenerator::new(8_000, tone_hz, 0.25),
            Encoder::new(settings).unwrap(),
        )),
        gone: false,
    };
    world.browsers.insert(seat, side);
    world.deliver();
    seat
}

/// What it hears, at 8 kHz, whatever stream it came on.
fn hears(world: &World, seat: SeatId) -> Vec<i16> {
    let mut decoder = Decoder::new(8_000).unwrap();
    let mut heard = Vec::new();
    for packet in world.browsers[&seat].double.streams.values().flatten() {
        let mut pcm = [0; 960];
        if let Some(samples) = decoder.decode(&packet.payload, &mut pcm) {
            heard.extend_from_slice(&pcm[..samples]);
        }
    }
    heard
}

#[test]
fn a_sip_client_in_a_browser_a_phone_and_a_browser_hear_each_other_and_not_themselves() {
    let mut world = World::new();
    let browser = world.browser(Some(1_900.0));
    let phone = world.phone(PhoneCodec::Pcmu, Some(700.0));
    let client = webrtc_phone(&mut world, 1_300.0);
    world.all_connected();
    world.run(Duration::from_secs(1));
    world.listen_anew();
    world.run(Duration::from_secs(2));

    assert!(holds_tone(&world.phones[&phone].heard, 1_300.0));
    let client_id = world.browsers[&client].id;
    assert!(holds_tone(
        &world.browser_hears(browser, client_id),
        1_300.0
    ));
    let heard = hears(&world, client);
    assert!(holds_tone(&heard, 700.0) && holds_tone(&heard, 1_900.0));
    assert!(!holds_tone(&heard, 1_300.0));
    assert_eq!(world.session.snapshot().participants.len(), 3);

    // Hold: it sends and hears nothing; its connection stays.
    let mut media = leg_media(PhoneCodec::Opus, "0.0.0.0:9".parse().unwrap());
    media.may_send = false;
    world.session.update_phone(world.now, client, media, true);
    world.run(Duration::from_millis(500));
    world.listen_anew();
    world.run(Duration::from_secs(1));
    assert!(hears(&world, client).is_empty());
    assert!(!holds_tone(&world.phones[&phone].heard, 1_300.0));

    world.session.remove(world.now, client, ByeReason::Left);
    world.deliver();
    assert_eq!(world.session.snapshot().participants.len(), 2);
}

#[test]
fn an_offer_of_which_no_connection_can_be_made_is_refused_and_leaves_nothing() {
    let mut world = World::new();
    for offer in [
        "",
        "v=0",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n",
    ] {
        let (seat, joining) = world.joining(ParticipantKind::Robo);
        let mut media = leg_media(PhoneCodec::Opus, "0.0.0.0:9".parse().unwrap());
        media.webrtc_offer = Some(offer.to_owned());
        let refused = world.session.join_phone(world.now, seat, joining, media);
        assert_eq!(refused, Err(JoinError::UnusableOffer), "{offer}");
    }
    assert!(world.session.snapshot().participants.is_empty());
}

#[test]
fn a_client_that_never_connects_is_reported_as_lost() {
    let mut world = World::new();
    let client = webrtc_phone(&mut world, 900.0);
    world.browsers.remove(&client);
    world.run_until("the loss to be told", |world| world.lost.contains(&client));
}
