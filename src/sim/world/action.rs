//! Things that can happen to a world at a stated time, as values: what a scenario's timeline is
//! made of.

use super::World;
use crate::model::{LocalCommand, NodeName};
use crate::sim::{Conditions, HostId, Impairment, Links, Load};
use std::collections::BTreeMap;

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
    /// The process is stopped where it is.
    Pause(HostId),
    /// It goes on.
    Resume(HostId),
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
}

impl World {
    /// Does `action` now.
    pub fn act(&mut self, action: &Action) {
        let now = self.now();
        self.engine.trace.record_act(now, action);
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
            Action::Pause(host) => {
                self.pause(*host);
                false
            }
            Action::Resume(host) => {
                self.resume(*host);
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
        };
        self.refused_commands += u64::from(refused);
    }
}
