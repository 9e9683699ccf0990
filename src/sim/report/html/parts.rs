//! The words and tables of the page.

use crate::sim::report::format;
use crate::sim::report::summary::{Group, Range, Summary};
use crate::sim::report::table::ratio;
use crate::sim::report::{Outcome, Run};
use crate::sim::scenario::{FIGURES, FigureKind, Unit};
use serde::Serialize;

/// Figures that are shown large, in this order, if they apply.
const TILES: [&str; 10] = [
    "converged_s",
    "detected_first_p50",
    "detected_full_p99",
    "silenced_first_p50",
    "silenced_full_p50",
    "left_p99",
    "propagated_p99",
    "false_failures_at_healthy",
    "bytes_per_node_s_mean",
    "queue_max",
];
const TILES_MAX: usize = 8;
/// Figures that modes are compared by, and the columns of large grids.
const COMPARED: [&str; 14] = [
    "converged_s",
    "detected_first_p50",
    "detected_full_p50",
    "detected_full_p99",
    "silenced_first_p50",
    "silenced_full_p50",
    "propagated_p50",
    "propagated_p99",
    "false_failures_at_healthy",
    "false_failures_about_healthy",
    "false_failures_strict",
    "rejoins_per_node_hour",
    "datagrams_per_node_s_mean",
    "bytes_per_node_s_mean",
];
/// Groups of runs that fit beside each other as columns.
const COLUMNS_MAX: usize = 4;

/// A figure shown large.
#[derive(Serialize)]
pub(super) struct Tile {
    value: String,
    name: &'static str,
    about: &'static str,
    /// From the smallest to the largest over the runs; empty for one.
    range: String,
}

/// A run that went wrong.
#[derive(Serialize)]
pub(super) struct Failure {
    label: String,
    what: Vec<String>,
    replay: String,
}

/// A published figure beside ours.
#[derive(Serialize)]
pub(super) struct Known {
    name: String,
    about: &'static str,
    known: String,
    ours: String,
}

/// A table of text.
#[derive(Serialize)]
pub(super) struct Grid {
    headers: Vec<String>,
    rows: Vec<GridRow>,
    note: String,
}

#[derive(Serialize)]
struct GridRow {
    name: String,
    about: &'static str,
    cells: Vec<String>,
}

/// Counts of one kind of wrong verdicts, as bars.
#[derive(Serialize)]
pub(super) struct Bars {
    name: &'static str,
    rows: Vec<BarRow>,
}

#[derive(Serialize)]
struct BarRow {
    mode: String,
    value: String,
    /// Of the longest bar of its kind.
    percent: f64,
    severe: bool,
}

/// One sentence on how it went.
pub(super) fn verdict(outcome: &Outcome, failed: usize) -> String {
    match (outcome.runs.len(), failed) {
        (0, _) => "Nothing was run".to_owned(),
        (1, 0) => "The run met every expectation".to_owned(),
        (1, _) => "The run failed".to_owned(),
        (runs, 0) => format!("All {runs} runs met every expectation"),
        (runs, failed) => format!("{failed} of {runs} runs failed"),
    }
}

/// What was run, in a few words each.
pub(super) fn facts(outcome: &Outcome, summary: &Summary<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let nodes = || outcome.runs.iter().filter_map(Run::whole).map(|r| r.traffic.len());
    if let (Some(min), Some(max)) = (nodes().min(), nodes().max()) {
        facts.push(if min == max { format!("{max} nodes") } else { format!("{min} to {max} nodes") });
    }
    let lasted = outcome.runs.iter().filter_map(|run| run.figure("lasted_s")).fold(0.0, f64::max);
    facts.push(format!("{} of virtual time", format::seconds(lasted)));
    let seeds: Vec<u64> = outcome.runs.iter().map(|run| run.seed).collect();
    if let (Some(min), Some(max)) = (seeds.iter().min(), seeds.iter().max()) {
        facts.push(if min == max { format!("seed {min}") } else { format!("seeds {min} to {max}") });
    }
    if summary.groups.len() > 1 {
        facts.push(format!("{} runs in {} groups", outcome.runs.len(), summary.groups.len()));
    }
    facts.push(format!("{} of real time", format::seconds(outcome.wall.as_secs_f64())));
    facts
}

pub(super) fn tiles(summary: &Summary<'_>) -> Vec<Tile> {
    let Some(group) = summary.groups.iter().find(|g| g.mode == summary.baseline) else { return Vec::new() };
    let shown = TILES.iter().filter_map(|name| group.figures.iter().find(|(kind, _)| kind.name == *name));
    shown
        .take(TILES_MAX)
        .map(|(kind, range)| Tile {
            value: format::value(range.median, kind.unit),
            name: kind.name,
            about: kind.about,
            range: if range.count > 1 && range.min < range.max {
                spread(*range, kind.unit)
            } else {
                String::new()
            },
        })
        .collect()
}

pub(super) fn failure(run: &Run, several: bool) -> Failure {
    let mut label = format!("seed {}", run.seed);
    if several {
        let group = Group { mode: &run.mode, parameters: &run.parameters, runs: vec![], figures: vec![] };
        label = format!("{label} · {}", group.label());
    }
    Failure { label, what: run.failures(), replay: run.replay.clone() }
}

pub(super) fn known(outcome: &Outcome, summary: &Summary<'_>) -> Vec<Known> {
    let ours = |name: &str| {
        let of = |group: &Group<'_>| {
            let (range, unit) = (group.figure(name)?, FigureKind::named(name)?.unit);
            let value = if name.starts_with("false_failures") && range.count > 1 {
                format!("{} in {} runs", format::value(range.sum, unit), range.count)
            } else {
                median(range, unit)
            };
            Some(if summary.groups.len() > 1 { format!("{}: {value}", group.label()) } else { value })
        };
        let all: Vec<String> = summary.groups.iter().take(COLUMNS_MAX).filter_map(of).collect();
        all.join("; ")
    };
    let known = outcome.known.iter().map(|(name, known)| Known {
        name: name.clone(),
        about: FigureKind::named(name).map_or("", |kind| kind.about),
        known: known.clone(),
        ours: ours(name),
    });
    known.collect()
}

/// Modes beside each other, with ratios.
pub(super) fn side_by_side(modes: &Summary<'_>) -> Grid {
    let row = |kind: &'static FigureKind| GridRow {
        name: kind.name.to_owned(),
        about: kind.about,
        cells: modes.groups.iter().map(|g| compared(modes, g, kind)).collect(),
    };
    Grid {
        headers: modes.groups.iter().map(Group::label).collect(),
        rows: compared_kinds(modes).map(row).collect(),
        note: compared_note(modes),
    }
}

/// Every point of a grid of parameters, a row each.
pub(super) fn points(summary: &Summary<'_>) -> Grid {
    let row = |group: &Group<'_>| GridRow {
        name: group.label(),
        about: "",
        cells: compared_kinds(summary).map(|kind| compared(summary, group, kind)).collect(),
    };
    Grid {
        headers: compared_kinds(summary).map(|kind| kind.name.to_owned()).collect(),
        rows: summary.groups.iter().map(row).collect(),
        note: compared_note(summary),
    }
}

fn compared_kinds(summary: &Summary<'_>) -> impl Iterator<Item = &'static FigureKind> {
    let kinds = COMPARED.iter().filter_map(|name| FigureKind::named(name));
    kinds.filter(|kind| summary.groups.iter().any(|g| g.figure(kind.name).is_some()))
}

fn compared(summary: &Summary<'_>, group: &Group<'_>, kind: &FigureKind) -> String {
    let Some(value) = group.compared(kind.name) else { return "-".to_owned() };
    let (value, ratio) = (format::value(value, kind.unit), ratio(summary, group, kind.name));
    if ratio.is_empty() { value } else { format!("{value} ({ratio})") }
}

fn compared_note(summary: &Summary<'_>) -> String {
    let mut note = "Medians over the runs; of false failures, means.".to_owned();
    if summary.groups.iter().any(|g| summary.baseline_of(g).is_some()) {
        note.push_str(&format!(" In brackets, how many times as much as {}.", summary.baseline));
    }
    note
}

/// Every figure. One group of runs is shown in full; of several, the medians.
pub(super) fn figures(summary: &Summary<'_>) -> Grid {
    let applies = |kind: &&FigureKind| summary.groups.iter().any(|g| g.figure(kind.name).is_some());
    let kinds = || FIGURES.iter().filter(applies);
    let grid_row =
        |kind: &'static FigureKind, cells| GridRow { name: kind.name.to_owned(), about: kind.about, cells };
    if let [group] = &summary.groups[..] {
        let single = group.runs.len() == 1;
        let row = |(kind, range): &(&'static FigureKind, Range)| {
            let all = [range.min, range.median, range.p99, range.max];
            let shown = if single { &all[..1] } else { &all[..] };
            grid_row(kind, shown.iter().map(|v| format::value(*v, kind.unit)).collect())
        };
        let headers = if single { &["value"][..] } else { &["min", "median", "p99", "max"][..] };
        return Grid {
            headers: headers.iter().map(|h| (*h).to_owned()).collect(),
            rows: group.figures.iter().map(row).collect(),
            note: if single { String::new() } else { "Over the runs.".to_owned() },
        };
    }
    let shown = &summary.groups[..summary.groups.len().min(COLUMNS_MAX)];
    let row = |kind: &'static FigureKind| {
        let cell =
            |g: &Group<'_>| g.figure(kind.name).map_or_else(|| "-".to_owned(), |r| median(r, kind.unit));
        grid_row(kind, shown.iter().map(cell).collect())
    };
    let more = summary.groups.len() - shown.len();
    let rest = if more > 0 { format!(" {more} more are in report.json.") } else { String::new() };
    Grid {
        headers: shown.iter().map(Group::label).collect(),
        rows: kinds().map(row).collect(),
        note: format!("Medians over the runs, smallest and largest in brackets.{rest}"),
    }
}

/// Wrong verdicts of all runs of each mode, kind by kind.
pub(super) fn bars(modes: &Summary<'_>) -> Vec<Bars> {
    let kinds: [(&'static str, &str, bool); 4] = [
        ("Of healthy nodes, by healthy nodes", "false_failures_at_healthy", true),
        ("Of healthy nodes, by anybody", "false_failures_about_healthy", true),
        ("Of nodes that could be reached for a while", "false_failures", false),
        ("Of any node that ran", "false_failures_strict", false),
    ];
    let shown = &modes.groups[..modes.groups.len().min(BARS_MAX)];
    let bars = |(name, figure, severe): (&'static str, &str, bool)| {
        let of = |group: &Group<'_>| -> f64 { group.runs.iter().filter_map(|run| run.figure(figure)).sum() };
        let most = shown.iter().map(of).fold(1.0, f64::max);
        let row = |group: &Group<'_>| BarRow {
            mode: group.mode.to_owned(),
            value: format::value(of(group), Unit::Count),
            percent: of(group) / most * 100.0,
            severe,
        };
        Bars { name, rows: shown.iter().map(row).collect() }
    };
    kinds.into_iter().map(bars).collect()
}

/// Modes whose wrong verdicts are drawn.
const BARS_MAX: usize = 6;

fn median(range: Range, unit: Unit) -> String {
    let value = format::value(range.median, unit);
    if range.count > 1 && range.min < range.max {
        format!("{value} ({})", spread(range, unit))
    } else {
        value
    }
}

fn spread(range: Range, unit: Unit) -> String {
    format!("{} to {}", format::value(range.min, unit), format::value(range.max, unit))
}
