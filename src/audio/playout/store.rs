//! Packets that wait to be decoded, in slots that are made when first needed and then kept: few
//! sources ever have more than four packets waiting.

use crate::limits;
use crate::rtp::discard::Discard;

/// A waiting packet.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Media position of its first sample, in samples.
    pub(super) start: i64,
    /// Samples it holds.
    pub(super) samples: usize,
    /// Extended sequence number.
    pub(super) sequence: i64,
    payload: Vec<u8>,
}

impl Waiting {
    /// Its codec bytes.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// A slot with room for a payload.
    fn empty() -> Self {
        Self {
            start: 0,
            samples: 0,
            sequence: 0,
            payload: Vec::with_capacity(limits::PLAYOUT_SLOT_BYTES),
        }
    }

    /// Media position after its last sample.
    pub(super) fn end(&self) -> i64 {
        self.start + self.samples as i64
    }
}

/// The packets of one source, in no order: there are seldom more than three.
#[derive(Debug)]
pub(super) struct Store {
    /// The first `count` are in use.
    slots: Vec<Waiting>,
    count: usize,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn insert(
        &mut self,
        start: i64,
        samples: usize,
        sequence: i64,
        payload: &[u8],
    ) -> Result<(), Discard> {
        if self.count == limits::PLAYOUT_PACKETS_MAX {
            return Err(Discard::BufferFull);
        }
        if self.count == self.slots.len() {
            self.slots.push(Waiting::empty());
        }
        let slot = &mut self.slots[self.count];
        slot.start = start;
        slot.samples = samples;
        slot.sequence = sequence;
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        self.count += 1;
        Ok(())
    }

    /// The earliest packet that reaches beyond `position`.
    pub(super) fn first_after(&self, position: i64) -> Option<usize> {
        let waiting = self.slots[..self.count].iter().enumerate();
        waiting
            .filter(|(_, packet)| packet.end() > position)
            .min_by_key(|(_, packet)| packet.start)
            .map(|(index, _)| index)
    }

    pub(super) fn packet(&self, index: usize) -> &Waiting {
        &self.slots[index]
    }

    /// Frees a slot.
    pub(super) fn remove(&mut self, index: usize) {
        self.count -= 1;
        self.slots.swap(index, self.count);
    }

    /// Frees all packets that end at or before `position`; returns how many.
    pub(super) fn remove_before(&mut self, position: i64) -> usize {
        let before = self.count;
        let mut index = 0;
        while index < self.count {
            match self.slots[index].end() <= position {
                true => self.remove(index),
                false => index += 1,
            }
        }
        before - self.count
    }
}
