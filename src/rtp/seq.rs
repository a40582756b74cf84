//! Sequence numbers and timestamps that do not wrap.

/// Extends a wrapping counter of the wire to 64 bits, around the highest value seen so far.
///
/// Values up to half the wire's range behind the highest are taken as old, the others as new, so
/// reordered packets keep their place on either side of a wrap.
#[derive(Debug, Clone, Copy)]
struct Extender<const BITS: u32> {
    highest: Option<i64>,
}

impl<const BITS: u32> Extender<BITS> {
    const RANGE: i64 = 1 << BITS;

    /// The 64-bit value nearest to the highest seen; moves nothing.
    fn peek(&self, wire: i64) -> i64 {
        let Some(highest) = self.highest else {
            return wire;
        };
        let ahead = (wire - highest).rem_euclid(Self::RANGE);
        if ahead < Self::RANGE / 2 {
            highest + ahead
        } else {
            highest + ahead - Self::RANGE
        }
    }

    fn extend(&mut self, wire: i64) -> i64 {
        let value = self.peek(wire);
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        value
    }
}

/// RTP sequence numbers, extended (RFC 3550 §A.1).
#[derive(Debug, Clone, Copy)]
pub struct ExtendedSequence(Extender<16>);

impl ExtendedSequence {
    /// Knows nothing yet: the first value is taken as it is.
    pub fn new() -> Self {
        Self(Extender { highest: None })
    }

    /// Extends `sequence` and remembers it if it is the highest.
    pub fn extend(&mut self, sequence: u16) -> i64 {
        self.0.extend(i64::from(sequence))
    }

    /// Extends `sequence` without remembering it.
    pub fn peek(&self, sequence: u16) -> i64 {
        self.0.peek(i64::from(sequence))
    }

    /// The highest so far.
    pub fn highest(&self) -> Option<i64> {
        self.0.highest
    }
}

impl Default for ExtendedSequence {
    fn default() -> Self {
        Self::new()
    }
}

/// RTP timestamps, extended, in units of the clock rate.
#[derive(Debug, Clone, Copy)]
pub struct ExtendedTimestamp(Extender<32>);

impl ExtendedTimestamp {
    /// Knows nothing yet: the first value is taken as it is.
    pub fn new() -> Self {
        Self(Extender { highest: None })
    }

    /// Extends `timestamp` and remembers it if it is the highest.
    pub fn extend(&mut self, timestamp: u32) -> i64 {
        self.0.extend(i64::from(timestamp))
    }

    /// Extends `timestamp` without remembering it.
    pub fn peek(&self, timestamp: u32) -> i64 {
        self.0.peek(i64::from(timestamp))
    }

    /// The highest so far.
    pub fn highest(&self) -> Option<i64> {
        self.0.highest
    }
}

impl Default for ExtendedTimestamp {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_grows_across_its_wrap_and_keeps_old_packets_behind() {
        let mut sequence = ExtendedSequence::new();
        assert_eq!(sequence.extend(65_534), 65_534);
        assert_eq!(sequence.extend(1), 65_537);
        assert_eq!(sequence.extend(65_535), 65_535);
        assert_eq!(sequence.extend(2), 65_538);
        assert_eq!(sequence.highest(), Some(65_538));
    }

    #[test]
    fn an_old_packet_before_the_first_is_negative_rather_than_far_ahead() {
        let mut sequence = ExtendedSequence::new();
        sequence.extend(0);
        assert_eq!(sequence.extend(65_535), -1);
    }

    #[test]
    fn a_timestamp_grows_across_its_wrap() {
        let mut timestamp = ExtendedTimestamp::new();
        timestamp.extend(u32::MAX - 79);
        assert_eq!(timestamp.extend(80), i64::from(u32::MAX) + 81);
        assert_eq!(timestamp.peek(u32::MAX - 79), i64::from(u32::MAX) - 79);
    }
}
