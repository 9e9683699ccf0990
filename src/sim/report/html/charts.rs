//! Which drawings the page shows, and the words that say how to read them.

use crate::sim::report::chart::{Axis, Chart, Counts, Line, Strip, Strips};
use crate::sim::report::curves::{self, Curve};
use crate::sim::report::format;
use crate::sim::report::palette::{Colour, HEAT_MAX, SERIES_MAX};
use crate::sim::report::summary::{Group, Summary};
use crate::sim::scenario::Unit;
use crate::sim::{Distribution, Report, Sample, Spread, Tally};
use serde::Serialize;

/// Points of a drawn distribution.
const POINTS_MAX: usize = 160;
/// Observers whose views get a strip.
const STRIPS_MAX: usize = 64;
/// Longest over shortest time from which an axis is logarithmic.
const LOG_FROM: f64 = 30.0;
/// Most over usual amount from which an axis is logarithmic.
const BURST_FROM: f64 = 40.0;

/// Drawings under one heading.
#[derive(Serialize)]
pub(super) struct Section {
    heading: String,
    note: String,
    pub(super) charts: Vec<Figure>,
}

/// A drawing with its words.
#[derive(Serialize)]
pub(super) struct Figure {
    title: String,
    svg: String,
    legend: Vec<Key>,
    caption: String,
}

#[derive(Serialize)]
struct Key {
    name: String,
    variable: String,
    dashed: bool,
    block: bool,
}

/// Distributions over all runs of each mode.
pub(super) fn distributions(summary: &Summary<'_>) -> Section {
    let groups = &summary.groups[..summary.groups.len().min(SERIES_MAX)];
    let mut charts = Vec::new();
    if let [group] = groups {
        charts.extend(times(
            "Detection of crashes",
            &[
                ("first agent", Curve::DetectedFirst.over(reports(group))),
                ("each agent", Curve::Detected.over(reports(group))),
                ("all agents", Curve::DetectedFull.over(reports(group))),
            ],
            "From a crash to the first agent that shows the node as failed, to each agent, and to the last. \
             What some agent never showed is not drawn; the figures count it as never.",
        ));
        charts.extend(times(
            "Detection of silent nodes",
            &[
                ("first agent", Curve::SilencedFirst.over(reports(group))),
                ("all agents", Curve::SilencedFull.over(reports(group))),
            ],
            "From the moment a process was paused or blocked to the first and the last verdict of failure \
             made while it lasted.",
        ));
        charts.extend(times(
            "News of leaving",
            &[("each agent", Curve::Left.over(reports(group)))],
            "From the moment a node was told to leave to each agent that no longer shows it as live.",
        ));
    } else {
        for (title, curve) in [
            ("First detection of crashes", Curve::DetectedFirst),
            ("Full detection of crashes", Curve::DetectedFull),
            ("First detection of silent nodes", Curve::SilencedFirst),
            ("Full detection of silent nodes", Curve::SilencedFull),
            ("News of leaving", Curve::Left),
        ] {
            let each: Vec<(String, Distribution)> =
                groups.iter().map(|g| (g.label(), curve.over(reports(g)))).collect();
            let lines: Vec<(&str, Distribution)> =
                each.iter().map(|(label, d)| (label.as_str(), d.clone())).collect();
            charts.extend(times(title, &lines, "One curve per mode, all its runs together."));
        }
    }
    charts.extend(propagation(groups));
    let seeds = groups.iter().map(|g| g.runs.len()).max().unwrap_or(0);
    let note = if seeds > 1 { "All runs together." } else { "" };
    Section { heading: "How long things take".to_owned(), note: note.to_owned(), charts }
}

fn reports<'a>(group: &Group<'a>) -> impl Iterator<Item = &'a Report> + use<'a> {
    let reports: Vec<&Report> = group.runs.iter().filter_map(|run| run.whole()).collect();
    reports.into_iter()
}

/// Cumulative distributions in one frame; `None` if all are empty.
fn times(title: &str, curves: &[(&str, Distribution)], caption: &str) -> Option<Figure> {
    let all = || curves.iter().map(|(_, d)| d).filter(|d| !d.is_empty());
    let shortest = all().map(|d| d.quantile(0.0).as_secs_f64()).min_by(f64::total_cmp)?;
    let longest = all().map(|d| d.max().as_secs_f64()).max_by(f64::total_cmp)?;
    let log = longest > shortest * LOG_FROM && longest > 0.0;
    // A little air to the right of the last step.
    let ends = [shortest.max(1e-6), longest * if log { 1.0 } else { 1.08 }].into_iter();
    let x = if log { Axis::log_time("time", ends) } else { Axis::time("time", ends) };
    let lines = staircases(curves, x.end());
    let legend = lines.iter().map(key).collect();
    let chart = Chart { x, y: Axis::share("share of samples that took no longer"), lines, marks: Vec::new() };
    Some(Figure { title: title.to_owned(), svg: chart.draw(), legend, caption: caption.to_owned() })
}

/// Cumulative distributions as staircases from nothing to the `end` of the axis. Those drawn later
/// are thinner, so that curves that cover each other can be told apart.
fn staircases(curves: &[(&str, Distribution)], end: f64) -> Vec<Line> {
    let filled = curves.iter().enumerate().filter(|(_, (_, d))| !d.is_empty());
    let width = |number: usize| if curves.len() == 1 { 2 } else { [4, 3, 2, 2, 1, 1][number.min(5)] };
    filled
        .map(|(number, (name, d))| Line {
            name: format!(
                "{name}: median {} of {}",
                format::seconds(d.quantile(0.5).as_secs_f64()),
                format::value(d.len() as f64, Unit::Count)
            ),
            colour: Colour::Series(number),
            dashed: false,
            width: width(number),
            points: steps(d, end),
        })
        .collect()
}

fn steps(d: &Distribution, end: f64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut before = 0.0;
    for (time, share) in d.points(POINTS_MAX) {
        let x = time.as_secs_f64();
        points.extend([(x, before), (x, share)]);
        before = share;
    }
    points.push((end, before));
    points
}

/// How writes spread, against the logistic formula.
fn propagation(groups: &[Group<'_>]) -> Option<Figure> {
    let each: Vec<(String, Distribution)> =
        groups.iter().map(|g| (g.label(), Curve::Propagated.over(reports(g)))).collect();
    let lines: Vec<(&str, Distribution)> = each
        .iter()
        .map(|(label, d)| (if groups.len() > 1 { label.as_str() } else { "measured" }, d.clone()))
        .collect();
    let all = || lines.iter().map(|(_, d)| d).filter(|d| !d.is_empty());
    let shortest = all().map(|d| d.quantile(0.0).as_secs_f64()).min_by(f64::total_cmp)?;
    let longest = all().map(|d| d.max().as_secs_f64()).max_by(f64::total_cmp)?;
    let report = groups.iter().flat_map(reports).next()?;
    let (nodes, fanout, hop) = (report.traffic.len(), report.fanout, report.hop);
    let hops = curves::hops(nodes, fanout);
    let limit = f64::from(hops) * hop.as_secs_f64();
    let x = Axis::log_time("time since the write", [shortest.max(1e-5), longest, limit * 2.0].into_iter());
    let mut drawn = staircases(&lines, x.end());
    let mut points = curves::epidemic(nodes, fanout, hop, (limit * 4.0).min(x.end()), POINTS_MAX);
    points.push((x.end(), points.last().map_or(0.0, |p| p.1)));
    drawn.push(Line {
        name: "logistic formula".to_owned(),
        colour: Colour::Ink,
        dashed: true,
        width: 2,
        points,
    });
    let mut legend: Vec<Key> = drawn.iter().map(key).collect();
    legend.push(Key {
        name: format!("log n limit: {hops} hops"),
        variable: Colour::Mark.variable(),
        dashed: true,
        block: false,
    });
    let y = Axis::share("share of agents that show the write");
    let chart = Chart { x, y, lines: drawn, marks: vec![limit] };
    let caption = format!(
        "From a write to each agent that shows it. The dashed curve is the epidemic limit \
         1 / (1 + (n − 1)·e^(−βt)) for n = {nodes} with β = ln(1 + {fanout}) per mean one-way delay of {}: everyone \
         who knows tells {fanout} others per hop and nothing is lost. The vertical line is ⌈log{}(n)⌉ hops, the \
         earliest moment at which all could know.",
        format::seconds(hop.as_secs_f64()),
        subscript(fanout + 1),
    );
    Some(Figure { title: "Propagation of writes".to_owned(), svg: chart.draw(), legend, caption })
}

fn subscript(number: usize) -> String {
    number.to_string().chars().filter_map(|c| char::from_u32(0x2080 + c.to_digit(10)?)).collect()
}

/// Curves over time of the first run of a group that came to its end.
pub(super) fn over_time(group: &Group<'_>, several: bool) -> Option<Section> {
    let report = reports(group).next()?;
    let samples = &report.samples;
    if samples.len() < 2 {
        return None;
    }
    let marks: Vec<f64> =
        report.metrics.departures.iter().map(|d| d.at.since_start().as_secs_f64()).collect();
    let marked = if marks.is_empty() { "" } else { " Dotted lines: crashes, leaves, pauses." };
    let draw = Drawing { samples, marks };
    let charts = vec![
        draw.states(marked),
        strips(report),
        draw.spread(
            "Bytes sent per node",
            ("bytes per second", Counts::Bytes),
            |s| s.bytes_per_s,
            "Between two samples: the mean of all nodes, the node at 99 %, and the busiest.",
        ),
        draw.spread(
            "Datagrams sent per node",
            ("datagrams per second", Counts::Things),
            |s| s.datagrams_per_s,
            "Between two samples: the mean of all nodes, the node at 99 %, and the busiest.",
        ),
        draw.spread(
            "Rumours waiting",
            ("rumours in an agent's queue", Counts::Things),
            |s| s.rumours,
            "Changes that agents still have to pass on. The queue is bounded; what does not fit is repaired.",
        ),
        draw.one(
            "Wrong views",
            "views of members and entries",
            |s| s.wrong as f64,
            Colour::Failed,
            &format!(
                "How many pairs of an agent and a member or entry differ from what should be shown; zero is \
                 convergence.{marked}"
            ),
        ),
    ];
    let heading = if several { format!("Over time: {}", group.label()) } else { "Over time".to_owned() };
    Some(Section { heading, note: format!("Seed {}, {} samples.", report.seed, samples.len()), charts })
}

struct Drawing<'a> {
    samples: &'a [Sample],
    marks: Vec<f64>,
}

impl Drawing<'_> {
    fn times(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|s| s.at.since_start().as_secs_f64())
    }

    fn line(&self, name: &str, colour: Colour, value: impl Fn(&Sample) -> f64) -> Line {
        let points = self.times().zip(self.samples.iter().map(value)).collect();
        Line { name: name.to_owned(), colour, dashed: false, width: 2, points }
    }

    fn finish(&self, title: &str, y: Axis, lines: Vec<Line>, marks: bool, caption: &str) -> Figure {
        let marks = if marks { self.marks.clone() } else { Vec::new() };
        let legend = if lines.len() > 1 { lines.iter().map(key).collect() } else { Vec::new() };
        let chart = Chart { x: Axis::time("virtual time", self.times()), y, lines, marks };
        Figure { title: title.to_owned(), svg: chart.draw(), legend, caption: caption.to_owned() }
    }

    /// What agents show that is not alive.
    fn states(&self, marked: &str) -> Figure {
        let mean = |count: fn(&Tally) -> usize| {
            move |s: &Sample| if s.agents == 0 { 0.0 } else { count(&s.total) as f64 / s.agents as f64 }
        };
        let lines = vec![
            self.line("suspect", Colour::Suspect, mean(|t| t.suspect)),
            self.line("failed", Colour::Failed, mean(|t| t.failed)),
            self.line("left", Colour::Left, mean(|t| t.left)),
        ];
        let values = lines.iter().flat_map(|l| l.points.iter().map(|p| p.1)).collect::<Vec<f64>>();
        let y = Axis::linear("members that an agent shows so, mean", Counts::Things, values.into_iter());
        let caption = format!(
            "Members that are shown as anything but alive, averaged over the agents that run.{marked}"
        );
        self.finish("Members' states", y, lines, true, &caption)
    }

    fn spread(
        &self,
        title: &str,
        (label, counts): (&str, Counts),
        spread: fn(&Sample) -> Spread,
        caption: &str,
    ) -> Figure {
        // The busiest node is often the one at 99 % too: its curve is wider, to be seen behind it.
        let most = self.line("most", Colour::Series(1), |s| spread(s).max);
        let lines = vec![
            Line { width: 4, ..most },
            self.line("99 %", Colour::Series(3), |s| spread(s).p99),
            self.line("mean", Colour::Series(0), |s| spread(s).mean),
        ];
        let values = |number: usize| lines[number].points.iter().map(|p| p.1);
        let mut means: Vec<f64> = values(2).filter(|v| *v > 0.0).collect();
        means.sort_unstable_by(f64::total_cmp);
        let (usual, most) = (means.get(means.len() / 2).copied(), values(0).fold(0.0, f64::max));
        // One burst would press all the rest to the ground.
        let y = if usual.is_some_and(|usual| most > usual * BURST_FROM) {
            Axis::log(label, counts, values(0).chain(values(2)))
        } else {
            Axis::linear(label, counts, values(0))
        };
        self.finish(title, y, lines, false, caption)
    }

    fn one(
        &self,
        title: &str,
        label: &str,
        value: fn(&Sample) -> f64,
        colour: Colour,
        caption: &str,
    ) -> Figure {
        let line = self.line(title, colour, value);
        let values: Vec<f64> = line.points.iter().map(|p| p.1).collect();
        let y = Axis::linear(label, Counts::Things, values.into_iter());
        self.finish(title, y, vec![line], true, caption)
    }
}

/// Upper ends of the steps of heat, as shares of the members that an agent shows.
const HEAT: [(f64, &str); HEAT_MAX] = [
    (0.0, "all alive"),
    (0.01, "to 1 %"),
    (0.05, "to 5 %"),
    (0.2, "to 20 %"),
    (0.5, "to 50 %"),
    (1.0, "more"),
];

fn heat(view: Option<&Tally>) -> Colour {
    let Some(view) = view else { return Colour::Absent };
    let not_alive = view.suspect + view.failed;
    let share = not_alive as f64 / (not_alive + view.alive).max(1) as f64;
    Colour::Heat(HEAT.iter().position(|(up_to, _)| share <= *up_to).unwrap_or(HEAT_MAX - 1))
}

/// A strip for each observer: how much of what it shows is not alive.
fn strips(report: &Report) -> Figure {
    let count = report.observers.len();
    let shown = count.min(STRIPS_MAX);
    let rows = (0..shown).map(|row| {
        let number = row * count / shown;
        let mut cells: Vec<(f64, f64, Colour)> = Vec::new();
        for pair in report.samples.windows(2) {
            // What a sample shows has come about since the one before.
            let [from, to] = [&pair[0], &pair[1]].map(|s| s.at.since_start().as_secs_f64());
            let colour = heat(pair[1].views.get(number).and_then(Option::as_ref));
            match cells.last_mut() {
                Some(last) if last.2 == colour => last.1 = to,
                _ => cells.push((from, to, colour)),
            }
        }
        Strip { name: report.observers[number].to_string(), cells }
    });
    let strips = Strips {
        x: Axis::time("virtual time", report.samples.iter().map(|s| s.at.since_start().as_secs_f64())),
        label: "observer".to_owned(),
        rows: rows.collect(),
    };
    let block = |(number, (_, name)): (usize, &(f64, &str))| Key {
        name: (*name).to_owned(),
        variable: Colour::Heat(number).variable(),
        dashed: false,
        block: true,
    };
    let mut legend: Vec<Key> = HEAT.iter().enumerate().map(block).collect();
    legend.push(Key {
        name: "no agent runs".to_owned(),
        variable: Colour::Absent.variable(),
        dashed: false,
        block: true,
    });
    let which =
        if shown < count { format!(" {shown} of {count} observers, evenly chosen.") } else { String::new() };
    Figure {
        title: "What each observer shows".to_owned(),
        svg: strips.draw(),
        legend,
        caption: format!(
            "Share of the members that an observer shows as suspect or failed. After a crash some of that is \
             the truth; stripes that differ between observers are disagreement.{which}"
        ),
    }
}

fn key(line: &Line) -> Key {
    Key { name: line.name.clone(), variable: line.colour.variable(), dashed: line.dashed, block: false }
}
