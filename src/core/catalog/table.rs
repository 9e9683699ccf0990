//! The entries of one run of one owner, found by key and by version.
//!
//! Two plain lists take a third of what two trees would: an agent of a large cluster keeps two
//! million entries. The entries stand in the order they were written, which is the order they are
//! relayed in; a replaced one leaves a hole, and holes are closed when there are many. A second
//! list has their places in the order of keys. A new key or a late write moves the places behind
//! it, four bytes each: a few microseconds at the 20,000 entries that a node may have.

use crate::model::{PackedEntry, Version};

#[derive(Debug, Clone)]
struct Slot {
    version: Version,
    /// `None`: replaced since.
    entry: Option<PackedEntry>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// In the order of versions. The last one is no hole.
    slots: Vec<Slot>,
    /// Places of all entries in `slots`, in the order of keys.
    by_key: Vec<u32>,
}

const UNUSED: &str = "only places of entries are listed";

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn get(&self, kind: u8, id: &str) -> Option<(Version, &PackedEntry)> {
        let found = self.find(kind, id).ok()?;
        Some(self.at(self.by_key[found]))
    }

    /// The highest version there is.
    pub(super) fn last_version(&self) -> Option<Version> {
        self.slots.last().map(|s| s.version)
    }

    /// Entries in the order of keys.
    pub(super) fn by_key(&self) -> impl Iterator<Item = (Version, &PackedEntry)> {
        self.by_key.iter().map(|place| self.at(*place))
    }

    /// Entries that are no deletions, in the order of keys.
    pub(super) fn live(&self) -> impl Iterator<Item = &PackedEntry> {
        self.by_key().map(|(_, entry)| entry).filter(|entry| !entry.is_deleted())
    }

    /// Entries written after `cursor`, in the order of versions.
    pub(super) fn after(&self, cursor: Version) -> impl Iterator<Item = (Version, &PackedEntry)> {
        let start = self.slots.partition_point(|s| s.version <= cursor);
        self.slots[start..].iter().filter_map(|s| s.entry.as_ref().map(|e| (s.version, e)))
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, version: Version, entry: PackedEntry) {
        let Err(rank) = self.find(entry.kind(), entry.id()) else {
            debug_assert!(false, "a replaced entry is removed first");
            return;
        };
        make_room(&mut self.slots);
        make_room(&mut self.by_key);
        let place = self.slots.partition_point(|s| s.version <= version);
        let number = u32::try_from(place).expect("an owner has at most a million entries");
        if place < self.slots.len() {
            self.by_key.iter_mut().for_each(|p| *p += u32::from(*p >= number));
        }
        self.slots.insert(place, Slot { version, entry: Some(entry) });
        self.by_key.insert(rank, number);
    }

    pub(super) fn remove(&mut self, kind: u8, id: &str) -> Option<(Version, PackedEntry)> {
        let rank = self.find(kind, id).ok()?;
        let slot = &mut self.slots[self.by_key.remove(rank) as usize];
        let removed = (slot.version, slot.entry.take().expect(UNUSED));
        while self.slots.last().is_some_and(|s| s.entry.is_none()) {
            self.slots.pop();
        }
        if self.slots.len() - self.by_key.len() > 8 + self.by_key.len() / 4 {
            self.close_holes();
        }
        Some(removed)
    }

    /// Removes the mark of a deletion that was made at `version`.
    pub(super) fn remove_deletion(&mut self, version: Version) -> Option<(Version, PackedEntry)> {
        let start = self.slots.partition_point(|s| s.version < version);
        let at_version = self.slots[start..].iter().take_while(|s| s.version == version);
        let mark = at_version.filter_map(|s| s.entry.as_ref()).find(|e| e.is_deleted())?.clone();
        self.remove(mark.kind(), mark.id())
    }

    fn at(&self, place: u32) -> (Version, &PackedEntry) {
        let slot = &self.slots[place as usize];
        (slot.version, slot.entry.as_ref().expect(UNUSED))
    }

    fn find(&self, kind: u8, id: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|place| self.at(*place).1.key_cmp(kind, id))
    }

    fn close_holes(&mut self) {
        let mut filled = 0;
        let places: Vec<u32> = self
            .slots
            .iter()
            .map(|s| {
                filled += u32::from(s.entry.is_some());
                filled.saturating_sub(1)
            })
            .collect();
        self.by_key.iter_mut().for_each(|place| *place = places[*place as usize]);
        self.slots.retain(|s| s.entry.is_some());
    }
}

/// Grows by an eighth: lists that double are a quarter empty on average.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(4 + list.len() / 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Op {
        Put(u8, u64),
        Remove(u8),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            3 => (0..40u8, 0..400u64).prop_map(|(k, v)| Op::Put(k, v)),
            1 => (0..40u8).prop_map(Op::Remove),
        ];
        prop::collection::vec(op, 0..300)
    }

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_holds_in_both_orders(ops in ops(), cursor in 0..400u64) {
            let mut table = Table::default();
            let mut plain: BTreeMap<String, Version> = BTreeMap::new();
            for op in ops {
                let (Op::Put(k, _) | Op::Remove(k)) = op;
                let id = format!("k{k}");
                let removed = table.remove(9, &id).map(|(v, _)| v);
                prop_assert_eq!(removed, plain.remove(&id));
                if let Op::Put(_, v) = op
                    && !plain.values().any(|known| *known == Version(v))
                {
                    table.insert(Version(v), PackedEntry::raw(9, &id, b""));
                    plain.insert(id, Version(v));
                }
                prop_assert_eq!(table.len(), plain.len());
                prop_assert_eq!(table.last_version(), plain.values().max().copied());
            }
            let by_key: Vec<_> = table.by_key().map(|(v, e)| (e.id().to_owned(), v)).collect();
            prop_assert_eq!(by_key, plain.clone().into_iter().collect::<Vec<_>>());
            let mut later: Vec<Version> = plain.values().copied().filter(|v| v.0 > cursor).collect();
            later.sort();
            prop_assert_eq!(table.after(Version(cursor)).map(|(v, _)| v).collect::<Vec<_>>(), later);
            for (id, version) in &plain {
                prop_assert_eq!(table.get(9, id).map(|(v, _)| v), Some(*version));
            }
        }
    }

    #[test]
    fn entries_that_are_replaced_again_and_again_leave_few_holes() {
        let mut table = Table::default();
        for version in 1..10_000u64 {
            let id = format!("k{}", version % 100);
            table.remove(9, &id);
            table.insert(Version(version), PackedEntry::raw(9, &id, b""));
        }
        assert_eq!(table.len(), 100);
        assert!(table.slots.len() < 150, "{}", table.slots.len());
    }
}
