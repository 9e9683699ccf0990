//! The figures of an outcome as rows, for whoever draws tables.

use super::summary::{Group, Range, Summary};
use super::{Outcome, format};
use crate::sim::scenario::Unit;

/// Rows of text under headers; every row has as many cells as there are headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub headers: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// The figures of every group of runs: one row for each, with smallest, median, 99 % and largest
/// over the seeds (or just the value, of a single run), what is known of it, and, for modes that are
/// compared, the ratio to the baseline.
pub fn table(outcome: &Outcome) -> Table {
    let summary = Summary::of(outcome);
    let several = summary.groups.len() > 1;
    let seeds = summary.groups.iter().any(|g| g.runs.len() > 1);
    let ratios = summary.groups.iter().any(|g| summary.baseline_of(g).is_some());
    let known = !outcome.known.is_empty();
    let mut headers: Vec<String> = Vec::new();
    let mut head = |name: &str, shown: bool| {
        if shown {
            headers.push(name.to_owned());
        }
    };
    head("run", several);
    head("figure", true);
    head("value", !seeds);
    for name in ["min", "median", "p99", "max"] {
        head(name, seeds);
    }
    head(&format!("ratio to {}", summary.baseline), ratios);
    head("known", known);
    let mut rows = Vec::new();
    for group in &summary.groups {
        for (kind, range) in &group.figures {
            let mut row = Vec::new();
            if several {
                row.push(group.label());
            }
            row.push(kind.name.to_owned());
            row.extend(cells(*range, kind.unit, seeds));
            if ratios {
                row.push(ratio(&summary, group, kind.name));
            }
            if known {
                row.push(outcome.known.get(kind.name).cloned().unwrap_or_default());
            }
            rows.push(row);
        }
    }
    Table { headers, rows }
}

/// The cells of one range.
fn cells(range: Range, unit: Unit, seeds: bool) -> Vec<String> {
    let all = [range.min, range.median, range.p99, range.max];
    let shown = if seeds { &all[..] } else { &all[1..2] };
    shown.iter().map(|v| format::value(*v, unit)).collect()
}

/// How a group compares with the baseline, as text.
pub(super) fn ratio(summary: &Summary<'_>, group: &Group<'_>, figure: &str) -> String {
    summary.ratio(group, figure).map_or_else(String::new, |ratio| format!("× {}", format::number(ratio)))
}
