//! Reports as text: what came of runs of one scenario, for machines, for browsers and for terminals.
//!
//! ```text
//!   runs ──► Outcome ──► summary ──┬─► json    every figure
//!                                  ├─► html    one page with charts, self-contained
//!                                  └─► table   rows for a terminal
//! ```
//!
//! Pure functions from values to text: nothing here runs anything, writes a file or knows a clock
//! (wall time is handed in). The same outcome gives the same bytes.

mod chart;
mod curves;
mod format;
mod html;
mod json;
mod palette;
mod summary;
mod table;

pub use html::html;
pub use json::json;
pub use summary::{Group, Range, Summary};
pub use table::{Table, table};

use crate::sim::{Figure, Report, Violation};
use std::collections::BTreeMap;
use std::time::Duration;

/// One run: with what it was made, and what came of it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What ran: `shoal`, or a protocol that it is compared with.
    pub mode: String,
    /// Its point in a grid of parameters; empty outside of grids.
    pub parameters: BTreeMap<String, String>,
    /// The line that replays it.
    pub replay: String,
    /// What was measured, or how it broke an invariant.
    pub report: Result<Measured, Violation>,
}

/// What was measured in one run. Of ten thousand runs the figures are all that is kept; whole reports,
/// with curves and samples, are there for a few.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Its figures, in the order of [`FIGURES`](crate::sim::scenario::FIGURES).
    pub figures: Vec<Figure>,
    /// Expectations that were not met, as sentences.
    pub failures: Vec<String>,
    /// A hash over everything that happened.
    pub trace_hash: u64,
    /// Everything that was measured.
    pub whole: Option<Box<Report>>,
}

impl From<Report> for Measured {
    fn from(report: Report) -> Self {
        Self {
            figures: report.figures(),
            failures: report.failures.clone(),
            trace_hash: report.trace_hash,
            whole: Some(Box::new(report)),
        }
    }
}

impl Run {
    /// Did it keep every invariant and meet every expectation?
    pub fn is_ok(&self) -> bool {
        self.report.as_ref().is_ok_and(|measured| measured.failures.is_empty())
    }

    /// One of its figures, if it has it.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let measured = self.report.as_ref().ok()?;
        measured.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Everything that was measured, if it was kept.
    pub fn whole(&self) -> Option<&Report> {
        self.report.as_ref().ok()?.whole.as_deref()
    }

    /// What it did wrong, a sentence each.
    pub fn failures(&self) -> Vec<String> {
        match &self.report {
            Ok(measured) => measured.failures.clone(),
            Err(violation) => {
                let first = violation.text.lines().next().unwrap_or_default();
                vec![format!("broke an invariant: {first}")]
            }
        }
    }
}

/// Everything that came of running one scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The scenario's name.
    pub name: String,
    /// What it is about, in a sentence or two.
    pub about: String,
    /// The experiment or failure that it reproduces; empty if none.
    pub reproduces: String,
    /// Figures that others published: the name of one of ours where there is one, or words, and
    /// what was published.
    pub known: BTreeMap<String, String>,
    /// The mode that others are compared with; the first run's if none of that name ran.
    pub baseline: String,
    /// All runs, in the order in which they were asked for.
    pub runs: Vec<Run>,
    /// Real time that all of it took.
    pub wall: Duration,
}

#[cfg(test)]
mod tests;
