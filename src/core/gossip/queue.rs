//! Rumours that wait to be spread: bounded, coalescing, least-sent first.
//!
//! Every operation costs O(log n). A newer rumour about the same thing replaces the older one.
//! When the queue is full the most-sent rumour goes; anti-entropy repairs what that costs.

use crate::model::{Instant, NodeKey};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Waits between the eager rounds of a rumour; the last one repeats.
const ROUND_DELAYS: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(15),
    Duration::from_millis(60),
    Duration::from_millis(240),
    Duration::from_millis(960),
];

#[derive(Debug)]
struct Rumour<V> {
    value: V,
    bytes: usize,
    sends: u32,
    round: usize,
    due: Instant,
    rank: u64,
    from: Option<NodeKey>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue<K, V> {
    rumours: BTreeMap<K, Rumour<V>>,
    /// Least sent first, and of those the newest first.
    by_sends: BTreeSet<(u32, u64, K)>,
    by_due: BTreeSet<(Instant, K)>,
    next_rank: u64,
    max: usize,
    /// Encoded bytes of all that waits.
    bytes: usize,
    pub(crate) shed: u64,
    pub(crate) queued: u64,
    pub(crate) sent: u64,
}

impl<K: Ord + Clone, V: Clone> Queue<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            rumours: BTreeMap::new(),
            by_sends: BTreeSet::new(),
            by_due: BTreeSet::new(),
            next_rank: u64::MAX,
            max,
            bytes: 0,
            shed: 0,
            queued: 0,
            sent: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rumours.len()
    }

    /// Adds a rumour of `bytes` encoded bytes, in place of an older one of the same key. `from`
    /// is who told it, and so need not be told.
    pub(crate) fn push(&mut self, key: K, value: V, bytes: usize, from: Option<NodeKey>, now: Instant) {
        self.remove(&key);
        if self.rumours.len() >= self.max
            && let Some((_, _, most_sent)) = self.by_sends.last().cloned()
        {
            self.remove(&most_sent);
            self.shed += 1;
        }
        let rank = self.next_rank;
        self.next_rank -= 1;
        self.queued += 1;
        self.by_sends.insert((0, rank, key.clone()));
        self.by_due.insert((now, key.clone()));
        self.bytes += bytes;
        self.rumours.insert(key, Rumour { value, bytes, sends: 0, round: 0, due: now, rank, from });
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(r) = self.rumours.remove(key) {
            self.by_sends.remove(&(r.sends, r.rank, key.clone()));
            self.by_due.remove(&(r.due, key.clone()));
            self.bytes -= r.bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.rumours.clear();
        self.by_sends.clear();
        self.by_due.clear();
    }

    /// When the next eager round of some rumour is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// Up to `max` rumours whose round is due, longest due first.
    pub(crate) fn due(&self, now: Instant, max: usize) -> Vec<K> {
        self.by_due.iter().take_while(|(at, _)| *at <= now).take(max).map(|(_, k)| k.clone()).collect()
    }

    /// Up to `max` rumours whose round is due, least sent first and of those the newest. Looks at as
    /// many.
    pub(crate) fn due_least_sent(&self, now: Instant, max: usize) -> Vec<K> {
        let first = self.by_sends.iter().take(max).map(|(_, _, key)| key);
        first.filter(|key| self.rumours.get(*key).is_some_and(|r| r.due <= now)).cloned().collect()
    }

    /// Encoded bytes of all that waits.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn bytes_of(&self, key: &K) -> Option<usize> {
        self.rumours.get(key).map(|r| r.bytes)
    }

    pub(crate) fn value(&self, key: &K) -> Option<&V> {
        self.rumours.get(key).map(|r| &r.value)
    }

    /// Rumours for a datagram to `to` with `room` bytes to spare, least sent first. Looks at a
    /// bounded number of rumours only, so that a long queue costs no more than a short one.
    pub(crate) fn fitting(&self, mut room: usize, to: NodeKey) -> Vec<K> {
        const LOOKED_AT_MAX: usize = 96;
        let mut keys = Vec::new();
        for (_, _, key) in self.by_sends.iter().take(LOOKED_AT_MAX) {
            let Some(r) = self.rumours.get(key) else { continue };
            if r.from != Some(to) && r.bytes <= room {
                room -= r.bytes;
                keys.push(key.clone());
            }
        }
        keys
    }

    /// Notes that a rumour went out in `times` datagrams; it ends with its budget.
    pub(crate) fn sent(&mut self, key: &K, times: u32, budget: u32) {
        let Some(r) = self.rumours.get_mut(key) else { return };
        self.sent += u64::from(times);
        self.by_sends.remove(&(r.sends, r.rank, key.clone()));
        r.sends += times;
        if r.sends >= budget {
            self.by_due.remove(&(r.due, key.clone()));
            self.bytes -= r.bytes;
            self.rumours.remove(key);
        } else {
            self.by_sends.insert((r.sends, r.rank, key.clone()));
        }
    }

    /// Schedules the round after the one that has just been: at the next `tick`, where rounds tick.
    pub(crate) fn next_round(&mut self, key: &K, now: Instant, tick: Option<Duration>) {
        let Some(r) = self.rumours.get_mut(key) else { return };
        self.by_due.remove(&(r.due, key.clone()));
        let growing = ROUND_DELAYS[r.round.min(ROUND_DELAYS.len() - 1)];
        let delay = tick.map_or(growing, |tick| tick / 2);
        r.round += 1;
        r.due = now + delay;
        self.by_due.insert((r.due, key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: NodeKey = NodeKey(1);

    #[test]
    fn the_least_sent_go_first_and_the_newest_of_those() {
        let mut q: Queue<u32, ()> = Queue::new(10);
        for k in 0..4 {
            q.push(k, (), 10, None, Instant::START);
        }
        q.sent(&3, 1, 12);
        assert_eq!(q.fitting(25, TO), [2, 1]);
        q.next_round(&2, Instant::START, None);
        assert_eq!(q.due_least_sent(Instant::START, 3), [1, 0], "2 is not due, and 3 was not looked at");
        assert_eq!(q.bytes(), 40);
        assert_eq!(q.fitting(1000, TO), [2, 1, 0, 3]);
    }

    #[test]
    fn a_newer_rumour_replaces_the_older_one() {
        let mut q: Queue<u32, &str> = Queue::new(10);
        q.push(1, "old", 10, None, Instant::START);
        q.sent(&1, 5, 12);
        q.push(1, "new", 10, None, Instant::START);
        assert_eq!(q.len(), 1);
        assert_eq!(q.value(&1), Some(&"new"));
        q.sent(&1, 11, 12);
        assert_eq!(q.len(), 1, "its budget began anew");
        q.sent(&1, 1, 12);
        assert_eq!((q.len(), q.bytes()), (0, 0));
        assert_eq!(q.next_due(), None);
    }

    #[test]
    fn a_full_queue_sheds_the_most_sent() {
        let mut q: Queue<u32, ()> = Queue::new(3);
        for k in 0..3 {
            q.push(k, (), 10, None, Instant::START);
        }
        q.sent(&1, 3, 12);
        q.push(9, (), 10, None, Instant::START);
        assert_eq!((q.len(), q.shed, q.bytes()), (3, 1, 30));
        assert_eq!(q.value(&1), None);
    }

    #[test]
    fn rounds_come_at_once_and_then_after_5_20_80_and_320_ms() {
        let mut q: Queue<u32, ()> = Queue::new(3);
        q.push(1, (), 10, None, Instant::START);
        let mut at = Vec::new();
        for _ in 0..5 {
            let now = q.next_due().expect("a round is due");
            at.push(now.since_start().as_millis());
            assert_eq!(q.due(now, 10), [1]);
            q.next_round(&1, now, None);
        }
        assert_eq!(at, [0, 5, 20, 80, 320]);
    }

    #[test]
    fn who_told_a_rumour_is_not_told_it() {
        let mut q: Queue<u32, ()> = Queue::new(3);
        q.push(1, (), 10, Some(TO), Instant::START);
        assert!(q.fitting(100, TO).is_empty());
        assert_eq!(q.fitting(100, NodeKey(2)), [1]);
    }
}
