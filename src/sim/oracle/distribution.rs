//! Samples of one quantity, in bounded memory.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Samples that are kept; beyond that, only every second, fourth, ... of them is.
const KEPT_MAX: usize = 1 << 20;

/// Samples of one quantity. Up to a million of them quantiles are exact; beyond that they are those
/// of an even selection. Count, mean and largest are always exact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Distribution {
    samples: Vec<Duration>,
    /// Samples between two that are kept, as a power of two.
    stride_log2: u32,
    count: usize,
    sum_ns: u128,
    max: Duration,
}

impl Distribution {
    pub(crate) const EMPTY: Self =
        Self { samples: Vec::new(), stride_log2: 0, count: 0, sum_ns: 0, max: Duration::ZERO };

    pub(crate) fn add(&mut self, sample: Duration) {
        if self.count.trailing_zeros() >= self.stride_log2 {
            if self.samples.len() == KEPT_MAX {
                self.thin();
            }
            if self.count.trailing_zeros() >= self.stride_log2 {
                self.samples.push(sample);
            }
        }
        self.count += 1;
        self.sum_ns += sample.as_nanos();
        self.max = self.max.max(sample);
    }

    /// Drops every second of the kept samples.
    fn thin(&mut self) {
        let mut keep = false;
        self.samples.retain(|_| {
            keep = !keep;
            keep
        });
        self.stride_log2 += 1;
    }

    /// How many samples there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// No samples?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The samples that are kept, in order of size.
    pub fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted
    }

    /// The smallest value that at least this share (0 to 1) of the samples do not exceed; zero
    /// without samples.
    pub fn quantile(&self, share: f64) -> Duration {
        if share >= 1.0 {
            return self.max;
        }
        quantile_of(&self.sorted(), share)
    }

    /// The mean; zero without samples.
    pub fn mean(&self) -> Duration {
        let mean = self.sum_ns / (self.count as u128).max(1);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The largest; zero without samples.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// At most `count` points of the cumulative distribution, evenly spread over the shares: a
    /// value, and the share of samples that do not exceed it. The first and the last sample are
    /// always among them.
    pub fn points(&self, count: usize) -> Vec<(Duration, f64)> {
        let sorted = self.sorted();
        let (last, count) = (sorted.len().saturating_sub(1), count.clamp(2, sorted.len().max(2)));
        if sorted.is_empty() {
            return Vec::new();
        }
        let mut points: Vec<(Duration, f64)> = Vec::with_capacity(count);
        for number in 0..count {
            let index = last * number / (count - 1);
            points.push((sorted[index], (index + 1) as f64 / sorted.len() as f64));
        }
        points.dedup();
        points
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        let mut other_samples = other.clone();
        while self.stride_log2 < other_samples.stride_log2
            || self.samples.len() + other_samples.samples.len() > KEPT_MAX
        {
            self.thin();
            while other_samples.stride_log2 < self.stride_log2 {
                other_samples.thin();
            }
        }
        while other_samples.stride_log2 < self.stride_log2 {
            other_samples.thin();
        }
        self.samples.append(&mut other_samples.samples);
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max = self.max.max(other.max);
    }
}

/// Samples that are written: enough for any curve.
const WRITTEN_MAX: usize = 2_000;

/// A distribution in a file: an even selection of its samples, in order of size.
#[derive(Serialize, Deserialize)]
struct Written {
    samples_ns: Vec<u64>,
    count: usize,
    mean_ns: u64,
    max_ns: u64,
}

impl From<Distribution> for Written {
    fn from(d: Distribution) -> Self {
        let sorted = d.sorted();
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let kept = sorted.len().min(WRITTEN_MAX);
        let last = sorted.len().saturating_sub(1);
        // The smallest and the largest are always among them.
        let even = (0..kept).map(|number| sorted[last * number / (kept - 1).max(1)]);
        Self { samples_ns: even.map(ns).collect(), count: d.count, mean_ns: ns(d.mean()), max_ns: ns(d.max) }
    }
}

impl From<Written> for Distribution {
    fn from(written: Written) -> Self {
        Self {
            samples: written.samples_ns.into_iter().map(Duration::from_nanos).collect(),
            stride_log2: 0,
            count: written.count,
            sum_ns: u128::from(written.mean_ns) * written.count as u128,
            max: Duration::from_nanos(written.max_ns),
        }
    }
}

/// The quantile of samples that are in order already.
pub(crate) fn quantile_of<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn quantiles_are_samples() {
        let mut d = Distribution::default();
        assert_eq!(d.quantile(0.5), Duration::ZERO);
        assert!(d.points(9).is_empty());
        for millis in [30, 10, 20, 40] {
            d.add(ms(millis));
        }
        assert_eq!(d.quantile(0.5), ms(20));
        assert_eq!(d.quantile(0.99), ms(40));
        assert_eq!(d.quantile(0.0), ms(10));
        assert_eq!((d.max(), d.mean()), (ms(40), ms(25)));
    }

    #[test]
    fn points_go_from_the_first_sample_to_the_last() {
        let mut d = Distribution::default();
        d.add(ms(5));
        assert_eq!(d.points(100), [(ms(5), 1.0)]);
        for millis in 6..1_005 {
            d.add(ms(millis));
        }
        let points = d.points(11);
        assert_eq!(points.len(), 11);
        assert_eq!((points[0], points[10]), ((ms(5), 0.001), (ms(1_004), 1.0)));
        assert!(points.is_sorted());
    }

    #[test]
    fn what_is_too_much_to_keep_is_selected_evenly() {
        let mut d = Distribution::default();
        let count = KEPT_MAX * 3;
        for n in 0..count {
            d.add(Duration::from_nanos(n as u64));
        }
        assert_eq!(d.len(), count);
        assert!(d.samples.len() <= KEPT_MAX);
        let middle = d.quantile(0.5).as_nanos() as f64 / count as f64;
        assert!((middle - 0.5).abs() < 0.001, "{middle}");
        assert_eq!(d.quantile(1.0), d.max());
        let mut twice = d.clone();
        twice.merge(&d);
        assert_eq!((twice.len(), twice.mean()), (count * 2, d.mean()));
        let mut one = Distribution::default();
        one.add(ms(1));
        one.merge(&d);
        assert_eq!(one.len(), count + 1);
        assert!((one.quantile(0.5).as_nanos() as f64 / count as f64 - 0.5).abs() < 0.001);
    }
}
