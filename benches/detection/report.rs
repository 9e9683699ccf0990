//! The figures of all runs, as a table in Markdown.

use crate::machine::{self, Ticks};
use crate::scenario::{Measure, Outcome, Scenario};
use crate::system::System;
use std::collections::BTreeMap;
use std::fmt;

/// Figures of one kind from one system.
#[derive(Debug, Default)]
struct Figures {
    /// In order.
    values: Vec<f64>,
    /// Runs in which it did not come to pass while it was waited for.
    missed: usize,
}

impl Figures {
    fn add(&mut self, value: Option<f64>) {
        match value {
            Some(value) => self.values.insert(self.values.partition_point(|v| *v < value), value),
            None => self.missed += 1,
        }
    }

    fn median(&self) -> Option<f64> {
        let middle = self.values.len() / 2;
        let upper = *self.values.get(middle)?;
        let even = self.values.len().is_multiple_of(2);
        Some(if even { f64::midpoint(self.values[middle - 1], upper) } else { upper })
    }

    /// The smallest value that at most one in a hundred is above.
    fn p99(&self) -> Option<f64> {
        let above = self.values.len() / 100;
        self.values.iter().rev().nth(above).copied()
    }

    fn mean(&self) -> Option<f64> {
        let count = self.values.len() as f64;
        (count > 0.0).then(|| self.values.iter().sum::<f64>() / count)
    }
}

/// Everything that was measured, and under which circumstances.
#[derive(Debug)]
pub(crate) struct Results {
    agents: usize,
    seed: u64,
    versions: Vec<String>,
    load_before: String,
    ticks_before: Ticks,
    figures: BTreeMap<(Scenario, Measure, System), Figures>,
}

impl Results {
    pub(crate) fn new(agents: usize, seed: u64, systems: &[System]) -> Self {
        let version = |s: &System| format!("{} ({})", s.name(), s.version().unwrap_or_default());
        Self {
            agents,
            seed,
            versions: systems.iter().map(version).collect(),
            load_before: machine::load(),
            ticks_before: Ticks::now(),
            figures: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, scenario: Scenario, system: System, outcome: &Outcome) {
        for &(measure, value) in &outcome.figures {
            self.figures.entry((scenario, measure, system)).or_default().add(value);
        }
    }

    /// How the machine fares since the start, in a few words.
    pub(crate) fn weather(&self) -> String {
        format!("load {}, {}", machine::load(), Ticks::now().since(self.ticks_before))
    }

    /// A figure beside Shoal's, where that is more than nothing.
    fn ratio(&self, scenario: Scenario, measure: Measure, median: Option<f64>) -> String {
        let shoal = self.figures.get(&(scenario, measure, System::Shoal)).and_then(Figures::median);
        match (median, shoal) {
            (Some(median), Some(shoal)) if shoal > 0.0 => format!("{:.2}", median / shoal),
            _ => "-".to_owned(),
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(f, "{} agents each of {}; seed {}.", self.agents, self.versions.join(" and "), self.seed)?;
        writeln!(f, "{cores} cores; load before: {}; now: {}.\n", self.load_before, self.weather())?;
        writeln!(
            f,
            "| scenario | what | system | median | mean | min | p99 | max \
             | runs | missed | median / Shoal's |"
        )?;
        writeln!(f, "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for (&(scenario, measure, system), figures) in &self.figures {
            let show = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
            };
            let digits = measure.digits();
            writeln!(
                f,
                "| {scenario} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                measure.title(),
                system.name(),
                show(figures.median(), digits),
                show(figures.mean(), digits.max(1)),
                show(figures.values.first().copied(), digits),
                show(figures.p99().filter(|_| scenario.has_p99()), digits),
                show(figures.values.last().copied(), digits),
                figures.values.len() + figures.missed,
                figures.missed,
                self.ratio(scenario, measure, figures.median()),
            )?;
        }
        Ok(())
    }
}
