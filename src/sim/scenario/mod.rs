//! A scenario as a value: nodes, network, a timeline, and what is expected.
//!
//! Built by hand in tests, by [`swarm`](super::swarm()) from a seed; made of plain values, so that
//! a file can fill it too. Running it gives a [`Report`]; broken invariants end the run, unmet
//! expectations are listed.

mod expect;
mod figures;
mod report;

pub use expect::{Expectation, Relation};
pub use figures::{FIGURES, Figure, FigureKind, Unit};
pub use report::{Rates, Report};

use super::HostId;
use super::errors::Errors;
use super::mode::Mode;
use super::network::Conditions;
use super::node::{Contact, NodeSpec};
use super::world::{Action, World};
use crate::core::Config;
use crate::model::{Instant, ServiceDefinition};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a load does at each firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadKind {
    /// Registers another instance with a check; deregisters one where there are many.
    Register,
    /// The same without a check.
    RegisterBare,
    /// Deregisters an instance.
    Deregister,
    /// Turns a check from passing to critical or back.
    Flap,
    /// Repeats a check's status; nothing may be sent for it.
    Heartbeat,
    /// Registers an instance again with another tag.
    Change,
    /// Gives the node other tags.
    Tags,
}

/// A stream of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Whose operators; one is drawn each time.
    pub hosts: Vec<HostId>,
    /// What they do.
    pub kind: LoadKind,
    /// Mean time between two commands.
    pub every: Duration,
    /// For how long.
    pub lasts: Duration,
    /// Commands at each firing: one for a stream, more for bursts.
    pub at_once: usize,
}

/// Samples that a run is looked at for, unless told otherwise.
const SAMPLES: u32 = 150;

/// Times that whoever watches a run is told how far it is.
const SLICES: u32 = 100;

/// An invariant broke: the run ended there and then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// Name, time, node, what it did, and the line that replays it.
    pub text: String,
}

/// What is run, with what seed it may be.
#[derive(Debug, Clone)]
pub struct Scenario {
    name: String,
    mode: Mode,
    parameters: BTreeMap<String, String>,
    replay: Option<String>,
    sample_every: Option<Duration>,
    batches_from: Option<Duration>,
    logged: bool,
    conditions: Conditions,
    nodes: Vec<NodeSpec>,
    settled: Vec<HostId>,
    timeline: Vec<(Duration, Action)>,
    calm: Option<Duration>,
    lasts: Duration,
    expectations: Vec<Expectation>,
}

impl Scenario {
    /// A scenario without nodes that lasts a minute. `name` is the test that replays it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Shoal,
            parameters: BTreeMap::new(),
            replay: None,
            sample_every: None,
            batches_from: None,
            logged: false,
            conditions: Conditions::default(),
            nodes: Vec::new(),
            settled: Vec::new(),
            timeline: Vec::new(),
            calm: None,
            lasts: Duration::from_secs(60),
            expectations: Vec::new(),
        }
    }

    /// What holds for the network until the timeline says otherwise.
    #[must_use]
    pub fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// One more node, which nothing starts yet.
    #[must_use]
    pub fn node(mut self, spec: NodeSpec) -> Self {
        self.nodes.push(spec);
        self
    }

    /// `count` nodes `n0`, `n1`, ... that join the first one and are started `apart` from each
    /// other.
    #[must_use]
    pub fn nodes(mut self, count: usize, config: &Config, apart: Duration) -> Self {
        for spec in cluster(count, config) {
            let number = self.nodes.len();
            self.timeline
                .push((apart * u32::try_from(number).unwrap_or(u32::MAX), Action::Start(HostId(number))));
            self.nodes.push(spec);
        }
        self
    }

    /// These nodes are one settled cluster from the beginning: each knows all of the others and what
    /// is registered on them, at no cost.
    #[must_use]
    pub fn settled(mut self, hosts: impl IntoIterator<Item = HostId>) -> Self {
        self.settled.extend(hosts);
        self
    }

    /// Each node so far is started with `count` instances, `<service>-<number>`, with a TTL check
    /// of an hour.
    #[must_use]
    pub fn services_each(mut self, count: usize) -> Self {
        for node in &mut self.nodes {
            node.services = (0..count).map(|i| service(&format!("web-{i}"), "web")).collect();
        }
        self
    }

    /// `action` happens at this time.
    #[must_use]
    pub fn at(mut self, time: Duration, action: Action) -> Self {
        self.timeline.push((time, action));
        self
    }

    /// From this time on no fault is active; convergence is counted from here. Without it, from
    /// the last thing in the timeline.
    #[must_use]
    pub fn calm_from(mut self, time: Duration) -> Self {
        self.calm = Some(time);
        self
    }

    /// How long it lasts in all (longer if an expectation waits for longer).
    #[must_use]
    pub fn lasts(mut self, time: Duration) -> Self {
        self.lasts = time;
        self
    }

    /// One more expectation.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// The nodes so far.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// No nodes yet?
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The line that failures and reports give to replay a run; `{seed}` in it stands for the seed.
    /// Without it, that of the test called like the scenario.
    #[must_use]
    pub fn replayed_by(mut self, line: &str) -> Self {
        self.replay = Some(line.to_owned());
        self
    }

    /// What runs: Shoal, or one of the protocols it is compared with.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// A parameter's value in this scenario, for a grid of them.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// How often the run is looked at for the curves of its report; by default 150 times.
    #[must_use]
    pub const fn sample_every(mut self, time: Duration) -> Self {
        self.sample_every = Some(time);
        self
    }

    /// Batches of membership changes are counted from this time on; by default from the first fault.
    #[must_use]
    pub const fn batches_from(mut self, time: Duration) -> Self {
        self.batches_from = Some(time);
        self
    }

    /// The report shall hold the log of the run.
    #[must_use]
    pub const fn logged(mut self) -> Self {
        self.logged = true;
        self
    }

    /// How long it lasts, unless an expectation waits for longer.
    pub const fn duration(&self) -> Duration {
        self.lasts
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it. What the core logs as an error during that is a broken invariant too.
    ///
    /// # Panics
    /// When an invariant breaks.
    pub fn run(&self, seed: u64) -> Report {
        self.run_watched(seed, &mut |_| {})
    }

    /// Runs it, and tells `watch` now and then how much virtual time has passed. Being watched
    /// changes nothing about the run.
    ///
    /// # Panics
    /// When an invariant breaks.
    pub fn run_watched(&self, seed: u64, watch: &mut dyn FnMut(Duration)) -> Report {
        let errors = Errors::default();
        tracing::subscriber::with_default(errors.clone(), || self.run_to_the_end(seed, errors, watch))
    }

    /// The same, with a broken invariant as a value. The panic's message still goes wherever the
    /// program's panic hook sends it.
    pub fn try_run(&self, seed: u64) -> Result<Report, Violation> {
        std::panic::catch_unwind(|| self.run(seed)).map_err(|payload| {
            let text = payload
                .downcast::<String>()
                .map(|text| *text)
                .or_else(|payload| payload.downcast::<&str>().map(|text| (*text).to_owned()));
            Violation { seed, text: text.unwrap_or_else(|_| "the run panicked without a message".to_owned()) }
        })
    }

    fn run_to_the_end(&self, seed: u64, errors: Errors, watch: &mut dyn FnMut(Duration)) -> Report {
        let mut world =
            World::new(&self.name, seed, self.conditions.clone()).mode(self.mode).watching(errors);
        if let Some(line) = &self.replay {
            world = world.replayed_by(line.replace("{seed}", &seed.to_string()));
        }
        for spec in &self.nodes {
            world.add_host(spec.clone());
        }
        world.settle(&self.settled);
        world.sample_every(self.sample_every.unwrap_or(self.lasts / SAMPLES));
        let first_fault = self.timeline.iter().filter(|(_, a)| a.is_fault()).map(|(time, _)| *time).min();
        world.count_batches_from(Instant::START + self.batches_from.or(first_fault).unwrap_or_default());
        if self.logged {
            world.log();
        }
        for (time, action) in &self.timeline {
            world.at(Instant::START + *time, action.clone());
        }
        let last = self.timeline.iter().map(|(time, _)| *time).max().unwrap_or_default();
        let calm = self.calm.unwrap_or(last);
        let slice = (self.lasts / SLICES).max(Duration::from_millis(1));
        run_until(&mut world, Instant::START + calm, slice, watch);
        let patience = self.expectations.iter().filter_map(Expectation::patience).max().unwrap_or_default();
        let until = world.now() + patience.max(self.lasts.saturating_sub(calm));
        let converged = loop {
            let left = until.since(world.now());
            match world.run_until_converged(left.min(slice)) {
                Ok(_) => break Ok(world.now().since(Instant::START + calm)),
                Err(difference) if left <= slice => break Err(difference),
                Err(_) => watch(world.now().since_start()),
            }
        };
        run_until(&mut world, Instant::START + self.lasts, slice, watch);
        if converged.is_ok() && world.converged().is_ok() {
            world.verify();
        }
        Report::new(self, &mut world, converged)
    }
}

fn run_until(world: &mut World, until: Instant, slice: Duration, watch: &mut dyn FnMut(Duration)) {
    while world.now() < until {
        world.run_until((world.now() + slice).min(until));
        watch(world.now().since_start());
    }
    // Whatever is due at that very moment.
    world.run_until(until);
}

/// Specs of `count` nodes `n0`, `n1`, ... that join the first one (and the first the second, so
/// that it finds the others again after a restart).
pub fn cluster(count: usize, config: &Config) -> Vec<NodeSpec> {
    let spec = |number: usize| {
        let contact = HostId(usize::from(number == 0));
        let join = if count > 1 { vec![Contact::Host(contact)] } else { Vec::new() };
        NodeSpec { config: config.clone(), join, ..NodeSpec::named(&format!("n{number}")) }
    };
    (0..count).map(spec).collect()
}

/// An instance of service `name` with a passing TTL check `service:<id>` of an hour.
///
/// # Panics
/// If `id` or `name` are not valid.
pub fn service(id: &str, name: &str) -> ServiceDefinition {
    super::world::instance(id, name, Some(Duration::from_secs(3_600)))
}

/// The same without a check.
///
/// # Panics
/// If `id` or `name` are not valid.
pub fn service_without_check(id: &str, name: &str) -> ServiceDefinition {
    super::world::instance(id, name, None)
}

impl World {
    /// Adds `count` nodes `n0`, `n1`, ... with `services` instances each and starts them `apart`
    /// from each other, each joining three of those before it; gives them until `within` after the
    /// last start to know each other.
    ///
    /// # Panics
    /// If they do not.
    pub fn grow(
        &mut self,
        count: usize,
        config: &Config,
        services: usize,
        apart: Duration,
        within: Duration,
    ) -> Vec<HostId> {
        let first = self.hosts().len();
        let mut grown = Vec::new();
        for number in first..first + count {
            // Spread over those before it, so that no single one has to serve everybody.
            let known = [0, number / 2, number.saturating_sub(1)];
            let contacts: std::collections::BTreeSet<usize> =
                known.into_iter().filter(|k| *k < number).collect();
            let host = self.add_host(NodeSpec {
                config: config.clone(),
                join: contacts.into_iter().map(|k| Contact::Host(HostId(k))).collect(),
                services: (0..services)
                    .map(|i| service_without_check(&format!("s{i}"), &format!("s{i}")))
                    .collect(),
                tags: BTreeMap::new(),
                ..NodeSpec::named(&format!("n{number}"))
            });
            self.start(host);
            grown.push(host);
            self.run_for(apart);
        }
        if let Err(difference) = self.run_until_converged(within) {
            panic!(
                "{count} nodes do not know each other after {within:?}: {difference}\nreplay: {}",
                self.replay()
            );
        }
        grown
    }
}
