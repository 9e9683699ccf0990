//! What is expected of a run.

use super::Report;
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
    /// A figure keeps a bound. One that does not apply to the run keeps none.
    Figure {
        /// Its name, one of [`FIGURES`](super::FIGURES).
        name: &'static str,
        /// On which side of `value` it has to be.
        relation: Relation,
        /// The bound, in the figure's unit.
        value: f64,
    },
}

/// On which side of a bound something has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `=`
    Exactly,
}

impl Relation {
    fn holds(self, is: f64, bound: f64) -> bool {
        match self {
            Self::Below => is < bound,
            Self::AtMost => is <= bound,
            Self::Above => is > bound,
            Self::AtLeast => is >= bound,
            Self::Exactly => (is - bound).abs() <= f64::EPSILON * bound.abs(),
        }
    }

    /// Its words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "less than",
            Self::AtMost => "at most",
            Self::Above => "more than",
            Self::AtLeast => "at least",
            Self::Exactly => "exactly",
        }
    }
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
            | Self::BytesPerNodePerSecondBelow(_)
            | Self::Figure { .. } => None,
        }
    }

    pub(super) fn judge(&self, report: &Report) -> Result<(), String> {
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
            Self::Figure { name, relation, value } => match report.figure(name) {
                None => Err(format!("{name} does not apply to this run: want {} {value}", relation.as_str())),
                Some(is) if relation.holds(is, value) => Ok(()),
                Some(is) => Err(format!("{name} is {}: want {} {value}", shown(is), relation.as_str())),
            },
        }
    }
}

fn shown(value: f64) -> String {
    if value.is_infinite() { "never reached".to_owned() } else { ((value * 1e6).round() / 1e6).to_string() }
}
