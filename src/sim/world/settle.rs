//! Worlds that begin with a settled cluster, for scenarios that are not about how it came together.
//!
//! Every agent starts from what all agents know ([`Knowledge`]), which they share in memory, with
//! its probes at a phase of its own; what a cold start of a thousand costs in virtual and real
//! time is spared.

use super::World;
use crate::core::{Knowledge, StockLife};
use crate::model::{Instant, LocalCommand};
use crate::sim::node::Life;
use crate::sim::process::Program;
use crate::sim::{HostId, seed};
use rand::RngExt as _;
use std::collections::BTreeSet;
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
        let mut knowledge = Knowledge::default();
        let mut programs: Vec<Program> = Vec::with_capacity(hosts.len());
        for &host in hosts {
            assert_eq!(self.node(host).runs, 0, "host {} has a past", host.index());
            let program = self.prepare(host);
            if let Some(agent) = program.agent() {
                knowledge.add(agent);
            }
            programs.push(program);
        }
        let names: BTreeSet<_> = programs.iter().map(Program::key).collect();
        assert_eq!(names.len(), hosts.len(), "the nodes of a settled cluster have names of their own");
        self.oracle.settled(hosts);
        let stock: Vec<StockLife> = programs.iter().filter_map(Program::stock_life).collect();
        let mut phases = seed::stream(self.seed, "phases of stock nodes", 0);
        for (&host, mut program) in hosts.iter().zip(programs) {
            match &mut program {
                Program::Shoal(agent) => {
                    agent.adopt(&knowledge, Instant::START);
                    self.node_mut(host).disk.book = agent.address_book();
                }
                Program::Foca(node) => node.adopt(&stock, phases.random(), Instant::START),
            }
            self.node_mut(host).joined_after = Some(Duration::ZERO);
            self.engine.start(host, program);
        }
        self.absorb();
    }

    /// A program with its services, which has met nobody.
    fn prepare(&mut self, host: HostId) -> Program {
        let now = self.now();
        let (mut program, services) = self.boot(host);
        for definition in services {
            let command = LocalCommand::RegisterService {
                definition: Box::new(definition),
                replace_existing_checks: true,
            };
            let agent = program.agent_mut().expect("only agents are given services");
            agent.apply(&command, Instant::START).expect("the services of a node's spec can be registered");
            self.node_mut(host).reference.apply(&command, now);
        }
        if let Some(agent) = program.agent() {
            self.node_mut(host).disk.local = agent.local().clone();
        }
        self.node_mut(host).excused_until = now;
        if let Err(what) = self.oracle.started(host, &program, now) {
            self.violated(host, &what);
        }
        program
    }
}
