//! A session description as offer/answer needs it: parsed by `sdp-types`, bounded, tolerant.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::limits;

/// Why bytes are no usable session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Not SDP's grammar.
    #[error("not a session description")]
    Malformed,
    /// Above one of the bounds of `limits`.
    #[error("session description too large")]
    TooLarge,
    /// More media descriptions than we are willing to answer.
    #[error("too many media descriptions")]
    TooManyMedia,
}

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// In the order of the m-lines.
    pub media: Vec<Media>,
}

/// One m-line with its attributes; session-level values are already merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`…
    pub kind: String,
    /// 0: refused or disabled.
    pub port: u16,
    /// As written, for echoing in an answer.
    pub proto: String,
    /// The rest of the m-line as written, for echoing in an answer.
    pub formats: String,
    /// From the media's `c=`, else the session's; `None` if absent or a host name.
    pub address: Option<IpAddr>,
    /// `sendrecv` unless said otherwise, at either level.
    pub direction: Direction,
    /// Formats in the offerer's order, with rtpmap and fmtp, static types filled in.
    pub codecs: Vec<Codec>,
    /// `a=ptime`.
    pub ptime: Option<Duration>,
    /// `a=maxptime`.
    pub maxptime: Option<Duration>,
    /// `a=rtcp` (RFC 3605): port, and address if given.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// `a=rtcp-mux`.
    pub rtcp_mux: bool,
    /// Values of `a=crypto` (RFC 4568), unparsed.
    pub crypto: Vec<String>,
    /// `a=fingerprint` at either level (RFC 8122).
    pub has_fingerprint: bool,
    /// `a=ice-ufrag` at either level (RFC 8839).
    pub ice_ufrag: Option<String>,
    /// `a=mid`.
    pub mid: Option<String>,
}

/// One format of an RTP m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// 0–127.
    pub payload_type: u8,
    /// Encoding name, upper case.
    pub name: String,
    /// In Hz.
    pub clock_rate_hz: u32,
    /// 1 unless said otherwise.
    pub channels: u8,
    /// Value of `a=fmtp` without the payload type.
    pub parameters: Option<String>,
}

/// Direction as its writer sees it (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendReceive,
    /// The writer only sends.
    SendOnly,
    /// The writer only receives.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// From whether the writer sends and receives.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendReceive,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Does the writer send?
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Does the writer receive?
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }

    /// The other end's view of the same.
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::SendReceive,
            Self::SendOnly,
            Self::ReceiveOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| name.eq_ignore_ascii_case(direction.as_str()))
    }
}

/// RTP profile of an m-line's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtpProfile {
    /// `RTP/AVP`, `RTP/AVPF`.
    Plain,
    /// `RTP/SAVP`, `RTP/SAVPF`: keys by SDES (RFC 4568).
    Secure,
    /// `UDP/TLS/RTP/SAVP`, `UDP/TLS/RTP/SAVPF` (RFC 5764), or `RTP/SAVPF` with a fingerprint and no
    /// keys, as early browsers wrote it: keys by DTLS.
    Dtls,
    /// Anything else: TCP, UDPTL…
    Other,
}

impl Media {
    /// Which profile its transport names.
    pub fn profile(&self) -> RtpProfile {
        let is = |name: &str| self.proto.eq_ignore_ascii_case(name);
        let secure = is("RTP/SAVP") || is("RTP/SAVPF");
        if is("UDP/TLS/RTP/SAVP")
            || is("UDP/TLS/RTP/SAVPF")
            || (secure && self.has_fingerprint && self.crypto.is_empty())
        {
            RtpProfile::Dtls
        } else if is("RTP/AVP") || is("RTP/AVPF") {
            RtpProfile::Plain
        } else if secure {
            RtpProfile::Secure
        } else {
            RtpProfile::Other
        }
    }

    /// Is it an audio m-line that is not refused?
    pub fn is_live_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio") && self.port != 0
    }

    /// Old-style hold (RFC 2543): "send to nowhere".
    pub fn is_address_unspecified(&self) -> bool {
        self.address.is_some_and(|address| address.is_unspecified())
    }

    /// Where its RTP is expected.
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        self.address
            .map(|address| SocketAddr::new(address, self.port))
    }

    /// Where its RTCP is expected: `a=rtcp`, else the next port (RFC 3550 §11).
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let address = self.address?;
        Some(match self.rtcp {
            Some((port, own)) => SocketAddr::new(own.unwrap_or(address), port),
            None => SocketAddr::new(address, self.port.saturating_add(1)),
        })
    }
}

impl Description {
    /// Reads a body. Line ends may be LF; bytes that are not UTF-8, unknown lines and attributes
    /// that make no sense are read over.
    ///
    /// # Errors
    /// It is no SDP, or above a bound: refuse the request.
    pub fn parse(body: &[u8]) -> Result<Self, DescriptionError> {
        if body.len() > limits::SDP_BYTES_MAX {
            return Err(DescriptionError::TooLarge);
        }
        let lines = body.iter().filter(|byte| **byte == b'\n').count();
        if lines > limits::SDP_LINES_MAX {
            return Err(DescriptionError::TooLarge);
        }
        let text = String::from_utf8_lossy(body);
        let session = sdp_types::Session::parse(text.trim_end_matches('\0').as_bytes())
            .map_err(|_| DescriptionError::Malformed)?;
        if session.medias.len() > limits::SDP_MEDIA_MAX {
            return Err(DescriptionError::TooManyMedia);
        }
        let media = session
            .medias
            .iter()
            .map(|media| Media::read(media, &session))
            .collect();
        Ok(Self { media })
    }
}

impl Media {
    fn read(media: &sdp_types::Media, session: &sdp_types::Session) -> Self {
        let connection = media.connections.first().or(session.connection.as_ref());
        let address = connection.and_then(|connection| {
            let text = connection.connection_address.as_str();
            let text = text.split('/').next().unwrap_or(text);
            text.parse().ok()
        });
        // The last one wins at its level; the media's level wins over the session's.
        let direction = |attributes: &[sdp_types::Attribute]| {
            let names = attributes.iter().rev();
            let mut named = names.filter_map(|one| Direction::parse(&one.attribute));
            named.next()
        };
        let values = |name: &'static str| {
            media
                .attributes
                .iter()
                .filter(move |one| one.attribute.eq_ignore_ascii_case(name))
                .map(|one| one.value.as_deref().unwrap_or("").trim())
        };
        let either = |name: &str| {
            let all = media.attributes.iter().chain(&session.attributes);
            let mut named = all.filter(|one| one.attribute.eq_ignore_ascii_case(name));
            Some(named.next()?.value.as_deref().unwrap_or("").to_owned())
        };
        Self {
            kind: media.media.clone(),
            port: media.port,
            proto: media.proto.clone(),
            formats: media.fmt.clone(),
            address,
            direction: direction(&media.attributes)
                .or_else(|| direction(&session.attributes))
                .unwrap_or(Direction::SendReceive),
            codecs: read_codecs(media),
            ptime: values("ptime").find_map(read_packet_time),
            maxptime: values("maxptime").find_map(read_packet_time),
            rtcp: values("rtcp").find_map(read_rtcp),
            rtcp_mux: values("rtcp-mux").next().is_some(),
            crypto: values("crypto").map(str::to_owned).collect(),
            has_fingerprint: either("fingerprint").is_some(),
            ice_ufrag: either("ice-ufrag"),
            mid: values("mid").next().map(str::to_owned),
        }
    }
}

fn read_codecs(media: &sdp_types::Media) -> Vec<Codec> {
    let formats = media.fmt.split_ascii_whitespace();
    let mut codecs: Vec<Codec> = Vec::new();
    for format in formats.take(limits::SDP_FORMATS_MAX) {
        let Ok(payload_type) = format.parse::<u8>() else {
            continue;
        };
        let is_known = codecs.iter().any(|one| one.payload_type == payload_type);
        if payload_type > 127 || is_known {
            continue;
        }
        // Attributes stand in any order, before or after the lines they belong to.
        let value_of = |name: &str| {
            media.attributes.iter().find_map(|attribute| {
                let value = attribute.value.as_deref()?.trim();
                let (number, rest) = value.split_once(|c: char| c.is_ascii_whitespace())?;
                let matches = attribute.attribute.eq_ignore_ascii_case(name)
                    && number.parse() == Ok(payload_type);
                matches.then_some(rest.trim())
            })
        };
        let mapped = match value_of("rtpmap") {
            Some(map) => read_rtpmap(map),
            None => static_codec(payload_type),
        };
        if let Some((name, clock_rate_hz, channels)) = mapped {
            codecs.push(Codec {
                payload_type,
                name,
                clock_rate_hz,
                channels,
                parameters: value_of("fmtp").map(str::to_owned),
            });
        }
    }
    codecs
}

/// `PCMU/8000/1` and its like.
fn read_rtpmap(map: &str) -> Option<(String, u32, u8)> {
    let mut parts = map.split('/').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let clock_rate_hz = parts.next()?.parse().ok()?;
    let channels = match parts.next() {
        None | Some("") => 1,
        Some(channels) => channels.parse().ok()?,
    };
    Some((name.to_ascii_uppercase(), clock_rate_hz, channels))
}

/// RFC 3551 table 4, as far as anybody still offers it.
fn static_codec(payload_type: u8) -> Option<(String, u32, u8)> {
    let name = match payload_type {
        0 => "PCMU",
        3 => "GSM",
        4 => "G723",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        18 => "G729",
        _ => return None,
    };
    Some((name.to_owned(), 8_000, 1))
}

/// Milliseconds, 1–500; anything else is as good as absent.
fn read_packet_time(value: &str) -> Option<Duration> {
    let whole = value.split('.').next().unwrap_or(value);
    let milliseconds: u64 = whole.parse().ok()?;
    (1..=500)
        .contains(&milliseconds)
        .then(|| Duration::from_millis(milliseconds))
}

/// `a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605 §2.1).
fn read_rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut words = value.split_ascii_whitespace();
    let port: u16 = words.next()?.parse().ok()?;
    let address = words.nth(2).and_then(|address| address.parse().ok());
    (port != 0).then_some((port, address))
}
