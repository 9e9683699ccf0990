//! What is expected of a run, and the report on whether it was so.

use crate::sim::oracle::Difference;
use crate::sim::{Metrics, Traffic, World};
use std::time::Duration;

/// Something a run has to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expectation {
    /// Every live agent shows what it should within this time of calm.
    ConvergedWithin(Duration),
    /// At most so many verdicts of failure on healthy nodes.
    FalseFailuresAtMost(usize),
    /// This share of all verdicts on crashed nodes took no longer.
    DetectedWithin {
        /// 0 to 1.
        share: f64,
        /// Longest time.
        within: Duration,
    },
    /// This share of all news of leaving took no longer.
    LeftWithin {
        /// 0 to 1.
        share: f64,
        /// Longest time.
        within: Duration,
    },
    /// This share of all views of writes took no longer.
    PropagatedWithin {
        /// 0 to 1.
        share: f64,
        /// Longest time.
        within: Duration,
    },
    /// Fewer renewed identities than this, per node and hour.
    RejoinsPerNodeHourBelow(f64),
    /// Less sent than this, per node and second, over the whole run.
    BytesPerNodePerSecondBelow(f64),
}

impl Expectation {
    pub(super) const fn patience(&self) -> Option<Duration> {
        match self {
            Self::ConvergedWithin(within) => Some(*within),
            Self::FalseFailuresAtMost(_)
            | Self::DetectedWithin { .. }
            | Self::LeftWithin { .. }
            | Self::PropagatedWithin { .. }
            | Self::RejoinsPerNodeHourBelow(_)
            | Self::BytesPerNodePerSecondBelow(_) => None,
        }
    }

    fn judge(&self, report: &Report) -> Result<(), String> {
        let within = |what, took: Duration, share: f64, want: Duration| {
            let kept = took <= want;
            kept.then_some(())
                .ok_or_else(|| format!("{what}: {:.1} % took {took:?}: want {want:?}", share * 100.0))
        };
        let below = |what, is: f64, want: f64| {
            (is < want).then_some(()).ok_or_else(|| format!("{what}: {is:.3}: want less than {want:.3}"))
        };
        let nodes = report.traffic.len().max(1) as f64;
        let seconds = report.lasted.as_secs_f64().max(1e-9);
        match *self {
            Self::ConvergedWithin(want) => match &report.converged {
                Ok(took) => within("convergence", *took, 1.0, want),
                Err(difference) => Err(format!("no convergence: {difference}")),
            },
            Self::FalseFailuresAtMost(want) => {
                let failures = &report.metrics.false_failures;
                let first = failures.first();
                (failures.len() <= want).then_some(()).ok_or_else(|| {
                    format!("{} false failures (first: {first:?}): want {want}", failures.len())
                })
            }
            Self::DetectedWithin { share, within: want } => {
                within("detection of crashes", report.metrics.detection().quantile(share), share, want)
            }
            Self::LeftWithin { share, within: want } => {
                within("news of leaving", report.metrics.leaving().quantile(share), share, want)
            }
            Self::PropagatedWithin { share, within: want } => {
                within("propagation", report.metrics.propagation.quantile(share), share, want)
            }
            Self::RejoinsPerNodeHourBelow(want) => {
                below("rejoins per node and hour", report.rejoins as f64 / nodes / (seconds / 3_600.0), want)
            }
            Self::BytesPerNodePerSecondBelow(want) => {
                let bytes: u64 = report.traffic.iter().map(|t| t.bytes_sent).sum();
                below("bytes sent per node and second", bytes as f64 / nodes / seconds, want)
            }
        }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The line that replays it.
    pub replay: String,
    /// Virtual time that it took.
    pub lasted: Duration,
    /// From calm to every agent showing what it should; what is wrong, if that did not come.
    pub converged: Result<Duration, Difference>,
    /// Everything measured.
    pub metrics: Metrics,
    /// By host.
    pub traffic: Vec<Traffic>,
    /// Renewed identities in all.
    pub rejoins: u64,
    /// A hash over everything that happened.
    pub trace_hash: u64,
    /// Things that happened.
    pub steps: u64,
    /// Expectations that were not met, as sentences.
    pub failures: Vec<String>,
}

impl Report {
    pub(super) fn new(
        world: &World,
        converged: Result<Duration, Difference>,
        expectations: &[Expectation],
    ) -> Self {
        let mut report = Self {
            seed: world.seed(),
            replay: world.replay(),
            lasted: world.now().since_start(),
            converged,
            metrics: world.metrics().clone(),
            traffic: world.hosts().map(|h| world.traffic(h)).collect(),
            rejoins: world.rejoins(),
            trace_hash: world.trace_hash(),
            steps: world.steps(),
            failures: Vec::new(),
        };
        report.failures = expectations.iter().filter_map(|e| e.judge(&report).err()).collect();
        report
    }

    /// Panics with everything that was not met and the line that replays it.
    ///
    /// # Panics
    /// If an expectation was not met.
    #[track_caller]
    pub fn assert_met(&self) {
        assert!(
            self.failures.is_empty(),
            "seed {}: {}\nreplay: {}",
            self.seed,
            self.failures.join("; "),
            self.replay
        );
    }
}
