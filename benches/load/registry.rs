//! The server's own figures: two readings of `/metrics` and what happened between them.

use std::collections::BTreeMap;

/// One reading: every sample by its name with labels.
#[derive(Debug, Clone, Default)]
pub struct Reading(BTreeMap<String, f64>);

impl Reading {
    /// Reads the text format.
    pub fn parse(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        Self(
            samples
                .filter_map(|line| {
                    let (name, value) = line.rsplit_once(' ')?;
                    Some((name.to_owned(), value.parse().ok()?))
                })
                .collect(),
        )
    }

    /// Sum of every sample of this name, whatever its labels; `None` when there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let of_name = |sample: &str| {
            sample
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        let mut found = self
            .0
            .iter()
            .filter(|(sample, _)| of_name(sample))
            .peekable();
        found.peek()?;
        Some(found.map(|(_, value)| value).sum())
    }

    /// Buckets of a histogram: upper bound and cumulative count.
    pub fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let prefix = format!("{name}_bucket{{");
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter_map(|(sample, count)| {
                let labels = sample.strip_prefix(&prefix)?;
                let bound = labels.split("le=\"").nth(1)?.split('"').next()?;
                let bound = match bound {
                    "+Inf" => f64::INFINITY,
                    bound => bound.parse().ok()?,
                };
                Some((bound, *count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

/// What a histogram counted between two readings.
#[derive(Debug, Clone, Default)]
pub struct Between {
    buckets: Vec<(f64, f64)>,
}

impl Between {
    pub fn of(name: &str, before: &Reading, after: &Reading) -> Self {
        let old = before.buckets(name);
        let buckets = after.buckets(name).into_iter().map(|(bound, count)| {
            let earlier = old
                .iter()
                .find(|(b, _)| *b == bound)
                .map_or(0.0, |(_, c)| *c);
            (bound, count - earlier)
        });
        Self {
            buckets: buckets.collect(),
        }
    }

    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// How many lay above `bound`, a bound of the histogram.
    pub fn above(&self, bound: f64) -> f64 {
        let below = self.buckets.iter().rfind(|(b, _)| *b <= bound * 1.000_1);
        self.count() - below.map_or(0.0, |(_, count)| *count)
    }

    /// Upper bound of the bucket that holds this quantile, 0–1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q * self.count();
        let holds = |(_, count): &&(f64, f64)| *count >= rank && self.count() > 0.0;
        self.buckets.iter().find(holds).map(|(bound, _)| *bound)
    }
}
