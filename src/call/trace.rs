//! The facts of one call, in a bounded ring, shown as a ladder that a support person can read.
//!
//! The beginning of a call explains most failures, and so does its end: when the ring is full,
//! the first facts are kept, the middle is counted, the newest push out the oldest of the rest.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::limits::{TRACE_FACT_BYTES_MAX, TRACE_FACTS_MAX, TRACE_FIRST_FACTS_KEPT};

/// Between whom something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the phone to us.
    #[serde(rename = "in")]
    Ingress,
    /// From us to the phone.
    #[serde(rename = "out")]
    Egress,
    /// Within us: a decision, a timer, a change of state.
    Inside,
}

/// One thing that happened in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Since the call began.
    pub at: Duration,
    /// Between whom.
    pub direction: Direction,
    /// In words, such as `INVITE`, `200 OK`, `answered`; one line, no secrets, no numbers.
    pub text: Cow<'static, str>,
}

/// A fact as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineFact {
    /// Milliseconds since the call began.
    pub at_ms: f64,
    /// Between whom.
    pub direction: Direction,
    /// In words.
    pub text: String,
}

/// A call's facts as they are kept and shown, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The facts.
    pub facts: Vec<TimelineFact>,
    /// Facts that were pushed out from the middle.
    pub skipped: u64,
}

/// The ring of one call.
#[derive(Debug, Clone)]
pub struct CallTrace {
    start: Instant,
    first: Vec<Fact>,
    latest: VecDeque<Fact>,
    skipped: u64,
}

impl CallTrace {
    /// Empty, for a call that began at `start`.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            first: Vec::new(),
            latest: VecDeque::new(),
            skipped: 0,
        }
    }

    /// Adds a fact; control characters in `text` are replaced, and it is cut at
    /// [`TRACE_FACT_BYTES_MAX`].
    pub fn note(&mut self, now: Instant, direction: Direction, text: impl Into<Cow<'static, str>>) {
        let fact = Fact {
            at: now.saturating_duration_since(self.start),
            direction,
            text: tame(text.into()),
        };
        if self.first.len() < TRACE_FIRST_FACTS_KEPT {
            self.first.push(fact);
            return;
        }
        if self.first.len() + self.latest.len() == TRACE_FACTS_MAX {
            self.latest.pop_front();
            self.skipped += 1;
        }
        self.latest.push_back(fact);
    }

    /// All facts kept, oldest first.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.first.iter().chain(&self.latest)
    }

    /// Facts that were pushed out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// What is kept of it.
    pub fn timeline(&self) -> Timeline {
        let shown = |fact: &Fact| TimelineFact {
            at_ms: (fact.at.as_secs_f64() * 1e6).round() / 1e3,
            direction: fact.direction,
            text: fact.text.clone().into_owned(),
        };
        Timeline {
            facts: self.facts().map(shown).collect(),
            skipped: self.skipped,
        }
    }

    /// The ladder, as text.
    pub fn ladder(&self) -> Ladder<'_> {
        Ladder(self)
    }
}

/// A call's facts drawn between phone and gateway.
pub struct Ladder<'a>(&'a CallTrace);

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>9}   phone                        ringbridge", "s")?;
        for fact in &self.0.first {
            write_fact(f, fact)?;
        }
        if self.0.skipped > 0 {
            writeln!(f, "{:>9}     ┆  {} more  ┆", "…", self.0.skipped)?;
        }
        for fact in &self.0.latest {
            write_fact(f, fact)?;
        }
        Ok(())
    }
}

fn write_fact(f: &mut fmt::Formatter<'_>, fact: &Fact) -> fmt::Result {
    let at = fact.at.as_secs_f64();
    match fact.direction {
        Direction::Ingress => writeln!(f, "{at:>9.3}     │{:─^30}►│", format!(" {} ", fact.text)),
        Direction::Egress => writeln!(f, "{at:>9.3}     │◄{:─^30}│", format!(" {} ", fact.text)),
        Direction::Inside => writeln!(f, "{at:>9.3}     │{:31}│  {}", "", fact.text),
    }
}

fn tame(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= TRACE_FACT_BYTES_MAX && !text.chars().any(char::is_control) {
        return text;
    }
    let mut tamed = String::new();
    for letter in text.chars() {
        if tamed.len() + letter.len_utf8() > TRACE_FACT_BYTES_MAX {
            break;
        }
        tamed.push(if letter.is_control() { '·' } else { letter });
    }
    Cow::Owned(tamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_drawn_as_a_ladder() {
        let start = Instant::now();
        let mut trace = CallTrace::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        trace.note(at(0), Direction::Ingress, "INVITE");
        trace.note(at(1), Direction::Egress, "401 Unauthorized");
        trace.note(at(30), Direction::Inside, "admitted: meeting found");
        let ladder = trace.ladder().to_string();
        let lines: Vec<&str> = ladder.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[1].contains("0.000") && lines[1].contains("INVITE ─") && lines[1].contains('►')
        );
        assert!(lines[2].contains("◄") && lines[2].contains("401"));
        assert!(lines[3].ends_with("admitted: meeting found"));
    }

    #[test]
    fn a_full_ring_keeps_the_beginning_and_the_end() {
        let start = Instant::now();
        let mut trace = CallTrace::new(start);
        for n in 0..1_000 {
            trace.note(start, Direction::Inside, format!("fact {n}"));
        }
        let facts: Vec<&str> = trace.facts().map(|fact| fact.text.as_ref()).collect();
        assert_eq!(facts.len(), TRACE_FACTS_MAX);
        assert_eq!(facts[0], "fact 0");
        assert_eq!(facts[facts.len() - 1], "fact 999");
        assert_eq!(trace.skipped(), (1_000 - TRACE_FACTS_MAX) as u64);
        assert!(trace.ladder().to_string().contains("more"));
    }

    #[test]
    fn a_peers_text_cannot_forge_lines() {
        let start = Instant::now();
        let mut trace = CallTrace::new(start);
        trace.note(
            start,
            Direction::Ingress,
            format!("INVITE\r\n{}", "é".repeat(500)),
        );
        let fact = trace.facts().next().unwrap();
        assert!(fact.text.len() <= TRACE_FACT_BYTES_MAX);
        assert_eq!(trace.ladder().to_string().lines().count(), 2);
    }
}
