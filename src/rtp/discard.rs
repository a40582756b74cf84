//! Why a packet was refused: a closed list, because every reason is a metric label.

/// The reason a received packet was not used. Never an error to anybody: counted, then forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Not RTP at all: too short, wrong version, header or padding beyond the datagram.
    Malformed,
    /// A payload type nobody agreed on.
    UnknownPayloadType,
    /// SRTP that does not authenticate, or a replay of it.
    NotAuthentic,
    /// From an address the latch does not trust.
    Stranger,
    /// Already received.
    Duplicate,
    /// Its time to be played has passed.
    Late,
    /// No room: the source sends faster than time passes.
    BufferFull,
    /// No payload.
    Empty,
    /// Longer than any packet of the codec, or not decodable.
    BadPayload,
    /// Comfort noise, keep-alive or an event code with nothing to play.
    NotVoice,
}

impl Discard {
    /// Every reason, for registering metrics.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::UnknownPayloadType,
        Self::NotAuthentic,
        Self::Stranger,
        Self::Duplicate,
        Self::Late,
        Self::BufferFull,
        Self::Empty,
        Self::BadPayload,
        Self::NotVoice,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownPayloadType => "unknown_payload_type",
            Self::NotAuthentic => "not_authentic",
            Self::Stranger => "stranger",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::BufferFull => "buffer_full",
            Self::Empty => "empty",
            Self::BadPayload => "bad_payload",
            Self::NotVoice => "not_voice",
        }
    }

    /// Its place in [`Discard::ALL`], for arrays of counters.
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Discard;

    #[test]
    fn every_reason_stands_at_its_own_index() {
        for (index, reason) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index, "{}", reason.label());
        }
    }
}
