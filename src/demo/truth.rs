//! How the shop really is, and so what every agent should think of it.

use super::script::{Act, Target};
use super::shop::{HOSTS, Host, Instance, listed};
use crate::client::Health;
use crate::model::MemberStatus;
use std::collections::{BTreeMap, BTreeSet};

/// What an agent is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Running,
    Killed,
    Paused,
}

/// The shop as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    agents: [Doing; HOSTS],
    /// Hosts with the same number hear one another.
    sides: [u8; HOSTS],
    drained: BTreeSet<Target>,
    crashed: BTreeSet<Instance>,
}

/// Something an agent has an opinion of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Host(Host),
    Instance(Instance),
}

/// An opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Member(MemberStatus),
    Instance(Health),
    /// An instance that must not be used, for whatever reason.
    Unusable,
}

impl State {
    /// Whether `seen` is what this asks for.
    pub(super) fn is_met_by(self, seen: Self) -> bool {
        match (self, seen) {
            (Self::Unusable, Self::Instance(health)) => !health.is_usable(),
            _ => self == seen,
        }
    }
}

/// What each agent that runs should think, by who thinks and of what.
pub(super) type Opinions = BTreeMap<(Host, Thing), State>;

impl Truth {
    /// All is well.
    pub(super) const fn new() -> Self {
        Self {
            agents: [Doing::Running; HOSTS],
            sides: [0; HOSTS],
            drained: BTreeSet::new(),
            crashed: BTreeSet::new(),
        }
    }

    pub(super) const fn agent(&self, host: Host) -> Doing {
        self.agents[host.index()]
    }

    pub(super) fn running(&self) -> impl Iterator<Item = Host> {
        Host::all().filter(|host| self.agent(*host) == Doing::Running)
    }

    pub(super) const fn sides(&self) -> [u8; HOSTS] {
        self.sides
    }

    pub(super) const fn hear_each_other(&self, a: Host, b: Host) -> bool {
        self.sides[a.index()] == self.sides[b.index()]
    }

    pub(super) fn is_drained(&self, target: Target) -> bool {
        self.drained.contains(&target)
    }

    pub(super) fn is_crashed(&self, instance: Instance) -> bool {
        self.crashed.contains(&instance)
    }

    /// Whether the host's network is cut off from some other.
    pub(super) fn is_cut(&self, host: Host) -> bool {
        Host::all().any(|other| !self.hear_each_other(host, other))
    }

    /// Nothing is broken; something may be in maintenance.
    pub(super) fn is_whole(&self) -> bool {
        self.agents.iter().all(|agent| *agent == Doing::Running)
            && self.crashed.is_empty()
            && self.sides.iter().all(|side| *side == self.sides[0])
    }

    /// Makes `act` true; an error says why it makes no sense as things are.
    pub(super) fn apply(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Kill(host) => {
                self.refuse_unless(self.agent(*host) != Doing::Killed, *host)?;
                self.agents[host.index()] = Doing::Killed;
            }
            Act::Pause(host) => {
                self.refuse_unless(self.agent(*host) == Doing::Running, *host)?;
                self.agents[host.index()] = Doing::Paused;
            }
            Act::Unplug(host) => {
                let alone = Host::all().all(|o| o == *host || !self.hear_each_other(o, *host));
                if alone {
                    return Err(format!("{host} is cut off from everybody already"));
                }
                // The side of a host that is alone has its own number.
                self.sides[host.index()] = 10 + host.number();
            }
            Act::Partition(hosts) => {
                self.sides = [0; HOSTS];
                for host in hosts {
                    self.sides[host.index()] = 1;
                }
            }
            Act::Drain(target) => {
                self.refuse_unless(self.agent(target.host()) == Doing::Running, target.host())?;
                if !self.drained.insert(*target) {
                    return Err(format!("{target} is in maintenance already"));
                }
            }
            Act::Undrain(target) => {
                self.refuse_unless(self.agent(target.host()) == Doing::Running, target.host())?;
                if !self.drained.remove(target) {
                    return Err(format!("{target} is not in maintenance"));
                }
            }
            Act::Crash(instance) => {
                let killed = self.agent(instance.host()) == Doing::Killed;
                if killed || !self.crashed.insert(*instance) {
                    return Err(format!("{instance} does not run"));
                }
            }
            Act::Heal(None) => {
                if self.is_whole() {
                    return Err("nothing is broken".to_owned());
                }
                (self.agents, self.sides) = ([Doing::Running; HOSTS], [0; HOSTS]);
                self.crashed.clear();
            }
            Act::Heal(Some(host)) => {
                let crashed = host.instances().any(|i| self.crashed.contains(&i));
                if self.agent(*host) == Doing::Running && !crashed && !self.is_cut(*host) {
                    return Err(format!("nothing is broken on {host}"));
                }
                self.agents[host.index()] = Doing::Running;
                self.sides[host.index()] = self.main_side(*host);
                self.crashed.retain(|i| i.host() != *host);
            }
        }
        Ok(())
    }

    /// The side that most of the others are on.
    fn main_side(&self, but: Host) -> u8 {
        let others = || Host::all().filter(|host| *host != but).map(|host| self.sides[host.index()]);
        others().max_by_key(|side| (others().filter(|s| s == side).count(), u8::MAX - side)).unwrap_or(0)
    }

    fn refuse_unless(&self, sensible: bool, host: Host) -> Result<(), String> {
        if sensible {
            return Ok(());
        }
        Err(match self.agent(host) {
            Doing::Running => format!("{host}'s agent runs"),
            Doing::Killed => format!("{host} is dead: heal it first"),
            Doing::Paused => format!("{host}'s agent stands still: heal it first"),
        })
    }

    /// What agents should think, each as far as it can know.
    pub(super) fn expected(&self) -> Opinions {
        let mut opinions = Opinions::new();
        for observer in self.running() {
            for host in Host::all() {
                let alive = self.agent(host) == Doing::Running && self.hear_each_other(observer, host);
                let status = if alive { MemberStatus::Alive } else { MemberStatus::Failed };
                opinions.insert((observer, Thing::Host(host)), State::Member(status));
                for instance in host.instances() {
                    let drained =
                        self.is_drained(Target::Host(host)) || self.is_drained(Target::Instance(instance));
                    let state = match () {
                        // What is done there meanwhile cannot be known.
                        () if !alive => State::Unusable,
                        () if drained => State::Instance(Health::Maintenance),
                        () if self.crashed.contains(&instance) => State::Instance(Health::Critical),
                        () => State::Instance(Health::Passing),
                    };
                    opinions.insert((observer, Thing::Instance(instance)), state);
                }
            }
        }
        opinions
    }

    /// What stands on either side of the network's cut, if there is one.
    pub(super) fn cut(&self) -> Option<String> {
        let mut sides: BTreeMap<u8, Vec<Host>> = BTreeMap::new();
        for host in Host::all() {
            sides.entry(self.sides[host.index()]).or_default().push(host);
        }
        (sides.len() > 1).then(|| sides.values().map(listed).collect::<Vec<_>>().join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::named(name).expect("is there")
    }

    fn opinion(truth: &Truth, by: &str, of: &str) -> Option<State> {
        let thing = Host::named(of)
            .map(Thing::Host)
            .or_else(|| Instance::named(of).map(Thing::Instance))
            .expect("is there");
        truth.expected().get(&(host(by), thing)).copied()
    }

    #[test]
    fn what_must_not_be_used_may_have_any_reason() {
        for health in [Health::Critical, Health::Maintenance] {
            assert!(State::Unusable.is_met_by(State::Instance(health)));
        }
        assert!(!State::Unusable.is_met_by(State::Instance(Health::Warning)));
        assert!(!State::Instance(Health::Critical).is_met_by(State::Instance(Health::Maintenance)));
    }

    const FAILED: Option<State> = Some(State::Member(MemberStatus::Failed));
    const ALIVE: Option<State> = Some(State::Member(MemberStatus::Alive));
    const CRITICAL: Option<State> = Some(State::Instance(Health::Critical));

    #[test]
    fn who_is_dead_has_no_opinion_and_is_failed_to_all_others() {
        let mut truth = Truth::new();
        truth.apply(&Act::Kill(host("n3"))).expect("makes sense");
        assert_eq!(opinion(&truth, "n1", "n3"), FAILED);
        assert_eq!(opinion(&truth, "n1", "payment-2"), Some(State::Unusable));
        assert_eq!(opinion(&truth, "n3", "n1"), None);
        assert_eq!(truth.apply(&Act::Kill(host("n3"))), Err("n3 is dead: heal it first".to_owned()));
        truth.apply(&Act::Heal(Some(host("n3")))).expect("makes sense");
        assert_eq!(truth, Truth::new());
        assert!(truth.apply(&Act::Heal(None)).is_err());
    }

    #[test]
    fn either_side_of_a_partition_holds_the_other_for_failed() {
        let mut truth = Truth::new();
        truth.apply(&Act::Partition(vec![host("n4"), host("n5")])).expect("makes sense");
        assert_eq!(truth.cut().as_deref(), Some("n1, n2 and n3 | n4 and n5"));
        assert_eq!((opinion(&truth, "n1", "n4"), opinion(&truth, "n4", "n1")), (FAILED, FAILED));
        assert_eq!((opinion(&truth, "n1", "n2"), opinion(&truth, "n4", "n5")), (ALIVE, ALIVE));
        truth.apply(&Act::Unplug(host("n4"))).expect("makes sense");
        assert_eq!(opinion(&truth, "n4", "n5"), FAILED);
        // Back to where most are.
        truth.apply(&Act::Heal(Some(host("n4")))).expect("makes sense");
        assert_eq!((opinion(&truth, "n4", "n1"), opinion(&truth, "n4", "n5")), (ALIVE, FAILED));
    }

    #[test]
    fn what_is_drained_is_in_maintenance_and_what_crashed_is_critical() {
        let mut truth = Truth::new();
        let cart = Instance::named("cart-1").expect("is there");
        truth.apply(&Act::Drain(Target::Host(host("n2")))).expect("makes sense");
        truth.apply(&Act::Crash(cart)).expect("makes sense");
        assert_eq!(opinion(&truth, "n5", "orders-1"), Some(State::Instance(Health::Maintenance)));
        assert_eq!(opinion(&truth, "n5", "cart-1"), CRITICAL);
        assert!(truth.apply(&Act::Drain(Target::Host(host("n2")))).is_err());
        truth.apply(&Act::Heal(None)).expect("makes sense");
        assert_eq!(opinion(&truth, "n5", "cart-1"), Some(State::Instance(Health::Passing)));
        assert_eq!(opinion(&truth, "n5", "orders-1"), Some(State::Instance(Health::Maintenance)));
        // Nobody can be told anything there.
        truth.apply(&Act::Pause(host("n2"))).expect("makes sense");
        assert!(truth.apply(&Act::Undrain(Target::Host(host("n2")))).is_err());
    }
}
