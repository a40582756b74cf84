//! Offers of real peers (`fixtures/sdp/`) and our answers, byte for byte.
//!
//! After an intended change: `RINGBRIDGE_UPDATE_GOLDEN=1 cargo test --test it sdp_golden`, and read
//! the difference.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ringbridge::meeting::leg::PhoneCodec;
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
        codecs: vec![PhoneCodec::Pcmu, PhoneCodec::Pcma],
        dtmf: true,
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
        ("zoiper5", 101),
        ("telephone-app", 102),
        ("linphone", 100),
        ("twilio", 101),
    ] {
        assert_eq!(
            answered(name).media.dtmf_payload_type,
            Some(number),
            "{name}"
        );
    }
    assert_eq!(answered("zte-no-dtmf").media.dtmf_payload_type, None);
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
    assert!(ours.contains("RTP/SAVP 0 8 101\r\n"), "{ours}");
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
fn packets_are_one_tick_long_unless_the_phone_takes_no_more() {
    assert_eq!(answered("twilio").media.ptime, Duration::from_millis(20));
    assert_eq!(
        answered("lf-only-dynamic").media.ptime,
        Duration::from_millis(10)
    );
}
