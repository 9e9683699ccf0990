//! The figures of a run by name: the one list that expectations, tables and reports use.
//!
//! A figure that does not apply to a run (a detection time where nothing crashed) is missing. One
//! that never came to be (a crash that some agent never showed) is infinite, so that no upper bound
//! on it holds.

use super::Report;
use crate::sim::oracle::{DepartureKind, quantile_of};
use crate::sim::{Departure, Metrics, Spread};
use std::time::Duration;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Seconds,
    /// A number of things.
    Count,
    /// Things per second.
    PerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Things per hour.
    PerHour,
    /// A part of a whole, 0 to 1.
    Share,
}

impl Unit {
    /// Its sign beside a number; empty for counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Count | Self::Share => "",
            Self::PerSecond => "1/s",
            Self::BytesPerSecond => "B/s",
            Self::PerHour => "1/h",
        }
    }
}

/// One figure of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Its name, one of [`FIGURES`].
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Its value; infinite if it never came to be.
    pub value: f64,
}

/// A figure that runs can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FigureKind {
    /// Its name in files, reports and tables.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it is, as a phrase.
    pub about: &'static str,
}

const fn kind(name: &'static str, unit: Unit, about: &'static str) -> FigureKind {
    FigureKind { name, unit, about }
}

/// All figures, in the order in which they are shown.
pub const FIGURES: &[FigureKind] = &[
    kind("converged_s", Unit::Seconds, "from calm to every live agent showing what it should"),
    kind("detected_first_p50", Unit::Seconds, "crash to the first agent that shows it, median"),
    kind("detected_first_p99", Unit::Seconds, "crash to the first agent that shows it, 99 %"),
    kind("detected_first_max", Unit::Seconds, "crash to the first agent that shows it, longest"),
    kind("detected_full_p50", Unit::Seconds, "crash to the last agent that shows it, median"),
    kind("detected_full_p99", Unit::Seconds, "crash to the last agent that shows it, 99 %"),
    kind("detected_full_max", Unit::Seconds, "crash to the last agent that shows it, longest"),
    kind("detected_p50", Unit::Seconds, "crash to each agent that shows it, median"),
    kind("detected_p99", Unit::Seconds, "crash to each agent that shows it, 99 %"),
    kind("detected_max", Unit::Seconds, "crash to each agent that shows it, longest"),
    kind(
        "silenced_first_p50",
        Unit::Seconds,
        "pause, block or clog to the first verdict made under it, median",
    ),
    kind(
        "silenced_first_p99",
        Unit::Seconds,
        "pause, block or clog to the first verdict made under it, 99 %",
    ),
    kind(
        "silenced_first_max",
        Unit::Seconds,
        "pause, block or clog to the first verdict made under it, longest",
    ),
    kind("silenced_full_p50", Unit::Seconds, "pause, block or clog until all had failed it, median"),
    kind("silenced_full_p99", Unit::Seconds, "pause, block or clog until all had failed it, 99 %"),
    kind("silenced_full_max", Unit::Seconds, "pause, block or clog until all had failed it, longest"),
    kind("silenced_failed", Unit::Share, "pauses, blocks and clogs that led to a verdict while they lasted"),
    kind("propagated_p50", Unit::Seconds, "write to each agent that shows it, median"),
    kind("propagated_p99", Unit::Seconds, "write to each agent that shows it, 99 %"),
    kind("propagated_max", Unit::Seconds, "write to each agent that shows it, longest"),
    kind("left_p50", Unit::Seconds, "leave to each agent that shows it, median"),
    kind("left_p99", Unit::Seconds, "leave to each agent that shows it, 99 %"),
    kind("left_max", Unit::Seconds, "leave to each agent that shows it, longest"),
    kind("false_failures", Unit::Count, "verdicts on nodes that could be reached for a while"),
    kind(
        "false_failures_at_healthy",
        Unit::Count,
        "verdicts on nodes that no fault ever named, by such nodes",
    ),
    kind("false_failures_about_healthy", Unit::Count, "verdicts on nodes that no fault ever named"),
    kind("false_failures_strict", Unit::Count, "verdicts on nodes whose process existed, whatever held it"),
    kind("oscillations_max", Unit::Count, "times that one agent failed and revived one node, most"),
    kind("rejoins_per_node_hour", Unit::PerHour, "identities renewed per node"),
    kind("status_changes", Unit::Count, "changes of a member's status at any agent"),
    kind("probes_unanswered", Unit::Share, "probes that nobody answered, directly or through others"),
    kind("members_alive_min", Unit::Count, "fewest live members that a live agent shows at the end"),
    kind("wrong_views", Unit::Count, "views that are not as they should be at the end"),
    kind("cluster_sizes_seen", Unit::Count, "different numbers of live members that agents showed"),
    kind("batches_max", Unit::Count, "moments at which one agent's live members changed, most"),
    kind("bytes_per_node_s_mean", Unit::BytesPerSecond, "sent per host over the whole run, mean"),
    kind("bytes_per_node_s_p99", Unit::BytesPerSecond, "sent per host over the whole run, 99 %"),
    kind("bytes_per_node_s_max", Unit::BytesPerSecond, "sent per host over the whole run, most"),
    kind("bytes_received_per_node_s_mean", Unit::BytesPerSecond, "received per host, mean"),
    kind("bytes_received_per_node_s_p99", Unit::BytesPerSecond, "received per host, 99 %"),
    kind("bytes_received_per_node_s_max", Unit::BytesPerSecond, "received per host, most"),
    kind("datagrams_per_node_s_mean", Unit::PerSecond, "datagrams sent per host, mean"),
    kind("datagrams_per_node_s_p99", Unit::PerSecond, "datagrams sent per host, 99 %"),
    kind("datagrams_per_node_s_max", Unit::PerSecond, "datagrams sent per host, most"),
    kind("datagrams_received_per_node_s_mean", Unit::PerSecond, "datagrams received per host, mean"),
    kind("datagrams_received_per_node_s_p99", Unit::PerSecond, "datagrams received per host, 99 %"),
    kind("datagrams_received_per_node_s_max", Unit::PerSecond, "datagrams received per host, most"),
    kind("bytes_peak_per_node_s_max", Unit::BytesPerSecond, "sent by one host between two samples, most"),
    kind("queue_max", Unit::Count, "rumours that waited in one agent, most"),
    kind("datagrams_overflowed", Unit::Count, "datagrams that found a socket full"),
    kind("datagrams_shed", Unit::Count, "datagrams that found an outgoing line full"),
    kind("refused_commands", Unit::Count, "commands of loads and operators that an agent refused"),
    kind("lasted_s", Unit::Seconds, "virtual time"),
    kind("steps", Unit::Count, "things that happened"),
];

impl FigureKind {
    /// The figure called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|f| f.name == name)
    }
}

impl Report {
    /// The figures of this run, in the order of [`FIGURES`].
    pub fn figures(&self) -> Vec<Figure> {
        let mut list = List(Vec::new());
        self.list_times(&mut list);
        self.list_verdicts(&mut list);
        self.list_traffic(&mut list);
        let by_name = |kind: &FigureKind| {
            let (_, value) = list.0.iter().find(|(name, _)| name == kind.name)?;
            Some(Figure { name: kind.name, unit: kind.unit, value: *value })
        };
        FIGURES.iter().filter_map(by_name).collect()
    }

    /// One figure of this run; `None` if it does not apply to it.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures().into_iter().find(|f| f.name == name).map(|f| f.value)
    }

    fn list_times(&self, list: &mut List) {
        let m = &self.metrics;
        list.add("converged_s", self.converged.as_ref().map_or(f64::INFINITY, Duration::as_secs_f64));
        list.add("lasted_s", self.lasted.as_secs_f64());
        list.add("steps", self.steps as f64);
        list.quantiles("detected_first", times(m, DepartureKind::Crashed, Departure::first));
        list.quantiles("detected_full", times(m, DepartureKind::Crashed, Departure::full));
        list.quantiles("detected", each_observer(m, DepartureKind::Crashed));
        list.quantiles("left", each_observer(m, DepartureKind::Left));
        // Who comes back before anybody noticed was not missed.
        let known = |times: Vec<f64>| times.into_iter().filter(|t| t.is_finite()).collect();
        let silenced = times(m, DepartureKind::Silenced, Departure::first);
        let failed: Vec<f64> = known(silenced.clone());
        if !silenced.is_empty() {
            list.add("silenced_failed", failed.len() as f64 / silenced.len() as f64);
        }
        list.quantiles("silenced_first", failed);
        list.quantiles("silenced_full", known(times(m, DepartureKind::Silenced, Departure::full)));
        if !m.propagation.is_empty() {
            list.add("propagated_p50", m.propagation.quantile(0.5).as_secs_f64());
            list.add("propagated_p99", m.propagation.quantile(0.99).as_secs_f64());
            list.add("propagated_max", m.propagation.max().as_secs_f64());
        }
    }

    fn list_verdicts(&self, list: &mut List) {
        let m = &self.metrics;
        let node_hours = self.traffic.len().max(1) as f64 * self.lasted.as_secs_f64().max(1e-9) / 3_600.0;
        list.add("false_failures", m.false_failures.len() as f64);
        list.add("false_failures_at_healthy", m.at_healthy().count() as f64);
        list.add("false_failures_about_healthy", m.about_healthy().count() as f64);
        list.add("false_failures_strict", m.verdicts.len() as f64);
        list.add("oscillations_max", m.oscillations.values().max().copied().unwrap_or(0).into());
        list.add("rejoins_per_node_hour", self.rejoins as f64 / node_hours);
        list.add("status_changes", m.status_changes as f64);
        if self.probes_sent > 0 {
            list.add("probes_unanswered", self.probes_unanswered as f64 / self.probes_sent as f64);
        }
        if let Some(fewest) = self.members_alive_min {
            list.add("members_alive_min", fewest as f64);
        }
        list.add("wrong_views", self.wrong_views as f64);
        list.add("cluster_sizes_seen", m.sizes_seen.len() as f64);
        list.add("batches_max", m.batches.values().max().copied().unwrap_or(0) as f64);
    }

    fn list_traffic(&self, list: &mut List) {
        list.spread("bytes_per_node_s", self.sent.bytes_per_s);
        list.spread("bytes_received_per_node_s", self.received.bytes_per_s);
        list.spread("datagrams_per_node_s", self.sent.datagrams_per_s);
        list.spread("datagrams_received_per_node_s", self.received.datagrams_per_s);
        let peak = self.samples.iter().map(|s| s.bytes_per_s.max).fold(0.0, f64::max);
        if !self.samples.is_empty() {
            list.add("bytes_peak_per_node_s_max", peak);
        }
        list.add("queue_max", self.queue_max as f64);
        let sum = |count: fn(&crate::sim::Traffic) -> u64| self.traffic.iter().map(count).sum::<u64>() as f64;
        list.add("datagrams_overflowed", sum(|t| t.datagrams_overflowed));
        list.add("datagrams_shed", sum(|t| t.datagrams_shed));
        list.add("refused_commands", self.refused_commands as f64);
    }
}

/// Figures by name, in any order.
struct List(Vec<(String, f64)>);

impl List {
    fn add(&mut self, name: &str, value: f64) {
        debug_assert!(FigureKind::named(name).is_some(), "{name} is not listed");
        self.0.push((name.to_owned(), value));
    }

    /// Median, 99 % and largest of these times, if there are any.
    fn quantiles(&mut self, stem: &str, mut times: Vec<f64>) {
        times.sort_unstable_by(f64::total_cmp);
        let Some(&max) = times.last() else { return };
        self.add(&format!("{stem}_p50"), quantile_of(&times, 0.5));
        self.add(&format!("{stem}_p99"), quantile_of(&times, 0.99));
        self.add(&format!("{stem}_max"), max);
    }

    fn spread(&mut self, stem: &str, spread: Spread) {
        self.add(&format!("{stem}_mean"), spread.mean);
        self.add(&format!("{stem}_p99"), spread.p99);
        self.add(&format!("{stem}_max"), spread.max);
    }
}

/// A time per departure that somebody was there to see; infinite if it did not come.
fn times(m: &Metrics, kind: DepartureKind, time: impl Fn(&Departure) -> Option<Duration>) -> Vec<f64> {
    let seen = m.departures.iter().filter(|d| d.kind == kind && d.observers > 0);
    seen.map(|d| time(d).map_or(f64::INFINITY, |t| t.as_secs_f64())).collect()
}

/// A time per departure and observer; infinite for those who never knew.
fn each_observer(m: &Metrics, kind: DepartureKind) -> Vec<f64> {
    let mut all = Vec::new();
    for d in m.departures.iter().filter(|d| d.kind == kind) {
        all.extend(d.known_after.sorted().into_iter().map(|t| t.as_secs_f64()));
        all.resize(all.len() + d.observers.saturating_sub(d.known_after.len()), f64::INFINITY);
    }
    all
}
