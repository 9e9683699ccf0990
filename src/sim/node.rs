//! One host's side of an agent: what it is started with, and what its disk keeps.
//!
//! The disk holds what the shell makes durable, at the moments the shell does: the generation when
//! it is chosen or raised, the registrations with every accepted command and before long after
//! they changed by themselves, the address book now and then.

use super::HostId;
use super::reference::Reference;
use crate::core::{Config, Keyring};
use crate::model::{
    CheckStatus, Generation, Instant, KeyMaterial, LocalCheck, LocalState, NodeId, NodeName,
    ServiceDefinition, UserEventId,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How often the address book is written at most.
pub(crate) const BOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A join address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// Whatever address that host has when a process starts, as a name would resolve.
    Host(HostId),
    /// This one.
    Addr(SocketAddr),
}

/// What a node is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// Timing and limits.
    pub config: Config,
    /// Node tags.
    pub tags: BTreeMap<String, String>,
    /// Registered right after the first start, and again after the disk was lost.
    pub services: Vec<ServiceDefinition>,
    /// Joined at every start.
    pub join: Vec<Contact>,
    /// What its key file holds, the primary key first; without keys it gossips in plain.
    pub keys: Vec<KeyMaterial>,
}

impl NodeSpec {
    /// A node with default timing that joins nobody.
    ///
    /// # Panics
    /// If `name` is not a node name.
    pub fn named(name: &str) -> Self {
        Self {
            name: NodeName::new(name).expect("scenarios use valid node names"),
            config: Config::default(),
            tags: BTreeMap::new(),
            services: Vec::new(),
            join: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// What outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) id: NodeId,
    pub(crate) generation: Option<Generation>,
    pub(crate) local: LocalState,
    pub(crate) book: Vec<SocketAddr>,
    pub(crate) keyring: Option<Keyring>,
}

impl Disk {
    pub(crate) const fn blank(id: NodeId, local: LocalState) -> Self {
        Self { id, generation: None, local, book: Vec::new(), keyring: None }
    }

    /// The keyring as a shell makes it at a start: what was kept, and of the key file what is not
    /// known to have been removed.
    pub(crate) fn keyring(&mut self, file: &[KeyMaterial]) -> Option<Keyring> {
        match &mut self.keyring {
            Some(kept) => {
                kept.install_from_file(file);
            }
            None => self.keyring = Keyring::new(file),
        }
        self.keyring.clone()
    }

    /// The registrations as a new process takes them up: its clock reads zero, and every heartbeat
    /// has its full time again.
    pub(crate) fn restored(&self) -> LocalState {
        let mut local = self.local.clone();
        for check in self.local.checks.values() {
            let deadline = match check.definition.kind {
                crate::model::CheckKind::Ttl { ttl } => check.deadline.map(|_| Instant::START + ttl),
                crate::model::CheckKind::Maintenance
                | crate::model::CheckKind::Probe(_)
                | crate::model::CheckKind::Alias(_) => None,
            };
            let critical_since = (check.status == CheckStatus::Critical).then_some(Instant::START);
            let restored = LocalCheck { deadline, critical_since, ..(**check).clone() };
            local.checks.put(restored);
        }
        local
    }
}

/// What a host's process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Down,
    Running,
    Leaving,
}

/// A host as the world keeps it beside the engine.
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    pub(crate) disk: Disk,
    pub(crate) life: Life,
    /// Milliseconds that this host's wall clock is ahead of true time.
    pub(crate) clock_ahead_ms: i64,
    pub(crate) runs: u64,
    /// Addresses the host has had.
    pub(crate) moves: u8,
    pub(crate) reference: Reference,
    /// The address book changed since it was written at that moment.
    pub(crate) book_dirty: bool,
    pub(crate) book_saved: Instant,
    /// Until then verdicts about this host are excused: it was paused or started a moment ago.
    pub(crate) excused_until: Instant,
    /// A fault named this host at some time.
    pub(crate) faulty: bool,
    pub(crate) joined_after: Option<Duration>,
    pub(crate) name_taken: bool,
    pub(crate) left_acknowledged_by: Option<usize>,
    /// Events that its processes told of.
    pub(crate) events_heard: Vec<UserEventId>,
    /// Counted over all processes that ended.
    pub(crate) rejoins_before: u64,
    /// Probes started and unanswered, counted likewise.
    pub(crate) probes_before: (u64, u64),
}
