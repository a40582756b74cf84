//! Offers of real peers (`fixtures/sdp/`) and our answers, byte for byte.
//!
//! After an intended change: `RINGBRIDGE_UPDATE_GOLDEN=1 cargo test --test it sdp_golden`, and read
//! the difference.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ringbridge::audio::frame::Band;
use ringbridge::meeting::leg::{LegTaste, OpusFormat, PhoneCodec};
use ringbridge::rtp::srtp::{KEYING_BYTES_MAX, SrtpSuite};
use ringbridge::sdp::crypto::{LocalSecurity, SrtpPolicy};
use ringbridge::sdp::negotiate::{LocalMedia, NegotiateError, Negotiated, accept_answer, answer};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/sdp")
}

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([203, 0, 113, 5]),
        rtp_port: 20_000,
        rtcp_port: 20_001,
        session_id: 7,
        version: 1,
        codecs: vec![
            PhoneCodec::Opus,
            PhoneCodec::G722,
            PhoneCodec::Pcmu,
            PhoneCodec::Pcma,
        ],
        dtmf: true,
        taste: LegTaste::default(),
        rtcp_mux: true,
        security: LocalSecurity {
            policy: SrtpPolicy::Optional,
            keying: [0x52; KEYING_BYTES_MAX],
        },
    }
}

fn offer(name: &str) -> String {
    let path = fixtures().join(format!("{name}.sdp"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    match name.contains("lf") {
        true => text,
        false => text.replace('\n', "\r\n"),
    }
}

fn answered(name: &str) -> Negotiated {
    answer(offer(name).as_bytes(), &local()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_fixture_is_answered_as_its_golden_file_says() {
    let update = std::env::var_os("RINGBRIDGE_UPDATE_GOLDEN").is_some();
    let mut names: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(".sdp")?.to_owned())
        })
        .collect();
    names.sort();
    assert!(names.len() >= 18, "fixtures are missing");
    for name in names {
        let result = match answer(offer(&name).as_bytes(), &local()) {
            Ok(negotiated) => {
                let sdp = negotiated.sdp.replace("\r\n", "\n");
                assert!(!sdp.contains('\r'), "{name}: a lone CR");
                format!(
                    "{sdp}\n{:#?}\nhold: {}\n",
                    negotiated.media, negotiated.hold
                )
            }
            Err(error) => format!("{} {error}\n", error.status()),
        };
        let golden = fixtures().join(format!("{name}.answer"));
        if update {
            std::fs::write(&golden, &result).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn the_telephone_event_has_the_clock_of_the_codec_whatever_its_number() {
    for (name, number) in [
        ("zoiper5", 98),
        ("telephone-app", 101),
        ("linphone", 101),
        ("twilio", 101),
    ] {
        assert_eq!(
            answered(name).media.dtmf_payload_type,
            Some(number),
            "{name}"
        );
    }
    assert_eq!(answered("zte-no-dtmf").media.dtmf_payload_type, None);
    // Only the event of 8 kHz beside Opus: its keys are heard, and none are sent it.
    let bria = answered("bria").media;
    assert_eq!(
        (bria.codec, bria.dtmf_payload_type),
        (PhoneCodec::Opus, Some(101))
    );
    assert_eq!(bria.dtmf_send_payload_type, None);
    let mut narrow = local();
    narrow.codecs = vec![PhoneCodec::G722, PhoneCodec::Pcmu];
    for (name, number) in [("zoiper5", 101), ("telephone-app", 102), ("linphone", 100)] {
        let negotiated = answer(offer(name).as_bytes(), &narrow).unwrap();
        assert_eq!(negotiated.media.dtmf_payload_type, Some(number), "{name}");
    }
}

#[test]
fn holds_are_answered_with_the_other_ends_view() {
    for (name, attribute, may_send, may_receive, hold) in [
        ("hold-sendonly", "a=recvonly", false, true, true),
        ("hold-inactive", "a=inactive", false, false, true),
        ("hold-rfc2543", "a=recvonly", false, true, true),
        ("listen-only", "a=sendonly", true, false, false),
        ("microsip", "a=sendrecv", true, true, false),
    ] {
        let negotiated = answered(name);
        assert!(negotiated.sdp.contains(attribute), "{name}");
        assert_eq!(negotiated.media.may_send, may_send, "{name}");
        assert_eq!(negotiated.media.may_receive, may_receive, "{name}");
        assert_eq!(negotiated.hold, hold, "{name}");
    }
}

#[test]
fn our_order_of_codecs_decides_not_the_offers() {
    let mut local = local();
    assert_eq!(answered("microsip").media.codec, PhoneCodec::Pcmu);
    local.codecs = vec![PhoneCodec::Pcma, PhoneCodec::Pcmu];
    let negotiated = answer(offer("twilio").as_bytes(), &local).unwrap();
    assert_eq!(negotiated.media.codec, PhoneCodec::Pcma);
    assert_eq!(negotiated.media.send_payload_type, 8);
}

#[test]
fn media_is_protected_as_offered_with_a_suite_from_the_middle_of_the_list() {
    let twilio = answered("twilio-secure");
    let keys = twilio.media.srtp.as_ref().expect("SRTP");
    assert_eq!(keys.suite, SrtpSuite::AesCm128HmacSha1_80);
    assert_eq!(
        (keys.local.as_slice(), keys.remote.as_slice()),
        (&[0x52; 30][..], &[0; 30][..])
    );
    let key = "UlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJS";
    let line = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
    assert!(twilio.sdp.contains(&line), "{}", twilio.sdp);
    assert!(twilio.sdp.contains("m=audio 20000 RTP/SAVP 0 101\r\n"));
    let linphone = answered("linphone-savp");
    assert_eq!(linphone.media.srtp.unwrap().suite, SrtpSuite::AeadAes128Gcm);
    assert!(linphone.sdp.contains("RTP/SAVPF"));
    assert_eq!(answered("twilio").media.srtp, None);
}

#[test]
fn a_profile_may_refuse_secure_media_or_demand_it() {
    let off = LocalMedia {
        security: LocalSecurity::OFF,
        ..local()
    };
    for name in ["twilio-secure", "linphone-savp"] {
        let error = answer(offer(name).as_bytes(), &off).unwrap_err();
        assert_eq!(error, NegotiateError::SecurityMismatch, "{name}");
        assert_eq!(error.status(), 488);
    }
    let taken = answer(offer("best-effort-srtp").as_bytes(), &off).unwrap();
    assert_eq!(taken.media.remote_rtp.port(), 50_124);
    assert!(taken.sdp.contains("m=audio 0 RTP/SAVP 0 8 101\r\n"));
    let mut required = local();
    required.security.policy = SrtpPolicy::Required;
    let error = answer(offer("twilio").as_bytes(), &required).unwrap_err();
    assert_eq!(error, NegotiateError::SecurityMismatch);
    assert!(answer(offer("twilio-secure").as_bytes(), &required).is_ok());
}

#[test]
fn where_srtp_is_demanded_our_own_offer_demands_it_and_takes_the_answer() {
    let mut required = local();
    required.security.policy = SrtpPolicy::Required;
    let ours = ringbridge::sdp::negotiate::offer(&required);
    assert!(ours.contains("RTP/SAVP 111 9 0 8 101 110\r\n"), "{ours}");
    let theirs = offer("twilio-secure");
    let agreed = accept_answer(&ours, theirs.as_bytes(), &required).unwrap();
    assert_eq!(agreed.media.srtp.unwrap().remote, [0; 30]);
    let error = accept_answer(&ours, offer("twilio").as_bytes(), &required).unwrap_err();
    assert_eq!(error, NegotiateError::AnswerMismatch);
}

#[test]
fn rtcp_shares_the_port_only_where_both_want_it() {
    assert!(answered("baresip").media.rtcp_mux);
    assert!(answered("baresip").sdp.contains("a=rtcp-mux"));
    assert!(!answered("twilio").sdp.contains("a=rtcp-mux"));
    let separate = LocalMedia {
        rtcp_mux: false,
        rtcp_port: 30_001,
        ..local()
    };
    let negotiated = answer(offer("baresip").as_bytes(), &separate).unwrap();
    assert!(!negotiated.sdp.contains("a=rtcp-mux"));
    assert!(negotiated.sdp.contains("a=rtcp:30001"));
    assert_eq!(negotiated.media.remote_rtcp.port(), 28_563);
}

#[test]
fn packets_are_as_long_as_the_phone_wishes_and_no_longer_than_it_takes() {
    let with = |media: &str| {
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
        let offer = format!("{head}{}\r\n", media.replace('|', "\r\n"));
        let negotiated = answer(offer.as_bytes(), &local()).unwrap();
        let ptime = negotiated.media.ptime.as_millis();
        assert!(negotiated.sdp.contains(&format!("a=ptime:{ptime}\r\n")));
        (negotiated.media.codec, ptime)
    };
    for (wish, expected) in [
        ("", 20),
        ("|a=ptime:10", 10),
        ("|a=ptime:20|a=maxptime:150", 20),
        ("|a=ptime:30", 30),
        ("|a=ptime:40", 40),
        ("|a=ptime:50", 40),
        ("|a=ptime:60", 60),
        ("|a=ptime:240", 60),
        ("|a=ptime:5", 10),
        ("|a=ptime:0", 20),
        ("|a=maxptime:10", 10),
        ("|a=ptime:60|a=maxptime:30", 30),
    ] {
        let found = with(&format!("m=audio 4000 RTP/AVP 0{wish}"));
        assert_eq!(found, (PhoneCodec::Pcmu, expected), "{wish}");
        let found = with(&format!("m=audio 4000 RTP/AVP 9 0{wish}"));
        assert_eq!(found, (PhoneCodec::G722, expected), "{wish}");
    }
    for (wish, expected) in [
        ("", (PhoneCodec::Opus, 20)),
        ("|a=ptime:10", (PhoneCodec::Opus, 20)),
        ("|a=ptime:30", (PhoneCodec::Opus, 20)),
        ("|a=ptime:60", (PhoneCodec::Opus, 60)),
        // What cannot be sent in packets short enough is not answered.
        ("|a=maxptime:10", (PhoneCodec::Pcmu, 10)),
    ] {
        let offer = format!("m=audio 4000 RTP/AVP 96 0|a=rtpmap:96 opus/48000/2{wish}");
        assert_eq!(with(&offer), expected, "{wish}");
    }
    assert_eq!(answered("twilio").media.ptime, Duration::from_millis(20));
    assert_eq!(
        answered("lf-only-dynamic").media.ptime,
        Duration::from_millis(10)
    );
}

#[test]
fn opus_is_sent_as_the_phones_parameters_say() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    let with = |parameters: &str| {
        let media = "m=audio 4000 RTP/AVP 120 100\r\na=rtpmap:120 OPUS/48000/2\r\n\
                     a=rtpmap:100 telephone-event/48000\r\n";
        let offer = format!("{head}{media}a=fmtp:120 {parameters}\r\n");
        answer(offer.as_bytes(), &local()).unwrap()
    };
    let plain = with("stereo=1; sprop-stereo=1");
    assert!(
        plain.sdp.contains("m=audio 20000 RTP/AVP 120 100\r\n"),
        "{}",
        plain.sdp
    );
    assert!(plain.sdp.contains("a=rtpmap:120 opus/48000/2\r\n"));
    assert!(
        plain
            .sdp
            .contains("a=fmtp:120 minptime=10;useinbandfec=1\r\n")
    );
    assert_eq!(plain.media.opus, OpusFormat::default());
    assert_eq!(plain.media.band(), Band::Full);
    let bria = with("useinbandfec=1; usedtx=1;maxaveragebitrate=64000").media;
    assert_eq!((bria.opus.fec, bria.opus.bitrate_max), (true, Some(64_000)));
    assert_eq!(with("maxplaybackrate=16000").media.band(), Band::Wide);
    assert_eq!(with("maxplaybackrate=8000").media.band(), Band::Narrow);
    let odd = with("maxaveragebitrate=1;maxplaybackrate=x;;=").media.opus;
    assert_eq!((odd.bitrate_max, odd.play_rate_hz), (Some(6_000), 48_000));
}

#[test]
fn our_own_offer_lists_every_codec_and_an_event_for_each_clock() {
    let ours = ringbridge::sdp::negotiate::offer(&local());
    assert!(
        ours.contains("m=audio 20000 RTP/AVP 111 9 0 8 101 110\r\n"),
        "{ours}"
    );
    assert!(ours.contains("a=rtpmap:9 G722/8000\r\n"));
    let theirs = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\n\
        a=rtpmap:97 telephone-event/48000\r\n";
    let media = accept_answer(&ours, theirs.as_bytes(), &local())
        .unwrap()
        .media;
    let numbers = (media.send_payload_type, media.receive_payload_type);
    assert_eq!((media.codec, numbers), (PhoneCodec::Opus, (96, 111)));
    let events = (media.dtmf_send_payload_type, media.dtmf_payload_type);
    assert_eq!(events, (Some(97), Some(110)));
}
