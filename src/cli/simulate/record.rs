//! What is kept of a finished run: its figures, what failed, and how to repeat it.

use crate::sim::scenario::FIGURES;
use crate::sim::{Figure, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) mode: String,
    pub(super) seed: u64,
    /// Expectations that were not met, or the invariant that broke.
    pub(super) failures: Vec<String>,
    /// A hash over everything that happened; `None` if the run broke off.
    pub(super) trace: Option<u64>,
    pub(super) figures: Figures,
}

impl Record {
    pub(super) fn lasted(&self) -> Duration {
        Duration::from_secs_f64(self.figures.get("lasted_s").unwrap_or_default().max(0.0))
    }
}

/// Figures by their place in [`FIGURES`]: of ten thousand runs nothing else need stay in memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, Value>", from = "BTreeMap<String, Value>")]
pub(super) struct Figures(Box<[Option<f64>]>);

/// A figure as JSON: `null` is one that never came to be, which is infinite.
type Value = Option<f64>;

impl Figures {
    pub(super) fn of(report: &Report) -> Self {
        let mut figures: Box<[Option<f64>]> = vec![None; FIGURES.len()].into();
        for figure in report.figures() {
            if let Some(place) = place(figure.name) {
                figures[place] = Some(figure.value);
            }
        }
        Self(figures)
    }

    /// Those that the run has.
    pub(super) fn list(&self) -> Vec<Figure> {
        let named = FIGURES.iter().zip(&self.0);
        let known = named.filter_map(|(kind, value)| Some((kind, (*value)?)));
        known.map(|(kind, value)| Figure { name: kind.name, unit: kind.unit, value }).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(place(name)?).copied().flatten()
    }
}

fn place(name: &str) -> Option<usize> {
    FIGURES.iter().position(|figure| figure.name == name)
}

impl From<Figures> for BTreeMap<String, Value> {
    fn from(figures: Figures) -> Self {
        let named = FIGURES.iter().zip(figures.0);
        let known = named.filter_map(|(kind, value)| Some((kind.name.to_owned(), value?)));
        known.map(|(name, value)| (name, value.is_finite().then_some(value))).collect()
    }
}

impl From<BTreeMap<String, Value>> for Figures {
    fn from(map: BTreeMap<String, Value>) -> Self {
        let value = |kind: &str| map.get(kind).map(|value| value.unwrap_or(f64::INFINITY));
        Self(FIGURES.iter().map(|kind| value(kind.name)).collect())
    }
}

/// One figure over several runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) runs: usize,
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
}

impl Spread {
    /// Over the runs that have the figure; `None` if none has.
    pub(super) fn of<'a>(runs: impl Iterator<Item = &'a Record>, name: &str) -> Option<Self> {
        let mut values: Vec<f64> = runs.filter_map(|run| run.figures.get(name)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            runs: values.len(),
            min: at(0.0)?,
            median: at(0.5)?,
            p99: at(0.99)?,
            max: at(1.0)?,
            sum: values.iter().sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, value: f64) -> Record {
        let mut figures: Box<[Option<f64>]> = vec![None; FIGURES.len()].into();
        figures[place(name).expect("a figure")] = Some(value);
        Record {
            parameters: BTreeMap::new(),
            mode: "shoal".to_owned(),
            seed: 1,
            failures: Vec::new(),
            trace: Some(1),
            figures: Figures(figures),
        }
    }

    #[test]
    fn a_record_reads_back_with_what_never_came_and_without_what_does_not_apply() {
        for value in [0.25, f64::INFINITY] {
            let written = serde_json::to_string(&record("converged_s", value)).expect("JSON");
            let read: Record = serde_json::from_str(&written).expect("it reads back");
            assert_eq!(read.figures.get("converged_s"), Some(value), "{written}");
            assert_eq!(read.figures.get("detected_p50"), None);
        }
    }

    #[test]
    fn spreads_are_over_the_runs_that_have_the_figure() {
        let runs = [3.0, 1.0, 2.0, f64::INFINITY].map(|v| record("converged_s", v));
        let spread = Spread::of(runs.iter(), "converged_s").expect("four");
        assert_eq!((spread.runs, spread.min, spread.median, spread.max), (4, 1.0, 2.0, f64::INFINITY));
        assert_eq!(Spread::of(runs.iter(), "left_p50"), None);
    }
}
