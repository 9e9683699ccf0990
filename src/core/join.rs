//! Finding the way in, and back in: join addresses, the address book, and names held by others.
//!
//! Every address is asked in parallel, again and again with growing waits, until one answers; an
//! address that does not answer now is never given up, so that a partition of any length heals.

use crate::core::config::Config;
use crate::model::Instant;
use crate::wire::frame::Epoch;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses that are kept for joining and healing.
pub(crate) const ADDRESSES_MAX: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// How often the holder of our name is asked whether it lives, and how long it has each time.
const NAME_TRIES: u32 = 3;
const NAME_WAIT: Duration = Duration::from_millis(400);

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
    check: Option<NameCheck>,
    /// The holder of our name did not answer; say so when asking to join.
    pub(crate) name_checked: bool,
    joined: bool,
    heal_at: Instant,
    rng: SmallRng,
}

impl Join {
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        Self {
            targets: BTreeMap::new(),
            check: None,
            name_checked: false,
            joined: false,
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

    /// The addresses given for joining.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.targets.keys().copied()
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
