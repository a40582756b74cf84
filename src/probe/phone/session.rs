//! The phone's session descriptions (RFC 8866, RFC 3264), written and read on its own.

use std::net::{IpAddr, SocketAddr};

use crate::meeting::leg::PhoneCodec;

/// Payload type the phone offers telephone-event with.
const DTMF_PAYLOAD_TYPE: u8 = 101;

/// What one side is willing to do with audio, as its `a=` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Holding: we play, the other side is silent.
    SendOnly,
    /// Listening only.
    RecvOnly,
    /// Nothing.
    Inactive,
}

impl Direction {
    fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Payload type of a codec: static (RFC 3551) but for Opus. This phone speaks G.711 alone.
pub fn payload_type(codec: PhoneCodec) -> u8 {
    match codec {
        PhoneCodec::Pcmu => 0,
        PhoneCodec::Pcma => 8,
        PhoneCodec::G722 => 9,
        PhoneCodec::Opus => 111,
    }
}

/// An offer, or our answer to the server's re-INVITE: `codecs` in order of preference, and
/// telephone-event.
pub fn describe(
    rtp: SocketAddr,
    codecs: &[PhoneCodec],
    direction: Direction,
    session_id: u64,
    version: u64,
) -> String {
    let family = if rtp.is_ipv4() { "IP4" } else { "IP6" };
    let address = rtp.ip();
    let types: String = codecs
        .iter()
        .map(|&codec| format!("{} ", payload_type(codec)))
        .collect();
    let maps: String = codecs
        .iter()
        .map(|&codec| {
            format!(
                "a=rtpmap:{} {}/8000\r\n",
                payload_type(codec),
                codec.encoding_name()
            )
        })
        .collect();
    format!(
        "v=0\r\no=- {session_id} {version} IN {family} {address}\r\ns=-\r\n\
         c=IN {family} {address}\r\nt=0 0\r\nm=audio {} RTP/AVP {types}{DTMF_PAYLOAD_TYPE}\r\n\
         {maps}a=rtpmap:{DTMF_PAYLOAD_TYPE} telephone-event/8000\r\n\
         a=fmtp:{DTMF_PAYLOAD_TYPE} 0-16\r\na=ptime:20\r\na={}\r\n",
        rtp.port(),
        direction.attribute()
    )
}

/// What the server's description settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where it listens.
    pub rtp: SocketAddr,
    /// First G.711 payload type it named; we send that.
    pub codec: PhoneCodec,
    /// Its telephone-event payload type.
    pub dtmf_payload_type: Option<u8>,
    /// What it will do, from its own point of view.
    pub direction: Direction,
}

/// Reads a description's first audio line; `None` when it has no G.711 we can speak or its port
/// is zero.
pub fn read(sdp: &[u8]) -> Option<RemoteMedia> {
    let text = std::str::from_utf8(sdp).ok()?;
    let (mut session_address, mut media_address) = (None, None);
    let (mut port, mut types) = (0u16, Vec::new());
    let (mut dtmf_payload_type, mut direction) = (None, Direction::SendRecv);
    let (mut in_audio, mut seen_media) = (false, false);
    for line in text.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            in_audio = media.starts_with("audio ") && types.is_empty();
            seen_media = true;
            if in_audio {
                let mut fields = media.split(' ').skip(1);
                port = fields.next()?.split('/').next()?.parse().ok()?;
                types = fields
                    .skip(1)
                    .filter_map(|t| t.parse::<u8>().ok())
                    .collect();
            }
        } else if let Some(connection) = line.strip_prefix("c=") {
            let address: Option<IpAddr> = connection
                .split(' ')
                .nth(2)
                .and_then(|a| a.split('/').next())
                .and_then(|a| a.parse().ok());
            match (seen_media, in_audio) {
                (false, _) => session_address = address,
                (true, true) => media_address = address,
                (true, false) => {}
            }
        } else if in_audio || !seen_media {
            match line.strip_prefix("a=") {
                Some("sendrecv") => direction = Direction::SendRecv,
                Some("sendonly") => direction = Direction::SendOnly,
                Some("recvonly") => direction = Direction::RecvOnly,
                Some("inactive") => direction = Direction::Inactive,
                Some(attribute) => {
                    if let Some((pt, name)) = attribute
                        .strip_prefix("rtpmap:")
                        .and_then(|map| map.split_once(' '))
                        && name.eq_ignore_ascii_case("telephone-event/8000")
                    {
                        dtmf_payload_type = pt.parse().ok();
                    }
                }
                None => {}
            }
        }
    }
    let codec = types.iter().find_map(|pt| match pt {
        0 => Some(PhoneCodec::Pcmu),
        8 => Some(PhoneCodec::Pcma),
        _ => None,
    })?;
    (port != 0).then_some(RemoteMedia {
        rtp: SocketAddr::new(media_address.or(session_address)?, port),
        codec,
        dtmf_payload_type,
        direction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_offer_reads_back_as_it_was_meant() {
        let rtp: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let codecs = [PhoneCodec::Pcma, PhoneCodec::Pcmu];
        let media = read(describe(rtp, &codecs, Direction::SendOnly, 1, 2).as_bytes()).unwrap();
        assert_eq!(media.rtp, rtp);
        assert_eq!(media.codec, PhoneCodec::Pcma);
        assert_eq!(media.dtmf_payload_type, Some(101));
        assert_eq!(media.direction, Direction::SendOnly);
    }

    #[test]
    fn a_refused_audio_line_or_a_foreign_codec_is_no_media() {
        let refused = "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 0 RTP/AVP 0\r\n";
        assert_eq!(read(refused.as_bytes()), None);
        let foreign = "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 18\r\n";
        assert_eq!(read(foreign.as_bytes()), None);
    }

    #[test]
    fn the_media_connection_wins_over_the_sessions() {
        let text = "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 8\r\nc=IN IP6 ::1\r\n\
                    m=video 0 RTP/AVP 96\r\nc=IN IP4 9.9.9.9\r\n";
        assert_eq!(
            read(text.as_bytes()).unwrap().rtp,
            "[::1]:9".parse::<SocketAddr>().unwrap()
        );
    }
}
