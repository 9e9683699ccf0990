//! Names that are gone, with the index of their removal.
//!
//! A query for an absent name must still have an index that rises when the name goes and that
//! stands still when other names come and go. So removals are remembered name by name; when there
//! are too many, the oldest is forgotten and every forgotten or never-seen name shares the index
//! of the newest forgotten removal: that can wake a reader once too often, never too seldom.

use super::table::Folded;
use imbl::{OrdMap, Vector};

/// How many removed names are remembered one by one.
pub(super) const GONE_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Index of the removal.
    pub(super) index: u64,
    /// How many changes had been logged under the name.
    pub(super) sequence: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Gone {
    marks: OrdMap<Folded, Mark>,
    /// Oldest removal first. A name that came back leaves a stale entry behind.
    order: Vector<(u64, Folded)>,
    floor: Mark,
}

impl Gone {
    pub(super) fn new(seed: u64) -> Self {
        let floor = Mark { index: seed, sequence: seed };
        Self { marks: OrdMap::new(), order: Vector::new(), floor }
    }

    /// Index and sequence to show for an absent `name`.
    pub(super) fn get(&self, name: &str) -> Mark {
        self.marks.get(name).copied().unwrap_or(self.floor)
    }

    /// The name is there again; answers what was known of it.
    pub(super) fn take(&mut self, name: &str) -> Mark {
        self.marks.remove(name).unwrap_or(self.floor)
    }

    pub(super) fn put(&mut self, name: Folded, mark: Mark) {
        self.marks.insert(name.clone(), mark);
        self.order.push_back((mark.index, name));
        while self.order.len() > GONE_MAX {
            let Some((index, name)) = self.order.pop_front() else { break };
            let Some(mark) = self.marks.get(&*name).copied() else { continue };
            if mark.index == index {
                self.marks.remove(&*name);
                self.floor.index = self.floor.index.max(mark.index);
                self.floor.sequence = self.floor.sequence.max(mark.sequence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::table::fold;

    #[test]
    fn an_absent_name_keeps_its_own_index_until_it_is_forgotten() {
        let mut gone = Gone::new(10);
        assert_eq!(gone.get("a").index, 10);
        gone.put(fold("a"), Mark { index: 20, sequence: 3 });
        gone.put(fold("b"), Mark { index: 30, sequence: 40 });
        assert_eq!(gone.get("a").index, 20);
        assert_eq!(gone.get("never").index, 10);
        for i in 0..GONE_MAX {
            gone.put(fold(&format!("x{i}")), Mark { index: 100 + i as u64, sequence: 1 });
        }
        assert_eq!(gone.get("a").index, 30, "forgotten names share the newest forgotten removal");
        assert_eq!(gone.get("never"), Mark { index: 30, sequence: 40 });
    }

    #[test]
    fn a_name_that_came_back_is_not_evicted_by_its_old_entry() {
        let mut gone = Gone::new(0);
        gone.put(fold("a"), Mark { index: 1, sequence: 0 });
        assert_eq!(gone.take("a").index, 1);
        for i in 0..GONE_MAX - 1 {
            gone.put(fold(&format!("x{i}")), Mark { index: 2, sequence: 0 });
        }
        gone.put(fold("a"), Mark { index: 3, sequence: 0 });
        assert_eq!(gone.get("a").index, 3);
        assert_eq!(gone.get("never").index, 0);
    }
}
