//! Finding the way in, and back in: join addresses, the address book, and names held by others.
//!
//! Every address is asked in parallel, again and again with growing waits, until one answers; an
//! address that does not answer now is never given up, so that a partition of any length heals.

use crate::core::config::Config;
use crate::model::Instant;
use crate::wire::frame::Epoch;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses that are kept for joining and healing.
pub(crate) const ADDRESSES_MAX: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// How often the holder of our name is asked whether it lives, and how long it has each time.
const NAME_TRIES: u32 = 3;
const NAME_WAIT: Duration = Duration::from_millis(400);

/// Of those, addresses of members that failed and were forgotten.
const REMEMBERED_MAX: usize = 64;
/// Addresses that are remembered for having been asked.
const ASKED_MAX: usize = 64;

#[derive(Debug)]
struct Target {
    attempts: u32,
    due: Instant,
    answered: bool,
}

/// The check whether the node that is known by our name still lives.
#[derive(Debug)]
struct NameCheck {
    holder: SocketAddr,
    epoch: Epoch,
    tries: u32,
    due: Instant,
}

/// What the search for a cluster wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send a join request there.
    Request { to: SocketAddr, attempts: u32 },
    /// Ask the holder of our name whether it lives.
    AskHolder(SocketAddr),
    /// Nobody lives there: the name is ours, in a life after that one.
    NameIsFree(Epoch),
}

pub(crate) struct Join {
    targets: BTreeMap<SocketAddr, Target>,
    /// Where forgotten members were, the longest forgotten first.
    remembered: VecDeque<SocketAddr>,
    check: Option<NameCheck>,
    /// The holder of our name did not answer; say so when asking to join.
    pub(crate) name_checked: bool,
    joined: bool,
    /// Where the last requests went.
    asked: VecDeque<SocketAddr>,
    heal_at: Instant,
    rng: SmallRng,
}

impl Join {
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        Self {
            targets: BTreeMap::new(),
            remembered: VecDeque::new(),
            check: None,
            name_checked: false,
            joined: false,
            asked: VecDeque::new(),
            heal_at: now,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Takes part in a cluster of more than itself, or did.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined
    }

    pub(crate) fn set_joined(&mut self) {
        self.joined = true;
    }

    /// This node is in the cluster already, and so is everybody it was to ask.
    pub(crate) fn set_settled(&mut self) {
        self.joined = true;
        for target in self.targets.values_mut() {
            target.answered = true;
        }
    }

    /// A request goes there.
    pub(crate) fn note_asked(&mut self, addr: SocketAddr) {
        if self.asked.contains(&addr) {
            return;
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(addr);
    }

    /// Whether somebody there was asked to let this node in, as far as is remembered.
    pub(crate) fn has_asked(&self, addr: SocketAddr) -> bool {
        self.asked.contains(&addr)
    }

    /// The addresses given for joining, and where forgotten members were.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.keys().chain(&self.remembered).copied()
    }

    pub(crate) fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        let tries = self.targets.values().filter(|t| !t.answered).map(|t| (t.due, "join"));
        let check = self.check.as_ref().map(|c| (c.due, "name check"));
        tries.chain(check).chain([(self.heal_at, "heal")]).min()
    }

    pub(crate) fn add(&mut self, addr: SocketAddr, now: Instant) {
        if self.targets.len() >= ADDRESSES_MAX && !self.targets.contains_key(&addr) {
            return;
        }
        self.targets.insert(addr, Target { attempts: 0, due: now, answered: false });
    }

    /// A member that had failed was forgotten; it is tried now and then all the same, since a
    /// partition may last for longer than the dead are remembered.
    pub(crate) fn remember(&mut self, addr: SocketAddr) {
        if self.targets.contains_key(&addr) || self.remembered.contains(&addr) {
            return;
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(addr);
    }

    /// An address is this node's own, or answered.
    pub(crate) fn settled(&mut self, addr: SocketAddr) {
        if let Some(t) = self.targets.get_mut(&addr) {
            t.answered = true;
        }
    }

    /// Asks an address again at once.
    pub(crate) fn again(&mut self, addr: SocketAddr, now: Instant) {
        if let Some(t) = self.targets.get_mut(&addr) {
            t.due = now;
            t.answered = false;
        }
    }

    pub(crate) fn name_held(&mut self, holder: SocketAddr, epoch: Epoch, now: Instant) {
        if self.check.is_none() && !self.name_checked {
            self.check = Some(NameCheck { holder, epoch, tries: 0, due: now });
        }
    }

    /// The holder of our name answered (and lost the claim).
    pub(crate) fn name_settled(&mut self) {
        self.check = None;
    }

    /// What is due. `lost` are addresses of members that failed, `reached` tells those of live ones,
    /// and `alone` that there are none.
    pub(crate) fn steps(
        &mut self,
        config: &Config,
        lost: impl Iterator<Item = SocketAddr>,
        reached: &impl Fn(&SocketAddr) -> bool,
        alone: bool,
        now: Instant,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        self.check_name(&mut steps, now);
        for (addr, t) in &mut self.targets {
            if t.answered || t.due > now {
                continue;
            }
            t.attempts += 1;
            let wait = FIRST_WAIT * (1 << t.attempts.min(6));
            let wait =
                if self.joined { wait.max(config.heal_interval * 4) } else { wait.min(config.heal_interval) };
            t.due = now + wait.mul_f64(self.rng.random_range(0.8..1.2));
            if self.joined && reached(addr) {
                t.answered = true;
            } else {
                steps.push(Step::Request { to: *addr, attempts: t.attempts });
            }
        }
        if self.heal_at <= now {
            self.heal_at = now + config.heal_interval.mul_f64(self.rng.random_range(0.8..1.2));
            let candidates: Vec<SocketAddr> = lost
                .chain(self.targets.iter().filter(|(_, t)| t.answered).map(|(a, _)| *a))
                .chain(self.remembered.iter().copied())
                .filter(|a| !reached(a))
                .collect();
            // Alone, it is worth asking more than one: there is nothing else to do.
            let picks = if alone { 3 } else { 1 };
            for _ in 0..picks.min(candidates.len()) {
                let to = candidates[self.rng.random_range(0..candidates.len())];
                steps.push(Step::Request { to, attempts: 0 });
            }
        }
        steps
    }

    fn check_name(&mut self, steps: &mut Vec<Step>, now: Instant) {
        let Some(check) = &mut self.check else { return };
        if check.due > now {
            return;
        }
        if check.tries < NAME_TRIES {
            check.tries += 1;
            check.due = now + NAME_WAIT;
            steps.push(Step::AskHolder(check.holder));
            return;
        }
        steps.push(Step::NameIsFree(check.epoch));
        self.check = None;
        self.name_checked = true;
        for t in self.targets.values_mut().filter(|t| !t.answered) {
            t.due = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    fn asked(join: &mut Join, reached: u16, now: Instant) -> Vec<SocketAddr> {
        let reached = |a: &SocketAddr| *a == addr(reached);
        let steps = join.steps(&Config::default(), std::iter::empty(), &reached, false, now);
        let to = steps.into_iter().filter_map(|step| match step {
            Step::Request { to, .. } => Some(to),
            Step::AskHolder(_) | Step::NameIsFree(_) => None,
        });
        to.collect()
    }

    #[test]
    fn where_forgotten_members_were_is_tried_for_ever_unless_somebody_lives_there() {
        let mut join = Join::new(1, Instant::START);
        join.set_joined();
        join.remember(addr(2));
        join.remember(addr(3));
        let mut tried = std::collections::BTreeSet::new();
        for round in 0..50 {
            let now = Instant::START + Duration::from_secs(10 * round);
            tried.extend(asked(&mut join, 3, now));
        }
        assert_eq!(tried.into_iter().collect::<Vec<_>>(), [addr(2)]);
        let later = Instant::START + Duration::from_secs(10_000);
        assert_eq!(asked(&mut join, 3, later), [addr(2)]);
    }

    #[test]
    fn of_too_many_forgotten_members_the_longest_forgotten_goes() {
        let mut join = Join::new(1, Instant::START);
        for n in 0..1_000 {
            join.remember(addr(n));
            join.remember(addr(n));
        }
        let kept: Vec<SocketAddr> = join.addresses().collect();
        assert_eq!(kept.len(), REMEMBERED_MAX);
        assert_eq!((kept.first(), kept.last()), (Some(&addr(936)), Some(&addr(999))));
        join.add(addr(5), Instant::START);
        join.remember(addr(5));
        assert_eq!(join.addresses().filter(|a| *a == addr(5)).count(), 1);
    }

    #[test]
    fn so_many_addresses_are_kept_and_further_ones_not_added() {
        let mut join = Join::new(1, Instant::START);
        for n in 0..1_000 {
            join.add(addr(n), Instant::START);
        }
        assert_eq!(join.addresses().count(), ADDRESSES_MAX);
        assert!(join.addresses().all(|a| a.port() < 256), "who came first stays");
    }
}
