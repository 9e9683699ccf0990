//! What is still to happen, in one total order: by time, then rank, then order of scheduling.
//!
//! Never depends on addresses, hashes or allocation, so that two runs of one seed pop the same
//! things in the same order.

use crate::model::Instant;
use std::collections::BTreeMap;

/// Order of things that are due at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The scenario acts first.
    Plan,
    /// Sockets are read before timers fire, as a shell under load should do.
    Datagram,
    /// Reports of closed ports.
    Report,
    /// Timers.
    Wake,
}

/// A place in the order; names one scheduled item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) at: Instant,
    rank: Rank,
    sequence: u64,
}

/// The items to come.
pub(crate) struct Queue<T> {
    items: BTreeMap<Key, T>,
    sequence: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { items: BTreeMap::new(), sequence: 0 }
    }

    /// Schedules `item`; the key can be given to [`Self::cancel`].
    pub(crate) fn push(&mut self, at: Instant, rank: Rank, item: T) -> Key {
        self.sequence += 1;
        let key = Key { at, rank, sequence: self.sequence };
        self.items.insert(key, item);
        key
    }

    /// Takes back what has not happened yet.
    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        self.items.remove(&key)
    }

    /// The next item if it is due at `until` or before.
    pub(crate) fn pop_until(&mut self, until: Instant) -> Option<(Instant, T)> {
        let first = self.items.first_entry()?;
        if first.key().at > until {
            return None;
        }
        let (key, item) = first.remove_entry();
        Some((key.at, item))
    }

    /// Items waiting.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_time_then_rank_then_order_of_scheduling() {
        let mut q = Queue::new();
        let at = Instant::from_nanos;
        q.push(at(5), Rank::Wake, "wake");
        q.push(at(5), Rank::Datagram, "first datagram");
        q.push(at(5), Rank::Datagram, "second datagram");
        q.push(at(5), Rank::Plan, "plan");
        let gone = q.push(at(1), Rank::Wake, "cancelled");
        q.push(at(9), Rank::Plan, "later");
        assert_eq!(q.cancel(gone), Some("cancelled"));
        let mut seen = Vec::new();
        while let Some((_, item)) = q.pop_until(at(8)) {
            seen.push(item);
        }
        assert_eq!(seen, ["plan", "first datagram", "second datagram", "wake"]);
        assert_eq!(q.len(), 1);
    }
}
