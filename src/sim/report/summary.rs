//! Figures over seeds: smallest, median, 99 % and largest of each, by mode and parameters.

use super::{Outcome, Run};
use crate::sim::oracle::quantile_of;
use crate::sim::scenario::{FIGURES, FigureKind};
use std::collections::BTreeMap;

/// One figure over several runs. Runs in which it does not apply do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Runs that have it.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// 99 of 100 runs have no more.
    pub p99: f64,
    /// Largest; infinite if it never came to be in some run.
    pub max: f64,
    /// All together.
    pub sum: f64,
}

impl Range {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self {
            count: values.len(),
            min,
            median: quantile_of(&values, 0.5),
            p99: quantile_of(&values, 0.99),
            max,
            sum: values.iter().sum(),
        })
    }
}

/// All runs with the same mode and parameters.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The mode.
    pub mode: &'a str,
    /// The parameters.
    pub parameters: &'a BTreeMap<String, String>,
    /// The runs.
    pub runs: Vec<&'a Run>,
    /// Figures that at least one run has, in the order of [`FIGURES`].
    pub figures: Vec<(&'static FigureKind, Range)>,
}

impl Group<'_> {
    /// Mode and parameters in a few words.
    pub fn label(&self) -> String {
        let mut label = self.mode.to_owned();
        for (name, value) in self.parameters {
            label.push_str(&format!(" {name}={value}"));
        }
        label
    }

    /// One figure, if any run has it.
    pub fn figure(&self, name: &str) -> Option<Range> {
        self.figures.iter().find(|(kind, _)| kind.name == name).map(|(_, range)| *range)
    }

    /// The value by which groups are compared: of wrong verdicts, which are rare and come in heaps,
    /// all of them per run; of anything else the median over the runs.
    pub fn compared(&self, name: &str) -> Option<f64> {
        let range = self.figure(name)?;
        Some(if name.starts_with("false_failures") { range.sum / range.count as f64 } else { range.median })
    }

    /// Runs that went wrong.
    pub fn failed(&self) -> usize {
        self.runs.iter().filter(|run| !run.is_ok()).count()
    }
}

/// All groups of an outcome.
#[derive(Debug, Clone)]
pub struct Summary<'a> {
    /// In the order in which they first appear.
    pub groups: Vec<Group<'a>>,
    /// The mode that others are compared with.
    pub baseline: &'a str,
}

/// What a mode is called without any parameter.
static NO_PARAMETERS: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Summary<'a> {
    /// Sums up `outcome` by mode and parameters.
    pub fn of(outcome: &'a Outcome) -> Self {
        Self::grouped(outcome, |run| &run.parameters)
    }

    /// Sums up `outcome` by mode alone: all points of a grid together.
    pub fn by_mode(outcome: &'a Outcome) -> Self {
        Self::grouped(outcome, |_| &NO_PARAMETERS)
    }

    fn grouped(outcome: &'a Outcome, by: impl Fn(&'a Run) -> &'a BTreeMap<String, String>) -> Self {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut places: BTreeMap<(&str, &BTreeMap<String, String>), usize> = BTreeMap::new();
        for run in &outcome.runs {
            let parameters = by(run);
            let place = *places.entry((&run.mode, parameters)).or_insert_with(|| {
                groups.push(Group { mode: &run.mode, parameters, runs: Vec::new(), figures: Vec::new() });
                groups.len() - 1
            });
            groups[place].runs.push(run);
        }
        for group in &mut groups {
            let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
            for measured in group.runs.iter().filter_map(|run| run.report.as_ref().ok()) {
                for figure in &measured.figures {
                    values.entry(figure.name).or_default().push(figure.value);
                }
            }
            let range = |kind: &'static FigureKind| Some((kind, Range::of(values.remove(kind.name)?)?));
            group.figures = FIGURES.iter().filter_map(range).collect();
        }
        let named = groups.iter().find(|g| g.mode == outcome.baseline).map(|g| g.mode);
        let baseline = named.or_else(|| groups.first().map(|g| g.mode)).unwrap_or_default();
        Self { groups, baseline }
    }

    /// The group that `group` is compared with: the same parameters in the baseline's mode; `None`
    /// for the baseline itself.
    pub fn baseline_of(&self, group: &Group<'_>) -> Option<&Group<'a>> {
        if group.mode == self.baseline {
            return None;
        }
        self.groups.iter().find(|g| g.mode == self.baseline && g.parameters == group.parameters)
    }

    /// How many times as large a figure is as the baseline's; see [`Group::compared`].
    pub fn ratio(&self, group: &Group<'_>, figure: &str) -> Option<f64> {
        let ratio = group.compared(figure)? / self.baseline_of(group)?.compared(figure)?;
        ratio.is_finite().then_some(ratio)
    }
}
