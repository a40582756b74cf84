//! What the sound costs and how it is protected: FEC by report, nothing encoded for nobody.

use super::*;
use crate::audio::opus::has_fec;

impl World {
    /// Share of what a browser got of a participant in the next `seconds` that carries a copy of
    /// the frame before.
    fn protected_share(&mut self, browser: SeatId, of: ParticipantId, seconds: u64) -> f64 {
        self.listen_anew();
        self.run(Duration::from_secs(seconds));
        let heard = self.browsers[&browser].double.heard(of, Source::Microphone);
        assert!(heard.len() as u64 > seconds * 30, "{} packets", heard.len());
        let with = heard.iter().filter(|packet| has_fec(&packet.payload));
        with.count() as f64 / heard.len() as f64
    }
}

#[test]
fn a_phones_voice_carries_copies_only_while_a_browser_reports_loss() {
    let mut world = World::new();
    world.syllables = true;
    let lossy = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, Some(440.0));
    world.all_connected();
    let id = world.phones[&phone].id;
    world.run(Duration::from_secs(3));
    let before = world.protected_share(lossy, id, 3);
    assert!(before < 0.01, "{before} protected though nothing is lost");
    world.loss = 0.1;
    world.run(Duration::from_secs(4));
    let during = world.protected_share(lossy, id, 5);
    assert!(during > 0.5, "only {during} protected against 10 % loss");
    world.loss = 0.0;
    // One clean report is no calm.
    world.run(Duration::from_secs(3));
    let still = world.protected_share(lossy, id, 3);
    assert!(
        still > 0.5,
        "{still} protected, given up at the first good report"
    );
    world.run(crate::audio::protection::CALM_TIME);
    let after = world.protected_share(lossy, id, 3);
    assert!(after < 0.01, "{after} still protected after the calm");
}

#[test]
fn what_a_browser_reports_of_its_downlink_is_what_the_network_does() {
    let mut world = World::new();
    let browser = world.browser(None);
    world.phone(PhoneCodec::Pcmu, Some(440.0));
    world.all_connected();
    world.loss = 0.2;
    world.run(Duration::from_secs(10));
    let downlink = world.session.peer(browser).and_then(|peer| peer.downlink());
    let downlink = downlink.unwrap();
    assert!((0.05..0.4).contains(&downlink.loss), "{downlink:?}");
    assert!(downlink.reports >= 5, "{downlink:?}");
    // Reports travel at the step they are made in: less than two steps there and back.
    let trip = downlink.round_trip.unwrap();
    assert!(trip <= STEP * 2, "{downlink:?}");
}

#[test]
fn a_silent_phone_costs_a_browser_three_packets_a_second_at_most() {
    let mut world = World::new();
    let browser = world.browser(None);
    let phone = world.phone(PhoneCodec::Pcmu, Some(440.0));
    world.all_connected();
    world.run(Duration::from_secs(1));
    world.phones.get_mut(&phone).unwrap().voice = None;
    world.run(Duration::from_secs(2));
    world.listen_anew();
    world.run(Duration::from_secs(4));
    let id = world.phones[&phone].id;
    let heard = world.browsers[&browser]
        .double
        .heard(id, Source::Microphone);
    assert!((8..=12).contains(&heard.len()), "{} packets", heard.len());
    assert!(heard.iter().all(|packet| packet.payload.len() == 1));
    // And it is heard again from its first word.
    world.phones.get_mut(&phone).unwrap().voice = Some(ToneGenerator::new(8_000, 440.0, 0.25));
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.browser_hears(browser, id), 440.0));
}

#[test]
fn nothing_is_encoded_for_nobody_and_nothing_decoded_for_no_ear() {
    let mut world = World::new();
    let phone = world.phone(PhoneCodec::Pcmu, Some(440.0));
    world.run(Duration::from_secs(2));
    let encoded = |world: &World| world.session.seats[&phone].phone_leg().report().encoded_ms;
    assert_eq!(encoded(&world), 0, "nobody listens");
    let browser = world.browser(Some(1_000.0));
    world.all_connected();
    world.run(Duration::from_secs(1));
    assert!(encoded(&world) >= 800);
    assert!(world.session.bridge.decoding() == 1);
    // On hold with no ear to it: what the browser says is for nobody.
    let mut media = leg_media(PhoneCodec::Pcmu, world.phones[&phone].address);
    media.may_send = false;
    world
        .session
        .update_phone(world.now, phone, media.clone(), true);
    world.run(Duration::from_millis(200));
    assert_eq!(world.session.bridge.decoding(), 0);
    media.may_send = true;
    world.session.update_phone(world.now, phone, media, false);
    world.listen_anew();
    world.run(Duration::from_millis(1_500));
    assert!(holds_tone(&world.phones[&phone].heard, 1_000.0));
    let before = encoded(&world);
    world
        .session
        .handle_client(world.now, browser, ClientMessage::Leave);
    world.deliver();
    world.run(Duration::from_secs(1));
    assert_eq!(encoded(&world), before, "nobody listens any more");
}

impl Seat {
    fn phone_leg(&self) -> &PhoneLeg {
        match &self.media {
            Media::Phone(leg) => leg,
            Media::Browser(_) => panic!("not a phone's seat"),
        }
    }
}

#[test]
fn a_legs_figures_tell_what_its_network_did() {
    let mut world = World::new();
    let phone = world.phone(PhoneCodec::Pcmu, Some(440.0));
    world.run(Duration::from_secs(11));
    let clean = world.session.seats[&phone].phone_leg().report();
    world.phone_loss = 0.08;
    world.run(Duration::from_secs(10));
    let lossy = world.session.seats[&phone].phone_leg().report();
    let way = clean.received;
    assert_eq!((way.loss, way.concealed_ms), (Some(0.0), Some(0)));
    assert!(way.mos.unwrap() > 4.3, "{way:?}");
    assert!(way.buffer_ms.unwrap() < 25.0, "{way:?}");
    let way = lossy.received;
    assert!((0.01..0.08).contains(&way.loss.unwrap()), "{way:?}");
    assert!(way.concealed_ms.unwrap() >= 300, "{way:?}");
    assert!(
        way.mos_min.unwrap() < 3.7 && way.mos_min < way.mos,
        "{way:?}"
    );
    // The phone has sent no RTCP: nothing is made up about what it hears.
    assert_eq!((lossy.sent.loss, lossy.sent.mos), (None, None));
    assert_eq!(lossy.curve.len(), 4);
    let [good, .., bad] = lossy.curve[..] else {
        panic!("{:?}", lossy.curve);
    };
    assert_eq!(good.concealed, Some(0.0));
    assert!(bad.concealed.unwrap() > 0.02 && bad.received_mos < good.received_mos);
}
