//! Worlds that begin with a settled cluster, for scenarios that are not about how it came together.
//!
//! Every agent starts from what all agents know ([`Knowledge`]), which they share in memory, with
//! its probes at a phase of its own; what a cold start of a thousand costs in virtual and real
//! time is spared.

use super::World;
use crate::core::{Agent, Knowledge};
use crate::model::{Instant, LocalCommand};
use crate::sim::HostId;
use crate::sim::node::Life;
use std::time::Duration;

impl World {
    /// Starts these hosts, none of which ever ran, as one settled cluster: each knows all the
    /// others and everything registered on them.
    ///
    /// # Panics
    /// If one of them runs or ran before, if two bear the same name, or if somebody else runs: he
    /// would not know them.
    pub fn settle(&mut self, hosts: &[HostId]) {
        assert!(self.hosts().all(|h| self.node(h).life == Life::Down), "nobody runs before a settled start");
        let now = self.now();
        let mut knowledge = Knowledge::default();
        let mut agents: Vec<Agent> = Vec::with_capacity(hosts.len());
        for &host in hosts {
            assert_eq!(self.node(host).runs, 0, "host {} has a past", host.index());
            let (mut agent, services) = self.boot(host);
            for definition in services {
                let command = LocalCommand::RegisterService {
                    definition: Box::new(definition),
                    replace_existing_checks: true,
                };
                agent
                    .apply(&command, Instant::START)
                    .expect("the services of a node's spec can be registered");
                let node = self.node_mut(host);
                node.reference.apply(&command, now);
            }
            let node = self.node_mut(host);
            node.disk.local = agent.local().clone();
            node.excused_until = now;
            if let Err(what) = self.oracle.started(host, &agent, now) {
                self.violated(host, &what);
            }
            knowledge.add(&agent);
            agents.push(agent);
        }
        assert_eq!(knowledge.len(), hosts.len(), "the nodes of a settled cluster have names of their own");
        self.oracle.settled(hosts);
        for (&host, mut agent) in hosts.iter().zip(agents) {
            agent.adopt(&knowledge, Instant::START);
            self.node_mut(host).joined_after = Some(Duration::ZERO);
            self.node_mut(host).disk.book = agent.address_book();
            self.engine.start(host, agent);
        }
        self.absorb();
    }
}
