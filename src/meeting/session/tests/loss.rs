//! A network that loses packets, and what is left of a picture behind it.

use super::*;

/// Loses every so many-th RTP packet each way; signalling, checks and reports pass.
#[derive(Default)]
pub(super) struct Network {
    pub lose_upward_every: Option<u64>,
    pub lose_downward_every: Option<u64>,
    pub upward: u64,
    pub downward: u64,
    pub lost: u64,
    /// A narrow way to one browser, with a queue before it.
    pub narrow: Option<(SeatId, u64)>,
    pub queue: std::collections::VecDeque<(Instant, SeatId, Vec<u8>)>,
    /// Longest time a packet has waited in the queue.
    pub waited: Duration,
}

/// A packet that would have to wait longer in a queue is lost.
const QUEUE_MAX: Duration = Duration::from_millis(400);

impl Network {
    pub fn loses_upward(&mut self, bytes: &[u8]) -> bool {
        self.upward += u64::from(is_rtp(bytes));
        let lost = is_rtp(bytes) && every(self.lose_upward_every, self.upward);
        self.lost += u64::from(lost);
        lost
    }

    pub fn loses_downward(&mut self, bytes: &[u8]) -> bool {
        self.downward += u64::from(is_rtp(bytes));
        let lost = is_rtp(bytes) && every(self.lose_downward_every, self.downward);
        self.lost += u64::from(lost);
        lost
    }
}

impl Network {
    /// Queues what goes the narrow way.
    pub fn holds_back(&mut self, now: Instant, seat: SeatId, bytes: &[u8]) -> bool {
        let Some((_, bps)) = self.narrow.filter(|(narrow, _)| *narrow == seat) else {
            return false;
        };
        let free = self.queue.back().map_or(now, |(at, ..)| (*at).max(now));
        let takes = Duration::from_secs_f64(bytes.len() as f64 * 8.0 / bps as f64);
        let wait = (free + takes) - now;
        if wait > QUEUE_MAX {
            self.lost += 1;
        } else {
            self.waited = self.waited.max(wait);
            self.queue.push_back((free + takes, seat, bytes.to_vec()));
        }
        true
    }

    /// What has got through by now.
    pub fn passes(&mut self, now: Instant) -> Vec<(SeatId, Vec<u8>)> {
        let mut passed = Vec::new();
        while self.queue.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, seat, bytes) = self.queue.pop_front().unwrap();
            passed.push((seat, bytes));
        }
        passed
    }
}

fn every(period: Option<u64>, count: u64) -> bool {
    period.is_some_and(|period| count.is_multiple_of(period))
}

/// RTP and not RTCP (RFC 5761 §4).
fn is_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, second, ..] if !(64..=95).contains(&(second & 0x7F)))
}

/// Frames of two packets, each of which says which it is.
fn show(world: &mut World, publisher: SeatId, frames: std::ops::Range<u32>) {
    for frame in frames {
        for part in 0..2u8 {
            let payload = [&frame.to_be_bytes()[..], &[part; 300]].concat();
            let now = world.now;
            let double = &mut world.browsers.get_mut(&publisher).unwrap().double;
            double.show(now, frame * 3_000, part == 1, &payload);
        }
        world.run(Duration::from_millis(30));
    }
}

/// Which packets of the picture arrived, and how often each: (frame, part) to count.
fn seen(world: &World, watcher: SeatId, publisher: SeatId) -> BTreeMap<(u32, u8), usize> {
    let id = world.browsers[&publisher].id;
    let mut seen = BTreeMap::new();
    for packet in world.browsers[&watcher].double.heard(id, Source::Camera) {
        let payload = &packet.payload;
        let frame = u32::from_be_bytes(payload[..4].try_into().unwrap());
        *seen.entry((frame, payload[4])).or_insert(0) += 1;
    }
    seen
}

fn assert_whole(seen: &BTreeMap<(u32, u8), usize>, frames: std::ops::Range<u32>) {
    for frame in frames {
        for part in 0..2 {
            let count = seen.get(&(frame, part)).copied();
            assert_eq!(count, Some(1), "frame {frame}, packet {part}");
        }
    }
}

#[test]
fn packets_lost_on_either_way_are_sent_again_once() {
    for (upward, downward) in [(Some(7), None), (None, Some(7)), (Some(6), Some(7))] {
        let mut world = World::new();
        let publisher = world.browser(None);
        let watcher = world.browser(None);
        world.all_connected();
        // Its first packets come before there is an m-line for it.
        show(&mut world, publisher, 0..30);
        world.network.lose_upward_every = upward;
        world.network.lose_downward_every = downward;
        show(&mut world, publisher, 30..130);
        world.network.lose_upward_every = None;
        world.network.lose_downward_every = None;
        world.run(Duration::from_millis(500));
        assert!(world.network.lost > 25, "{} were lost", world.network.lost);
        let seen = seen(&world, watcher, publisher);
        assert_whole(&seen, 30..130);
    }
}

#[test]
fn what_was_lost_before_somebody_joined_is_repaired_after() {
    for up in [true, false] {
        let mut world = World::new();
        let publisher = world.browser(None);
        let watcher = world.browser(None);
        world.all_connected();
        show(&mut world, publisher, 0..30);
        // Both ends are offered something new while packets are missing.
        let every = Some(4);
        if up {
            world.network.lose_upward_every = every;
        } else {
            world.network.lose_downward_every = every;
        }
        let offers = world.browsers[&watcher].double.offers_answered;
        show(&mut world, publisher, 30..40);
        world.browser(Some(500.0));
        show(&mut world, publisher, 40..50);
        assert!(world.browsers[&watcher].double.offers_answered > offers);
        world.network.lose_upward_every = None;
        world.network.lose_downward_every = None;
        show(&mut world, publisher, 50..60);
        world.run(Duration::from_millis(500));
        let seen = seen(&world, watcher, publisher);
        assert_whole(&seen, 30..60);
    }
}
