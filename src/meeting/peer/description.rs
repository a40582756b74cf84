//! What we read from, and write into, a session description besides what `rtc` does: candidates,
//! payload types, extension ids. Text in, text out; lines we do not know stay as they are.

use crate::limits::TRACK_LAYERS_MAX;
use crate::meeting::track::{TrackCodec, TrackKind};

const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// One m-line with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `a=mid`; empty if there is none.
    pub mid: String,
    /// `None` for anything but audio and video.
    pub kind: Option<TrackKind>,
    /// Payload types of the codecs we know, in the order of the m-line.
    pub codecs: Vec<(u8, TrackCodec)>,
    /// Id of the RFC 6464 extension.
    pub audio_level_id: Option<u8>,
    /// The sender's streams are named, by SSRC or by RID.
    pub names_streams: bool,
    /// Simulcast layers sent here (RFC 8853): their RIDs in the order of `a=rid`.
    pub rids: Vec<String>,
    /// `a=sendonly`, `a=recvonly`, …
    pub direction: Direction,
}

/// Which way an m-line goes, as its describer sees it (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Direction {
    /// Both ways; also when nothing is said.
    #[default]
    SendRecv,
    /// From the describer.
    SendOnly,
    /// To the describer.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The describer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The describer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn named(line: &str) -> Option<Self> {
        match line.trim_end() {
            "a=sendrecv" => Some(Self::SendRecv),
            "a=sendonly" => Some(Self::SendOnly),
            "a=recvonly" => Some(Self::RecvOnly),
            "a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// A session description as far as we look into it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Description {
    /// First `a=ice-ufrag`; with BUNDLE all are the same.
    pub ice_ufrag: Option<String>,
    /// All m-lines in order.
    pub sections: Vec<Section>,
}

impl Description {
    /// Reads what it can; garbage gives fewer sections.
    pub fn read(sdp: &str) -> Self {
        let mut description = Self::default();
        let mut maps: Vec<(u8, String)> = Vec::new();
        let mut formats: Vec<(u8, String)> = Vec::new();
        for line in sdp.lines() {
            if let Some(media) = line.strip_prefix("m=") {
                description.finish_section(&mut maps, &mut formats);
                description.sections.push(Section {
                    mid: String::new(),
                    kind: match media.split(' ').next() {
                        Some("audio") => Some(TrackKind::Audio),
                        Some("video") => Some(TrackKind::Video),
                        _ => None,
                    },
                    codecs: Vec::new(),
                    audio_level_id: None,
                    names_streams: false,
                    rids: Vec::new(),
                    direction: Direction::default(),
                });
                continue;
            }
            if let (Some(said), Some(section)) =
                (Direction::named(line), description.sections.last_mut())
            {
                section.direction = said;
            }
            let Some((name, value)) = line.strip_prefix("a=").and_then(|a| a.split_once(':'))
            else {
                continue;
            };
            if name == "ice-ufrag" && description.ice_ufrag.is_none() {
                description.ice_ufrag = Some(value.trim().to_owned());
            }
            let Some(section) = description.sections.last_mut() else {
                continue;
            };
            match name {
                "mid" => section.mid = value.trim().to_owned(),
                "rtpmap" => maps.extend(numbered(value)),
                "fmtp" => formats.extend(numbered(value)),
                "ssrc" => section.names_streams = true,
                "rid" => {
                    let mut words = value.split_ascii_whitespace();
                    if let (Some(rid), Some("send")) = (words.next(), words.next()) {
                        section.rids.push(rid.to_owned());
                        section.names_streams = true;
                    }
                }
                "extmap" => {
                    let mut words = value.split_ascii_whitespace();
                    let id = words.next().and_then(|id| id.split('/').next());
                    if words.next() == Some(AUDIO_LEVEL_URI) {
                        section.audio_level_id = id.and_then(|id| id.parse().ok());
                    }
                }
                _ => {}
            }
        }
        description.finish_section(&mut maps, &mut formats);
        description
    }

    fn finish_section(&mut self, maps: &mut Vec<(u8, String)>, formats: &mut Vec<(u8, String)>) {
        if let Some(section) = self.sections.last_mut() {
            for (payload_type, name) in maps.iter() {
                let format = formats
                    .iter()
                    .find(|(of, _)| of == payload_type)
                    .map_or("", |(_, format)| format.as_str());
                if let Some(codec) = codec_named(name, format) {
                    section.codecs.push((*payload_type, codec));
                }
            }
        }
        maps.clear();
        formats.clear();
    }

    /// The m-lines on which more than one simulcast layer comes: `a=mid`, RIDs.
    pub fn layers(&self) -> Vec<(String, Vec<String>)> {
        let layered = self
            .sections
            .iter()
            .filter(|section| section.rids.len() > 1);
        let bounded = |rids: &[String]| rids.iter().take(TRACK_LAYERS_MAX - 1).cloned().collect();
        layered
            .map(|section| (section.mid.clone(), bounded(&section.rids)))
            .collect()
    }

    /// The m-line with this mid.
    pub fn section(&self, mid: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.mid == mid)
    }
}

fn numbered(value: &str) -> Option<(u8, String)> {
    let (number, rest) = value.trim().split_once(' ')?;
    Some((number.parse().ok()?, rest.to_owned()))
}

fn codec_named(map: &str, format: &str) -> Option<TrackCodec> {
    let name = map.split('/').next().unwrap_or_default();
    if name.eq_ignore_ascii_case("opus") {
        return Some(TrackCodec::Opus);
    }
    if name.eq_ignore_ascii_case("VP8") {
        return Some(TrackCodec::Vp8);
    }
    let parameter = |wanted: &str| {
        format
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.to_ascii_lowercase())
    };
    let constrained_baseline =
        parameter("profile-level-id").is_some_and(|id| id.starts_with("42e0"));
    let fragments = parameter("packetization-mode").as_deref() == Some("1");
    (name.eq_ignore_ascii_case("H264") && constrained_baseline && fragments)
        .then_some(TrackCodec::H264)
}

/// A browser's description without its candidates, and without the names of streams in the m-lines
/// of `known`, which have named theirs before.
///
/// As the lite agent we answer checks and send none, so its addresses are learnt from its checks,
/// and a description full of candidates costs us nothing.
///
/// `rtc` 0.21.1 makes such an m-line's receiver anew each time its streams are named: the streams
/// are bound again, what NACK has seen of them is forgotten, and simulcast layers are lost for
/// good, for a browser names them in the packets only until the first report about them.
pub(super) fn without_known_streams(sdp: &str, known: &[String]) -> String {
    let read = Description::read(sdp);
    let mut sections = read.sections.iter();
    let mut out = String::with_capacity(sdp.len());
    let mut is_known = false;
    for line in sdp.lines().filter(|line| !is_candidate(line)) {
        if line.starts_with("m=") {
            is_known = sections
                .next()
                .is_some_and(|section| known.contains(&section.mid));
        }
        if !(is_known && names_stream(line)) {
            push_line(&mut out, line);
        }
    }
    out
}

/// With what goes both ways going only one, as its describer sees it.
pub(super) fn directed(sdp: &str, direction: Direction) -> String {
    let only = match direction {
        Direction::SendOnly => "a=sendonly",
        Direction::RecvOnly => "a=recvonly",
        Direction::SendRecv | Direction::Inactive => return sdp.to_owned(),
    };
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        let both = Direction::named(line) == Some(Direction::SendRecv);
        push_line(&mut out, if both { only } else { line });
    }
    out
}

fn names_stream(line: &str) -> bool {
    ["ssrc:", "ssrc-group:", "msid:", "rid:", "simulcast:"]
        .iter()
        .any(|name| line.strip_prefix("a=").is_some_and(|a| a.starts_with(name)))
}

/// With the layers we receive (RFC 8853 §5) in the m-lines that have some: `rtc` writes them only
/// into the answer to a description that names them, and a browser that is offered less sends
/// less.
pub(super) fn with_layers(sdp: &str, layers: &[(String, Vec<String>)]) -> String {
    let read = Description::read(sdp);
    let mut sections = read.sections.iter();
    let mut out = String::with_capacity(sdp.len());
    let mut rids: Option<&[String]> = None;
    for line in sdp.lines() {
        if line.starts_with("m=") {
            let mid = sections.next().map(|section| &section.mid);
            let of_section = layers.iter().find(|(of, _)| Some(of) == mid);
            rids = of_section.map(|(_, rids)| rids.as_slice());
        }
        let says_layers = line.starts_with("a=rid:") || line.starts_with("a=simulcast:");
        if rids.is_some() && says_layers {
            continue;
        }
        push_line(&mut out, line);
        if let Some(rids) = rids.filter(|_| line.starts_with("a=mid:")) {
            for rid in rids {
                push_line(&mut out, &format!("a=rid:{rid} recv"));
            }
            push_line(&mut out, &format!("a=simulcast:recv {}", rids.join(";")));
        }
    }
    out
}

/// With our candidates, and only ours, in the first m-line (the one that stands for the bundle).
pub(super) fn with_candidates(sdp: &str, candidates: &[String]) -> String {
    let mut out = String::with_capacity(sdp.len() + candidates.len() * 80);
    let mut sections = 0;
    for line in sdp.lines().filter(|line| !is_candidate(line)) {
        if line.starts_with("m=") {
            if sections == 1 {
                push_candidates(&mut out, candidates);
            }
            sections += 1;
        }
        push_line(&mut out, line);
    }
    if sections == 1 {
        push_candidates(&mut out, candidates);
    }
    out
}

fn is_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates")
}

fn push_candidates(out: &mut String, candidates: &[String]) {
    for candidate in candidates {
        out.push_str("a=");
        push_line(out, candidate);
    }
    push_line(out, "a=end-of-candidates");
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n\
        a=ice-ufrag:abCD\r\na=mid:0\r\n\
        a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
        a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n\
        a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\n\
        a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\n\
        a=rtpmap:103 H264/90000\r\n\
        a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    #[test]
    fn payload_types_and_extensions_are_read_per_section() {
        let description = Description::read(OFFER);
        assert_eq!(description.ice_ufrag.as_deref(), Some("abCD"));
        assert_eq!(description.sections.len(), 3);
        let audio = description.section("0").unwrap();
        assert_eq!(audio.codecs, [(111, TrackCodec::Opus)]);
        assert_eq!(audio.audio_level_id, Some(1));
        let video = description.section("1").unwrap();
        assert_eq!(
            video.codecs,
            [(96, TrackCodec::Vp8), (103, TrackCodec::H264)]
        );
        assert_eq!(description.section("2").unwrap().kind, None);
    }

    #[test]
    fn candidates_are_replaced_in_the_first_section_only() {
        let candidate = "candidate:1 1 udp 2130706431 192.0.2.7 4000 typ host".to_owned();
        let sdp = with_candidates(OFFER, &[candidate]);
        let first_video = sdp.find("m=video").unwrap();
        assert_eq!(sdp.matches("a=candidate:").count(), 1);
        assert!(
            sdp.find("a=candidate:1 1 udp 2130706431 192.0.2.7")
                .unwrap()
                < first_video
        );
        assert!(sdp.find("a=end-of-candidates").unwrap() < first_video);
        assert!(!without_known_streams(OFFER, &[]).contains("10.0.0.1"));
    }

    #[test]
    fn layers_are_asked_for_in_their_own_section_once() {
        let layers = [("1".to_owned(), vec!["q".to_owned(), "f".to_owned()])];
        let once = with_layers(OFFER, &layers);
        let video = once.find("m=video").unwrap();
        assert!(
            once.find("a=rid:q recv\r\na=rid:f recv\r\na=simulcast:recv q;f")
                .unwrap()
                > video
        );
        assert_eq!(with_layers(&once, &layers), once);
        assert_eq!(with_layers(OFFER, &[]), OFFER);
    }

    #[test]
    fn streams_are_named_once_per_section() {
        let named = "a=msid:- camera\r\na=ssrc:5 cname:x\r\na=rid:h send\r\na=rid:f recv\r\n\
            a=simulcast:send h\r\na=sendonly\r\n";
        let sdp = OFFER.replace("a=mid:0\r\n", "a=mid:0\r\na=ssrc:4 cname:x\r\n");
        let sdp = sdp.replace("a=mid:1\r\n", &format!("{named}a=mid:1\r\n"));
        let read = Description::read(&sdp);
        assert_eq!(read.section("1").unwrap().rids, ["h"]);
        assert_eq!(read.section("1").unwrap().direction, Direction::SendOnly);
        let names: Vec<bool> = read.sections.iter().map(|s| s.names_streams).collect();
        assert_eq!(names, [true, true, false]);
        assert!(without_known_streams(&sdp, &[]).contains("a=ssrc:4 "));
        let later = without_known_streams(&sdp, &["1".to_owned()]);
        assert!(later.contains("a=ssrc:4 "), "not of this section");
        assert!(later.contains("a=sendonly\r\n"));
        for name in ["a=ssrc:5", "a=msid", "a=rid", "a=simulcast"] {
            assert!(!later.contains(name), "{name}");
        }
    }

    #[test]
    fn garbage_is_read_without_panic() {
        for text in [
            "",
            "m=",
            "a=mid:",
            "a=rtpmap:999 x",
            "m=audio\r\na=rtpmap:1\r\na=extmap:",
        ] {
            let _ = Description::read(text);
            let _ = with_candidates(text, &[]);
        }
    }
}
