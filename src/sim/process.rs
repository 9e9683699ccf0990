//! What the engine needs of a program that runs on a host; [`core::Agent`](crate::core::Agent) is
//! the one that ships, tests of the engine itself bring smaller ones.

use crate::core::{Agent, Event, Outgoing};
use crate::model::Instant;
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
}

impl Process for Agent {
    fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        Self::handle_datagram(self, from, bytes, now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }
    fn handle_unreachable(&mut self, addr: SocketAddr, now: Instant) {
        Self::handle_unreachable(self, addr, now);
    }
    fn poll_datagram(&mut self) -> Option<Outgoing> {
        Self::poll_datagram(self)
    }
    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self)
    }
    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        Self::poll_timeout(self)
    }
}
