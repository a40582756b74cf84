//! Offer/answer (RFC 3264) for a phone leg: which codec, which numbers, which way, where to.
//!
//! The answer names *one* voice codec and *one* telephone-event whose clock is the codec's: several
//! softphones send with the wrong number when two are answered (rtpengine#2044).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::crypto::{CryptoLine, LocalSecurity, SrtpPolicy};
use super::description::{Codec, Description, DescriptionError, Direction, Media, RtpProfile};
use super::write::{AudioLine, Writer};
use crate::meeting::leg::{LegMedia, LegTaste, OpusFormat, PhoneCodec};
use crate::rtp::srtp::SrtpSuite;

/// Length of the packets we send where the phone has no wish.
const PTIME: Duration = Duration::from_millis(20);

/// Lengths of packets that we send, in ms.
const PTIMES_MS: [u64; 5] = [10, 20, 30, 40, 60];

/// Those of Opus: whole ticks (a packet of 30 ms would need frames of 10).
const OPUS_PTIMES_MS: [u64; 3] = [20, 40, 60];

/// Dynamic payload types in our own offers, where most of the world has them: telephone-event with
/// a clock of 8 and of 48 kHz, and Opus.
const OFFERED_EVENT_8K: (u8, u32) = (101, 8_000);
const OFFERED_EVENT_48K: (u8, u32) = (110, 48_000);
const OFFERED_OPUS_PAYLOAD_TYPE: u8 = 111;

/// Bounds of what is believed of `maxaveragebitrate`, in bit/s (RFC 7587 §6.1).
const OPUS_BITRATE_MIN: u32 = 6_000;
const OPUS_BITRATE_MAX: u32 = 510_000;

/// What our side of a leg can do, and where its sockets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address told to the phone: public, and of the family its packets will come in.
    pub address: IpAddr,
    /// Port of RTP.
    pub rtp_port: u16,
    /// Port of RTCP; `rtp_port` + 1 needs no attribute.
    pub rtcp_port: u16,
    /// Stays the same for a call (`o=` session id).
    pub session_id: u64,
    /// Grows with each description that differs from the one before (`o=` version).
    pub version: u64,
    /// Voice codecs in the order of our preference.
    pub codecs: Vec<PhoneCodec>,
    /// Do we take telephone-event?
    pub dtmf: bool,
    /// What is done with the phone's sound.
    pub taste: LegTaste,
    /// Can we take RTCP on the RTP port? Answered only where offered.
    pub rtcp_mux: bool,
    /// Whether media is protected, and our key.
    pub security: LocalSecurity,
}

/// What an exchange settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// For the media side.
    pub media: LegMedia,
    /// The answer to send; empty where none is (see [`accept_answer`]).
    pub sdp: String,
    /// The phone has put us on hold: what it sends, if anything, is no voice for the meeting.
    pub hold: bool,
}

/// Why there is no agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// The body is no session description, or beyond all bounds.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// No m-line for audio that is not disabled.
    #[error("no audio offered")]
    NoAudio,
    /// Audio only over something else than RTP/AVP, AVPF, SAVP or SAVPF.
    #[error("no audio over plain RTP offered")]
    UnsupportedTransport,
    /// Only secure audio is offered, and none of it in a way we do; or only plain audio, where the
    /// profile demands SRTP.
    #[error("no agreement on the protection of media")]
    SecurityMismatch,
    /// No codec in common.
    #[error("no codec in common")]
    NoCommonCodec,
    /// No `c=`, or a host name.
    #[error("no usable media address")]
    UnusableAddress,
    /// The answer does not fit our offer.
    #[error("the answer does not fit the offer")]
    AnswerMismatch,
}

impl NegotiateError {
    /// The SIP status for a request with such a body.
    pub fn status(&self) -> u16 {
        match self {
            Self::Description(DescriptionError::Malformed | DescriptionError::TooLarge) => 400,
            Self::Description(DescriptionError::TooManyMedia)
            | Self::NoAudio
            | Self::UnsupportedTransport
            | Self::SecurityMismatch
            | Self::NoCommonCodec
            | Self::UnusableAddress
            | Self::AnswerMismatch => 488,
        }
    }

    /// Code of a Warning header (RFC 3261 §20.43); the text is the error's own.
    pub fn warning_code(&self) -> u16 {
        match self {
            Self::NoAudio => 304,
            Self::NoCommonCodec => 305,
            Self::UnsupportedTransport | Self::SecurityMismatch => 302,
            Self::UnusableAddress => 301,
            Self::Description(_) | Self::AnswerMismatch => 399,
        }
    }

    /// A bounded label for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Description(DescriptionError::Malformed) => "malformed_sdp",
            Self::Description(_) => "too_large_sdp",
            Self::NoAudio => "no_audio",
            Self::UnsupportedTransport => "unsupported_transport",
            Self::SecurityMismatch => "security_mismatch",
            Self::NoCommonCodec => "no_common_codec",
            Self::UnusableAddress => "unusable_address",
            Self::AnswerMismatch => "answer_mismatch",
        }
    }
}

/// Answers a phone's offer.
///
/// # Errors
/// There is nothing to agree on: refuse the INVITE, or the re-INVITE and keep the call as it was,
/// with [`NegotiateError::status`].
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<Negotiated, NegotiateError> {
    let offer = Description::parse(offer)?;
    let (chosen, codec, crypto) = choose(&offer, local)?;
    let media = &offer.media[chosen];
    let event = find_event(media, local, codec.kind);
    let events: Vec<_> = event
        .map(|event| (event.payload_type, event.clock_rate_hz))
        .into_iter()
        .collect();
    let rtcp_mux = media.rtcp_mux && local.rtcp_mux;
    let (theirs, hold) = effective_direction(media);
    let ours = theirs.reversed();
    let ptime = packet_time(media, codec.kind);

    let mut writer = Writer::new(local);
    for (index, offered) in offer.media.iter().enumerate() {
        if index != chosen {
            writer.refuse(offered);
            continue;
        }
        writer.audio(
            local,
            &AudioLine {
                proto: &offered.proto,
                codecs: &[(codec.payload_type, codec.kind)],
                events: &events,
                ptime_ms: Some(ptime.as_millis()),
                direction: ours,
                rtcp_mux,
                crypto: crypto.as_ref().map(|line| (line.tag, line.suite)),
                mid: offered.mid.as_deref(),
            },
        );
    }
    Ok(Negotiated {
        media: LegMedia {
            codec: codec.kind,
            opus: codec.opus,
            taste: local.taste.with_event(event.is_some()),
            webrtc_offer: None,
            receive_payload_type: codec.payload_type,
            send_payload_type: codec.payload_type,
            dtmf_payload_type: event.map(|event| event.payload_type),
            dtmf_send_payload_type: event
                .filter(|event| event.has_clock_of(codec.kind))
                .map(|event| event.payload_type),
            ptime,
            remote_rtp: media.rtp_address().ok_or(NegotiateError::UnusableAddress)?,
            remote_rtcp: remote_rtcp(media, rtcp_mux)?,
            rtcp_mux,
            srtp: crypto.map(|line| line.agree(&local.security)),
            may_send: ours.sends(),
            may_receive: ours.receives(),
        },
        sdp: writer.finish(),
        hold,
    })
}

/// Our offer: in the 200 to an INVITE without one, or in a re-INVITE of ours. Every codec of
/// `local`, in its order, both ways.
pub fn offer(local: &LocalMedia) -> String {
    let codecs: Vec<_> = local
        .codecs
        .iter()
        .map(|codec| (offered_payload_type(*codec), *codec))
        .collect();
    // One for each clock: which one counts is known with the codec (RFC 4733 §2.1).
    let has_clock = |clock| {
        local
            .codecs
            .iter()
            .any(|codec| codec.clock_rate_hz() == clock)
    };
    let events = [OFFERED_EVENT_8K, OFFERED_EVENT_48K].into_iter();
    let events: Vec<_> = events
        .filter(|(_, clock)| local.dtmf && has_clock(*clock))
        .collect();
    let secure = local.security.policy == SrtpPolicy::Required;
    let mut writer = Writer::new(local);
    writer.audio(
        local,
        &AudioLine {
            proto: if secure { "RTP/SAVP" } else { "RTP/AVP" },
            codecs: &codecs,
            events: &events,
            ptime_ms: Some(PTIME.as_millis()),
            direction: Direction::SendReceive,
            rtcp_mux: local.rtcp_mux,
            crypto: secure.then_some((1, SrtpSuite::AesCm128HmacSha1_80)),
            mid: None,
        },
    );
    writer.finish()
}

/// Takes the answer to our [`offer`]: in the ACK to a 200 that carried it. `Negotiated::sdp` is
/// empty, as nothing is to be sent.
///
/// # Errors
/// The answer is broken or does not fit: acknowledge nothing more and end the call.
pub fn accept_answer(
    our_offer: &str,
    answer: &[u8],
    local: &LocalMedia,
) -> Result<Negotiated, NegotiateError> {
    let ours = Description::parse(our_offer.as_bytes())?;
    let theirs = Description::parse(answer)?;
    // Ours has one m-line; an answer has as many (RFC 3264 §6). More is a mistake we can live with.
    let (Some(offered), Some(media)) = (ours.media.first(), theirs.media.first()) else {
        return Err(NegotiateError::AnswerMismatch);
    };
    if !media.kind.eq_ignore_ascii_case("audio") {
        return Err(NegotiateError::AnswerMismatch);
    }
    if media.port == 0 {
        return Err(NegotiateError::NoAudio);
    }
    let crypto = match (offered.profile(), media.profile()) {
        (RtpProfile::Plain, RtpProfile::Plain) => None,
        (RtpProfile::Secure, RtpProfile::Secure) => {
            let line = CryptoLine::choose(&media.crypto);
            let line = line.filter(|line| line.suite == SrtpSuite::AesCm128HmacSha1_80);
            Some(line.ok_or(NegotiateError::SecurityMismatch)?)
        }
        _ => return Err(NegotiateError::AnswerMismatch),
    };
    // The answerer's first codec that we offered is the one it prefers to be sent (§6.1).
    let mut agreed = media.codecs.iter().filter_map(|codec| {
        let kind = phone_codec(codec)?;
        let number = find_codec(offered, kind)?.payload_type;
        Some((kind, codec, number))
    });
    let (codec, theirs, receive_payload_type) =
        agreed.next().ok_or(NegotiateError::NoCommonCodec)?;
    let event_out = find_event(media, local, codec);
    let event_in = event_out.and(find_event(offered, local, codec));
    let rtcp_mux = media.rtcp_mux && offered.rtcp_mux;
    let (direction, hold) = effective_direction(media);
    Ok(Negotiated {
        media: LegMedia {
            codec,
            opus: opus_format(theirs),
            taste: local.taste.with_event(event_in.is_some()),
            webrtc_offer: None,
            receive_payload_type,
            send_payload_type: theirs.payload_type,
            dtmf_payload_type: event_in.map(|event| event.payload_type),
            dtmf_send_payload_type: event_in
                .and(event_out)
                .filter(|event| event.has_clock_of(codec))
                .map(|event| event.payload_type),
            ptime: packet_time(media, codec),
            remote_rtp: media.rtp_address().ok_or(NegotiateError::UnusableAddress)?,
            remote_rtcp: remote_rtcp(media, rtcp_mux)?,
            rtcp_mux,
            srtp: crypto.map(|line| line.agree(&local.security)),
            may_send: direction.receives(),
            may_receive: direction.sends(),
        },
        sdp: String::new(),
        hold,
    })
}

/// Where the offer's first live audio wants its RTP: lets the caller choose `LocalMedia::address`
/// of the same family before answering.
pub fn offered_rtp_address(offer: &[u8]) -> Option<SocketAddr> {
    let offer = Description::parse(offer).ok()?;
    let mut audio = offer.media.iter().filter(|media| media.is_live_audio());
    audio.next()?.rtp_address()
}

/// A voice codec of an offer that we speak.
struct Chosen {
    kind: PhoneCodec,
    opus: OpusFormat,
    payload_type: u8,
}

/// The first audio m-line that has a codec of ours and is protected as we allow, our favourite
/// among its codecs, and the crypto line to answer.
fn choose(
    offer: &Description,
    local: &LocalMedia,
) -> Result<(usize, Chosen, Option<CryptoLine>), NegotiateError> {
    let policy = local.security.policy;
    let mut refusal = NegotiateError::NoAudio;
    let audio = offer.media.iter().enumerate();
    for (index, media) in audio.filter(|(_, media)| media.is_live_audio()) {
        let crypto = match media.profile() {
            RtpProfile::Secure if policy != SrtpPolicy::Off => CryptoLine::choose(&media.crypto),
            _ => None,
        };
        refusal = match media.profile() {
            RtpProfile::Secure if crypto.is_none() => NegotiateError::SecurityMismatch,
            RtpProfile::Plain if policy == SrtpPolicy::Required => NegotiateError::SecurityMismatch,
            RtpProfile::Dtls | RtpProfile::Other => NegotiateError::UnsupportedTransport,
            _ if media.address.is_none() => NegotiateError::UnusableAddress,
            RtpProfile::Plain | RtpProfile::Secure => NegotiateError::NoCommonCodec,
        };
        if refusal != NegotiateError::NoCommonCodec {
            continue;
        }
        let favourite = local.codecs.iter().find_map(|kind| {
            let codec = find_codec(media, *kind)?;
            Some(Chosen {
                kind: *kind,
                opus: opus_format(codec),
                payload_type: codec.payload_type,
            })
        });
        if let Some(chosen) = favourite {
            return Ok((index, chosen, crypto));
        }
    }
    Err(refusal)
}

pub(super) fn find_codec(media: &Media, kind: PhoneCodec) -> Option<&Codec> {
    // A phone that takes no 20 ms at once takes none of the Opus packets we make.
    let too_long = |longest| kind == PhoneCodec::Opus && longest < PTIME;
    if media.maxptime.is_some_and(too_long) {
        return None;
    }
    let mut codecs = media.codecs.iter();
    codecs.find(|codec| phone_codec(codec) == Some(kind))
}

fn phone_codec(codec: &Codec) -> Option<PhoneCodec> {
    PhoneCodec::ALL.into_iter().find(|kind| {
        // Some write Opus without its `/2`.
        let channels = codec.channels == kind.channels() || *kind == PhoneCodec::Opus;
        codec.name.eq_ignore_ascii_case(kind.encoding_name())
            && codec.clock_rate_hz == kind.clock_rate_hz()
            && channels
    })
}

/// What a codec's `a=fmtp` says, if it is Opus. Whether it wants two channels does not matter: what
/// we send has one, which every decoder takes (RFC 7587 §3.4).
pub(super) fn opus_format(codec: &Codec) -> OpusFormat {
    let parameter = |wanted: &str| {
        let pairs = codec.parameters.as_deref().unwrap_or("").split(';');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .and_then(|(_, value)| value.trim().parse::<u32>().ok())
    };
    let default = OpusFormat::default();
    OpusFormat {
        play_rate_hz: parameter("maxplaybackrate").unwrap_or(default.play_rate_hz),
        bitrate_max: parameter("maxaveragebitrate")
            .map(|bitrate| bitrate.clamp(OPUS_BITRATE_MIN, OPUS_BITRATE_MAX)),
        fec: parameter("useinbandfec") == Some(1),
    }
}

/// A telephone-event of a phone.
#[derive(Debug, Clone, Copy)]
struct Event {
    payload_type: u8,
    clock_rate_hz: u32,
}

impl Event {
    /// Whether its durations are units of the codec's timeline (RFC 4733 §2.1).
    fn has_clock_of(self, codec: PhoneCodec) -> bool {
        self.clock_rate_hz == codec.clock_rate_hz()
    }
}

/// The telephone-event with the codec's clock: a phone's events share the voice's timeline (RFC
/// 4733 §2.1), and some offer one per clock. Bria offers only that of 8 kHz beside Opus, and sends
/// it: its keys are worth more than its clock, by which no key is told from another.
fn find_event(media: &Media, local: &LocalMedia, codec: PhoneCodec) -> Option<Event> {
    let events = media
        .codecs
        .iter()
        .filter(|event| local.dtmf && event.name.eq_ignore_ascii_case("telephone-event"));
    let mut events = events.map(|event| Event {
        payload_type: event.payload_type,
        clock_rate_hz: event.clock_rate_hz,
    });
    let exact = events.clone().find(|event| event.has_clock_of(codec));
    exact.or_else(|| events.find(|event| event.clock_rate_hz == OFFERED_EVENT_8K.1))
}

/// Their direction as it works out, and whether it is a hold. `c=0.0.0.0` means that they take
/// nothing (RFC 3264 §8.4 on RFC 2543 peers).
pub(super) fn effective_direction(media: &Media) -> (Direction, bool) {
    let receives = media.direction.receives() && !media.is_address_unspecified();
    let direction = Direction::new(media.direction.sends(), receives);
    (direction, !receives)
}

/// Length of the packets we send: as the phone wishes (`a=ptime`), as long as it can take them
/// (`a=maxptime`, RFC 8866 §6.4), the longest of ours that is no longer.
pub(super) fn packet_time(media: &Media, codec: PhoneCodec) -> Duration {
    let lengths: &[u64] = match codec {
        PhoneCodec::Opus => &OPUS_PTIMES_MS,
        PhoneCodec::Pcmu | PhoneCodec::Pcma | PhoneCodec::G722 => &PTIMES_MS,
    };
    let wanted = media.ptime.unwrap_or(PTIME);
    let wanted = media.maxptime.map_or(wanted, |longest| longest.min(wanted));
    let fits = |length: &&u64| Duration::from_millis(**length) <= wanted;
    let length = lengths.iter().rev().find(fits).unwrap_or(&lengths[0]);
    Duration::from_millis(*length)
}

fn remote_rtcp(media: &Media, rtcp_mux: bool) -> Result<SocketAddr, NegotiateError> {
    let address = match rtcp_mux {
        true => media.rtp_address(),
        false => media.rtcp_address(),
    };
    address.ok_or(NegotiateError::UnusableAddress)
}

fn offered_payload_type(codec: PhoneCodec) -> u8 {
    match codec {
        PhoneCodec::Pcmu => 0,
        PhoneCodec::Pcma => 8,
        PhoneCodec::G722 => 9,
        PhoneCodec::Opus => OFFERED_OPUS_PAYLOAD_TYPE,
    }
}
