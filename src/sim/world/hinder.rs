//! What is done to a host's process while it exists: stopped, blocked, starved, slowed.
//!
//! While a process is stopped, blocked or starved nothing is demanded of it and its views count
//! for nothing; when that ends, verdicts made under it are excused for a while.

use super::{EXCUSED_AFTER_FAULT, World};
use crate::sim::node::Life;
use crate::sim::{HostId, Links, seed};
use std::collections::BTreeSet;
use std::time::Duration;

impl World {
    /// Is the agent's process stopped where it is?
    pub fn is_paused(&self, host: HostId) -> bool {
        self.engine.host(host).is_paused()
    }

    /// Is the agent held at its socket?
    pub fn is_blocked(&self, host: HostId) -> bool {
        self.engine.host(host).is_blocked()
    }

    /// Does the host's agent get only slices of processor time?
    pub fn is_starved(&self, host: HostId) -> bool {
        self.engine.host(host).is_starved()
    }

    /// Does the agent run with a socket that lets nothing through?
    pub fn is_clogged(&self, host: HostId) -> bool {
        self.engine.host(host).is_clogged()
    }

    /// Paused, blocked, clogged or starved: nothing can be demanded of it.
    pub(super) fn is_silenced(&self, host: HostId) -> bool {
        self.is_paused(host) || self.is_blocked(host) || self.is_clogged(host) || self.is_starved(host)
    }

    /// Did a fault name this host at any time?
    pub fn is_faulty(&self, host: HostId) -> bool {
        self.node(host).faulty
    }

    /// Stops the process: nothing is sent, nothing handled, its socket fills.
    pub fn pause(&mut self, host: HostId) {
        if self.node(host).life == Life::Running && !self.is_paused(host) {
            let before = self.is_silenced(host);
            self.engine.pause(host);
            self.silenced(host, before, true);
        }
    }

    /// Lets a paused process go on.
    pub fn resume(&mut self, host: HostId) {
        if self.is_paused(host) {
            self.engine.resume(host);
            self.speaks_again(host);
        }
    }

    /// Holds the agent immediately before it sends and immediately after it receives: it stands at
    /// the first thing that it wants to send.
    pub fn block(&mut self, host: HostId) {
        if self.node(host).life == Life::Running && !self.is_blocked(host) {
            let before = self.is_silenced(host);
            self.engine.block(host);
            self.silenced(host, before, true);
        }
    }

    /// Ends that: what it wanted to send goes out, then it takes what came.
    pub fn unblock(&mut self, host: HostId) {
        if self.is_blocked(host) {
            self.engine.unblock(host);
            self.speaks_again(host);
        }
    }

    /// Lets nothing out of the agent's socket and nothing into it, for as long as there is room; the
    /// agent runs, its timers fire, and it notices nothing.
    pub fn clog(&mut self, host: HostId) {
        if self.node(host).life == Life::Running && !self.is_clogged(host) {
            let before = self.is_silenced(host);
            self.engine.clog(host);
            self.silenced(host, before, true);
        }
    }

    /// Ends that: what it sent goes out, then it takes what came.
    pub fn unclog(&mut self, host: HostId) {
        if self.is_clogged(host) {
            self.engine.unclog(host);
            self.speaks_again(host);
        }
    }

    /// Gives the host's agent about `share` (0 to 1) of a core, in random slices of this mean
    /// length. It outlives the process.
    pub fn starve(&mut self, host: HostId, share: f64, slice: Duration) {
        let before = self.is_silenced(host);
        self.starved += 1;
        let rng = seed::stream(self.seed, "starve", self.starved);
        self.engine.starve(host, share, slice, rng);
        self.silenced(host, before, false);
    }

    /// Gives it a whole core again.
    pub fn feed(&mut self, host: HostId) {
        if self.is_starved(host) {
            self.engine.feed(host);
            self.speaks_again(host);
        }
    }

    /// Every datagram that the host's agent handles costs this much time; zero ends it. It outlives
    /// the process.
    pub fn slow_cpu(&mut self, host: HostId, cost: Duration) {
        self.engine.slow(host, cost);
        let until = self.now() + EXCUSED_AFTER_FAULT;
        let node = self.node_mut(host);
        node.excused_until = until;
        node.faulty |= !cost.is_zero();
    }

    fn silenced(&mut self, host: HostId, before: bool, measured: bool) {
        let now = self.now();
        self.node_mut(host).faulty = true;
        if !before {
            self.oracle.paused(host, true);
            if measured {
                self.oracle.silenced(host, now);
            }
        }
    }

    fn speaks_again(&mut self, host: HostId) {
        if !self.is_silenced(host) {
            self.node_mut(host).excused_until = self.now() + EXCUSED_AFTER_FAULT;
            self.oracle.paused(host, false);
            self.resolve_again(host);
        }
    }

    /// Notes which hosts an impairment names: all of those at its ends; of groups that are parted,
    /// those without a majority of all hosts.
    pub(super) fn name_faulty(&mut self, links: &Links) {
        let named: Vec<HostId> = match links {
            Links::Between(groups) => {
                let mut rest: BTreeSet<HostId> = self.hosts().collect();
                for host in groups.iter().flatten() {
                    rest.remove(host);
                }
                let rest: Vec<HostId> = rest.into_iter().collect();
                let small = |group: &&Vec<HostId>| group.len() * 2 <= self.nodes.len();
                groups.iter().chain([&rest]).filter(small).flatten().copied().collect()
            }
            Links::OneWay(from, to) => from.iter().chain(to).copied().collect(),
            Links::Into(hosts) | Links::OutOf(hosts) => hosts.clone(),
        };
        for host in named {
            self.node_mut(host).faulty = true;
        }
    }
}
