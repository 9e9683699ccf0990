//! The distributions that reports show, by name, and the best that could be expected of one.

use crate::sim::{Distribution, Report};
use std::time::Duration;

/// A distribution of times in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    DetectedFirst,
    DetectedFull,
    Detected,
    SilencedFirst,
    SilencedFull,
    Left,
    Propagated,
}

impl Curve {
    pub(super) const ALL: [Self; 7] = [
        Self::DetectedFirst,
        Self::DetectedFull,
        Self::Detected,
        Self::SilencedFirst,
        Self::SilencedFull,
        Self::Left,
        Self::Propagated,
    ];

    /// The stem of the figures' names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DetectedFirst => "detected_first",
            Self::DetectedFull => "detected_full",
            Self::Detected => "detected",
            Self::SilencedFirst => "silenced_first",
            Self::SilencedFull => "silenced_full",
            Self::Left => "left",
            Self::Propagated => "propagated",
        }
    }

    pub(super) fn of(self, report: &Report) -> Distribution {
        let m = &report.metrics;
        match self {
            Self::DetectedFirst => m.first_detection(),
            Self::DetectedFull => m.full_detection(),
            Self::Detected => m.detection(),
            Self::SilencedFirst => m.first_silenced(),
            Self::SilencedFull => m.full_silenced(),
            Self::Left => m.leaving(),
            Self::Propagated => m.propagation.clone(),
        }
    }

    /// Of all these runs together.
    pub(super) fn over<'a>(self, reports: impl Iterator<Item = &'a Report>) -> Distribution {
        let mut all = Distribution::default();
        for report in reports {
            all.merge(&self.of(report));
        }
        all
    }
}

/// The spread of a rumour by the logistic formula of epidemics: everyone who knows tells `fanout`
/// others per hop of `hop`, some of whom know already. Returns `count` points from the start to
/// `until`: a time in seconds, and the share of `nodes` that know.
pub(super) fn epidemic(
    nodes: usize,
    fanout: usize,
    hop: Duration,
    until: f64,
    count: usize,
) -> Vec<(f64, f64)> {
    let (nodes, hop) = (nodes.max(2) as f64, hop.as_secs_f64().max(1e-9));
    let rate = (1.0 + fanout.max(1) as f64).ln() / hop;
    let known = |t: f64| 1.0 / (1.0 + (nodes - 1.0) * (-rate * t).exp());
    (0..count)
        .map(|i| until * i as f64 / count.max(2).saturating_sub(1) as f64)
        .map(|t| (t, known(t)))
        .collect()
}

/// Hops after which all of `nodes` could know at the earliest: every one that knows tells `fanout`
/// new ones per hop.
pub(super) fn hops(nodes: usize, fanout: usize) -> u32 {
    let growth = fanout.max(1) as f64 + 1.0;
    (nodes.max(1) as f64).log(growth).ceil().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epidemic_starts_with_one_and_ends_with_all() {
        let points = epidemic(1_000, 3, Duration::from_millis(1), 0.1, 50);
        assert!((points[0].1 - 0.001).abs() < 1e-9 && points[49].1 > 0.999_999);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        // Half know after ln(n-1)/ln(1+f) hops: 4.98.
        let half = points.iter().find(|p| p.1 >= 0.5).expect("all know in the end").0;
        assert!((0.004..0.0065).contains(&half), "{half}");
    }

    #[test]
    fn hops_grow_with_the_logarithm() {
        assert_eq!([1, 2, 4, 5, 64, 1_000].map(|n| hops(n, 3)), [0, 1, 1, 2, 3, 5]);
    }
}
