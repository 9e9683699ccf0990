//! What came of the runs of one file, for people.

use super::plan::Planned;
use super::progress::coarse;
use super::record::{Record, Spread};
use super::reports::Results;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::sim::scenario::{FigureKind, Unit};

/// Points of a grid that are told one by one.
const POINTS_MAX: usize = 64;
/// Failed runs that are told one by one.
const FAILURES_MAX: usize = 10;
/// Figures that a line about one point has room for.
const COLUMNS_MAX: usize = 5;

/// Prints it.
pub(super) fn print(planned: &Planned, results: &Results, output: &mut Output<'_>) -> Result<(), Failure> {
    let runs: Vec<&Record> = results.runs().map(|kept| &kept.record).collect();
    output.line(head(planned, &runs, results))?;
    let figures = planned.file.figures_of_interest();
    let shown: Vec<&FigureKind> = figures
        .into_iter()
        .filter(|kind| runs.iter().any(|run| run.figures.get(kind.name).is_some()))
        .collect();
    output.line(totals(planned, &runs, &shown))?;
    if (2..=POINTS_MAX).contains(&planned.points.len()) {
        output.line("")?;
        output.line(by_point(planned, &runs, &shown))?;
    }
    for (key, text) in &planned.file.known {
        output.line(format_args!("known  {key}: {text}"))?;
    }
    let failed: Vec<&Record> = runs.iter().copied().filter(|run| !run.failures.is_empty()).collect();
    if failed.is_empty() {
        return output.line(format_args!("{} kept all that is expected", count(runs.len(), "run")));
    }
    output.line(format_args!("{} of {} failed:", failed.len(), count(runs.len(), "run")))?;
    for run in failed.iter().take(FAILURES_MAX) {
        for failure in &run.failures {
            output.line(format_args!("  {failure}"))?;
        }
        output.line(format_args!("  replay: {}", planned.replay_of(run)))?;
    }
    if failed.len() > FAILURES_MAX {
        output.line(format_args!("  and {} more", failed.len() - FAILURES_MAX))?;
    }
    Ok(())
}

fn head(planned: &Planned, runs: &[&Record], results: &Results) -> String {
    let mut parts = Vec::new();
    if planned.points.len() > 1 {
        parts.push(count(planned.points.len(), "point"));
    }
    if planned.modes.len() > 1 {
        parts.push(count(planned.modes.len(), "mode"));
    }
    parts.push(match planned.seeds {
        (seed, 1) => format!("seed {seed}"),
        (first, seeds) => format!("seeds {first} to {}", first.saturating_add(seeds - 1)),
    });
    let virtual_time = coarse(runs.iter().map(|run| run.lasted()).sum());
    let wall = coarse(results.wall());
    format!("{}: {}; {virtual_time} virtual in {wall}", planned.file.name, parts.join(", "))
}

/// Each figure over all runs of a mode.
fn totals(planned: &Planned, runs: &[&Record], figures: &[&FigureKind]) -> Table {
    let (modes, several) = (planned.modes.len() > 1, runs.len() > planned.modes.len());
    let mut header = vec!["FIGURE"];
    if modes {
        header.push("MODE");
    }
    if several {
        header.extend(["MIN", "MEDIAN", "P99", "MAX", "TOTAL"]);
    } else {
        header.push("VALUE");
    }
    let ratio = format!("RATIO TO {}", planned.modes[0].to_uppercase());
    if modes {
        header.push(&ratio);
    }
    let mut table = Table::new(&header);
    for kind in figures {
        let mut first = None;
        for mode in &planned.modes {
            let of_mode = runs.iter().copied().filter(|run| run.mode == *mode);
            let Some(spread) = Spread::of(of_mode, kind.name) else { continue };
            // Rare things are compared by how many there were in all, others by what is usual.
            let compared = if kind.unit == Unit::Count { spread.sum } else { spread.median };
            let base = *first.get_or_insert(compared);
            let mut row = vec![kind.name.to_owned()];
            if modes {
                row.push(mode.clone());
            }
            if several {
                row.extend([spread.min, spread.median, spread.p99, spread.max].map(|v| shown(v, kind.unit)));
                let sum = shown(spread.sum, kind.unit);
                row.push(if kind.unit == Unit::Count { sum } else { String::new() });
            } else {
                row.push(shown(spread.median, kind.unit));
            }
            if modes {
                let ratio = compared / base;
                row.push(if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() });
            }
            table.row(&row);
        }
    }
    table
}

/// Each point and mode with the median of each figure.
fn by_point(planned: &Planned, runs: &[&Record], figures: &[&FigureKind]) -> Table {
    let columns = &figures[..figures.len().min(COLUMNS_MAX)];
    let mut header = vec!["MEDIAN AT"];
    if planned.modes.len() > 1 {
        header.push("MODE");
    }
    header.extend(columns.iter().map(|kind| kind.name));
    let mut table = Table::new(&header);
    for point in &planned.points {
        let parameters: Vec<(&str, String)> = point.words().collect();
        for mode in &planned.modes {
            let here = |run: &&&Record| {
                let same = |(name, value): &(&str, String)| run.parameters.get(*name) == Some(value);
                run.mode == *mode && parameters.iter().all(same)
            };
            let mut row = vec![point.to_string()];
            if planned.modes.len() > 1 {
                row.push(mode.clone());
            }
            row.extend(columns.iter().map(|kind| {
                let spread = Spread::of(runs.iter().filter(here).copied(), kind.name);
                spread.map_or_else(String::new, |spread| shown(spread.median, kind.unit))
            }));
            table.row(&row);
        }
    }
    table
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A figure in few characters.
fn shown(value: f64, unit: Unit) -> String {
    if value.is_infinite() {
        return "never".to_owned();
    }
    match unit {
        Unit::Seconds if value == 0.0 => "0s".to_owned(),
        Unit::Seconds if value < 0.1 => format!("{:.1}ms", value * 1_000.0),
        Unit::Seconds => format!("{value:.2}s"),
        Unit::Count if value.fract() == 0.0 => format!("{value:.0}"),
        Unit::Count => format!("{value:.2}"),
        Unit::PerSecond => format!("{value:.2}/s"),
        Unit::BytesPerSecond => format!("{value:.0}B/s"),
        Unit::PerHour => format!("{value:.2}/h"),
        Unit::Share => format!("{:.2}%", value * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_few_characters() {
        let told = [
            (12.453, Unit::Seconds),
            (0.0042, Unit::Seconds),
            (f64::INFINITY, Unit::Seconds),
            (5_193.0, Unit::Count),
            (640.4, Unit::BytesPerSecond),
            (0.0153, Unit::Share),
        ]
        .map(|(value, unit)| shown(value, unit));
        assert_eq!(told, ["12.45s", "4.2ms", "never", "5193", "640B/s", "1.53%"]);
    }
}
