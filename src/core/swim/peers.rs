//! Our own table of members: a mirror of foca's, with what foca does not keep.
//!
//! Foca answers "who is this?" by a scan; this table by a lookup. It holds addresses, round-trip
//! times and when each state began, and decides whether an update is news before foca is asked.

use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, MemberUpdate};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: Incarnation,
    pub(crate) state: Liveness,
    pub(crate) addr: SocketAddr,
    /// When `state` began here.
    pub(crate) since: Instant,
    pub(crate) rtt: Option<Duration>,
    /// When it was last told that somebody holds it for failed.
    pub(crate) noticed: Option<Instant>,
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

#[derive(Debug, Default)]
pub(crate) struct Peers {
    table: BTreeMap<NodeKey, Peer>,
    /// Keys of live members in an order that allows drawing one at random.
    live: Vec<NodeKey>,
    position: BTreeMap<NodeKey, usize>,
}

impl Peers {
    pub(crate) fn get(&self, key: NodeKey) -> Option<&Peer> {
        self.table.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: NodeKey) -> Option<&mut Peer> {
        self.table.get_mut(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeKey, &Peer)> {
        self.table.iter().map(|(k, p)| (*k, p))
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Keys of the members held for alive or suspect, in no meaningful order.
    pub(crate) fn live(&self) -> &[NodeKey] {
        &self.live
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
        let live = u.state.is_live();
        match self.table.get_mut(&u.key) {
            Some(p) => {
                if p.state != u.state || p.epoch != u.epoch {
                    p.since = now;
                }
                if p.addr != u.addr {
                    p.rtt = None;
                }
                p.epoch = u.epoch;
                p.incarnation = u.incarnation;
                p.state = u.state;
                p.addr = u.addr;
            }
            None => {
                self.table.insert(
                    u.key,
                    Peer {
                        epoch: u.epoch,
                        incarnation: u.incarnation,
                        state: u.state,
                        addr: u.addr,
                        since: now,
                        rtt: None,
                        noticed: None,
                    },
                );
            }
        }
        self.set_live(u.key, live);
    }

    pub(crate) fn remove(&mut self, key: NodeKey) -> Option<Peer> {
        self.set_live(key, false);
        self.table.remove(&key)
    }

    fn set_live(&mut self, key: NodeKey, live: bool) {
        match (self.position.get(&key).copied(), live) {
            (None, true) => {
                self.position.insert(key, self.live.len());
                self.live.push(key);
            }
            (Some(at), false) => {
                self.position.remove(&key);
                self.live.swap_remove(at);
                if let Some(moved) = self.live.get(at) {
                    self.position.insert(*moved, at);
                }
            }
            (None, false) | (Some(_), true) => {}
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
