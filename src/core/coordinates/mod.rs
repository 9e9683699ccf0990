//! Where nodes are in the network, so that times between any two can be told without a measurement.
//!
//! Owns this node's own coordinate, what members told of theirs, and the rule for when to ask them.
//! Never sends: [`Coordinates::asks`] and [`Coordinates::answers`] say what a probe and its answer
//! are to carry beside their SWIM frame. Holds nothing of a node that is no member.
//!
//! The times are those of probes, which are made anyway. A coordinate travels only when a prober
//! asks for it: then its answer brings the time and the place together, which is all that a step of
//! Vivaldi needs, and the place is known from then on for later probes of that member. Asking is
//! rationed by probes sent, so that the bytes per node are the same whatever the cluster's size.

mod latency;
#[cfg(test)]
mod tests;
mod vivaldi;

use crate::model::{Coordinate, Instant, NodeKey};
use crate::wire::coordinate::PackedCoordinate;
use latency::Latency;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use vivaldi::Vivaldi;

/// Probes sent per one that asks.
const PROBES_PER_ASK: u32 = 6;
/// Askings that can be saved up, and what a new agent begins with, since it knows nothing.
const ASKS_SAVED_MAX: u32 = 6;
/// A coordinate that was told this long ago is asked for again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Nobody is asked again before this time is over.
const NOT_ASKED_AGAIN_FOR: Duration = Duration::from_secs(15);
/// A coordinate that its own node holds for this far off will soon be another.
const UNSURE: f64 = 0.3;

const _: () = assert!(ASKS_SAVED_MAX >= 3, "what is old is asked for when three are saved");

/// What is known of one member.
struct Peer {
    /// A node that moved to another address may be elsewhere in the network as well.
    addr: SocketAddr,
    told: Option<(Coordinate, Instant)>,
    latency: Latency,
}

pub(crate) struct Coordinates {
    own: Vivaldi,
    peers: BTreeMap<NodeKey, Peer>,
    /// Probes sent that have not been spent on asking.
    probes: u32,
    /// Who asked in the present input.
    asked_by: Option<NodeKey>,
    refused: u64,
}

impl Coordinates {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            own: Vivaldi::new(seed),
            peers: BTreeMap::new(),
            probes: PROBES_PER_ASK * ASKS_SAVED_MAX,
            asked_by: None,
            refused: 0,
        }
    }

    // ---- getters

    /// This node's coordinate, once it has measured anything.
    pub(crate) fn own(&self) -> Option<Coordinate> {
        Some(*self.own.coordinate()).filter(Coordinate::is_known)
    }

    /// A member's coordinate, once it has told one that says anything.
    pub(crate) fn of(&self, key: NodeKey) -> Option<Coordinate> {
        self.peers.get(&key)?.told.map(|(coordinate, _)| coordinate).filter(Coordinate::is_known)
    }

    /// Members of which a coordinate is known.
    pub(crate) fn known(&self) -> usize {
        self.peers.values().filter(|p| p.told.is_some_and(|(c, _)| c.is_known())).count()
    }

    /// Steps that this node's coordinate made.
    pub(crate) fn updates(&self) -> u64 {
        self.own.updates
    }

    /// Times that it ran away and began anew.
    pub(crate) fn resets(&self) -> u64 {
        self.own.resets
    }

    /// Coordinates and times that cannot be.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    // ---- what happens

    /// The member at `addr` asks for this node's coordinate.
    pub(crate) fn handle_wanted(&mut self, by: NodeKey) {
        self.asked_by = Some(by);
    }

    /// The member at `addr` says where it is. Whether that was taken.
    pub(crate) fn handle_told(
        &mut self,
        key: NodeKey,
        addr: SocketAddr,
        packed: &PackedCoordinate,
        now: Instant,
    ) -> bool {
        match packed.unpack() {
            Some(coordinate) => {
                self.peer(key, addr).told = Some((coordinate, now));
                true
            }
            None => {
                self.refused += 1;
                false
            }
        }
    }

    /// A probe of the member at `addr` was answered after `rtt`.
    pub(crate) fn handle_measured(&mut self, key: NodeKey, addr: SocketAddr, rtt: Duration) {
        let peer = self.peer(key, addr);
        let typical = peer.latency.add(rtt);
        if let Some((coordinate, _)) = peer.told
            && self.own.observe(&coordinate, typical).is_err()
        {
            self.refused += 1;
        }
    }

    /// The input was dealt with; who asked in it has its answer.
    pub(crate) fn end_input(&mut self) {
        self.asked_by = None;
    }

    /// The member is at this address now.
    pub(crate) fn handle_member(&mut self, key: NodeKey, addr: SocketAddr) {
        if self.peers.get(&key).is_some_and(|p| p.addr != addr) {
            self.peers.remove(&key);
        }
    }

    /// The member was forgotten.
    pub(crate) fn forget(&mut self, key: NodeKey) {
        self.peers.remove(&key);
    }

    // ---- what is to be sent

    /// A probe of the member is about to be sent: is it to ask?
    pub(crate) fn asks(&mut self, key: NodeKey, now: Instant) -> bool {
        self.probes = (self.probes + 1).min(PROBES_PER_ASK * ASKS_SAVED_MAX);
        // The less is known, the sooner: who has told nothing must not wait for those who have.
        let saved_min = match self.peers.get(&key).and_then(|p| p.told) {
            None => 1,
            // Whom this agent probes most often must not use up what is there for all.
            Some((_, at)) if now.since(at) < NOT_ASKED_AGAIN_FOR => return false,
            Some((c, _)) if !c.is_known() => 1,
            Some((c, _)) if c.error() >= UNSURE => 2,
            Some((_, at)) if now.since(at) >= ASKED_AGAIN_AFTER => 3,
            Some(_) => return false,
        };
        if self.probes < PROBES_PER_ASK * saved_min {
            return false;
        }
        self.probes -= PROBES_PER_ASK;
        true
    }

    /// An answer to the member is about to be sent: what it is told, if it asked.
    pub(crate) fn answers(&self, key: NodeKey) -> Option<PackedCoordinate> {
        (self.asked_by == Some(key)).then(|| PackedCoordinate::pack(self.own.coordinate()))
    }

    fn peer(&mut self, key: NodeKey, addr: SocketAddr) -> &mut Peer {
        self.handle_member(key, addr);
        self.peers.entry(key).or_insert_with(|| Peer { addr, told: None, latency: Latency::default() })
    }
}
