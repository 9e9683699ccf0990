//! The published view: members and catalog as readers see them at one moment.
//!
//! Owns the tables that questions are answered from, their change indexes and the log of recent
//! changes. A [`View`] never changes; [`ViewBuilder`] makes the next one, sharing all structure
//! that did not change, and publishes it with one pointer swap. Readers never wait for the
//! builder and the builder never waits for readers.
//!
//! Knows no protocol: what is newer, what is deleted and who is alive was decided before it gets
//! here. Names only [`crate::model`].
//!
//! # What is visible
//!
//! A node is in the catalog while it is a member that has not left and its record is known. Its
//! records may arrive in any order; they are kept and appear together with it. A failed node
//! stays, with its `serfHealth` check critical. A node that left is gone from the catalog with all
//! that is on it and stays in the list of members.
//!
//! # Change indexes
//!
//! Every publish that changes something visible has an index, one more than the one before; the
//! first is the seed given at the start (unix microseconds, so that indexes rise across restarts
//! and stay below 2^53). Each list, node and service name remembers the index of its last visible
//! change, so that a reader can wait for the thing it asked about and for nothing else.

mod builder;
mod gone;
mod keyed;
mod log;
pub mod metrics;
mod reader;
mod sorted;
mod table;
#[cfg(test)]
mod tests;

pub use builder::ViewBuilder;
pub use keyed::{ById, ByPlace, Checks, IdSet, PlaceSet};
pub use log::{CHANGES_MAX, Change, ChangeKind, ChangeLog};
pub use metrics::Exposition;
pub use reader::{Closed, ViewReader, ViewWaiter};
pub use sorted::{Order, Sorted, Values};
pub use table::{
    Check, Folded, Health, Instance, MemberView, NODE_MAINTENANCE, Node, SERF_HEALTH,
    SERVICE_MAINTENANCE_PREFIX, Service, fold,
};

use crate::model::{LocalState, MemberStatus, NodeKey, Rtt, UserEvent};
use gone::Gone;
use imbl::OrdMap;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Fired events that are kept; then the oldest goes.
pub const USER_EVENTS_MAX: usize = 256;

/// What the agent tells about itself beyond the tables; published with the view, at least once a
/// second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentStatus {
    /// Digest of the whole catalog; equal on agents that agree.
    pub root_digest: u64,
    /// Milliseconds since a peer's digest last differed from ours; `None`: it never did.
    pub since_difference_ms: Option<u64>,
    /// Milliseconds since anything was last heard from a peer; `None`: nothing ever was.
    pub since_heard_ms: Option<u64>,
    /// `ip:port` that other agents are told.
    pub gossip_addr: String,
    /// It has just started, and what it was told by others is not all yet: who acts on what is missing
    /// should wait.
    pub catching_up: bool,
    /// The agent is on its way out.
    pub leaving: bool,
    /// What is to be done about datagrams that cannot be opened here for want of their key.
    pub key_advice: Option<String>,
    /// Times, in milliseconds, and counts that the agent goes by at present, by name.
    pub effective: BTreeMap<&'static str, u64>,
    /// How old changes of others were when they arrived as rumours.
    pub propagation: Durations,
    /// How late the loop came to its timers.
    pub loop_late: Durations,
    /// What the agent counts. Kept without names of series: it is copied every second, and read now and then.
    pub counted: Vec<Counted>,
}

impl AgentStatus {
    /// What the agent counts, by series.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.counted.iter().map(|counted| (counted.series(), counted.value)).collect()
    }
}

/// A figure of the agent, as it was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The metric.
    pub name: &'static str,
    /// Of its series this one: label and value.
    pub label: Option<(&'static str, &'static str)>,
    /// How many.
    pub value: u64,
}

impl Counted {
    /// A metric of one series.
    pub const fn new(name: &'static str, value: u64) -> Self {
        Self { name, label: None, value }
    }

    /// One of a metric's series.
    pub const fn of(name: &'static str, label: (&'static str, &'static str), value: u64) -> Self {
        Self { name, label: Some(label), value }
    }

    /// Its name as Prometheus writes it.
    fn series(&self) -> String {
        match self.label {
            Some((label, value)) => format!("{}{{{label}=\"{value}\"}}", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// A distribution of durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// Bounds in microseconds, rising, each with the number of durations up to it.
    pub buckets: Vec<(u64, u64)>,
    /// All of them.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum_us: u64,
}

/// How many members are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberCounts {
    /// Answering.
    pub alive: usize,
    /// Under suspicion.
    pub suspect: usize,
    /// Not answering.
    pub failed: usize,
    /// Gone on purpose.
    pub left: usize,
}

/// An immutable snapshot of members and catalog.
#[derive(Debug, Clone)]
pub struct View {
    datacenter: Arc<str>,
    own: NodeKey,
    own_name: Option<Folded>,
    index: u64,
    members: OrdMap<Folded, Arc<MemberView>>,
    nodes: OrdMap<Folded, Arc<Node>>,
    services: OrdMap<Folded, Arc<Service>>,
    instances: usize,
    checks: usize,
    nodes_gone: Gone,
    services_gone: Gone,
    nodes_index: u64,
    services_index: u64,
    catalog_index: u64,
    checks_index: u64,
    log: ChangeLog,
    local: LocalState,
    user_events: Arc<VecDeque<Arc<UserEvent>>>,
    status: Arc<AgentStatus>,
}

/// A name as names are looked up. Most are asked for in lower case: those take no memory.
fn folded(name: &str) -> Cow<'_, str> {
    let is_folded = name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_folded { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

impl View {
    fn new(datacenter: String, own: NodeKey, seed: u64) -> Self {
        Self {
            datacenter: Arc::from(datacenter),
            own,
            own_name: None,
            index: seed,
            members: OrdMap::new(),
            nodes: OrdMap::new(),
            services: OrdMap::new(),
            instances: 0,
            checks: 0,
            nodes_gone: Gone::new(seed),
            services_gone: Gone::new(seed),
            nodes_index: seed,
            services_index: seed,
            catalog_index: seed,
            checks_index: seed,
            log: ChangeLog::new(seed),
            local: LocalState::default(),
            user_events: Arc::default(),
            status: Arc::new(AgentStatus::default()),
        }
    }

    /// The cluster's name, which Consul's dialect calls datacenter.
    pub fn datacenter(&self) -> &str {
        &self.datacenter
    }

    /// Index of the last publish with a visible change; never 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Members by name (lower case), those that left included.
    pub fn members(&self) -> impl Iterator<Item = &Arc<MemberView>> {
        self.members.values()
    }

    /// How many members there are, those that left included.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// One member by name, whatever its case.
    pub fn member(&self, name: &str) -> Option<&Arc<MemberView>> {
        self.members.get(&*folded(name))
    }

    /// This node as a member, once it has published its own record.
    pub fn own_member(&self) -> Option<&Arc<MemberView>> {
        self.members.get(&**self.own_name.as_ref()?)
    }

    /// What is known of the round-trip time between two members: measured by this agent, else
    /// estimated from coordinates.
    pub fn rtt_between(&self, a: &MemberView, b: &MemberView) -> Option<Rtt> {
        Rtt::between(self.own, &a.member, &b.member)
    }

    /// How many members are in each state.
    pub fn member_counts(&self) -> MemberCounts {
        let mut counts = MemberCounts::default();
        for member in self.members.values() {
            match member.member.status {
                MemberStatus::Alive => counts.alive += 1,
                MemberStatus::Suspect => counts.suspect += 1,
                MemberStatus::Failed => counts.failed += 1,
                MemberStatus::Left => counts.left += 1,
            }
        }
        counts
    }

    /// Nodes of the catalog by name (lower case).
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// One node by name, whatever its case.
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(&*folded(name))
    }

    /// The node whose identifier, written as a UUID, starts with `prefix` (2 characters and more);
    /// `None` when there is none or more than one.
    pub fn node_by_id_prefix(&self, prefix: &str) -> Option<&Arc<Node>> {
        let plausible = prefix.len() >= 2
            && prefix.len() <= 36
            && prefix.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !plausible {
            return None;
        }
        let prefix = prefix.to_ascii_lowercase();
        let mut matching = self.nodes.values().filter(|n| n.record.id.to_string().starts_with(&prefix));
        let first = matching.next()?;
        matching.next().is_none().then_some(first)
    }

    /// Services by name (lower case).
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// How many service names there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// One service by name, whatever its case.
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.get(&*folded(name))
    }

    /// Instances of a service with their nodes, by node and id.
    pub fn instances_of(&self, name: &str) -> impl Iterator<Item = (&Arc<Node>, &Arc<Instance>)> {
        self.service(name).into_iter().flat_map(|service| {
            service.instances.values().map(|instance| {
                let node = self.nodes.get(&**instance.node).expect("an instance is shown only with its node");
                (node, instance)
            })
        })
    }

    /// How many instances there are.
    pub fn instance_count(&self) -> usize {
        self.instances
    }

    /// How many checks there are, one `serfHealth` per node included.
    pub fn check_count(&self) -> usize {
        self.checks + self.nodes.len()
    }

    /// Index of the list of nodes: their records, and which there are.
    pub fn nodes_index(&self) -> u64 {
        self.nodes_index
    }

    /// Index of the list of service names with their tags.
    pub fn services_index(&self) -> u64 {
        self.services_index
    }

    /// Index of all instances and nodes, not counting checks.
    pub fn catalog_index(&self) -> u64 {
        self.catalog_index
    }

    /// Index of the list of checks.
    pub fn checks_index(&self) -> u64 {
        self.checks_index
    }

    /// Index of one service name: its instances, their checks and their nodes. Defined for absent
    /// names too, where it is the index of the removal or an older one.
    pub fn service_index(&self, name: &str) -> u64 {
        let name = folded(name);
        match self.services.get(&*name) {
            Some(service) => service.index,
            None => self.services_gone.get(&name).index,
        }
    }

    /// Index of one node and all that is on it, defined for absent names too.
    pub fn node_index(&self, name: &str) -> u64 {
        let name = folded(name);
        match self.nodes.get(&*name) {
            Some(node) => node.index,
            None => self.nodes_gone.get(&name).index,
        }
    }

    /// The log of recent changes.
    pub fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// [`Change::service_sequence`] of the newest change of a service, present or not.
    pub fn service_sequence(&self, name: &str) -> u64 {
        let name = folded(name);
        match self.services.get(&*name) {
            Some(service) => service.sequence,
            None => self.services_gone.get(&name).sequence,
        }
    }

    /// What is registered on this host, with output and TTL state.
    pub fn local(&self) -> &LocalState {
        &self.local
    }

    /// Events that were meant for this node, oldest first.
    pub fn user_events(&self) -> impl DoubleEndedIterator<Item = &Arc<UserEvent>> {
        self.user_events.iter()
    }

    /// What the agent tells about itself.
    pub fn status(&self) -> &AgentStatus {
        &self.status
    }
}
