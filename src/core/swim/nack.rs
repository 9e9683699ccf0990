//! Nacks: "I am here and heard your request, but the one you asked about is silent".
//!
//! Owns, for the probe under way, which of the members that were asked for help have not been heard
//! from, and, for the requests of others, when to say that the target is silent. A helper that is
//! not heard at all speaks against the asker's own health (Dadgar et al. 2018, "LHA Probe").
//! Decides nothing about the target.

use super::{Output, Peers, Swim};
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, Nack, SwimFrame, SwimMessage, Third};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Requests of others that may be under way; a further one is probed for but not nacked, and
/// counted.
const OWED_MAX: usize = 256;

/// Our probe under way.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    target: NodeKey,
    epoch: Epoch,
    /// That of the target when it was pinged.
    pub(super) incarnation: Incarnation,
    number: u8,
    pub(super) since: Instant,
    silent: BTreeSet<NodeKey>,
}

impl Asked {
    /// Helpers that have sent no nack, of those that are not suspect themselves.
    pub(super) fn missing(&self, peers: &Peers) -> u32 {
        let well = |key: &&NodeKey| peers.get(**key).is_some_and(|p| p.state == Liveness::Alive);
        u32::try_from(self.silent.iter().filter(well).count()).unwrap_or(u32::MAX)
    }

    /// Is it this life that was probed?
    pub(super) fn is_about(&self, key: NodeKey, epoch: Epoch) -> bool {
        (self.target, self.epoch) == (key, epoch)
    }
}

/// A nack to be sent unless the target answers before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Owed {
    due: Instant,
    asker: NodeKey,
    asker_epoch: Epoch,
    asker_addr: SocketAddr,
    target: NodeKey,
    number: u8,
}

/// Nacks to be sent, soonest first.
#[derive(Debug, Default)]
pub(super) struct Nacks {
    owed: BTreeSet<Owed>,
    pub(super) shed: u64,
}

impl Nacks {
    pub(super) fn next(&self) -> Option<Instant> {
        self.owed.first().map(|o| o.due)
    }

    fn owe(&mut self, owed: Owed) {
        if self.owed.len() >= OWED_MAX {
            self.shed += 1;
            return;
        }
        self.owed.insert(owed);
    }

    /// The target answered: the asker will hear that instead.
    fn settle(&mut self, target: NodeKey, asker: NodeKey, number: u8) {
        self.owed.retain(|o| (o.target, o.asker, o.number) != (target, asker, number));
    }

    fn pop(&mut self, now: Instant) -> Option<Owed> {
        if self.next()? > now {
            return None;
        }
        self.owed.pop_first()
    }

    /// Moves every nack by `by`, but none to more than `after` from now.
    pub(super) fn postpone(&mut self, by: Duration, after: Duration, now: Instant) {
        let moved = |o: Owed| Owed { due: (o.due + by).min(o.due.max(now + after)), ..o };
        self.owed = std::mem::take(&mut self.owed).into_iter().map(moved).collect();
    }
}

impl Swim {
    /// A probe of ours begins, or a member is asked to help with it.
    pub(super) fn note_asked(&mut self, frame: &SwimFrame, now: Instant) {
        if !self.config.sends_nacks() {
            return;
        }
        match frame.message {
            SwimMessage::Ping(number) => {
                let incarnation = self.peers.get(frame.to).map_or(0, |p| p.incarnation);
                let (target, epoch) = (frame.to, frame.to_epoch);
                self.asked =
                    Some(Asked { target, epoch, incarnation, number, since: now, silent: BTreeSet::new() });
            }
            SwimMessage::PingRequest(..) => {
                if let Some(asked) = &mut self.asked {
                    asked.silent.insert(frame.to);
                }
            }
            SwimMessage::Ack(_)
            | SwimMessage::IndirectPing(..)
            | SwimMessage::IndirectAck(..)
            | SwimMessage::ForwardedAck(..)
            | SwimMessage::Gossip
            | SwimMessage::TurnUndead => {}
        }
    }

    /// Somebody asks for help with a probe, or its target has answered.
    pub(super) fn note_help(&mut self, frame: &SwimFrame, addr: SocketAddr, now: Instant) {
        if !self.config.sends_nacks() {
            return;
        }
        match frame.message {
            SwimMessage::PingRequest(Third { key: target, .. }, number) if target != self.life.key => {
                self.nacks.owe(Owed {
                    due: now + self.config.nack_after(),
                    asker: frame.from,
                    asker_epoch: frame.from_epoch,
                    asker_addr: addr,
                    target,
                    number,
                });
            }
            SwimMessage::IndirectAck(Third { key: asker, .. }, number) => {
                self.nacks.settle(frame.from, asker, number);
            }
            SwimMessage::PingRequest(..)
            | SwimMessage::Ping(_)
            | SwimMessage::Ack(_)
            | SwimMessage::IndirectPing(..)
            | SwimMessage::ForwardedAck(..)
            | SwimMessage::Gossip
            | SwimMessage::TurnUndead => {}
        }
    }

    /// A member that was asked for help heard nothing of the target.
    pub(crate) fn handle_nack(&mut self, nack: &Nack) {
        let of_probe = |asked: &mut Asked| {
            (nack.target, nack.number) == (asked.target, asked.number) && asked.silent.remove(&nack.from)
        };
        let mine = nack.to_epoch == self.life.epoch;
        if !(mine && (self.asked.as_mut().is_some_and(of_probe) || self.checks.nacked(nack))) {
            self.counters.nacks_refused += 1;
        }
    }

    pub(super) fn run_nacks(&mut self, now: Instant) {
        while let Some(owed) = self.nacks.pop(now) {
            let nack = Nack {
                from: self.life.key,
                to_epoch: owed.asker_epoch,
                target: owed.target,
                number: owed.number,
            };
            self.output.push_back(Output::Nack(owed.asker_addr, nack));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Generation;

    fn owed(ms: u64, target: u64, number: u8) -> Owed {
        Owed {
            due: Instant::START + Duration::from_millis(ms),
            asker: NodeKey(1),
            asker_epoch: Epoch::first_of(Generation(1)),
            asker_addr: SocketAddr::from(([10, 0, 0, 1], 1)),
            target: NodeKey(target),
            number,
        }
    }

    #[test]
    fn who_answered_needs_no_nack() {
        let mut n = Nacks::default();
        n.owe(owed(400, 5, 1));
        n.owe(owed(300, 6, 1));
        n.owe(owed(500, 6, 2));
        n.settle(NodeKey(6), NodeKey(1), 1);
        n.settle(NodeKey(6), NodeKey(2), 2);
        let end = Instant::START + Duration::from_secs(1);
        assert_eq!(n.pop(Instant::START), None);
        assert_eq!(
            [n.pop(end), n.pop(end), n.pop(end)],
            [Some(owed(400, 5, 1)), Some(owed(500, 6, 2)), None]
        );
    }

    #[test]
    fn a_storm_of_requests_is_bounded_and_counted() {
        let mut n = Nacks::default();
        for i in 0..1_000 {
            n.owe(owed(400, i, 1));
        }
        assert_eq!((n.owed.len(), n.shed), (OWED_MAX, 1_000 - OWED_MAX as u64));
    }

    #[test]
    fn a_stall_moves_every_nack() {
        let mut n = Nacks::default();
        n.owe(owed(400, 5, 1));
        let now = Instant::START + Duration::from_millis(1_100);
        n.owe(owed(1_500, 6, 1));
        n.postpone(Duration::from_secs(1), Duration::from_millis(400), now);
        let due: Vec<u128> = n.owed.iter().map(|o| o.due.since_start().as_millis()).collect();
        assert_eq!(due, [1_400, 1_500], "one that is owed since then is not moved");
    }
}
