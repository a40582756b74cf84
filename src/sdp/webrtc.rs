//! Offers of SIP clients that live in a browser (JsSIP, SIP.js): ICE, DTLS-SRTP (RFC 5763, RFC
//! 8839), Opus. A connection of the media side answers the first; what comes later in a call is
//! answered here, out of that answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::crypto::SrtpPolicy;
use super::description::{Description, Media, RtpProfile};
use super::negotiate::{
    LocalMedia, NegotiateError, Negotiated, effective_direction, find_codec, opus_format,
};
use crate::meeting::leg::{LegMedia, PhoneCodec};

/// Where media goes is ICE's affair.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9);

/// Does an offer want ICE and DTLS for its sound?
pub fn is_webrtc(offer: &[u8]) -> bool {
    Description::parse(offer).is_ok_and(|offer| audio_of(&offer).is_some())
}

/// What a first offer asks for. `Negotiated::sdp` is empty: the connection that is made of
/// `LegMedia::webrtc_offer` writes the answer.
///
/// # Errors
/// There is nothing to agree on: refuse the INVITE.
pub fn settle(offer: &[u8], local: &LocalMedia) -> Result<Negotiated, NegotiateError> {
    let read = Description::parse(offer)?;
    let audio = audio_of(&read).ok_or(NegotiateError::NoAudio)?;
    if local.security.policy == SrtpPolicy::Off {
        return Err(NegotiateError::SecurityMismatch);
    }
    let opus = find_codec(audio, PhoneCodec::Opus);
    let opus = opus.filter(|_| local.codecs.contains(&PhoneCodec::Opus));
    let opus = opus.ok_or(NegotiateError::NoCommonCodec)?;
    let (theirs, hold) = direction_of(audio);
    let offer = std::str::from_utf8(offer).map_err(|_| NegotiateError::UnsupportedTransport)?;
    Ok(Negotiated {
        media: LegMedia {
            codec: PhoneCodec::Opus,
            opus: opus_format(opus),
            taste: local.taste,
            webrtc_offer: Some(offer.to_owned()),
            receive_payload_type: opus.payload_type,
            send_payload_type: opus.payload_type,
            // Browsers' SIP clients send keys by INFO.
            dtmf_payload_type: None,
            dtmf_send_payload_type: None,
            ptime: Duration::from_millis(20),
            remote_rtp: NOWHERE,
            remote_rtcp: NOWHERE,
            rtcp_mux: true,
            srtp: None,
            may_send: theirs.receives(),
            may_receive: theirs.sends(),
        },
        sdp: String::new(),
        hold,
    })
}

/// Answers a later offer of the same call: hold, resume, or a refresh. `first_offer` is the one
/// that `answer` was the answer to.
///
/// # Errors
/// It asks for another connection (an ICE restart, another m-line): refuse it; the call goes on as
/// it was.
pub fn answer_again(
    first_offer: &str,
    answer: &str,
    offer: &[u8],
    local: &LocalMedia,
) -> Result<Negotiated, NegotiateError> {
    let mut settled = settle(offer, local)?;
    let first = Description::parse(first_offer.as_bytes())?;
    let again = Description::parse(offer)?;
    let same = match (audio_of(&first), audio_of(&again)) {
        (Some(first_audio), Some(audio)) => {
            first_audio.ice_ufrag == audio.ice_ufrag
                && first_audio.mid == audio.mid
                && first.media.len() == again.media.len()
        }
        _ => false,
    };
    if !same {
        return Err(NegotiateError::UnsupportedTransport);
    }
    let ours =
        super::description::Direction::new(settled.media.may_send, settled.media.may_receive);
    settled.media.webrtc_offer = None;
    settled.sdp = redirected(answer, ours.as_str(), local);
    Ok(settled)
}

/// Our answer with another direction for its sound, and a version of its own.
fn redirected(answer: &str, direction: &str, local: &LocalMedia) -> String {
    let mut out = String::with_capacity(answer.len() + 16);
    let mut in_audio = false;
    for line in answer.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            in_audio = media.starts_with("audio ");
        }
        let is_direction = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(&line);
        if line.starts_with("o=") {
            let (session, version) = (local.session_id, local.version);
            out.push_str(&format!("o=- {session} {version} IN IP4 0.0.0.0"));
        } else if is_direction && in_audio {
            out.push_str(&format!("a={direction}"));
        } else {
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

/// A browser writes `c=IN IP4 0.0.0.0` where it has no candidate yet: no hold.
fn direction_of(audio: &Media) -> (super::description::Direction, bool) {
    let (direction, hold) = effective_direction(audio);
    match audio.is_address_unspecified() {
        true => (audio.direction, !audio.direction.receives()),
        false => (direction, hold),
    }
}

fn audio_of(description: &Description) -> Option<&Media> {
    let mut audio = description.media.iter();
    audio.find(|media| {
        media.is_live_audio() && media.profile() == RtpProfile::Dtls && media.ice_ufrag.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::leg::LegTaste;
    use crate::sdp::crypto::LocalSecurity;
    use crate::sdp::description::Direction;

    /// As JsSIP in Chromium writes it, shortened.
    const OFFER: &str = "v=0\r\no=- 5 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 110\r\n\
        c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n\
        a=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\n";

    const ANSWER: &str = "v=0\r\no=- 9 9 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendrecv\r\na=ice-ufrag:ours\r\n";

    fn local() -> LocalMedia {
        LocalMedia {
            address: Ipv4Addr::LOCALHOST.into(),
            rtp_port: 1,
            rtcp_port: 2,
            session_id: 7,
            version: 3,
            codecs: vec![PhoneCodec::Pcmu, PhoneCodec::Opus],
            dtmf: true,
            taste: LegTaste::default(),
            rtcp_mux: false,
            security: LocalSecurity {
                policy: SrtpPolicy::Optional,
                ..LocalSecurity::OFF
            },
        }
    }

    #[test]
    fn a_browsers_offer_is_told_from_a_phones_and_gets_opus() {
        assert!(is_webrtc(OFFER.as_bytes()));
        assert!(!is_webrtc(
            OFFER.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP").as_bytes()
        ));
        // As early browsers wrote it.
        assert!(is_webrtc(
            OFFER.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF").as_bytes()
        ));
        let settled = settle(OFFER.as_bytes(), &local()).unwrap();
        assert_eq!(settled.media.webrtc_offer.as_deref(), Some(OFFER));
        assert!(settled.media.opus.fec && !settled.hold);
        assert!(settled.media.may_send && settled.media.may_receive);
    }

    #[test]
    fn without_opus_or_where_secure_media_is_refused_there_is_no_agreement() {
        let mut narrow = local();
        narrow.codecs = vec![PhoneCodec::Pcmu];
        let error = settle(OFFER.as_bytes(), &narrow).unwrap_err();
        assert_eq!(error, NegotiateError::NoCommonCodec);
        let mut plain = local();
        plain.security = LocalSecurity::OFF;
        let error = settle(OFFER.as_bytes(), &plain).unwrap_err();
        assert_eq!(error, NegotiateError::SecurityMismatch);
    }

    #[test]
    fn hold_and_resume_are_answered_out_of_the_first_answer() {
        for (theirs, ours, hold) in [
            (Direction::SendOnly, Direction::ReceiveOnly, true),
            (Direction::Inactive, Direction::Inactive, true),
            (Direction::SendReceive, Direction::SendReceive, false),
        ] {
            let offer = OFFER.replace("a=sendrecv", &format!("a={}", theirs.as_str()));
            let again = answer_again(OFFER, ANSWER, offer.as_bytes(), &local()).unwrap();
            assert!(again.sdp.contains(&format!("\r\na={}\r\n", ours.as_str())));
            assert!(again.sdp.contains("o=- 7 3 IN IP4 0.0.0.0\r\n"));
            assert!(again.sdp.contains("a=ice-ufrag:ours\r\n"));
            assert_eq!((again.hold, again.media.webrtc_offer), (hold, None));
        }
    }

    #[test]
    fn another_connection_or_another_line_is_refused() {
        let restart = OFFER.replace("ufrag:abcd", "ufrag:efgh");
        let video = format!("{OFFER}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n");
        for offer in [restart, video] {
            let error = answer_again(OFFER, ANSWER, offer.as_bytes(), &local()).unwrap_err();
            assert_eq!(error, NegotiateError::UnsupportedTransport);
        }
    }
}
