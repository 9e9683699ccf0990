//! The bounded log of recent changes, so that a reader that was away can catch up.
//!
//! Owns the numbering. A change's sequence number is one more than that of the change before it;
//! numbers start at the agent's index seed, so those of an earlier run are below all of this one.
//! Forgets the oldest change when full; never blocks.

use super::table::{Check, Folded, Health, Instance, MemberView};
use crate::model::{CheckStatus, NodeName};
use imbl::Vector;
use std::sync::Arc;

/// How many changes are kept.
pub const CHANGES_MAX: usize = 8192;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A member appeared, or its status, address, generation or record changed.
    MemberChanged(Arc<MemberView>),
    /// A member was forgotten.
    MemberRemoved(NodeName),
    /// An instance appeared.
    InstanceAdded(Arc<Instance>, Health),
    /// An instance's record changed, or its health did because of a check of its node.
    InstanceChanged(Arc<Instance>, Health),
    /// An instance is gone.
    InstanceRemoved(Arc<Instance>),
    /// A check appeared, or its status or description changed.
    CheckChanged {
        /// The check as it is now.
        check: Check,
        /// Its status before; `None` when it is new.
        previous: Option<CheckStatus>,
        /// Health of the instance it belongs to, or of its node.
        health: Health,
    },
    /// A check is gone (not told when its instance went with it).
    CheckRemoved {
        /// The check as it was.
        check: Check,
        /// Health of the instance it belonged to, or of its node.
        health: Health,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// One more than that of the change before.
    pub sequence: u64,
    /// The index under which it became visible.
    pub index: u64,
    /// The node it happened on.
    pub node: NodeName,
    /// The service it belongs to in lower case, for changes of instances and of their checks.
    pub service: Option<Folded>,
    /// Among the changes of that service, one more than that of the change before.
    pub service_sequence: u64,
    /// When this agent learned of it, in milliseconds since 1970 by its clock.
    pub at_unix_ms: u64,
    /// What changed.
    pub kind: ChangeKind,
}

/// The newest [`CHANGES_MAX`] changes.
#[derive(Debug, Clone)]
pub struct ChangeLog {
    entries: Vector<Arc<Change>>,
    last: u64,
}

impl ChangeLog {
    pub(super) fn new(seed: u64) -> Self {
        Self { entries: Vector::new(), last: seed }
    }

    /// Sequence number of the newest change, or where numbering starts if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Changes after `sequence`, oldest first; `None` when some of them are forgotten already, or
    /// when `sequence` is in the future.
    pub fn after(&self, sequence: u64) -> Option<impl Iterator<Item = &Arc<Change>>> {
        let missing = usize::try_from(self.last.checked_sub(sequence)?).ok()?;
        let skip = self.entries.len().checked_sub(missing)?;
        Some(self.entries.focus().narrow(skip..).into_iter())
    }

    /// The newest changes, at most `most` of them, oldest first.
    pub fn newest(&self, most: usize) -> impl Iterator<Item = &Arc<Change>> {
        let skip = self.entries.len().saturating_sub(most);
        self.entries.focus().narrow(skip..).into_iter()
    }

    /// Changes of one service after its `service_sequence`, oldest first, given that the newest is
    /// `newest`; `None` when some of them are forgotten, or when the number is in the future.
    pub fn after_of_service(&self, service: &str, sequence: u64, newest: u64) -> Option<Vec<Arc<Change>>> {
        let missing = usize::try_from(newest.checked_sub(sequence)?).ok()?;
        let mut found: Vec<Arc<Change>> = self
            .entries
            .iter()
            .rev()
            .filter(|c| c.service.as_deref() == Some(service))
            .take(missing)
            .cloned()
            .collect();
        found.reverse();
        let whole = found.len() == missing
            && found.iter().zip(sequence + 1..).all(|(change, want)| change.service_sequence == want);
        whole.then_some(found)
    }

    /// Appends a change under the next number, which overwrites `change.sequence`.
    pub(super) fn push(&mut self, mut change: Change) {
        self.last += 1;
        change.sequence = self.last;
        if self.entries.len() == CHANGES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Arc::new(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(service: Option<(&str, u64)>) -> Change {
        let node = NodeName::new("n1").expect("valid");
        Change {
            sequence: 0,
            index: 1,
            node: node.clone(),
            service: service.map(|(name, _)| Arc::from(name)),
            service_sequence: service.map_or(0, |(_, n)| n),
            at_unix_ms: 7,
            kind: ChangeKind::MemberRemoved(node),
        }
    }

    fn sequences(log: &ChangeLog, after: u64) -> Option<Vec<u64>> {
        Some(log.after(after)?.map(|c| c.sequence).collect())
    }

    #[test]
    fn numbers_are_contiguous_and_start_at_the_seed() {
        let mut log = ChangeLog::new(100);
        assert_eq!(sequences(&log, 100), Some(vec![]));
        assert_eq!(sequences(&log, 99), None, "a number of an earlier run");
        log.push(change(None));
        log.push(change(None));
        assert_eq!(sequences(&log, 100), Some(vec![101, 102]));
        assert_eq!(sequences(&log, 101), Some(vec![102]));
        assert_eq!(sequences(&log, 103), None, "the future");
        let newest = |most| log.newest(most).map(|c| c.sequence).collect::<Vec<_>>();
        assert_eq!((newest(0), newest(1), newest(9)), (vec![], vec![102], vec![101, 102]));
    }

    #[test]
    fn the_oldest_change_is_forgotten_and_said_to_be() {
        let mut log = ChangeLog::new(0);
        for _ in 0..=CHANGES_MAX {
            log.push(change(None));
        }
        assert_eq!(sequences(&log, 0), None);
        assert_eq!(sequences(&log, 1).map(|s| s.len()), Some(CHANGES_MAX));
    }

    #[test]
    fn changes_of_one_service_are_found_among_others() {
        let mut log = ChangeLog::new(0);
        log.push(change(Some(("web", 1))));
        log.push(change(Some(("db", 1))));
        log.push(change(None));
        log.push(change(Some(("web", 2))));
        let of = |s: &str, after, newest| {
            log.after_of_service(s, after, newest)
                .map(|c| c.iter().map(|c| c.service_sequence).collect::<Vec<_>>())
        };
        assert_eq!(of("web", 0, 2), Some(vec![1, 2]));
        assert_eq!(of("web", 1, 2), Some(vec![2]));
        assert_eq!(of("web", 2, 2), Some(vec![]));
        assert_eq!(of("web", 3, 2), None);
        assert_eq!(of("cart", 0, 7), None, "the log does not reach back so far");
    }
}
