//! Offer/answer beyond the fixtures: late offers, refusals, bombs and rubbish.

use std::net::IpAddr;

use proptest::prelude::*;
use ringbridge::limits;
use ringbridge::meeting::leg::{LegTaste, PhoneCodec};
use ringbridge::sdp::crypto::LocalSecurity;
use ringbridge::sdp::description::{Description, DescriptionError};
use ringbridge::sdp::negotiate::{
    LocalMedia, NegotiateError, accept_answer, answer, offer, offered_rtp_address,
};

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([203, 0, 113, 5]),
        rtp_port: 20_000,
        rtcp_port: 20_001,
        session_id: 7,
        version: 1,
        codecs: vec![PhoneCodec::Pcma, PhoneCodec::Pcmu],
        dtmf: true,
        taste: LegTaste::default(),
        rtcp_mux: false,
        security: LocalSecurity::OFF,
    }
}

fn sdp(media: &str) -> Vec<u8> {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    format!("{head}{}", media.replace('\n', "\r\n")).into_bytes()
}

#[test]
fn a_late_offer_is_settled_by_the_answer_in_the_ack() {
    // Cisco Unified CM sends INVITEs without SDP.
    let ours = offer(&local());
    assert!(ours.contains("m=audio 20000 RTP/AVP 8 0 101\r\n"));
    assert!(Description::parse(ours.as_bytes()).is_ok());
    let theirs = sdp(
        "m=audio 24580 RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=ptime:20\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n",
    );
    let settled = accept_answer(&ours, &theirs, &local()).unwrap();
    assert_eq!(settled.media.codec, PhoneCodec::Pcmu);
    assert_eq!(settled.media.dtmf_payload_type, Some(101));
    assert_eq!(
        settled.media.remote_rtp,
        "192.0.2.1:24580".parse::<std::net::SocketAddr>().unwrap()
    );
    assert!(settled.sdp.is_empty());
    assert!(settled.media.may_send && settled.media.may_receive && !settled.hold);
}

#[test]
fn an_answer_that_does_not_fit_our_offer_is_refused() {
    let ours = offer(&local());
    for (media, expected) in [
        ("m=audio 4000 RTP/AVP 18\n", NegotiateError::NoCommonCodec),
        ("m=audio 0 RTP/AVP 0\n", NegotiateError::NoAudio),
        ("m=image 4000 udptl t38\n", NegotiateError::AnswerMismatch),
        ("m=audio 4000 RTP/SAVP 0\n", NegotiateError::AnswerMismatch),
        ("", NegotiateError::AnswerMismatch),
    ] {
        let result = accept_answer(&ours, &sdp(media), &local());
        assert_eq!(result.unwrap_err(), expected, "{media}");
    }
}

#[test]
fn each_refusal_has_its_reason_and_status() {
    for (body, expected, status) in [
        (b"".to_vec(), "malformed_sdp", 400),
        (b"hello".to_vec(), "malformed_sdp", 400),
        (sdp(""), "no_audio", 488),
        (sdp("m=audio 0 RTP/AVP 0\n"), "no_audio", 488),
        (sdp("m=video 4000 RTP/AVP 96\n"), "no_audio", 488),
        (sdp("m=audio 4000 RTP/AVP 18 9\n"), "no_common_codec", 488),
        (
            sdp("m=audio 4000 RTP/AVP 0\na=rtpmap:0 PCMU/16000\n"),
            "no_common_codec",
            488,
        ),
        (
            sdp("m=audio 4000 UDP/TLS/RTP/SAVPF 0\n"),
            "unsupported_transport",
            488,
        ),
        (
            sdp("m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example.org\n"),
            "unusable_address",
            488,
        ),
    ] {
        let error = answer(&body, &local()).unwrap_err();
        assert_eq!((error.label(), error.status()), (expected, status));
    }
}

#[test]
fn every_m_line_comes_back_in_order_and_only_one_is_taken() {
    let offered = sdp(
        "m=image 1 udptl t38\nm=audio 2 RTP/AVP 0\nm=audio 4 RTP/AVP 8\n\
         m=video 6 RTP/AVP 97 98\nm=application 8 TCP/BFCP *\n",
    );
    let answered = answer(&offered, &local()).unwrap().sdp;
    let lines: Vec<&str> = answered
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(
        lines,
        [
            "m=image 0 udptl t38",
            "m=audio 20000 RTP/AVP 0",
            "m=audio 0 RTP/AVP 8",
            "m=video 0 RTP/AVP 97 98",
            "m=application 0 TCP/BFCP *",
        ]
    );
}

#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let too_long = sdp(&"a=x\n".repeat(limits::SDP_BYTES_MAX / 4));
    let too_many_lines = sdp(&"a=\n".repeat(limits::SDP_LINES_MAX + 1));
    let too_many_media = sdp(&"m=audio 4000 RTP/AVP 0\n".repeat(limits::SDP_MEDIA_MAX + 1));
    for (body, expected) in [
        (too_long, DescriptionError::TooLarge),
        (too_many_lines, DescriptionError::TooLarge),
        (too_many_media, DescriptionError::TooManyMedia),
    ] {
        let error = answer(&body, &local()).unwrap_err();
        assert_eq!(error, NegotiateError::Description(expected));
    }
    let formats: String = (0..3_000).map(|number| format!(" {number}")).collect();
    let many_formats = sdp(&format!("m=audio 4000 RTP/AVP{formats}\n"));
    assert!(answer(&many_formats, &local()).is_ok());
    for ptime in ["0", "1", "-5", "99999999999999999999", "20.5", "", "NaN"] {
        let body = sdp(&format!(
            "m=audio 4000 RTP/AVP 0\na=ptime:{ptime}\na=maxptime:{ptime}\n"
        ));
        assert!(answer(&body, &local()).is_ok(), "ptime {ptime}");
    }
}

#[test]
fn the_family_of_the_offer_is_known_before_answering() {
    let offered = sdp("m=audio 7078 RTP/AVP 0\nc=IN IP6 2001:db8::7\n");
    let address = offered_rtp_address(&offered).unwrap();
    assert_eq!(
        address,
        "[2001:db8::7]:7078"
            .parse::<std::net::SocketAddr>()
            .unwrap()
    );
    assert_eq!(offered_rtp_address(b"no"), None);
}

#[test]
fn a_peer_cannot_write_lines_into_our_answer() {
    let offered = sdp(
        "m=audio 4000 RTP/AVP 0\na=mid:x\ra=inactive\nm=video\t4 RTP/AVP 96\nm=video 4 a\0b 96\n",
    );
    if let Ok(negotiated) = answer(&offered, &local()) {
        assert!(
            !negotiated
                .sdp
                .replace("\r\n", "")
                .contains(['\r', '\n', '\0'])
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = answer(&body, &local());
        let _ = accept_answer(&offer(&local()), &body, &local());
    }

    #[test]
    fn no_mutation_of_an_offer_makes_it_panic_and_every_answer_parses(
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..12),
        cut in any::<usize>(),
    ) {
        let mut body = sdp(
            "m=audio 51446 RTP/AVP 106 9 98 101 0 8 3\na=rtpmap:106 opus/48000/2\n\
             a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=rtcp:51447\n\
             a=sendrecv\nm=video 9078 RTP/AVPF 96\na=rtpmap:96 VP8/90000\n",
        );
        for (at, byte) in flips {
            let length = body.len();
            body[at % length] = byte;
        }
        if cut % 3 == 0 {
            body.truncate(cut % body.len());
        }
        if let Ok(negotiated) = answer(&body, &local()) {
            let again = Description::parse(negotiated.sdp.as_bytes());
            let offered = Description::parse(&body).unwrap();
            prop_assert_eq!(again.unwrap().media.len(), offered.media.len());
        }
    }
}
