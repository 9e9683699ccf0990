//! Anti-entropy: noticing that a difference persists, and running the exchanges that end it.
//!
//! A converged cluster pays the digests in its probes and nothing else. A difference must last
//! for a while before anything is asked, since what differs now is usually under way.

use super::exchange::Exchange;
use crate::core::config::Config;
use crate::model::{Instant, NodeKey};
use crate::wire::frame::Want;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Exchanges at once.
const EXCHANGES_MAX: usize = 4;
/// Owners known to be behind that are remembered for a pull.
const BEHIND_MAX: usize = 4_096;
/// Fruitless exchanges double the wait before the next one, this many times at most.
const BACKOFF_MAX: u32 = 5;
/// How long a gap in an owner's writes may close by itself.
const GAP_PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Behind {
    due: Instant,
    teller: SocketAddr,
}

pub(crate) struct Repair {
    exchanges: Vec<Exchange>,
    behind: BTreeMap<NodeKey, Behind>,
    differs_since: Option<Instant>,
    pub(crate) last_difference: Option<Instant>,
    not_before: Instant,
    fruitless: u32,
    next_id: u32,
    pub(crate) rounds: u64,
}

impl Repair {
    /// `first_id` numbers the questions; a random start keeps late answers from an earlier run out.
    pub(crate) fn new(first_id: u32) -> Self {
        Self {
            exchanges: Vec::new(),
            behind: BTreeMap::new(),
            differs_since: None,
            last_difference: None,
            not_before: Instant::START,
            fruitless: 0,
            next_id: first_id,
            rounds: 0,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        let asks = self.exchanges.iter().filter_map(Exchange::next_deadline).map(|at| (at, "ask again"));
        let room = self.exchanges.len() < EXCHANGES_MAX;
        let behind = self.behind.values().filter(|_| room).map(|b| (b.due, "pull"));
        asks.chain(behind).min()
    }

    pub(crate) fn postpone(&mut self, by: Duration) {
        for x in &mut self.exchanges {
            x.postpone(by);
        }
    }

    /// A peer's root digest, and whether it is ours.
    pub(crate) fn on_root(&mut self, peer: SocketAddr, same: bool, config: &Config, now: Instant) {
        if same {
            self.differs_since = None;
            self.fruitless = 0;
            return;
        }
        self.last_difference = Some(now);
        let since = *self.differs_since.get_or_insert(now);
        let busy = self.exchanges.iter().any(|x| !x.is_done());
        if now.since(since) >= config.sync_after && now >= self.not_before && !busy {
            self.start(|id| Exchange::repair(peer, id));
            self.rounds += 1;
        }
    }

    /// Pulls everything from `peer`: a join, or a meeting after a partition.
    pub(crate) fn begin(&mut self, peer: SocketAddr, joining: bool) {
        if self.exchanges.iter().any(|x| x.peer == peer) {
            return;
        }
        if joining {
            self.start(|id| Exchange::join(peer, id));
        } else {
            self.start(|id| Exchange::repair(peer, id));
        }
        self.rounds += 1;
    }

    fn start(&mut self, make: impl FnOnce(u32) -> Exchange) {
        if self.exchanges.len() < EXCHANGES_MAX {
            self.exchanges.push(make(self.next_id));
            // Leaves each exchange a range of numbers of its own.
            self.next_id = self.next_id.wrapping_add(1 << 20);
        }
    }

    /// `teller` knows more of `owner` than we do. What is merely out of order comes by itself.
    pub(crate) fn note_behind(&mut self, owner: NodeKey, teller: SocketAddr, at_once: bool, now: Instant) {
        if self.behind.len() >= BEHIND_MAX && !self.behind.contains_key(&owner) {
            return;
        }
        let due = if at_once { now } else { now + GAP_PATIENCE };
        let entry = self.behind.entry(owner).or_insert(Behind { due, teller });
        entry.due = entry.due.min(due);
        entry.teller = teller;
    }

    pub(crate) fn caught_up(&mut self, owner: NodeKey) {
        self.behind.remove(&owner);
    }

    /// Turns owners that are still behind into pulls. `want` says what is missing, if anything.
    pub(crate) fn pull_behind(&mut self, now: Instant, want: impl Fn(NodeKey) -> Option<Want>) {
        let due: Vec<NodeKey> = self.behind.iter().filter(|(_, b)| b.due <= now).map(|(k, _)| *k).collect();
        for owner in due {
            let Some(teller) = self.behind.get(&owner).map(|b| b.teller) else { continue };
            let Some(want) = want(owner) else {
                self.behind.remove(&owner);
                continue;
            };
            if !self.exchanges.iter().any(|x| x.peer == teller) {
                if self.exchanges.len() >= EXCHANGES_MAX {
                    continue;
                }
                self.start(|id| Exchange::targeted(teller, id));
            }
            if let Some(x) = self.exchanges.iter_mut().find(|x| x.peer == teller) {
                x.want(want);
            }
            self.behind.remove(&owner);
        }
    }

    /// The exchange that asked question `id` of `peer`.
    pub(crate) fn asker(&mut self, peer: SocketAddr, id: u32) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|x| x.peer == peer && x.asked(id))
    }

    pub(crate) fn exchanges(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.exchanges.iter_mut()
    }

    /// Takes out exchanges that have ended.
    pub(crate) fn ended(&mut self, config: &Config, now: Instant) -> Vec<Exchange> {
        let (ended, running) = std::mem::take(&mut self.exchanges).into_iter().partition(Exchange::is_done);
        self.exchanges = running;
        let ended: Vec<Exchange> = ended;
        for x in &ended {
            self.differs_since = None;
            self.fruitless = if x.useful { 0 } else { (self.fruitless + 1).min(BACKOFF_MAX) };
            self.not_before = now + config.sync_after * (1 << self.fruitless);
        }
        ended
    }
}
