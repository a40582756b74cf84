//! Writing session descriptions.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::crypto;
use super::description::{Direction, Media};
use super::negotiate::LocalMedia;
use crate::meeting::leg::PhoneCodec;
use crate::rtp::srtp::SrtpSuite;

/// How we want to be sent Opus (RFC 7587 §6.1): with copies of the last frame, for when it is lost.
const OPUS_PARAMETERS: &str = "minptime=10;useinbandfec=1";

/// Writes line by line with CRLF. Nothing of a peer's is copied except the pieces of an m-line it
/// will get back, and those came from one line each.
pub(super) struct Writer {
    text: String,
}

impl Writer {
    /// Begins with the session level.
    pub(super) fn new(local: &LocalMedia) -> Self {
        let mut writer = Self {
            text: String::with_capacity(512),
        };
        let address = address(local.address);
        writer.line("v=0");
        writer.line(&format!(
            "o=- {} {} {address}",
            local.session_id, local.version
        ));
        writer.line("s=Ringbridge");
        writer.line(&format!("c={address}"));
        writer.line("t=0 0");
        writer
    }

    /// An audio m-line with all it needs.
    pub(super) fn audio(&mut self, local: &LocalMedia, audio: &AudioLine<'_>) {
        let mut formats = String::new();
        for (payload_type, _) in audio.codecs {
            let _ = write!(formats, " {payload_type}");
        }
        for (payload_type, _) in audio.events {
            let _ = write!(formats, " {payload_type}");
        }
        let proto = audio.proto;
        self.line(&format!("m=audio {} {proto}{formats}", local.rtp_port));
        for (payload_type, codec) in audio.codecs {
            let channels = match codec.channels() {
                1 => String::new(),
                channels => format!("/{channels}"),
            };
            self.line(&format!(
                "a=rtpmap:{payload_type} {}/{}{channels}",
                codec.encoding_name(),
                codec.clock_rate_hz()
            ));
            if *codec == PhoneCodec::Opus {
                self.line(&format!("a=fmtp:{payload_type} {OPUS_PARAMETERS}"));
            }
        }
        for (payload_type, clock_rate_hz) in audio.events {
            self.line(&format!(
                "a=rtpmap:{payload_type} telephone-event/{clock_rate_hz}"
            ));
            self.line(&format!("a=fmtp:{payload_type} 0-16"));
        }
        if let Some(ptime_ms) = audio.ptime_ms {
            self.line(&format!("a=ptime:{ptime_ms}"));
        }
        self.line(&format!("a={}", audio.direction.as_str()));
        if audio.rtcp_mux {
            self.line("a=rtcp-mux");
        } else if local.rtcp_port != local.rtp_port.saturating_add(1) {
            self.line(&format!("a=rtcp:{}", local.rtcp_port));
        }
        if let Some((tag, suite)) = audio.crypto {
            let value = crypto::line(tag, suite, &local.security);
            self.line(&format!("a=crypto:{value}"));
        }
        if let Some(mid) = audio.mid {
            self.line(&format!("a=mid:{mid}"));
        }
    }

    /// Refuses an m-line: port 0, all else as offered (RFC 3264 §6).
    pub(super) fn refuse(&mut self, media: &Media) {
        self.line(&format!(
            "m={} 0 {} {}",
            media.kind, media.proto, media.formats
        ));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push_str("\r\n");
    }
}

/// What an audio m-line says.
pub(super) struct AudioLine<'a> {
    pub(super) proto: &'a str,
    pub(super) codecs: &'a [(u8, PhoneCodec)],
    /// Payload types and clocks of telephone-event.
    pub(super) events: &'a [(u8, u32)],
    pub(super) ptime_ms: Option<u128>,
    pub(super) direction: Direction,
    pub(super) rtcp_mux: bool,
    /// Tag and suite of the line to write with our key.
    pub(super) crypto: Option<(u32, SrtpSuite)>,
    pub(super) mid: Option<&'a str>,
}

fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IN IP4 {address}"),
        IpAddr::V6(address) => format!("IN IP6 {address}"),
    }
}
