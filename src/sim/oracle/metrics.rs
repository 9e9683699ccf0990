//! Figures of a run: how fast, how often wrong.

use crate::model::{Instant, NodeName};
use crate::sim::HostId;
use std::time::Duration;

/// Samples of one quantity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    samples: Vec<Duration>,
}

impl Distribution {
    pub(crate) const EMPTY: Self = Self { samples: Vec::new() };

    pub(crate) fn add(&mut self, sample: Duration) {
        self.samples.push(sample);
    }

    /// How many samples there are.
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// No samples?
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The smallest value that at least this share (0 to 1) of the samples do not exceed; zero
    /// without samples.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
    }

    /// The largest; zero without samples.
    pub fn max(&self) -> Duration {
        self.samples.iter().max().copied().unwrap_or_default()
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.samples.extend_from_slice(&other.samples);
    }
}

/// How the others learned that a node was gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The node.
    pub node: NodeName,
    /// It left; otherwise it crashed.
    pub graceful: bool,
    /// When it did.
    pub at: Instant,
    /// Agents that then showed it as live.
    pub observers: usize,
    /// For each agent that came to know, how long that took.
    pub known_after: Distribution,
}

/// A node that ran and could be reached, shown as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FalseFailure {
    /// When.
    pub at: Instant,
    /// By whom.
    pub observer: HostId,
    /// The healthy one.
    pub subject: HostId,
}

/// Everything measured so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Crashes and leaves, in order.
    pub departures: Vec<Departure>,
    /// From each write to each agent (running since before the write) that shows it.
    pub propagation: Distribution,
    /// Wrong verdicts on healthy nodes, in order.
    pub false_failures: Vec<FalseFailure>,
    /// Changes of a member's status at any agent.
    pub status_changes: u64,
}

impl Metrics {
    /// Detection times of all crashes together.
    pub fn detection(&self) -> Distribution {
        self.known_after(false)
    }

    /// The same for nodes that left.
    pub fn leaving(&self) -> Distribution {
        self.known_after(true)
    }

    fn known_after(&self, graceful: bool) -> Distribution {
        let mut all = Distribution::default();
        for d in self.departures.iter().filter(|d| d.graceful == graceful) {
            all.merge(&d.known_after);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut d = Distribution::default();
        assert_eq!(d.quantile(0.5), Duration::ZERO);
        for ms in [30, 10, 20, 40] {
            d.add(Duration::from_millis(ms));
        }
        assert_eq!(d.quantile(0.5), Duration::from_millis(20));
        assert_eq!(d.quantile(0.99), Duration::from_millis(40));
        assert_eq!(d.quantile(0.0), Duration::from_millis(10));
        assert_eq!(d.max(), Duration::from_millis(40));
    }
}
