//! What came of a run.

use super::Scenario;
use crate::model::NodeName;
use crate::sim::oracle::Difference;
use crate::sim::{Journal, Metrics, Sample, Spread, Traffic, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Traffic of hosts in one direction, over a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Datagrams per second.
    pub datagrams_per_s: Spread,
    /// Bytes per second.
    pub bytes_per_s: Spread,
}

impl Rates {
    fn of(traffic: &[Traffic], lasted: Duration, count: impl Fn(&Traffic) -> (u64, u64)) -> Self {
        let seconds = lasted.as_secs_f64().max(1e-9);
        let datagrams = traffic.iter().map(|t| count(t).0 as f64 / seconds).collect();
        let bytes = traffic.iter().map(|t| count(t).1 as f64 / seconds).collect();
        Self { datagrams_per_s: Spread::of(datagrams), bytes_per_s: Spread::of(bytes) }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// What ran: `shoal`, or a protocol that it is compared with.
    pub mode: String,
    /// The parameters that this scenario has in a grid.
    pub parameters: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// The line that replays it.
    pub replay: String,
    /// Others that an agent tells of something new at once.
    pub fanout: usize,
    /// Mean one-way travel time of a datagram, as the run began.
    pub hop: Duration,
    /// Virtual time that it took.
    pub lasted: Duration,
    /// From calm to every agent showing what it should; what is wrong, if that did not come.
    pub converged: Result<Duration, Difference>,
    /// Everything measured.
    pub metrics: Metrics,
    /// By host.
    pub traffic: Vec<Traffic>,
    /// What hosts sent.
    pub sent: Rates,
    /// What reached agents.
    pub received: Rates,
    /// The observers whose views are in the samples, in that order.
    pub observers: Vec<NodeName>,
    /// Looks at the run, in order of time.
    pub samples: Vec<Sample>,
    /// Renewed identities in all.
    pub rejoins: u64,
    /// Probes started in all.
    pub probes_sent: u64,
    /// Those that nobody answered, directly or through others.
    pub probes_unanswered: u64,
    /// Rumours that waited in one agent, at most.
    pub queue_max: usize,
    /// The fewest live members that a live agent shows at the end; `None` if no agent lives.
    pub members_alive_min: Option<usize>,
    /// Views that are not as they should be at the end.
    pub wrong_views: usize,
    /// Commands of loads and operators that an agent refused.
    pub refused_commands: u64,
    /// What happened, if the scenario was told to log it.
    #[serde(skip)]
    pub journal: Journal,
    /// A hash over everything that happened.
    pub trace_hash: u64,
    /// Things that happened.
    pub steps: u64,
    /// Expectations that were not met, as sentences.
    pub failures: Vec<String>,
}

impl Report {
    pub(super) fn new(
        scenario: &Scenario,
        world: &mut World,
        converged: Result<Duration, Difference>,
    ) -> Self {
        let (observers, samples) = world.take_samples();
        let traffic: Vec<Traffic> = world.hosts().map(|h| world.traffic(h)).collect();
        let lasted = world.now().since_start();
        let (probes_sent, probes_unanswered) = world.probes();
        let mut report = Self {
            name: scenario.name.clone(),
            mode: scenario.mode.word().to_owned(),
            parameters: scenario.parameters.clone(),
            seed: world.seed(),
            replay: world.replay(),
            fanout: scenario.nodes.first().map_or(1, |spec| spec.config.gossip_fanout),
            hop: scenario.conditions.latency.mean(),
            lasted,
            converged,
            metrics: world.take_metrics(),
            sent: Rates::of(&traffic, lasted, |t| (t.datagrams_sent, t.bytes_sent)),
            received: Rates::of(&traffic, lasted, |t| (t.datagrams_received, t.bytes_received)),
            traffic,
            observers: observers.into_iter().map(|h| world.name_of(h).clone()).collect(),
            samples,
            rejoins: world.rejoins(),
            probes_sent,
            probes_unanswered,
            queue_max: world.queue_max(),
            members_alive_min: world.members_alive_min(),
            wrong_views: world.wrong_views(),
            refused_commands: world.refused_commands(),
            journal: world.take_log(),
            trace_hash: world.trace_hash(),
            steps: world.steps(),
            failures: Vec::new(),
        };
        report.failures = scenario.expectations.iter().filter_map(|e| e.judge(&report).err()).collect();
        report
    }

    /// Panics with everything that was not met and the line that replays it.
    ///
    /// # Panics
    /// If an expectation was not met.
    #[track_caller]
    pub fn assert_met(&self) {
        assert!(
            self.failures.is_empty(),
            "seed {}: {}\nreplay: {}",
            self.seed,
            self.failures.join("; "),
            self.replay
        );
    }
}
