//! Leaving: the `left` record is told to several members, again and again, until enough of them
//! have confirmed it or the time for it is over.

use crate::core::config::Config;
use crate::model::{Instant, NodeKey};
use crate::wire::frame::Record;
use std::collections::BTreeSet;
use std::time::Duration;

/// Time between two rounds of telling.
const ROUND: Duration = Duration::from_millis(150);

pub(crate) struct Leave {
    pub(crate) record: Record,
    /// Who is told, in the order of telling.
    targets: Vec<NodeKey>,
    acks: BTreeSet<NodeKey>,
    wanted: usize,
    round_at: Instant,
    ends_at: Instant,
    round: usize,
    pub(crate) done: bool,
}

impl Leave {
    /// `targets` are live members in random order.
    pub(crate) fn new(record: Record, targets: Vec<NodeKey>, config: &Config, now: Instant) -> Self {
        let wanted = config.leave_acks.min(targets.len());
        Self {
            record,
            targets,
            acks: BTreeSet::new(),
            wanted,
            round_at: now,
            ends_at: now + config.leave_timeout,
            round: 0,
            done: false,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        (!self.done).then(|| self.round_at.min(self.ends_at))
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acks.len()
    }

    pub(crate) fn on_ack(&mut self, by: NodeKey) {
        if self.targets.contains(&by) {
            self.acks.insert(by);
        }
    }

    /// Whether it is over, said once.
    pub(crate) fn finished(&mut self, now: Instant) -> bool {
        let over = !self.done && (self.acks.len() >= self.wanted || now >= self.ends_at);
        self.done |= over;
        over
    }

    /// Who is to be told in the round that is due: those not told yet first, so that members that
    /// do not answer do not hold it up.
    pub(crate) fn round(&mut self, now: Instant) -> Vec<NodeKey> {
        if self.done || now < self.round_at {
            return Vec::new();
        }
        self.round_at = now + ROUND;
        let open: Vec<NodeKey> = self.targets.iter().filter(|k| !self.acks.contains(k)).copied().collect();
        if open.is_empty() {
            return open;
        }
        let count = (self.wanted * 2).min(open.len());
        let start = self.round * count;
        self.round += 1;
        (start..start + count).map(|n| open[n % open.len()]).collect()
    }
}
