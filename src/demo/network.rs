//! The network of the shop: who hears whom, and who stands still.

use super::shop::{HOSTS, Host};
use crate::agent::Interference;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by all agents and by the shoppers.
#[derive(Debug, Default)]
pub(super) struct Network {
    state: Mutex<State>,
    goes_on: Condvar,
}

#[derive(Debug, Default)]
struct State {
    addrs: [Option<SocketAddr>; HOSTS],
    sides: [u8; HOSTS],
    standing: [bool; HOSTS],
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a host receives gossip.
    pub(super) fn place(&self, host: Host, addr: SocketAddr) {
        self.state().addrs[host.index()] = Some(addr);
    }

    /// Hosts with the same number hear one another.
    pub(super) fn cut(&self, sides: [u8; HOSTS]) {
        self.state().sides = sides;
    }

    pub(super) fn is_cut(&self, from: Host, to: Host) -> bool {
        let state = self.state();
        state.sides[from.index()] != state.sides[to.index()]
    }

    /// Lets a host's agent stand still, or go on.
    pub(super) fn stand(&self, host: Host, stands: bool) {
        self.state().standing[host.index()] = stands;
        self.goes_on.notify_all();
    }

    /// Returns when that host's agent is to go on.
    pub(super) fn wait_for(&self, host: Host) {
        let standing = |state: &mut State| state.standing[host.index()];
        // That nothing else of this thread runs meanwhile is what a standstill is.
        drop(self.goes_on.wait_while(self.state(), standing).unwrap_or_else(PoisonError::into_inner));
    }
}

/// What stands between one agent and the network.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) network: Arc<Network>,
    pub(super) host: Host,
}

impl Interference for Card {
    fn lets_out(&self, to: SocketAddr, _bytes: usize) -> bool {
        let state = self.network.state();
        let there = state.addrs.iter().position(|addr| *addr == Some(to));
        there.is_none_or(|there| state.sides[there] == state.sides[self.host.index()])
    }

    fn stand_still(&self) {
        self.network.wait_for(self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_pass_between_hosts_of_one_side_and_to_strangers() {
        let network = Arc::new(Network::default());
        let addr = |n: u16| SocketAddr::from(([127, 0, 0, 1], n));
        let hosts: Vec<Host> = Host::all().collect();
        for (host, n) in hosts.iter().zip(1..) {
            network.place(*host, addr(n));
        }
        let card = Card { network: Arc::clone(&network), host: hosts[0] };
        assert!(card.lets_out(addr(2), 100) && card.lets_out(addr(99), 100));
        network.cut([0, 1, 0, 1, 0]);
        assert!(!card.lets_out(addr(2), 100) && card.lets_out(addr(3), 100));
        assert!(network.is_cut(hosts[1], hosts[0]) && !network.is_cut(hosts[1], hosts[3]));
    }

    #[test]
    fn who_stands_still_goes_on_when_told() {
        let network = Arc::new(Network::default());
        let host = Host::all().next().expect("there is one");
        network.stand(host, true);
        let (done, ended) = std::sync::mpsc::channel();
        let card = Card { network: Arc::clone(&network), host };
        let thread = std::thread::spawn(move || {
            card.stand_still();
            done.send(()).ok();
        });
        assert!(ended.try_recv().is_err());
        network.stand(host, false);
        ended.recv().expect("goes on");
        thread.join().expect("ends");
    }
}
