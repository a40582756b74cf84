//! Who may speak at all, before anything of a message is read: token buckets for each source and
//! for all strangers together, and bans of sources that guess passwords.
//!
//! A *stranger* has proved nothing; its share is small, and so is that of all strangers together.
//! A source *known* by right credentials within [`SIP_KNOWN_LIFE`], or as a trunk, has a share that
//! holds a carrier's busiest second, is not touched by a flood of strangers, and is never banned:
//! one phone with an old password must not take its office off the line. UDP sources can be forged,
//! so nothing here reaches further than dropping messages of the source that is named.
//!
//! IPv6 sources count by their /64: a host has all of it.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::limits::{
    SIP_BAN_MAX, SIP_BANS_MAX, SIP_FAILURE_WINDOW, SIP_KNOWN_LIFE, SIP_KNOWN_SOURCES_MAX,
    SIP_REFUSALS_PER_SECOND, SIP_REFUSALS_PER_SOURCE_MAX, SIP_SOURCES_MAX,
};

/// Seconds of its rate that a source may send at once: phones of one office come back together
/// after an outage.
const BURST_SECONDS: f64 = 5.0;

/// Whether a source is a trunk, known by its address alone.
pub type Trunks = Box<dyn Fn(IpAddr) -> bool + Send>;

/// Shares and bans, as the operator set them. A rate of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateConfig {
    /// Messages a second of one stranger.
    pub stranger_rate: u32,
    /// Messages a second of all strangers together.
    pub strangers_rate: u32,
    /// Messages a second of one known source.
    pub known_rate: u32,
    /// Wrong passwords of one source within [`SIP_FAILURE_WINDOW`] that get it banned; 0: never.
    pub ban_failures: u32,
    /// Length of a first ban; each further one is twice as long, up to [`SIP_BAN_MAX`].
    pub ban_time: Duration,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Take it.
    Pass,
    /// Too much: answer 503 with Retry-After and forget it.
    Refuse,
    /// Forget it without a word.
    Drop(Excess),
}

/// Why a message was dropped: a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Excess {
    /// This source's share is used up.
    Source,
    /// The strangers' share is used up.
    Strangers,
    /// The source is banned.
    Banned,
}

impl Excess {
    /// The label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Strangers => "strangers",
            Self::Banned => "banned",
        }
    }
}

/// One source that is shut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// An IPv4 address, or the first of an IPv6 /64.
    pub source: IpAddr,
    /// When it began.
    pub since: Instant,
    /// When it ends.
    pub until: Instant,
    /// How many bans this source has had, this one included.
    pub count: u32,
}

/// See the module.
pub struct Gate {
    config: GateConfig,
    trunks: Trunks,
    strangers: Recent<Stranger>,
    all_strangers: Bucket,
    refusals: Bucket,
    known: Recent<Known>,
    failures: Recent<Failures>,
    bans: Recent<Ban>,
}

impl Gate {
    /// Knows nobody yet.
    pub fn new(config: GateConfig, trunks: Trunks) -> Self {
        Self {
            config,
            trunks,
            strangers: Recent::new(SIP_SOURCES_MAX),
            all_strangers: Bucket::default(),
            refusals: Bucket::default(),
            known: Recent::new(SIP_KNOWN_SOURCES_MAX),
            failures: Recent::new(SIP_BANS_MAX),
            bans: Recent::new(SIP_BANS_MAX),
        }
    }

    /// Other shares from now on; what is known of sources stays.
    pub fn configure(&mut self, config: GateConfig, trunks: Trunks) {
        self.config = config;
        self.trunks = trunks;
    }

    /// Counts one message of `source` and says what to do with it.
    pub fn admit(&mut self, now: Instant, source: IpAddr) -> Admission {
        let source = group(source);
        if !self.bans.is_empty()
            && let Some(ban) = self.bans.peek(source)
            && now < ban.until
        {
            return Admission::Drop(Excess::Banned);
        }
        if let Some(known) = self.known.touch(source)
            && now < known.until
        {
            return match known
                .bucket
                .take(now, self.config.known_rate, BURST_SECONDS)
            {
                true => Admission::Pass,
                false => Admission::Drop(Excess::Source),
            };
        }
        let excess = match self.take_of_stranger(now, source) {
            Ok(()) => return Admission::Pass,
            Err(excess) => excess,
        };
        // Asked only now, since most strangers are none: each question walks the profiles.
        if (self.trunks)(source) {
            self.prove(now, source);
            return Admission::Pass;
        }
        let is_refused = self
            .strangers
            .touch(source)
            .is_some_and(|stranger| stranger.refusals < SIP_REFUSALS_PER_SOURCE_MAX)
            && self.refusals.take(now, SIP_REFUSALS_PER_SECOND, 1.0);
        if !is_refused {
            return Admission::Drop(excess);
        }
        if let Some(stranger) = self.strangers.touch(source) {
            stranger.refusals += 1;
        }
        Admission::Refuse
    }

    /// The source sent right credentials, or is a trunk.
    pub fn prove(&mut self, now: Instant, source: IpAddr) {
        let known = self.known.entry(group(source), || Known {
            bucket: Bucket::default(),
            until: now,
        });
        known.until = now + SIP_KNOWN_LIFE;
    }

    /// The source sent a wrong password; the ban that this brings, if any.
    pub fn count_failure(&mut self, now: Instant, source: IpAddr) -> Option<Ban> {
        let source = group(source);
        let is_known = |known: &Known| now < known.until;
        if self.config.ban_failures == 0 || self.known.peek(source).is_some_and(is_known) {
            return None;
        }
        let fresh = Failures {
            count: 0,
            since: now,
        };
        let failures = self.failures.entry(source, || fresh);
        if now >= failures.since + SIP_FAILURE_WINDOW {
            *failures = fresh;
        }
        failures.count += 1;
        if failures.count < self.config.ban_failures || (self.trunks)(source) {
            return None;
        }
        *failures = fresh;
        Some(self.ban(now, source))
    }

    /// Bans in force, the longest first.
    pub fn bans(&self, now: Instant) -> Vec<Ban> {
        let in_force = |ban: &&Ban| now < ban.until;
        let mut bans: Vec<Ban> = self.bans.values().filter(in_force).copied().collect();
        bans.sort_by_key(|ban| std::cmp::Reverse(ban.until));
        bans
    }

    /// Ends a ban and forgets what led to it; false when there is none in force.
    pub fn lift(&mut self, now: Instant, source: IpAddr) -> bool {
        let source = group(source);
        self.failures.remove(source);
        self.bans.remove(source).is_some_and(|ban| now < ban.until)
    }

    fn ban(&mut self, now: Instant, source: IpAddr) -> Ban {
        let count = self.bans.peek(source).map_or(0, |ban| ban.count) + 1;
        let length = doubled(self.config.ban_time, count - 1).min(SIP_BAN_MAX);
        let ban = Ban {
            source,
            since: now,
            until: now + length,
            count,
        };
        *self.bans.entry(source, || ban) = ban;
        ban
    }

    fn take_of_stranger(&mut self, now: Instant, source: IpAddr) -> Result<(), Excess> {
        let config = self.config;
        let stranger = self.strangers.entry(source, Stranger::default);
        if !stranger
            .bucket
            .take(now, config.stranger_rate, BURST_SECONDS)
        {
            return Err(Excess::Source);
        }
        // The strangers' share bursts for one second only: all of it at once is a flood.
        if !self.all_strangers.take(now, config.strangers_rate, 1.0) {
            return Err(Excess::Strangers);
        }
        // Half the burst saved up again: it has kept quiet, and may be told once more.
        if stranger.bucket.used < f64::from(config.stranger_rate) * BURST_SECONDS / 2.0 {
            stranger.refusals = 0;
        }
        Ok(())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// `time` · 2^`times`, or as long as can be.
pub(crate) fn doubled(time: Duration, times: u32) -> Duration {
    time.checked_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
        .unwrap_or(Duration::MAX)
}

/// What counts as one source.
fn group(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// Tokens used and not yet given back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    used: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// Takes one of `rate` tokens a second, of which `burst_seconds`' worth are saved up.
    pub(crate) fn take(&mut self, now: Instant, rate: u32, burst_seconds: f64) -> bool {
        if rate == 0 {
            return true;
        }
        let rate = f64::from(rate);
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.used = (self.used - passed.as_secs_f64() * rate).max(0.0);
        self.at = Some(now);
        let is_left = self.used + 1.0 <= rate * burst_seconds;
        if is_left {
            self.used += 1.0;
        }
        is_left
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Stranger {
    bucket: Bucket,
    /// 503s since it last kept quiet.
    refusals: u8,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    bucket: Bucket,
    until: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
}

/// A bounded table in two halves. When the young one is full, the old one is forgotten and the
/// young one grows old; whoever is seen again moves back to the young one. So that a flood of
/// forged sources costs no search for the one to forget, and pushes out only who has been quiet
/// longest.
#[derive(Debug)]
struct Recent<V> {
    young: HashMap<IpAddr, V>,
    old: HashMap<IpAddr, V>,
    half: usize,
}

impl<V> Recent<V> {
    fn new(max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: max / 2,
        }
    }

    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    fn peek(&self, source: IpAddr) -> Option<&V> {
        self.young.get(&source).or_else(|| self.old.get(&source))
    }

    fn touch(&mut self, source: IpAddr) -> Option<&mut V> {
        if let Some(value) = self.old.remove(&source) {
            self.put(source, value);
        }
        self.young.get_mut(&source)
    }

    fn entry(&mut self, source: IpAddr, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&source) {
            let value = self.old.remove(&source).unwrap_or_else(fresh);
            self.put(source, value);
        }
        self.young
            .get_mut(&source)
            .expect("it was there or has just been put there")
    }

    fn put(&mut self, source: IpAddr, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(source, value);
    }

    fn remove(&mut self, source: IpAddr) -> Option<V> {
        let young = self.young.remove(&source);
        let old = self.old.remove(&source);
        young.or(old)
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: GateConfig = GateConfig {
        stranger_rate: 10,
        strangers_rate: 200,
        known_rate: 1_000,
        ban_failures: 3,
        ban_time: Duration::from_secs(600),
    };

    fn gate() -> Gate {
        Gate::new(CONFIG, Box::new(|source| source == ip("198.51.100.7")))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn passed(gate: &mut Gate, now: Instant, source: &str, messages: usize) -> usize {
        (0..messages)
            .filter(|_| gate.admit(now, ip(source)) == Admission::Pass)
            .count()
    }

    #[test]
    fn a_stranger_has_a_burst_then_a_few_503_then_silence_then_its_rate() {
        let (mut gate, now) = (gate(), Instant::now());
        assert_eq!(passed(&mut gate, now, "192.0.2.1", 50), 50);
        for _ in 0..SIP_REFUSALS_PER_SOURCE_MAX {
            assert_eq!(gate.admit(now, ip("192.0.2.1")), Admission::Refuse);
        }
        let silence = Admission::Drop(Excess::Source);
        assert_eq!(gate.admit(now, ip("192.0.2.1")), silence);
        assert_eq!(passed(&mut gate, now, "192.0.2.2", 1), 1, "another is free");
        let later = now + Duration::from_secs(1);
        assert_eq!(passed(&mut gate, later, "192.0.2.1", 50), 10);
        assert_eq!(gate.admit(later, ip("192.0.2.1")), silence);
    }

    #[test]
    fn all_strangers_together_have_a_share_and_known_sources_and_trunks_are_not_in_it() {
        let (mut gate, now) = (gate(), Instant::now());
        gate.prove(now, ip("192.0.2.99"));
        let strangers = (0..250_u32)
            .filter(|n| {
                gate.admit(now, IpAddr::from((0x0a00_0000 + n).to_be_bytes())) == Admission::Pass
            })
            .count();
        assert_eq!(strangers, 200);
        assert_eq!(passed(&mut gate, now, "192.0.2.99", 6_000), 5_000);
        assert_eq!(passed(&mut gate, now, "198.51.100.7", 1_000), 1_000);
        let later = now + SIP_KNOWN_LIFE;
        assert_eq!(passed(&mut gate, later, "192.0.2.99", 100), 50);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let (mut gate, now) = (gate(), Instant::now());
        assert_eq!(passed(&mut gate, now, "2001:db8::1", 30), 30);
        assert_eq!(passed(&mut gate, now, "2001:db8::ffff:2", 30), 20);
        assert_eq!(passed(&mut gate, now, "2001:db8:0:1::1", 30), 30);
    }

    #[test]
    fn wrong_passwords_bring_bans_that_double_and_can_be_lifted() {
        let (mut gate, mut now) = (gate(), Instant::now());
        let guesser = ip("192.0.2.1");
        for minutes in [10, 20, 40] {
            assert_eq!(gate.count_failure(now, guesser), None);
            assert_eq!(gate.count_failure(now, guesser), None);
            let ban = gate.count_failure(now, guesser).unwrap();
            assert_eq!(ban.until - now, Duration::from_secs(60 * minutes));
            assert_eq!(gate.admit(now, guesser), Admission::Drop(Excess::Banned));
            assert_eq!(gate.bans(now), [ban]);
            now = ban.until;
            assert_eq!(gate.admit(now, guesser), Admission::Pass);
            assert_eq!(gate.bans(now), []);
        }
        for _ in 0..3 {
            gate.count_failure(now, guesser);
        }
        assert!(gate.lift(now, guesser));
        assert!(!gate.lift(now, guesser));
        assert_eq!(gate.admit(now, guesser), Admission::Pass);
    }

    #[test]
    fn slow_failures_and_those_of_known_sources_and_trunks_bring_no_ban() {
        let (mut gate, mut now) = (gate(), Instant::now());
        for _ in 0..10 {
            assert_eq!(gate.count_failure(now, ip("192.0.2.1")), None);
            now += SIP_FAILURE_WINDOW / 2;
        }
        gate.prove(now, ip("192.0.2.2"));
        for _ in 0..10 {
            assert_eq!(gate.count_failure(now, ip("192.0.2.2")), None);
            assert_eq!(gate.count_failure(now, ip("198.51.100.7")), None);
        }
    }

    #[test]
    fn a_flood_of_forged_sources_fills_a_bounded_table_and_pushes_out_no_known_one() {
        let config = GateConfig {
            strangers_rate: 0,
            ..CONFIG
        };
        let (mut gate, now) = (Gate::new(config, Box::new(|_| false)), Instant::now());
        gate.prove(now, ip("192.0.2.1"));
        for n in 0..200_000_u32 {
            gate.admit(now, IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
        }
        let kept = gate.strangers.young.len() + gate.strangers.old.len();
        assert!(kept <= SIP_SOURCES_MAX, "{kept}");
        assert_eq!(passed(&mut gate, now, "192.0.2.1", 4_000), 4_000);
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let config = GateConfig {
            stranger_rate: 0,
            strangers_rate: 0,
            ban_failures: 0,
            ..CONFIG
        };
        let (mut gate, now) = (Gate::new(config, Box::new(|_| false)), Instant::now());
        assert_eq!(passed(&mut gate, now, "192.0.2.1", 100_000), 100_000);
        assert!((0..100).all(|_| gate.count_failure(now, ip("192.0.2.1")).is_none()));
    }
}
