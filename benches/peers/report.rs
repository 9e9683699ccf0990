//! The figures of all runs, as tables in Markdown.

use crate::figures::Figures;
use crate::machine::{self, Ticks};
use crate::scenario::{Measure, Outcome, Scenario};
use crate::system::System;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Everything that was measured, and under which circumstances.
#[derive(Debug)]
pub(crate) struct Results {
    agents: usize,
    seed: u64,
    systems: Vec<System>,
    load_before: String,
    ticks_before: Ticks,
    figures: BTreeMap<(Scenario, Measure, System), Figures>,
}

impl Results {
    pub(crate) fn new(agents: usize, seed: u64, systems: &[System]) -> Self {
        Self {
            agents,
            seed,
            systems: systems.to_vec(),
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

/// The median and the spread around it, for one cell.
fn cell(figures: Option<&Figures>, digits: usize) -> String {
    let Some(figures) = figures else { return "-".to_owned() };
    let missed = match figures.missed {
        0 => String::new(),
        n => format!(", {n} not in time"),
    };
    let (Some(median), Some(least), Some(most)) =
        (figures.median(), figures.values.first(), figures.values.last())
    else {
        return format!("never{missed}");
    };
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$}{missed})")
}

impl Results {
    /// What the machine is, and what was run on it.
    fn circumstances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let versions = self.systems.iter().map(|s| {
            let sealed = if s.is_sealed() { ", sealed" } else { "" };
            format!("{} ({}{sealed})", s.name(), s.version().unwrap_or_default())
        });
        let versions: Vec<String> = versions.collect();
        writeln!(f, "{} agents each of {}; seed {}.", self.agents, versions.join(", "), self.seed)?;
        writeln!(f, "{cores} cores; load before: {}; now: {}.\n", self.load_before, self.weather())
    }

    /// A row for each figure, a column for each system: medians, and from least to most.
    fn short(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| what | runs |")?;
        self.systems.iter().try_for_each(|s| write!(f, " {} |", s.name()))?;
        self.others().try_for_each(|s| write!(f, " {} / Shoal |", s.name()))?;
        write!(f, "\n|---|---:|")?;
        self.systems.iter().chain(self.others()).try_for_each(|_| write!(f, "---:|"))?;
        writeln!(f)?;
        let rows: BTreeSet<(Scenario, Measure)> = self.figures.keys().map(|(s, m, _)| (*s, *m)).collect();
        for (scenario, measure) in rows {
            let at = |system: System| self.figures.get(&(scenario, measure, system));
            let runs =
                self.systems.iter().filter_map(|s| at(*s)).map(Figures::runs).max().unwrap_or_default();
            write!(f, "| {scenario}: {} | {runs} |", measure.title())?;
            self.systems.iter().try_for_each(|s| write!(f, " {} |", cell(at(*s), measure.digits())))?;
            let ratio = |s: &System| self.ratio(scenario, measure, at(*s).and_then(Figures::median));
            self.others().try_for_each(|s| write!(f, " {} |", ratio(s)))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn others(&self) -> impl Iterator<Item = &System> {
        self.systems.iter().filter(|s| **s != System::Shoal)
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.circumstances(f)?;
        self.short(f)?;
        writeln!(f)?;
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
                figures.runs(),
                figures.missed,
                self.ratio(scenario, measure, figures.median()),
            )?;
        }
        Ok(())
    }
}
