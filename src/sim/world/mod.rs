//! Hosts with disks, clocks and operators around the engine, and a judge who sees everything.
//!
//! Does what a shell does for one agent (persist, restart, leave), for many, in virtual time, and
//! what the weather does to them. Every step is shown to the oracle; the first thing that must
//! not happen ends the run with a panic that names seed, time and node and can be replayed.

mod action;
mod describe;
mod events;
mod hinder;
mod hostile;
mod keys;
mod load;
mod run;
mod sample;
mod settle;

pub use action::Action;
pub use hostile::HostileKind;
pub(crate) use load::instance;
pub use sample::{Sample, Spread};

use super::engine::Engine;
use super::errors::Errors;
use super::mode::Mode;
use super::network::{Conditions, Impairment, Links};
use super::node::{Contact, Disk, Life, Node, NodeSpec};
use super::oracle::{End, Metrics, Oracle};
use super::process::Program;
use super::reference::Reference;
use super::{HostId, ImpairmentId, Journal, Traffic, seed};
use crate::core::{Agent, ForceLeaveError, Identity, Stats, StockFoca};
use crate::model::{
    Generation, Instant, LocalCommand, LocalError, LocalState, MemberStatus, NodeId, NodeName,
    ServiceDefinition,
};
use hostile::RunningHostile;
use load::RunningLoad;
use sample::Sampler;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The port of every simulated agent.
const GOSSIP_PORT: u16 = 7946;
/// Unix time at the start of every world, in milliseconds: some day in 2027.
const WALL_START_MS: i64 = 1_800_000_000_000;
/// After a fault ends, verdicts made under it may still be under way for this long.
const EXCUSED_AFTER_FAULT: Duration = Duration::from_secs(20);

enum Plan {
    Act(Action),
    Load(usize),
    Hostile(usize),
    CountBatches,
    Reap(HostId, Generation),
}

/// A simulated cluster.
pub struct World {
    name: String,
    /// What a user enters to see this run again.
    replay: String,
    seed: u64,
    mode: Mode,
    engine: Engine<Program>,
    nodes: Vec<Node>,
    oracle: Oracle,
    plans: BTreeMap<u64, Plan>,
    planned: u64,
    loads: Vec<RunningLoad>,
    hostile: Vec<RunningHostile>,
    starved: u64,
    sampler: Option<Sampler>,
    /// What the core logs as an error, if the run is watched for that.
    errors: Option<Errors>,
    /// Agents that stopped because their name was taken; each says so as an error.
    names_refused: usize,
    labels: BTreeMap<String, ImpairmentId>,
    excused_until: Instant,
    refused_commands: u64,
    queue_max: usize,
}

impl World {
    /// An empty world. `name` is the test that replays it.
    pub fn new(name: &str, seed: u64, conditions: Conditions) -> Self {
        Self {
            name: name.to_owned(),
            replay: format!("SIM_SEED={seed} cargo test --test simulations {name}"),
            seed,
            mode: Mode::Shoal,
            engine: Engine::new(seed, conditions),
            nodes: Vec::new(),
            oracle: Oracle::new(),
            plans: BTreeMap::new(),
            planned: 0,
            loads: Vec::new(),
            hostile: Vec::new(),
            starved: 0,
            sampler: None,
            errors: None,
            names_refused: 0,
            labels: BTreeMap::new(),
            excused_until: Instant::START,
            refused_commands: 0,
            queue_max: 0,
        }
    }

    /// Gives the line that replays this run, for failures to show; without it, that of the test
    /// `name`.
    #[must_use]
    pub fn replayed_by(mut self, line: String) -> Self {
        self.replay = line;
        self
    }

    /// From now on what happens is logged.
    pub(crate) fn log(&mut self) {
        self.oracle.journal = Some(Journal::default());
    }

    fn log_action(&mut self, what: String) {
        let now = self.now();
        if let Some(journal) = &mut self.oracle.journal {
            journal.action(now, what);
        }
    }

    /// What was logged.
    pub(crate) fn take_log(&mut self) -> Journal {
        self.oracle.journal.take().unwrap_or_default()
    }

    /// Lets another protocol run than Shoal's, to compare with. To be used before anybody starts.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// From now on an ERROR that lands in `errors` breaks an invariant, unless it is the one that
    /// goes with a refused name.
    #[must_use]
    pub(crate) fn watching(mut self, errors: Errors) -> Self {
        self.errors = Some(errors);
        self
    }

    // ---- getters

    /// Time since the world began.
    pub const fn now(&self) -> Instant {
        self.engine.now()
    }

    /// The seed it was made from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// All hosts, with or without a running agent.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = HostId> + use<> {
        (0..self.nodes.len()).map(HostId)
    }

    /// The agent that runs on a host, paused and leaving ones included.
    pub fn agent(&self, host: HostId) -> Option<&Agent> {
        self.program(host)?.agent()
    }

    fn program(&self, host: HostId) -> Option<&Program> {
        self.engine.host(host).process.as_ref()
    }

    /// Does an agent run here that is neither paused, blocked or starved nor leaving?
    pub fn is_live(&self, host: HostId) -> bool {
        self.node(host).life == Life::Running && !self.is_silenced(host)
    }

    /// Does an agent run here that was told to leave?
    pub fn is_leaving(&self, host: HostId) -> bool {
        self.node(host).life == Life::Leaving
    }

    /// Did the agent that last ran here end because its name was taken?
    pub fn is_name_taken(&self, host: HostId) -> bool {
        self.node(host).name_taken
    }

    /// Where the host receives datagrams.
    pub fn addr(&self, host: HostId) -> SocketAddr {
        self.engine.host(host).addr
    }

    /// The name of the host's node.
    pub fn name_of(&self, host: HostId) -> &NodeName {
        &self.node(host).spec.name
    }

    /// What `observer` shows of the node on `subject`; `None` if it shows nothing.
    pub fn status(&self, observer: HostId, subject: HostId) -> Option<MemberStatus> {
        self.oracle.status_of(observer, &self.node(subject).spec.name)
    }

    /// Counters of the host's socket, over all processes.
    pub fn traffic(&self, host: HostId) -> Traffic {
        self.engine.host(host).traffic
    }

    /// Counters of the agent that runs on the host.
    pub fn stats(&self, host: HostId) -> Option<Stats> {
        self.agent(host).map(Agent::stats)
    }

    /// Times that agents renewed their identity because others thought they had failed, over all
    /// hosts and processes.
    pub fn rejoins(&self) -> u64 {
        let ended: u64 = self.nodes.iter().map(|n| n.rejoins_before).sum();
        let running: u64 = self.hosts().filter_map(|h| self.program(h)).map(Program::renewals).sum();
        ended + running
    }

    /// From the start of the agent on the host to its first complete exchange with a cluster.
    pub fn joined_after(&self, host: HostId) -> Option<Duration> {
        self.node(host).joined_after
    }

    /// Peers that confirmed the last leave of this host's node.
    pub fn left_acknowledged_by(&self, host: HostId) -> Option<usize> {
        self.node(host).left_acknowledged_by
    }

    /// What was measured so far.
    pub const fn metrics(&self) -> &Metrics {
        &self.oracle.metrics
    }

    /// Forgets what was measured so far.
    pub fn reset_metrics(&mut self) {
        self.oracle.reset_metrics();
    }

    /// Takes what was measured so far; measuring begins anew.
    pub(crate) fn take_metrics(&mut self) -> Metrics {
        let metrics = std::mem::take(&mut self.oracle.metrics);
        self.oracle.reset_metrics();
        metrics
    }

    /// From then on batches of membership changes are counted; those before do not count.
    pub fn count_batches_from(&mut self, at: Instant) {
        self.plan(at, Plan::CountBatches);
    }

    /// Probes started, and those that nobody answered, over all hosts and processes.
    pub fn probes(&self) -> (u64, u64) {
        let (mut sent, mut unanswered) = (0, 0);
        for host in self.hosts() {
            let (sent_before, unanswered_before) = self.node(host).probes_before;
            let stats = self.stats(host).unwrap_or_default();
            sent += sent_before + stats.probes_sent;
            unanswered += unanswered_before + stats.probes_failed;
        }
        (sent, unanswered)
    }

    /// Rumours that waited in one agent when it had handled a timeout, at most.
    pub const fn queue_max(&self) -> usize {
        self.queue_max
    }

    /// The fewest live members that a live agent shows; `None` if no agent lives.
    pub fn members_alive_min(&self) -> Option<usize> {
        let live = self.hosts().filter(|h| self.is_live(*h));
        live.map(|h| self.oracle.tally(h).live()).min()
    }

    /// Views of members and entries that are not as they should be.
    pub const fn wrong_views(&self) -> usize {
        self.oracle.wrong()
    }

    /// Commands of load and scenario that an agent refused.
    pub const fn refused_commands(&self) -> u64 {
        self.refused_commands
    }

    /// A hash over everything that happened so far, in order.
    pub fn trace_hash(&self) -> u64 {
        self.engine.trace.digest()
    }

    /// Things that happened so far.
    pub const fn steps(&self) -> u64 {
        self.engine.trace.steps()
    }

    fn node(&self, host: HostId) -> &Node {
        &self.nodes[host.index()]
    }

    fn node_mut(&mut self, host: HostId) -> &mut Node {
        &mut self.nodes[host.index()]
    }

    // ---- hosts and processes

    /// A host with a blank disk; nothing runs on it yet.
    pub fn add_host(&mut self, spec: NodeSpec) -> HostId {
        let host = self.engine.add_host(address(self.nodes.len(), 0), spec.config.max_datagram_bytes);
        debug_assert_eq!(host.index(), self.nodes.len());
        self.oracle.add_host(&spec.name);
        self.nodes.push(Node {
            disk: Disk::blank(self.fresh_id(host, 0), LocalState::default()),
            spec,
            life: Life::Down,
            clock_ahead_ms: 0,
            runs: 0,
            moves: 0,
            reference: Reference::default(),
            book_dirty: false,
            book_saved: Instant::START,
            excused_until: Instant::START,
            faulty: false,
            joined_after: None,
            name_taken: false,
            left_acknowledged_by: None,
            events_heard: Vec::new(),
            rejoins_before: 0,
            probes_before: (0, 0),
        });
        host
    }

    fn fresh_id(&self, host: HostId, runs: u64) -> NodeId {
        let half = |part| u128::from(seed::derive(self.seed, part, host.index() as u64 ^ (runs << 32)));
        NodeId::from_random((half("node id high") << 64) | half("node id low"))
    }

    /// Changes what the next process on the host is started with.
    pub fn set_spec(&mut self, host: HostId, change: impl FnOnce(&mut NodeSpec)) {
        let node = self.node_mut(host);
        let name = node.spec.name.clone();
        change(&mut node.spec);
        assert_eq!(node.spec.name, name, "a host keeps its node's name; add another host instead");
    }

    /// Starts an agent with what the disk holds. Nothing happens if one runs.
    pub fn start(&mut self, host: HostId) {
        if self.node(host).life != Life::Down {
            return;
        }
        let now = self.now();
        let join = self.resolve(host);
        let (program, services) = self.boot(host);
        if let Err(what) = self.oracle.started(host, &program, now) {
            self.violated(host, &what);
        }
        if self.is_starved(host) {
            self.oracle.paused(host, true);
        }
        self.engine.start(host, program);
        self.absorb();
        if !join.is_empty() {
            self.engine.call(host, |program, now| program.join(&join, now));
            self.absorb();
        }
        for definition in services {
            let command = LocalCommand::RegisterService {
                definition: Box::new(definition),
                replace_existing_checks: true,
            };
            self.carry_out(host, &command).expect("the services of a node's spec can be registered");
        }
        if self.node(host).moves > 0 {
            let joins = |other: &HostId| self.node(*other).spec.join.contains(&Contact::Host(host));
            for other in self.hosts().filter(joins).collect::<Vec<_>>() {
                self.resolve_again(other);
            }
        }
    }

    /// Makes the agent that the disk and the spec describe, and the services that it still has to
    /// be given.
    fn boot(&mut self, host: HostId) -> (Program, Vec<ServiceDefinition>) {
        let now = self.now();
        let addr = self.addr(host);
        let seed = seed::derive(self.seed, "agent", host.index() as u64 ^ (self.node(host).runs << 32));
        let wall_ms = WALL_START_MS
            + i64::try_from(now.as_nanos() / 1_000_000).expect("worlds end before the year 292 million");
        let (mode, size) = (self.mode, u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let node = self.node_mut(host);
        let wall_ms = u64::try_from(wall_ms + node.clock_ahead_ms).unwrap_or(0);
        let first_run = node.disk.generation.is_none();
        let generation = Generation::for_new_run(node.disk.generation, wall_ms);
        node.disk.generation = Some(generation);
        let config = node.spec.config.clone();
        let program = if let Some(membership) = mode.membership() {
            let identity = Identity {
                cluster: "sim".to_owned(),
                name: node.spec.name.clone(),
                id: node.disk.id,
                addr,
                generation,
                tags: node.spec.tags.clone(),
            };
            let (local, book) = (node.disk.restored(), node.disk.book.clone());
            let config = config.with_membership(membership);
            let keyring = node.disk.keyring(&node.spec.keys);
            let agent = if let Some(keyring) = keyring {
                let seal = (keyring, seed::bytes(seed));
                Agent::sealed(identity, config, local, book, seal, seed, Instant::START)
            } else {
                Agent::new(identity, config, local, book, seed, Instant::START)
            };
            Program::Shoal(Box::new(agent))
        } else {
            let (key, interval) = (node.spec.name.key(), config.probe_interval);
            let stock = StockFoca::new(key, addr, generation, interval, size, seed, Instant::START);
            Program::Foca(Box::new(stock))
        };
        node.runs += 1;
        node.life = Life::Running;
        node.name_taken = false;
        node.joined_after = None;
        node.left_acknowledged_by = None;
        node.book_saved = now;
        node.excused_until = now + EXCUSED_AFTER_FAULT;
        node.reference.set_tags(node.spec.tags.clone());
        node.reference.restarted(now);
        let takes_services = first_run && program.agent().is_some();
        let services = if takes_services { node.spec.services.clone() } else { Vec::new() };
        (program, services)
    }

    /// Calls into the host's agent; `None` if none runs there.
    fn call<R>(&mut self, host: HostId, f: impl FnOnce(&mut Agent, Instant) -> R) -> Option<R> {
        self.engine.call(host, |program, now| program.agent_mut().map(|agent| f(agent, now))).flatten()
    }

    fn resolve(&self, host: HostId) -> Vec<SocketAddr> {
        let contacts = self.node(host).spec.join.iter();
        let addrs = contacts.map(|contact| match *contact {
            Contact::Host(other) => self.addr(other),
            Contact::Addr(addr) => addr,
        });
        addrs.filter(|addr| *addr != self.addr(host)).collect()
    }

    /// Who knows nobody yet resolves the names that it joins by again, as the shell of an agent does, and
    /// finds the address that a host has by now.
    pub(super) fn resolve_again(&mut self, host: HostId) {
        let alone = self.agent(host).is_some_and(|agent| agent.live_count() == 1);
        if alone && self.node(host).life == Life::Running && !self.is_silenced(host) {
            let addrs = self.resolve(host);
            self.call(host, |agent, now| agent.join(&addrs, now));
        }
    }

    /// Kills the agent; its machine goes on, so that the closed port can be reported.
    pub fn crash(&mut self, host: HostId) {
        self.end(host, End::Crash);
    }

    /// Kills the agent and the machine under it.
    pub fn power_off(&mut self, host: HostId) {
        self.engine.set_powered(host, false);
        self.end(host, End::Crash);
    }

    fn end(&mut self, host: HostId, end: End) {
        let now = self.now();
        let Some(program) = self.engine.kill(host) else { return };
        let generation = program.generation();
        let stats = program.agent().map(Agent::stats).unwrap_or_default();
        let node = self.node_mut(host);
        let reap_after = node.spec.config.reap_after;
        node.life = Life::Down;
        node.faulty |= end == End::Crash;
        node.rejoins_before += program.renewals();
        node.probes_before.0 += stats.probes_sent;
        node.probes_before.1 += stats.probes_failed;
        self.oracle.stopped(host, end, now);
        self.plan(now + reap_after, Plan::Reap(host, generation));
    }

    /// Everything the host ever persisted is gone. To be used while no agent runs.
    pub fn lose_disk(&mut self, host: HostId) {
        let id = self.fresh_id(host, self.node(host).runs);
        let node = self.node_mut(host);
        node.disk = Disk::blank(id, LocalState::default());
        node.reference.lose_registrations();
    }

    /// Puts a copy of another host's disk into this one, as a cloned machine would have it.
    pub fn clone_disk(&mut self, from: HostId, to: HostId) {
        let (disk, reference) = (self.node(from).disk.clone(), self.node(from).reference.clone());
        let node = self.node_mut(to);
        node.disk = disk;
        node.reference = reference;
    }

    /// Kills the agent and starts another from the disk.
    pub fn restart(&mut self, host: HostId) {
        self.crash(host);
        self.start(host);
    }

    /// Steps the wall clock; the next start sees it.
    pub fn step_clock(&mut self, host: HostId, by_ms: i64) {
        self.node_mut(host).clock_ahead_ms += by_ms;
    }

    /// Gives the host another address. To be used while no agent runs.
    pub fn readdress(&mut self, host: HostId) {
        let node = self.node_mut(host);
        node.moves += 1;
        let addr = address(host.index(), node.moves);
        self.engine.set_addr(host, addr);
    }

    // ---- operators

    /// A command of the host's operator: checked, made durable, applied.
    pub fn command(&mut self, host: HostId, command: &LocalCommand) -> Result<(), LocalError> {
        if self.engine.host(host).is_frozen() {
            return Err(LocalError::Leaving);
        }
        self.carry_out(host, command)
    }

    fn carry_out(&mut self, host: HostId, command: &LocalCommand) -> Result<(), LocalError> {
        let now = self.now();
        let durable = self.call(host, |agent, now| {
            let state = agent.check(agent.local(), command, now)?;
            agent.apply(command, now)?;
            Ok(state)
        });
        // Nobody answers on a host without an agent; to its operator that is much the same.
        let state = durable.unwrap_or(Err(LocalError::Leaving))?;
        let node = self.node_mut(host);
        node.disk.local = state;
        node.reference.expire(now);
        node.reference.apply(command, now);
        self.absorb();
        self.compare_touched(host, command);
        Ok(())
    }

    /// Gives the node other tags.
    pub fn set_tags(&mut self, host: HostId, tags: BTreeMap<String, String>) -> Result<(), LocalError> {
        let set = self.call(host, |agent, now| agent.set_tags(tags.clone(), now));
        set.unwrap_or(Err(LocalError::Leaving))?;
        let node = self.node_mut(host);
        node.spec.tags.clone_from(&tags);
        node.reference.set_tags(tags);
        self.absorb();
        self.compare(host);
        Ok(())
    }

    /// Joins more addresses.
    pub fn join(&mut self, host: HostId, contacts: &[Contact]) {
        self.node_mut(host).spec.join.extend_from_slice(contacts);
        let addrs = self.resolve(host);
        self.engine.call(host, |program, now| program.join(&addrs, now));
        self.absorb();
    }

    /// Lets the node leave; its process ends by itself when that is done.
    pub fn leave(&mut self, host: HostId) {
        if self.node(host).life != Life::Running || self.engine.host(host).is_frozen() {
            return;
        }
        let now = self.now();
        self.node_mut(host).life = Life::Leaving;
        self.oracle.leaving(host, now);
        self.engine.call(host, Program::leave);
        self.absorb();
    }

    /// Lets `host` declare that the failed node `name` has left.
    pub fn force_leave(&mut self, host: HostId, name: &NodeName, prune: bool) -> Result<(), ForceLeaveError> {
        let now = self.now();
        let done = self.call(host, |agent, now| agent.force_leave(name, prune, now));
        let done = done.unwrap_or_else(|| Err(ForceLeaveError::Unknown(name.clone())));
        if done.is_ok() {
            self.oracle.forced(name, now);
        }
        self.absorb();
        done
    }

    // ---- weather

    /// Changes what holds for the whole network.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.engine.network.set_conditions(conditions);
    }

    /// What holds for the whole network.
    pub const fn conditions(&self) -> &Conditions {
        self.engine.network.conditions()
    }

    /// Impairs links until [`Self::lift`] or [`Self::heal`].
    pub fn impair(&mut self, links: &Links, impairment: Impairment) -> ImpairmentId {
        self.name_faulty(links);
        self.engine.network.impair(links, impairment)
    }

    /// Cuts groups of hosts off from each other, both ways.
    pub fn partition(&mut self, groups: &[&[HostId]]) -> ImpairmentId {
        let groups = groups.iter().map(|g| g.to_vec()).collect();
        self.impair(&Links::Between(groups), Impairment::CUT)
    }

    /// Ends one impairment.
    pub fn lift(&mut self, id: ImpairmentId) {
        self.engine.network.lift(id);
        self.excused_until = self.now() + EXCUSED_AFTER_FAULT;
    }

    /// Ends all impairments of links.
    pub fn heal(&mut self) {
        if !self.engine.network.is_whole() {
            self.engine.network.lift_all();
            self.excused_until = self.now() + EXCUSED_AFTER_FAULT;
        }
        self.labels.clear();
    }

    /// A datagram that no agent sent reaches `host`.
    pub fn inject(&mut self, from: SocketAddr, host: HostId, bytes: Vec<u8>) {
        let to = self.addr(host);
        self.engine.inject(from, to, bytes);
    }
}

/// The address of a host after so many moves: `10.<moves>.<number>`.
fn address(number: usize, moves: u8) -> SocketAddr {
    let number = u16::try_from(number).expect("a world has at most 65,535 hosts");
    let [high, low] = number.to_be_bytes();
    (Ipv4Addr::new(10, moves, high, low), GOSSIP_PORT).into()
}

#[cfg(test)]
mod tests;
