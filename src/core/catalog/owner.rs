//! One owner's table: its entries with the versions they were written at, and how much of the
//! owner's history is known.
//!
//! The known history is a prefix: *everything up to `complete_to` is accounted for*. A write at or
//! below it that is not here was deleted or replaced, so deletions need to be remembered only
//! above it, and a late arrival cannot undo one. This is the causal context of a delta-state
//! CRDT (Almeida, Shoker, Baquero 2016) for a single writer.

use super::table::Table;
use crate::model::{EntryKey, Generation, NodeKey, PackedEntry, Version};
use crate::wire::record;
use std::collections::BTreeSet;

/// A live entry's part of its owner's digest: what it is, when it was written, and what it holds.
fn digest_of(owner: NodeKey, version: Version, entry: &PackedEntry, body: u64) -> u64 {
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
    let id = xxh3_64_with_seed(entry.id().as_bytes(), owner.0 ^ u64::from(entry.kind()));
    let mut parts = [0u8; 24];
    parts[..8].copy_from_slice(&id.to_le_bytes());
    parts[8..16].copy_from_slice(&version.0.to_le_bytes());
    parts[16..].copy_from_slice(&body.to_le_bytes());
    xxh3_64(&parts)
}

/// The part of a digest that stands for a body.
pub(super) fn body_hash(body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(body)
}

/// The same for an entry that was kept. Deletions are no part of a digest.
fn kept_hash(entry: &PackedEntry) -> u64 {
    record::with_body(entry, body_hash).unwrap_or_default()
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
    table: Table,
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

    /// Bytes of entries, this run's and the one's before.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.before.as_ref().map_or(0, |b| b.bytes)
    }

    /// Entries and remembered deletions.
    pub(crate) fn slot_count(&self) -> usize {
        self.table.len()
    }

    /// Entries that are no deletions.
    pub(crate) fn live_count(&self) -> usize {
        self.live
    }

    /// The entry, from this run or, while this run's table is incomplete, from the one before.
    pub(crate) fn entry(&self, key: &EntryKey) -> Option<(Generation, Version, &PackedEntry)> {
        let (kind, id) = record::key_parts(key);
        self.shown(kind, id)
    }

    fn shown(&self, kind: u8, id: &str) -> Option<(Generation, Version, &PackedEntry)> {
        match self.table.get(kind, id) {
            Some((_, entry)) if entry.is_deleted() => None,
            Some((version, entry)) => Some((self.generation, version, entry)),
            None => self.before.as_ref().and_then(|b| b.shown(kind, id)),
        }
    }

    /// All that [`Self::entry`] gives.
    fn entries(&self) -> impl Iterator<Item = &PackedEntry> {
        let there = self.before.iter().flat_map(|b| b.table.live());
        self.table.live().chain(there.filter(|e| self.table.get(e.kind(), e.id()).is_none()))
    }

    /// Keys of all entries that [`Self::entry`] gives.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EntryKey> {
        self.entries().map(PackedEntry::key)
    }

    /// The owner's newest version that is known of, complete or not.
    pub(crate) fn newest(&self) -> Version {
        let written = self.table.last_version().unwrap_or(self.complete_to);
        written.max(self.complete_to).max(self.claim.map_or(self.complete_to, |(v, _)| v))
    }

    /// Whether something the owner wrote is known to be missing.
    pub(crate) fn is_behind(&self) -> bool {
        self.newest() > self.complete_to
    }

    /// Entries and deletions after `cursor` in order of version.
    pub(crate) fn after(&self, cursor: Version) -> impl Iterator<Item = (Version, &PackedEntry)> {
        self.table.after(cursor)
    }

    /// Live versions in `(from, to]`, oldest first.
    pub(crate) fn live_versions(&self, from: Version, to: Version) -> impl Iterator<Item = Version> {
        self.after(from)
            .take_while(move |(version, _)| *version <= to)
            .filter(|(_, entry)| !entry.is_deleted())
            .map(|(version, _)| version)
    }

    pub(crate) fn forgotten_to(&self) -> Version {
        self.forgotten_to
    }

    /// Whether two tables of the same owner say the same.
    #[cfg(test)]
    pub(crate) fn same_state(&self, other: &Self) -> bool {
        self.generation == other.generation
            && self.complete_to == other.complete_to
            && self.table.by_key().eq(other.table.by_key())
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
    fn renumbered(&self) -> impl Iterator<Item = (Version, &PackedEntry)> {
        (1u64..).map(Version).zip(self.table.live())
    }

    /// Takes the table of the run before as this run's first writes: how an owner that came back
    /// unchanged, and everybody who knows it, number its entries alike.
    pub(super) fn adopt(&mut self, owner: NodeKey, generation: Generation) {
        let mut new = Self { generation, ..Self::default() };
        for (version, entry) in self.renumbered() {
            new.write(owner, version, entry.clone(), kept_hash(entry));
            new.complete_to = version;
        }
        *self = new;
    }

    /// Whether adopting would make this table the one that `version` and `digest` describe.
    pub(super) fn would_adopt(&self, owner: NodeKey, version: Version, digest: u64) -> bool {
        self.before.is_none()
            && self.live as u64 == version.0
            && self.live > 0
            && self
                .renumbered()
                .fold(0u64, |sum, (v, e)| sum.wrapping_add(digest_of(owner, v, e, kept_hash(e))))
                == digest
    }

    /// One write of this run: an entry, with the hash of its body, or a deletion. The caller has checked
    /// the generation.
    pub(super) fn write(
        &mut self,
        owner: NodeKey,
        version: Version,
        entry: PackedEntry,
        body: u64,
    ) -> Outcome {
        let (kind, id) = (entry.kind(), entry.id());
        if version <= self.complete_to || self.table.get(kind, id).is_some_and(|(v, _)| v >= version) {
            return Outcome { behind: self.is_behind(), ..Outcome::default() };
        }
        let shown = self.shown(kind, id).map(|(_, _, e)| e);
        let changed = match shown {
            Some(known) => *known != entry,
            None => !entry.is_deleted(),
        };
        let changed = if changed { vec![entry.key()] } else { Vec::new() };
        self.drop_entry(owner, kind, id);
        if entry.is_deleted() {
            self.deletions.insert(version);
        } else {
            self.digest = self.digest.wrapping_add(digest_of(owner, version, &entry, body));
            self.live += 1;
        }
        self.bytes += entry.size();
        self.table.insert(version, entry);
        Outcome { news: true, behind: false, changed }
    }

    fn drop_entry(&mut self, owner: NodeKey, kind: u8, id: &str) -> Option<Version> {
        let (version, entry) = self.table.remove(kind, id)?;
        self.bytes -= entry.size();
        if entry.is_deleted() {
            self.deletions.remove(&version);
        } else {
            let part = digest_of(owner, version, &entry, kept_hash(&entry));
            self.digest = self.digest.wrapping_sub(part);
            self.live -= 1;
        }
        Some(version)
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
        self.table.last_version().is_none_or(|v| v <= version)
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
        before.entries().filter(|e| self.shown(e.kind(), e.id()).is_none()).map(PackedEntry::key).collect()
    }

    /// Everything up to `version` is accounted for, but more of this run is on its way: what the run
    /// before it had is shown until then.
    pub(super) fn complete_partly(&mut self, version: Version) {
        if version > self.complete_to {
            self.note_unseen(version);
            self.complete_to = version;
            self.forget_deletions();
        }
    }

    /// Writes that are accounted for without having been seen may have been deletions, which others
    /// cannot be told of one by one.
    fn note_unseen(&mut self, version: Version) {
        if version > self.complete_to {
            let seen = self.after(self.complete_to).take_while(|(v, _)| *v <= version).count() as u64;
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
            if let Some((_, mark)) = self.table.remove_deletion(version) {
                self.bytes -= mark.size();
            }
            self.forgotten_to = self.forgotten_to.max(version);
        }
    }

    /// Whether all live writes in `(from, to]` are among `standing` (sorted).
    pub(super) fn has_only(&self, from: Version, to: Version, standing: &[Version]) -> bool {
        let mine = self.after(from).take_while(|(version, _)| *version <= to);
        mine.filter(|(_, e)| !e.is_deleted()).all(|(version, _)| standing.binary_search(&version).is_ok())
    }

    /// Of the writes in `(from, to]`, only `standing` (sorted) still stand. Drops the others.
    pub(super) fn keep_only(
        &mut self,
        owner: NodeKey,
        from: Version,
        to: Version,
        standing: &[Version],
    ) -> Vec<EntryKey> {
        let gone: Vec<PackedEntry> = self
            .after(from)
            .take_while(|(version, _)| *version <= to)
            .filter(|(version, e)| !e.is_deleted() && standing.binary_search(version).is_err())
            .map(|(_, e)| e.clone())
            .collect();
        for entry in &gone {
            if let Some(version) = self.drop_entry(owner, entry.kind(), entry.id()) {
                self.forgotten_to = self.forgotten_to.max(version);
            }
        }
        gone.iter().map(PackedEntry::key).collect()
    }

    /// Drops every entry but the node's own record (the owner left).
    pub(super) fn keep_only_node(&mut self, owner: NodeKey) -> Vec<EntryKey> {
        let gone: Vec<EntryKey> = self.keys().filter(|k| *k != EntryKey::Node).collect();
        self.before = None;
        let mine: Vec<PackedEntry> =
            self.table.by_key().map(|(_, e)| e.clone()).filter(|e| e.key() != EntryKey::Node).collect();
        for entry in mine {
            self.drop_entry(owner, entry.kind(), entry.id());
        }
        gone
    }
}
