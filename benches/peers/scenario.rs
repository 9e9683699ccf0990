//! What is done to a cluster, and what is measured of it.

use crate::calm::{idle, join_and_leave, start};
use crate::cluster::{Cluster, SPARE};
use crate::process;
use crate::spread::spread;
use crate::system::System;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

/// By then a failure is told, or the run is one in which it was missed.
const DETECTION_PATIENCE: Duration = Duration::from_secs(120);
/// By then the cluster is whole again, or the next run gets a new one.
const RETURN_PATIENCE: Duration = Duration::from_secs(120);
/// How long the last lines of flapping agents are waited for.
const FLAP_REST: Duration = Duration::from_secs(10);

/// Agents that stop and run, together, over and over.
#[derive(Debug, Clone, Copy)]
struct Flapping {
    agents: usize,
    stopped: Duration,
    running: Duration,
    lasts: Duration,
}

const FLAP3: Flapping = Flapping {
    agents: 3,
    stopped: Duration::from_secs(16),
    running: Duration::from_millis(250),
    lasts: Duration::from_secs(80),
};
const FLAP16: Flapping = Flapping {
    agents: 16,
    stopped: Duration::from_millis(16_400),
    running: Duration::from_millis(64),
    lasts: Duration::from_secs(100),
};

/// See the head of `main.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Start,
    Join,
    Idle,
    Kill,
    Stop,
    Flap3,
    Flap16,
    Spread,
}

/// One figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    AllSeeAll,
    JoinedAtAll,
    LeftAtAll,
    Processor,
    Resident,
    Proportional,
    Packets,
    Bytes,
    LastSurvivor,
    FirstSurvivor,
    WholeAgain,
    FailedFlapping,
    FailedFlappingAtHealthy,
    FailedHealthy,
    FailedHealthyAtHealthy,
    LastShows,
    FirstOtherShows,
    LastShowsAfterFirst,
    CallItself,
}

impl Measure {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::AllSeeAll => "all see all, s after the last is started",
            Self::JoinedAtAll => "all others show one more, ms after its start",
            Self::LeftAtAll => "all others show it left, ms",
            Self::Processor => "processor, % of a core an agent",
            Self::Resident => "resident memory, MB an agent",
            Self::Proportional => "proportional memory, MB an agent",
            Self::Packets => "packets sent, /s an agent",
            Self::Bytes => "bytes sent without headers, /s an agent",
            Self::LastSurvivor => "last survivor shows it failed, s",
            Self::FirstSurvivor => "first survivor shows it failed, s",
            Self::WholeAgain => "all see all again, s after it runs",
            Self::FailedFlapping => "failed events about flapping agents, at anyone",
            Self::FailedFlappingAtHealthy => "failed events about flapping agents, at healthy",
            Self::FailedHealthy => "failed events about healthy agents, at anyone",
            Self::FailedHealthyAtHealthy => "failed events about healthy agents, at healthy",
            Self::LastShows => "last agent shows it, ms",
            Self::FirstOtherShows => "first other agent shows it, ms",
            Self::LastShowsAfterFirst => "last agent shows it, ms after the first",
            Self::CallItself => "the call itself, ms",
        }
    }

    /// Digits worth printing.
    pub(crate) const fn digits(self) -> usize {
        match self {
            Self::Processor => 3,
            Self::AllSeeAll
            | Self::Packets
            | Self::Proportional
            | Self::LastSurvivor
            | Self::FirstSurvivor
            | Self::WholeAgain => 2,
            Self::JoinedAtAll
            | Self::LeftAtAll
            | Self::Resident
            | Self::LastShows
            | Self::FirstOtherShows
            | Self::LastShowsAfterFirst
            | Self::CallItself => 1,
            Self::Bytes
            | Self::FailedFlapping
            | Self::FailedFlappingAtHealthy
            | Self::FailedHealthy
            | Self::FailedHealthyAtHealthy => 0,
        }
    }
}

/// What one run gave. A time that took longer than is waited for is none.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) figures: Vec<(Measure, Option<f64>)>,
}

impl Outcome {
    pub(crate) fn add(&mut self, measure: Measure, value: Option<f64>) {
        self.figures.push((measure, value));
    }

    /// Whether nothing was missed: the cluster is fit for another run.
    pub(crate) fn is_whole(&self) -> bool {
        self.figures.iter().all(|(_, value)| value.is_some())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (measure, value)) in self.figures.iter().enumerate() {
            let comma = if n == 0 { "" } else { "; " };
            match value {
                Some(value) => write!(f, "{comma}{} {value:.*}", measure.title(), measure.digits())?,
                None => write!(f, "{comma}{} not in time", measure.title())?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::Start,
        Self::Join,
        Self::Idle,
        Self::Kill,
        Self::Stop,
        Self::Flap3,
        Self::Flap16,
        Self::Spread,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Join => "join",
            Self::Idle => "idle",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Flap3 => "flap3",
            Self::Flap16 => "flap16",
            Self::Spread => "spread",
        }
    }

    pub(crate) const fn default_runs(self, system: System) -> usize {
        match (self, system) {
            (Self::Start, _) => 5,
            (Self::Join, _) => 16,
            (Self::Idle, _) => 3,
            (Self::Kill, _) => 20,
            (Self::Stop, _) => 7,
            (Self::Flap3 | Self::Flap16, _) => 5,
            (Self::Spread, System::Shoal) => 100,
            // Each takes half a second and more.
            (Self::Spread, System::Serf | System::Chitchat) => 30,
        }
    }

    /// At most so many runs before the other system has its turn. Flapping leaves traces, so each has
    /// a new cluster.
    pub(crate) const fn runs_in_cluster(self) -> usize {
        match self {
            Self::Kill => 5,
            Self::Stop => 4,
            Self::Join => SPARE,
            Self::Start | Self::Idle | Self::Flap3 | Self::Flap16 => 1,
            Self::Spread => 20,
        }
    }

    /// Whether there are runs enough, and figures wide enough, for a 99th percentile.
    pub(crate) const fn has_p99(self) -> bool {
        matches!(self, Self::Spread)
    }

    /// How long a cluster is left alone before a run, in milliseconds: at any moment between two
    /// probes, or between two rounds of gossip.
    const fn pause(self) -> std::ops::Range<u64> {
        match self {
            Self::Start => 0..1,
            Self::Join | Self::Idle | Self::Kill | Self::Stop | Self::Flap3 | Self::Flap16 => 500..2_500,
            Self::Spread => 200..500,
        }
    }

    /// Whether a run wants a cluster that has only just been started.
    pub(crate) const fn begins_with_start(self) -> bool {
        matches!(self, Self::Start)
    }

    /// One run, in a cluster that is whole, or is being started where the scenario is about that. The seed and the number choose victims and moments.
    pub(crate) fn run(self, cluster: &mut Cluster, seed: u64, run: usize) -> Outcome {
        if self.begins_with_start() {
            return start(cluster);
        }
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(run as u64));
        if self == Self::Spread {
            cluster.tell_changes();
        }
        cluster.watch_for(Duration::from_millis(rng.random_range(self.pause())));
        cluster.beliefs.mark();
        match self {
            Self::Start => unreachable!("done above"),
            Self::Join => join_and_leave(cluster),
            Self::Idle => idle(cluster),
            Self::Kill => kill(cluster, rng.random_range(0..cluster.size())),
            Self::Stop => stop(cluster, rng.random_range(0..cluster.size())),
            Self::Flap3 => flap(cluster, &mut rng, FLAP3),
            Self::Flap16 => flap(cluster, &mut rng, FLAP16),
            Self::Spread => spread(cluster, seed, run),
        }
    }
}

fn kill(cluster: &mut Cluster, victim: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let start = cluster.kill(victim);
    detection(cluster, victim, start, &mut outcome);
    cluster.bury(victim);
    let start = Instant::now();
    cluster.start_agent(victim);
    wholeness(cluster, victim, start, &mut outcome);
    outcome
}

fn stop(cluster: &mut Cluster, victim: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let start = cluster.signal(&[victim], Signal::SIGSTOP);
    detection(cluster, victim, start, &mut outcome);
    let start = cluster.signal(&[victim], Signal::SIGCONT);
    wholeness(cluster, victim, start, &mut outcome);
    outcome
}

/// From `start` until the last and the first survivor have `victim` for failed.
fn detection(cluster: &mut Cluster, victim: usize, start: Instant, outcome: &mut Outcome) {
    let last = cluster.until(DETECTION_PATIENCE, |beliefs| beliefs.all_see_failed(victim));
    let first = cluster.beliefs.failures().filter(|e| e.subject == victim).map(|e| e.at).min();
    let since = |at: Instant| at.duration_since(start).as_secs_f64();
    outcome.add(Measure::LastSurvivor, last.map(since));
    outcome.add(Measure::FirstSurvivor, first.map(since));
}

/// From `start` until all see all, and what was said about others than `victim` meanwhile.
fn wholeness(cluster: &mut Cluster, victim: usize, start: Instant, outcome: &mut Outcome) {
    let whole = cluster.until(RETURN_PATIENCE, |beliefs| beliefs.all_see_all());
    outcome.add(Measure::WholeAgain, whole.map(|at| at.duration_since(start).as_secs_f64()));
    count_failures(cluster, &BTreeSet::from([victim]), outcome, false);
}

fn flap(cluster: &mut Cluster, rng: &mut StdRng, flapping: Flapping) -> Outcome {
    assert!(cluster.size() > flapping.agents, "some agents stay healthy");
    let bad = index::sample(rng, cluster.size(), flapping.agents).into_vec();
    let end = Instant::now() + flapping.lasts;
    while Instant::now() < end {
        cluster.signal(&bad, Signal::SIGSTOP);
        let left = end.saturating_duration_since(Instant::now());
        process::sleep(flapping.stopped.min(left));
        cluster.signal(&bad, Signal::SIGCONT);
        process::sleep(flapping.running);
    }
    cluster.watch_for(FLAP_REST);
    let mut outcome = Outcome::default();
    count_failures(cluster, &bad.into_iter().collect(), &mut outcome, true);
    outcome
}

/// Verdicts since the mark; those about the `bad` are wanted where they come and go.
fn count_failures(cluster: &Cluster, bad: &BTreeSet<usize>, outcome: &mut Outcome, about_bad: bool) {
    let count = |subject_bad: bool, at_anyone: bool| {
        let events = cluster.beliefs.failures();
        let counted = events.filter(|e| bad.contains(&e.subject) == subject_bad);
        Some(counted.filter(|e| at_anyone || !bad.contains(&e.observer)).count() as f64)
    };
    if about_bad {
        outcome.add(Measure::FailedFlapping, count(true, true));
        outcome.add(Measure::FailedFlappingAtHealthy, count(true, false));
    }
    outcome.add(Measure::FailedHealthy, count(false, true));
    outcome.add(Measure::FailedHealthyAtHealthy, count(false, false));
}
