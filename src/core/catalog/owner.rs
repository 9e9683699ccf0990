//! One owner's table: its entries with the versions they were written at, and how much of the
//! owner's history is known.
//!
//! The known history is a prefix: *everything up to `complete_to` is accounted for*. A write at or
//! below it that is not here was deleted or replaced, so deletions need to be remembered only
//! above it, and a late arrival cannot undo one. This is the causal context of a delta-state
//! CRDT (Almeida, Shoker, Baquero 2016) for a single writer.

use crate::model::{EntryKey, Generation, NodeKey, Version};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// An entry as written; `body` is `None` for a deletion that is still remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) version: Version,
    pub(crate) body: Option<Bytes>,
}

/// An entry's part of its owner's digest: what it is, when it was written, and what it holds.
fn digest_of(owner: NodeKey, key: &EntryKey, version: Version, body: &[u8]) -> u64 {
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
    let (kind, id) = crate::wire::record::key_parts(key);
    let mut parts = [0u8; 24];
    parts[..8].copy_from_slice(&xxh3_64_with_seed(id.as_bytes(), owner.0 ^ u64::from(kind)).to_le_bytes());
    parts[8..16].copy_from_slice(&version.0.to_le_bytes());
    parts[16..].copy_from_slice(&xxh3_64(body).to_le_bytes());
    xxh3_64(&parts)
}

/// What applying something did to an owner's table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// It said something new.
    pub(crate) news: bool,
    /// The owner is known to have written more than is known here.
    pub(crate) behind: bool,
    /// Entries whose content changed.
    pub(crate) changed: Vec<EntryKey>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Owner {
    generation: Generation,
    complete_to: Version,
    slots: BTreeMap<EntryKey, Slot>,
    by_version: BTreeMap<Version, EntryKey>,
    /// Versions at which a deletion is remembered.
    deletions: BTreeSet<Version>,
    digest: u64,
    bytes: usize,
    live: usize,
    /// The owner's newest claim about its own table, with the digest it should have then.
    claim: Option<(Version, u64)>,
    /// The highest write that may have been a deletion which is not remembered.
    forgotten_to: Version,
    /// The table of the run before, shown until this run's is complete.
    before: Option<Box<Self>>,
}

impl Owner {
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn complete_to(&self) -> Version {
        self.complete_to
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Bytes of bodies and ids, this run's and the one's before.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.before.as_ref().map_or(0, |b| b.bytes)
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Entries with a body.
    pub(crate) fn live_count(&self) -> usize {
        self.live
    }

    /// The entry, from this run or, while this run's table is incomplete, from the one before.
    pub(crate) fn entry(&self, key: &EntryKey) -> Option<(Generation, Version, &Bytes)> {
        match self.slots.get(key) {
            Some(slot) => slot.body.as_ref().map(|b| (self.generation, slot.version, b)),
            None => self.before.as_ref().and_then(|b| b.entry(key)),
        }
    }

    /// Keys of all entries that [`Self::entry`] gives.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &EntryKey> {
        let here = self.slots.iter().filter(|(_, s)| s.body.is_some()).map(|(k, _)| k);
        let there = self
            .before
            .iter()
            .flat_map(|b| b.slots.iter())
            .filter_map(|(k, s)| (s.body.is_some() && !self.slots.contains_key(k)).then_some(k));
        here.chain(there)
    }

    /// The owner's newest version that is known of, complete or not.
    pub(crate) fn newest(&self) -> Version {
        let written = self.by_version.last_key_value().map_or(self.complete_to, |(v, _)| *v);
        written.max(self.complete_to).max(self.claim.map_or(self.complete_to, |(v, _)| v))
    }

    /// Whether something the owner wrote is known to be missing.
    pub(crate) fn is_behind(&self) -> bool {
        self.newest() > self.complete_to
    }

    /// Slots after `cursor` in order of version.
    pub(crate) fn after(&self, cursor: Version) -> impl Iterator<Item = (&EntryKey, &Slot)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.by_version
            .range((Excluded(cursor), Unbounded))
            .filter_map(|(_, key)| self.slots.get(key).map(|slot| (key, slot)))
    }

    /// Live versions in `(from, to]`, oldest first.
    pub(crate) fn live_versions(&self, from: Version, to: Version) -> impl Iterator<Item = Version> {
        self.after(from)
            .take_while(move |(_, s)| s.version <= to)
            .filter(|(_, s)| s.body.is_some())
            .map(|(_, s)| s.version)
    }

    pub(crate) fn forgotten_to(&self) -> Version {
        self.forgotten_to
    }

    /// Whether two tables of the same owner say the same.
    #[cfg(test)]
    pub(crate) fn same_state(&self, other: &Self) -> bool {
        self.generation == other.generation
            && self.complete_to == other.complete_to
            && self.slots == other.slots
    }

    // ---- writes

    /// Begins a new run. The table of the old one stays readable until the new one is complete.
    pub(super) fn begin(&mut self, generation: Generation) {
        let old = std::mem::replace(self, Self { generation, ..Self::default() });
        let mut before = old;
        // Of two incomplete runs in a row only the last complete table is worth showing.
        if let Some(older) = before.before.take()
            && before.complete_to == Version(0)
        {
            before = *older;
        }
        if before.live > 0 {
            self.before = Some(Box::new(before));
        }
    }

    /// The live entries as the first writes of a run that begins with them, in key order.
    fn renumbered(&self) -> impl Iterator<Item = (Version, &EntryKey, &Bytes)> {
        let live = self.slots.iter().filter_map(|(k, s)| s.body.as_ref().map(|b| (k, b)));
        (1u64..).zip(live).map(|(n, (k, b))| (Version(n), k, b))
    }

    /// Takes the table of the run before as this run's first writes: how an owner that came back
    /// unchanged, and everybody who knows it, number its entries alike.
    pub(super) fn adopt(&mut self, owner: NodeKey, generation: Generation) {
        let mut new = Self { generation, ..Self::default() };
        for (version, key, body) in self.renumbered() {
            new.write(owner, key.clone(), version, Some(body.clone()));
            new.complete_to = version;
        }
        *self = new;
    }

    /// Whether adopting would make this table the one that `version` and `digest` describe.
    pub(super) fn would_adopt(&self, owner: NodeKey, version: Version, digest: u64) -> bool {
        self.before.is_none()
            && self.live as u64 == version.0
            && self.live > 0
            && self.renumbered().fold(0u64, |sum, (v, k, b)| sum.wrapping_add(digest_of(owner, k, v, b)))
                == digest
    }

    /// One write of this run. The caller has checked the generation.
    pub(super) fn write(
        &mut self,
        owner: NodeKey,
        key: EntryKey,
        version: Version,
        body: Option<Bytes>,
    ) -> Outcome {
        if version <= self.complete_to || self.slots.get(&key).is_some_and(|s| s.version >= version) {
            return Outcome { behind: self.is_behind(), ..Outcome::default() };
        }
        let shown = self.entry(&key).map(|(_, _, b)| b.clone());
        let changed = shown.as_ref() != body.as_ref();
        self.drop_slot(owner, &key);
        match &body {
            Some(b) => {
                self.digest = self.digest.wrapping_add(digest_of(owner, &key, version, b));
                self.live += 1;
            }
            None => {
                self.deletions.insert(version);
            }
        }
        self.bytes += cost(&key, body.as_ref());
        self.by_version.insert(version, key.clone());
        self.slots.insert(key.clone(), Slot { version, body });
        Outcome { news: true, behind: false, changed: if changed { vec![key] } else { Vec::new() } }
    }

    fn drop_slot(&mut self, owner: NodeKey, key: &EntryKey) -> Option<Slot> {
        let slot = self.slots.remove(key)?;
        self.by_version.remove(&slot.version);
        self.bytes -= cost(key, slot.body.as_ref());
        match &slot.body {
            Some(b) => {
                self.digest = self.digest.wrapping_sub(digest_of(owner, key, slot.version, b));
                self.live -= 1;
            }
            None => {
                self.deletions.remove(&slot.version);
            }
        }
        Some(slot)
    }

    /// The owner says: after write `version` my live entries have this digest. When ours have it
    /// too, nothing is missing. Returns whether the claim was new.
    pub(super) fn claim(&mut self, version: Version, digest: u64) -> bool {
        if version <= self.complete_to || self.claim.is_some_and(|(v, _)| v >= version) {
            return false;
        }
        self.claim = Some((version, digest));
        true
    }

    /// Completes the table if it is what the owner claimed. Returns entries that vanish with the
    /// run before.
    pub(super) fn settle(&mut self) -> Vec<EntryKey> {
        match self.claim {
            Some((version, digest)) if digest == self.digest && self.has_nothing_after(version) => {
                self.complete(version)
            }
            _ => Vec::new(),
        }
    }

    fn has_nothing_after(&self, version: Version) -> bool {
        self.by_version.last_key_value().is_none_or(|(v, _)| *v <= version)
    }

    /// From now on everything up to `version` is accounted for.
    pub(super) fn complete(&mut self, version: Version) -> Vec<EntryKey> {
        if version <= self.complete_to && self.before.is_none() {
            return Vec::new();
        }
        self.note_unseen(version);
        self.complete_to = self.complete_to.max(version);
        if self.claim.is_some_and(|(v, _)| v <= self.complete_to) {
            self.claim = None;
        }
        self.forget_deletions();
        let Some(before) = self.before.take() else { return Vec::new() };
        before.keys().filter(|k| self.entry(k).is_none()).cloned().collect()
    }

    /// Writes that are accounted for without having been seen may have been deletions, which others
    /// cannot be told of one by one.
    fn note_unseen(&mut self, version: Version) {
        use std::ops::Bound::{Excluded, Included};
        let range = (Excluded(self.complete_to), Included(version));
        if version > self.complete_to {
            let seen = self.by_version.range(range).count() as u64;
            if seen < version.0 - self.complete_to.0 {
                self.forgotten_to = self.forgotten_to.max(version);
            }
        }
    }

    /// Deletions that the prefix covers protect nothing any more; a few are kept so that peers
    /// only slightly behind can be told without a list of survivors.
    fn forget_deletions(&mut self) {
        const KEPT: usize = 64;
        while self.deletions.len() > KEPT
            && let Some(version) = self.deletions.first().copied()
            && version <= self.complete_to
        {
            self.deletions.remove(&version);
            if let Some(key) = self.by_version.remove(&version) {
                self.slots.remove(&key);
                self.bytes -= cost(&key, None);
            }
            self.forgotten_to = self.forgotten_to.max(version);
        }
    }

    /// Of the writes in `(from, to]`, only `standing` (sorted) still stand. Drops the others.
    pub(super) fn keep_only(
        &mut self,
        owner: NodeKey,
        from: Version,
        to: Version,
        standing: &[Version],
    ) -> Vec<EntryKey> {
        let gone: Vec<EntryKey> = self
            .after(from)
            .take_while(|(_, s)| s.version <= to)
            .filter(|(_, s)| s.body.is_some() && standing.binary_search(&s.version).is_err())
            .map(|(k, _)| k.clone())
            .collect();
        for key in &gone {
            if let Some(slot) = self.drop_slot(owner, key) {
                self.forgotten_to = self.forgotten_to.max(slot.version);
            }
        }
        gone
    }

    /// Drops every entry but the node's own record (the owner left).
    pub(super) fn keep_only_node(&mut self, owner: NodeKey) -> Vec<EntryKey> {
        let mut gone: Vec<EntryKey> = self.keys().filter(|k| **k != EntryKey::Node).cloned().collect();
        self.before = None;
        let mine: Vec<EntryKey> = self.slots.keys().filter(|k| **k != EntryKey::Node).cloned().collect();
        for key in mine {
            self.drop_slot(owner, &key);
        }
        gone.dedup();
        gone
    }
}

fn cost(key: &EntryKey, body: Option<&Bytes>) -> usize {
    crate::wire::record::key_parts(key).1.len() + body.map_or(0, Bytes::len)
}
