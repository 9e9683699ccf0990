//! What the engine needs of a program that runs on a host, and the programs there are:
//! [`core::Agent`](crate::core::Agent) ships, [`StockFoca`] is what it is compared with, tests of
//! the engine itself bring smaller ones.

use crate::core::{Agent, Event, Membership, Outgoing, StockFoca, StockLife};
use crate::model::{Entry, EntryKey, Generation, Instant, Member, NodeKey, Version};
use std::net::SocketAddr;

/// A state machine that is driven from outside. All times are of the process's own clock, which
/// reads zero when it starts.
pub(crate) trait Process {
    fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant);
    fn handle_timeout(&mut self, now: Instant);
    fn handle_unreachable(&mut self, addr: SocketAddr, now: Instant);
    fn poll_datagram(&mut self) -> Option<Outgoing>;
    fn poll_event(&mut self) -> Option<Event>;
    fn poll_timeout(&self) -> Option<(Instant, &'static str)>;

    /// Does it send, receive and time things in loops that do not wait for each other?
    fn has_many_loops(&self) -> bool {
        false
    }

    /// When something is due that threads of its own would do while the loops stand.
    fn poll_timeout_aside(&self) -> Option<(Instant, &'static str)> {
        None
    }

    /// It is due.
    fn handle_timeout_aside(&mut self, _now: Instant) {}
}

/// What runs on a host.
pub(crate) enum Program {
    Shoal(Box<Agent>),
    /// The library alone, to compare with.
    Foca(Box<StockFoca>),
}

impl Program {
    /// The agent, if it is one.
    pub(crate) fn agent(&self) -> Option<&Agent> {
        match self {
            Self::Shoal(agent) => Some(agent),
            Self::Foca(_) => None,
        }
    }

    pub(crate) fn agent_mut(&mut self) -> Option<&mut Agent> {
        match self {
            Self::Shoal(agent) => Some(agent),
            Self::Foca(_) => None,
        }
    }

    /// The life of a node that is foca alone.
    pub(crate) fn stock_life(&self) -> Option<StockLife> {
        match self {
            Self::Shoal(_) => None,
            Self::Foca(stock) => Some(stock.life()),
        }
    }

    pub(crate) fn key(&self) -> NodeKey {
        match self {
            Self::Shoal(agent) => agent.identity().name.key(),
            Self::Foca(stock) => stock.key(),
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Shoal(agent) => agent.identity().generation,
            Self::Foca(stock) => stock.generation(),
        }
    }

    pub(crate) fn members(&self) -> Box<dyn Iterator<Item = Member> + '_> {
        match self {
            Self::Shoal(agent) => Box::new(agent.members()),
            Self::Foca(stock) => Box::new(stock.members().cloned()),
        }
    }

    pub(crate) fn member(&self, key: NodeKey) -> Option<Member> {
        match self {
            Self::Shoal(agent) => agent.member(key),
            Self::Foca(stock) => stock.member(key).cloned(),
        }
    }

    pub(crate) fn entry(&self, owner: NodeKey, key: &EntryKey) -> Option<(Generation, Version, Entry)> {
        self.agent()?.entry(owner, key)
    }

    pub(crate) fn entry_keys(&self, owner: NodeKey) -> impl Iterator<Item = EntryKey> + '_ {
        self.agent().into_iter().flat_map(move |agent| agent.entry_keys(owner))
    }

    /// Times that it took a new identity.
    pub(crate) fn renewals(&self) -> u64 {
        match self {
            Self::Shoal(agent) => agent.stats().rejoins,
            Self::Foca(stock) => stock.renewals(),
        }
    }

    /// What waits to be spread, and how much of it may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        match self {
            Self::Shoal(agent) => (agent.rumours_waiting(), agent.config().max_rumours),
            Self::Foca(stock) => (stock.updates_waiting(), usize::MAX),
        }
    }

    pub(crate) fn join(&mut self, addrs: &[SocketAddr], now: Instant) {
        match self {
            Self::Shoal(agent) => agent.join(addrs, now),
            Self::Foca(stock) => stock.join(addrs, now),
        }
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        match self {
            Self::Shoal(agent) => agent.leave(now),
            Self::Foca(stock) => stock.leave(now),
        }
    }
}

impl Process for Program {
    fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        match self {
            Self::Shoal(agent) => agent.handle_datagram(from, bytes, now),
            Self::Foca(stock) => stock.handle_datagram(bytes, now),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Shoal(agent) => agent.handle_timeout(now),
            Self::Foca(stock) => stock.handle_timeout(now),
        }
    }
    fn handle_unreachable(&mut self, addr: SocketAddr, now: Instant) {
        match self {
            Self::Shoal(agent) => agent.handle_unreachable(addr, now),
            Self::Foca(_) => {}
        }
    }
    fn poll_datagram(&mut self) -> Option<Outgoing> {
        match self {
            Self::Shoal(agent) => agent.poll_datagram(),
            Self::Foca(stock) => stock.poll_datagram(),
        }
    }
    fn poll_event(&mut self) -> Option<Event> {
        match self {
            Self::Shoal(agent) => agent.poll_event(),
            Self::Foca(stock) => stock.poll_event(),
        }
    }
    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match self {
            Self::Shoal(agent) => agent.poll_timeout(),
            Self::Foca(stock) => stock.poll_timeout(),
        }
    }
    fn has_many_loops(&self) -> bool {
        self.agent().is_some_and(|agent| agent.config().membership() != Membership::Shoal)
    }
    fn poll_timeout_aside(&self) -> Option<(Instant, &'static str)> {
        self.agent().and_then(Agent::poll_timeout_aside)
    }
    fn handle_timeout_aside(&mut self, now: Instant) {
        if let Some(agent) = self.agent_mut() {
            agent.handle_timeout_aside(now);
        }
    }
}
