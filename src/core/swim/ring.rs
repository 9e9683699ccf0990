//! The ring: every second probe goes to the next member in the order of keys.
//!
//! Members whom each picks at random are pinged once an interval on average, and some by nobody for
//! several. So foca's random probe is made in every second interval only, and in the one between
//! this agent probes its successor among the live members, in the order of their keys: everybody is
//! pinged by its predecessor every two intervals, whatever chance does. Owns when that is due;
//! decides nothing about the successor, which is a check's business.
//!
//! The random half keeps SWIM's promise where the predecessor is dead, slow or cut off. At equal load,
//! with a fraction `x` of two intervals gone by, a crashed member has been missed with probability
//! `(1 - x) exp(-x)` instead of `exp(-2 x)`: on average after 0.74 intervals, and never later than two.

use super::Swim;
use super::witness::mixed;
use crate::model::{Instant, NodeKey};
use crate::wire::frame::Liveness;
use std::time::Duration;

/// Turns at which a newcomer probes somebody at random as well: it has to find its place in the network,
/// which one neighbour cannot tell it.
const TURNS_OF_NEWCOMER: u32 = 60;
/// With fewer other members chance has no room.
const OTHERS_MIN: usize = 2;

/// When the successor is to be probed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    since: Instant,
    pub(super) due: Instant,
}

impl Turn {
    pub(super) fn postpone(&mut self, by: Duration, now: Instant) {
        let by = by.min(now.since(self.since));
        self.since += by;
        self.due += by;
    }

    /// Lets it come after `share` of the time that is left.
    pub(super) fn hasten(&mut self, now: Instant, share: f64) {
        self.due = now + self.due.since(now).mul_f64(share);
    }
}

impl Swim {
    /// Does this agent probe around the ring?
    pub(super) fn walks_ring(&self) -> bool {
        self.config.is_complete() && self.peers.live().len() >= OTHERS_MIN
    }

    /// Foca has begun a probe, and leaves out the next interval.
    pub(super) fn plan_turn(&mut self, now: Instant) {
        let wait = self.config.probe_interval;
        let wait = if self.world.deaf { wait } else { self.world.health.stretch(wait) };
        self.turn = (self.world.skips_intervals && self.probe.is_some())
            .then(|| Turn { since: now, due: now + wait });
    }

    /// Probes the successor, unless foca's probe was not answered: then that ends now, and with it
    /// begins another one.
    pub(super) fn run_turn(&mut self, now: Instant) {
        if self.turn.is_none_or(|turn| turn.due > now) {
            return;
        }
        self.turn = None;
        if self.probe.as_ref().is_some_and(super::probe::ProbeWatch::is_answered)
            && let Some(successor) = self.successor()
        {
            if let Some(other) = self.stranger().filter(|other| *other != successor) {
                self.begin_probe(other, now);
            }
            self.begin_probe(successor, now);
        } else {
            self.world.timers.hasten_probe(now, 0.0);
        }
    }

    /// Somebody at random, for a newcomer.
    fn stranger(&mut self) -> Option<NodeKey> {
        if self.turns >= TURNS_OF_NEWCOMER {
            return None;
        }
        self.turns += 1;
        let live = self.peers.live();
        let draw = mixed(self.life.key.0, self.life.epoch.0, u64::from(self.turns));
        live.get((draw % live.len().max(1) as u64) as usize).copied()
    }

    /// This agent is no newcomer.
    pub(super) fn settle_in(&mut self) {
        self.turns = TURNS_OF_NEWCOMER;
    }

    /// The next member in the order of keys that is no suspect: of a suspect others make sure.
    pub(super) fn successor(&self) -> Option<NodeKey> {
        let live = self.peers.live();
        let (before, after) = live.split_at(live.partition_point(|key| *key <= self.life.key));
        let alive = |key: &&NodeKey| self.peers.get(**key).is_some_and(|p| p.state == Liveness::Alive);
        after.iter().chain(before).find(alive).copied()
    }
}
