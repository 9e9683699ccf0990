//! A world without an operating system: virtual time, a network with faults, many agents, and a
//! judge.
//!
//! ```text
//!   scenario, swarm      who does what when, and what is expected          (from a seed)
//!        |
//!      world             hosts with disks and operators; faults; load
//!        |     \
//!      engine   oracle   virtual time and sockets  |  invariants, model, figures
//!        |
//!      network           latency, loss, partitions
//! ```
//!
//! Runs the very [`core::Agent`](crate::core::Agent) that ships. Owns everything around it that a
//! host would give it. Never reads a clock, a file or the system's randomness: the same seed gives
//! the same run, bit for bit, and [`World::trace_hash`] proves it.

mod engine;
mod errors;
pub mod file;
mod journal;
mod mode;
mod network;
mod node;
mod oracle;
mod process;
mod queue;
mod reference;
pub mod report;
pub mod scenario;
pub mod seed;
mod swarm;
mod trace;
mod world;

pub use journal::{Happening, Journal, Logged};
pub use mode::Mode;
pub use network::{Conditions, Impairment, ImpairmentId, Latency, Links};
pub use node::{Contact, NodeSpec};
pub use oracle::{Departure, DepartureKind, Difference, Distribution, FalseFailure, Metrics, Tally, Verdict};
pub use scenario::{Expectation, Figure, Load, LoadKind, Report, Scenario, Unit, Violation};
pub use swarm::swarm;
pub use world::{Action, HostileKind, Sample, Spread, World};

use serde::{Deserialize, Serialize};

/// A machine of the world, by number; at most one agent runs on it at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub usize);

impl HostId {
    /// Its number, from 0.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// What went through one host's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams handed to the network.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Datagrams that reached the agent.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams that found the socket full, because the process was paused, blocked or too slow.
    pub datagrams_overflowed: u64,
    /// Datagrams that arrived while no agent ran here.
    pub datagrams_unheard: u64,
    /// Datagrams that found too much waiting before the outgoing line.
    pub datagrams_shed: u64,
}
