//! Where members that are heard of in the present input receive: foca does not carry addresses.

use crate::model::NodeKey;
use std::net::SocketAddr;

/// Lasts for one input, in which few are named; its memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct HeardAt {
    addrs: Vec<(NodeKey, SocketAddr)>,
}

impl HeardAt {
    pub(super) fn insert(&mut self, key: NodeKey, addr: SocketAddr) {
        match self.addrs.iter_mut().find(|(other, _)| *other == key) {
            Some((_, known)) => *known = addr,
            None => self.addrs.push((key, addr)),
        }
    }

    pub(super) fn get(&self, key: NodeKey) -> Option<SocketAddr> {
        self.addrs.iter().find(|(other, _)| *other == key).map(|(_, addr)| *addr)
    }

    pub(super) fn clear(&mut self) {
        self.addrs.clear();
    }
}
