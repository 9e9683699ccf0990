//! Our own table of members: a mirror of foca's, with what foca does not keep.
//!
//! Foca answers "who is this?" by a scan; this table by a lookup. It holds addresses, round-trip
//! times and when each state began, and decides whether an update is news before foca is asked.
//!
//! What all agents know alike is kept in persistent maps, so that a thousand simulated agents that
//! begin in one settled cluster share it until they come to differ; what each measures for itself
//! is kept beside them.

use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, MemberUpdate};
use imbl::OrdMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: Incarnation,
    pub(crate) state: Liveness,
    pub(crate) addr: SocketAddr,
    /// When `state` began here.
    pub(crate) since: Instant,
}

/// How an update compares with what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It says more than what is known.
    Newer,
    /// It says the same or less.
    Known,
    /// It says that a member is alive whose very life is held for ended here.
    Contradicts,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    table: OrdMap<NodeKey, Peer>,
    /// Keys of live members, sorted.
    live: Arc<Vec<NodeKey>>,
    /// Who is live at an address.
    live_at: OrdMap<SocketAddr, NodeKey>,
    failed: BTreeSet<NodeKey>,
    rtts: BTreeMap<NodeKey, Duration>,
    /// When a member was last told that somebody holds it for failed.
    noticed: BTreeMap<NodeKey, Instant>,
}

impl Peers {
    pub(crate) fn get(&self, key: NodeKey) -> Option<&Peer> {
        self.table.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeKey, &Peer)> {
        self.table.iter().map(|(k, p)| (*k, p))
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Keys of the members held for alive or suspect, sorted.
    pub(crate) fn live(&self) -> &[NodeKey] {
        &self.live
    }

    /// Is a live member at this address?
    pub(crate) fn is_live_at(&self, addr: SocketAddr) -> bool {
        self.live_at.contains_key(&addr)
    }

    /// The live member at this address.
    pub(crate) fn live_at(&self, addr: SocketAddr) -> Option<NodeKey> {
        self.live_at.get(&addr).copied()
    }

    /// The members held for failed, in the order of their keys.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (NodeKey, &Peer)> {
        self.failed.iter().filter_map(|k| self.table.get(k).map(|p| (*k, p)))
    }

    /// Who has been failed or left for the longest.
    pub(crate) fn longest_gone(&self) -> Option<NodeKey> {
        let gone = self.table.iter().filter(|(_, p)| !p.state.is_live());
        gone.min_by_key(|(key, p)| (p.since, **key)).map(|(key, _)| *key)
    }

    /// The smoothed round-trip time to the member, once it was measured.
    pub(crate) fn rtt(&self, key: NodeKey) -> Option<Duration> {
        self.rtts.get(&key).copied()
    }

    pub(crate) fn set_rtt(&mut self, key: NodeKey, rtt: Duration) {
        self.rtts.insert(key, rtt);
    }

    pub(crate) fn noticed(&self, key: NodeKey) -> Option<Instant> {
        self.noticed.get(&key).copied()
    }

    pub(crate) fn set_noticed(&mut self, key: NodeKey, now: Instant) {
        self.noticed.insert(key, now);
    }

    /// SWIM's order of claims (Das et al. 2002, section 4.2), after the order of lives.
    pub(crate) fn compare(&self, u: &MemberUpdate) -> News {
        let Some(known) = self.table.get(&u.key) else { return News::Newer };
        if u.epoch != known.epoch {
            return if u.epoch > known.epoch { News::Newer } else { News::Known };
        }
        let newer = match (known.state, u.state) {
            (Liveness::Left, _) => false,
            (_, Liveness::Left) => true,
            (Liveness::Down, Liveness::Alive) => return News::Contradicts,
            (Liveness::Down, _) => false,
            (_, Liveness::Down) => true,
            (Liveness::Alive, Liveness::Suspect) => u.incarnation >= known.incarnation,
            (Liveness::Alive | Liveness::Suspect, _) => u.incarnation > known.incarnation,
        };
        if newer { News::Newer } else { News::Known }
    }

    /// Takes over what foca has just accepted.
    pub(crate) fn put(&mut self, u: &MemberUpdate, now: Instant) {
        let known = self.table.get(&u.key);
        let since = match known {
            Some(p) if p.state == u.state && p.epoch == u.epoch => p.since,
            Some(_) | None => now,
        };
        let former = known.map(|p| p.addr);
        if former.is_some_and(|addr| addr != u.addr) {
            self.rtts.remove(&u.key);
        }
        let MemberUpdate { key, epoch, incarnation, state, addr } = *u;
        self.table.insert(key, Peer { epoch, incarnation, state, addr, since });
        self.set_live(key, state.is_live(), former, addr);
        if state == Liveness::Down {
            self.failed.insert(u.key);
        } else {
            self.failed.remove(&u.key);
        }
    }

    pub(crate) fn remove(&mut self, key: NodeKey) -> Option<Peer> {
        let peer = self.table.remove(&key)?;
        self.set_live(key, false, Some(peer.addr), peer.addr);
        self.failed.remove(&key);
        self.rtts.remove(&key);
        self.noticed.remove(&key);
        Some(peer)
    }

    fn set_live(&mut self, key: NodeKey, live: bool, former: Option<SocketAddr>, addr: SocketAddr) {
        match (self.live.binary_search(&key), live) {
            (Err(at), true) => Arc::make_mut(&mut self.live).insert(at, key),
            (Ok(at), false) => {
                Arc::make_mut(&mut self.live).remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
        if let Some(former) = former.filter(|former| !live || *former != addr)
            && self.live_at.get(&former) == Some(&key)
        {
            self.live_at.remove(&former);
        }
        if live && self.live_at.get(&addr) != Some(&key) {
            self.live_at.insert(addr, key);
        }
    }

    /// As an update about the member, to be told to others.
    pub(crate) fn as_update(&self, key: NodeKey) -> Option<MemberUpdate> {
        self.table.get(&key).map(|p| MemberUpdate {
            key,
            epoch: p.epoch,
            incarnation: p.incarnation,
            state: p.state,
            addr: p.addr,
        })
    }
}
