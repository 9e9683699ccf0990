//! Things that can happen to a world at a stated time, as values: what a scenario's timeline is
//! made of.

use super::{HostileKind, World};
use crate::model::{LocalCommand, NodeName};
use crate::sim::{Conditions, HostId, Impairment, Links, Load};
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing that happens. Those that do not fit (starting what runs, leaving what is dead) do
/// nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// An agent starts from its disk.
    Start(HostId),
    /// The agent is killed.
    Crash(HostId),
    /// The agent is killed and its machine with it.
    PowerOff(HostId),
    /// What the host persisted is lost; only while no agent runs.
    LoseDisk(HostId),
    /// One host gets a copy of another's disk, as a cloned machine would; only while no agent runs
    /// on the one that gets it.
    CloneDisk {
        /// Whose disk is copied.
        from: HostId,
        /// Who gets the copy.
        to: HostId,
    },
    /// The process is stopped where it is.
    Pause(HostId),
    /// It goes on.
    Resume(HostId),
    /// The process stands at the first thing that it wants to send, and whatever arrives waits (the
    /// anomaly of the Lifeguard paper).
    Block(HostId),
    /// It goes on; what waited is sent and handled, in order.
    Unblock(HostId),
    /// The process runs and its timers fire, but its socket lets nothing through, either way.
    Clog(HostId),
    /// What waited is sent and handled, in order.
    Unclog(HostId),
    /// The host's processes get little of a core, in random slices, and stand still in between.
    Starve {
        /// The host.
        host: HostId,
        /// Share of a core, above 0 and below 1.
        share: f64,
        /// Mean length of a slice.
        slice: Duration,
    },
    /// A starved host has a whole core again.
    Feed(HostId),
    /// Each datagram costs the host's processes this much time; zero ends it.
    SlowCpu(HostId, Duration),
    /// The node leaves.
    Leave(HostId),
    /// An operator at the first host declares that the named node has left.
    ForceLeave {
        /// Where the command is given.
        at: HostId,
        /// The failed node.
        name: NodeName,
        /// Forget it altogether.
        prune: bool,
    },
    /// The host gets another address; only while no agent runs.
    Readdress(HostId),
    /// The host's wall clock is stepped by so many milliseconds.
    StepClock(HostId, i64),
    /// Links are impaired, under a label.
    Impair {
        /// Names the impairment for [`Action::Lift`].
        label: String,
        /// Which links.
        links: Links,
        /// In what way.
        impairment: Impairment,
    },
    /// The impairment with this label ends.
    Lift(String),
    /// All impairments of links end.
    Heal,
    /// Other conditions hold for the whole network.
    SetConditions(Conditions),
    /// The host's operator gives a command.
    Command(HostId, LocalCommand),
    /// The host's operator gives the node other tags.
    SetTags(HostId, BTreeMap<String, String>),
    /// A load starts.
    Load(Load),
    /// Somebody who is not of the cluster sends datagrams.
    Hostile {
        /// Whom it is aimed at.
        target: HostId,
        /// What is sent.
        kind: HostileKind,
        /// Mean time between two datagrams.
        every: Duration,
        /// For how long.
        lasts: Duration,
    },
}

impl Action {
    /// Does it take something away from somebody? Starting, ending a fault and giving commands do
    /// not.
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Crash(_)
            | Self::PowerOff(_)
            | Self::LoseDisk(_)
            | Self::CloneDisk { .. }
            | Self::Pause(_)
            | Self::Block(_)
            | Self::Clog(_)
            | Self::Starve { .. }
            | Self::Leave(_)
            | Self::Readdress(_)
            | Self::StepClock(..)
            | Self::Impair { .. }
            | Self::Hostile { .. } => true,
            Self::SlowCpu(_, cost) => !cost.is_zero(),
            Self::Start(_)
            | Self::Resume(_)
            | Self::Unblock(_)
            | Self::Unclog(_)
            | Self::Feed(_)
            | Self::ForceLeave { .. }
            | Self::Lift(_)
            | Self::Heal
            | Self::SetConditions(_)
            | Self::Command(..)
            | Self::SetTags(..)
            | Self::Load(_) => false,
        }
    }
}

impl World {
    /// Does `action` now.
    pub fn act(&mut self, action: &Action) {
        let now = self.now();
        self.engine.trace.record_act(now, action);
        if self.oracle.journal.is_some() {
            let what = self.describe(action);
            self.log_action(what);
        }
        let refused = match action {
            Action::Start(host) => {
                self.start(*host);
                false
            }
            Action::Crash(host) => {
                self.crash(*host);
                false
            }
            Action::PowerOff(host) => {
                self.power_off(*host);
                false
            }
            Action::LoseDisk(host) => {
                if self.agent(*host).is_none() {
                    self.lose_disk(*host);
                }
                false
            }
            Action::CloneDisk { from, to } => {
                if self.agent(*to).is_none() {
                    self.clone_disk(*from, *to);
                }
                false
            }
            Action::Pause(host) => {
                self.pause(*host);
                false
            }
            Action::Resume(host) => {
                self.resume(*host);
                false
            }
            Action::Block(host) => {
                self.block(*host);
                false
            }
            Action::Unblock(host) => {
                self.unblock(*host);
                false
            }
            Action::Clog(host) => {
                self.clog(*host);
                false
            }
            Action::Unclog(host) => {
                self.unclog(*host);
                false
            }
            Action::Starve { host, share, slice } => {
                self.starve(*host, *share, *slice);
                false
            }
            Action::Feed(host) => {
                self.feed(*host);
                false
            }
            Action::SlowCpu(host, cost) => {
                self.slow_cpu(*host, *cost);
                false
            }
            Action::Leave(host) => {
                self.leave(*host);
                false
            }
            Action::ForceLeave { at, name, prune } => self.force_leave(*at, name, *prune).is_err(),
            Action::Readdress(host) => {
                if self.agent(*host).is_none() {
                    self.readdress(*host);
                }
                false
            }
            Action::StepClock(host, by_ms) => {
                self.step_clock(*host, *by_ms);
                false
            }
            Action::Impair { label, links, impairment } => {
                let id = self.impair(links, *impairment);
                if let Some(former) = self.labels.insert(label.clone(), id) {
                    self.lift(former);
                }
                false
            }
            Action::Lift(label) => {
                if let Some(id) = self.labels.remove(label) {
                    self.lift(id);
                }
                false
            }
            Action::Heal => {
                self.heal();
                false
            }
            Action::SetConditions(conditions) => {
                self.set_conditions(conditions.clone());
                false
            }
            Action::Command(host, command) => self.command(*host, command).is_err(),
            Action::SetTags(host, tags) => self.set_tags(*host, tags.clone()).is_err(),
            Action::Load(load) => {
                self.load(load.clone());
                false
            }
            Action::Hostile { target, kind, every, lasts } => {
                self.hostile(*target, *kind, *every, *lasts);
                false
            }
        };
        self.refused_commands += u64::from(refused);
    }
}
