//! The replicated service table: every owner's entries, merged as a join.
//!
//! Each owner writes only its own entries; everybody else relays. What an owner says is ordered
//! by `(generation, version)`; [`owner::Owner`] holds the rules. This room keeps the owners, the
//! limits on what may come in, and nothing about how records travel.

mod owner;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use owner::{Outcome, Owner};

use crate::core::config::Config;
use crate::core::gossip::exchange::Pulled;
use crate::model::{Entry, EntryKey, Generation, NodeKey, PackedEntry, Version};
use crate::wire::frame::{Body, Head, Item, Page, Record, RowTable};
use crate::wire::record;
use bytes::Bytes;
use imbl::OrdMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why something about an owner's table was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not decode, or contradicts itself.
    Malformed,
    /// It is larger than a record may be.
    Oversize,
    /// The owner, or all owners together, have as much as they may.
    Full,
}

/// Bytes of entries that all tables together may hold.
const CATALOG_BYTES_MAX: usize = 1 << 30;

#[derive(Debug)]
pub(crate) struct Catalog {
    /// Shared between simulated agents that begin with the same tables, and copied when one
    /// changes; a real agent's are its own.
    owners: OrdMap<NodeKey, Arc<Owner>>,
    /// Owners whose tables were dropped, with the run that they were of: nothing of that run or an
    /// earlier one is taken in again.
    dropped: BTreeMap<NodeKey, Generation>,
    bytes: usize,
    bytes_max: usize,
    config: Config,
    pub(crate) refused: u64,
}

impl Catalog {
    pub(crate) fn new(config: Config) -> Self {
        let bytes_max = CATALOG_BYTES_MAX;
        Self { owners: OrdMap::new(), dropped: BTreeMap::new(), bytes: 0, bytes_max, config, refused: 0 }
    }

    // ---- getters

    pub(crate) fn owner(&self, key: NodeKey) -> Option<&Owner> {
        self.owners.get(&key).map(Arc::as_ref)
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = (NodeKey, &Owner)> {
        self.owners.iter().map(|(k, o)| (*k, o.as_ref()))
    }

    /// The entry, readable. `None` when there is none or it is of an unknown kind.
    pub(crate) fn entry(&self, owner: NodeKey, key: &EntryKey) -> Option<(Generation, Version, Entry)> {
        let (generation, version, entry) = self.owners.get(&owner)?.entry(key)?;
        record::unpack(entry).ok().map(|entry| (generation, version, entry))
    }

    /// The entry as it is kept.
    pub(crate) fn packed(
        &self,
        owner: NodeKey,
        key: &EntryKey,
    ) -> Option<(Generation, Version, &PackedEntry)> {
        self.owners.get(&owner)?.entry(key)
    }

    /// The entry with where its owner's table stands, to tell others.
    pub(crate) fn record(&self, owner: NodeKey, key: &EntryKey) -> Option<Record> {
        let (_, version, entry) = self.packed(owner, key)?;
        let body = Body::Bytes(record::body(entry)?);
        let item = Item { version, kind: entry.kind(), id: entry.id().to_owned(), body };
        Some(Record { head: self.head(owner)?, item })
    }

    /// The generation in which `owner` said that it left, if that is the last it said.
    pub(crate) fn left_in(&self, owner: NodeKey) -> Option<Generation> {
        match self.entry(owner, &EntryKey::Node)? {
            (generation, _, Entry::Node(node)) if node.left => Some(generation),
            _ => None,
        }
    }

    /// Where `owner`'s table stands, for a row.
    pub(crate) fn table(&self, owner: NodeKey) -> Option<RowTable> {
        self.owners.get(&owner).map(|o| RowTable {
            generation: o.generation(),
            complete_to: o.complete_to(),
            newest: o.newest(),
            digest: o.digest(),
        })
    }

    /// Where `owner`'s table stands, for a rumour.
    pub(crate) fn head(&self, owner: NodeKey) -> Option<Head> {
        self.owners.get(&owner).map(|o| Head {
            owner,
            generation: o.generation(),
            version: o.complete_to(),
            digest: o.digest(),
        })
    }

    /// Whether a table in this state, at a peer, holds something that is missing here.
    pub(crate) fn wants(&self, owner: NodeKey, table: &RowTable) -> bool {
        if table.generation > Generation::MAX || self.was_dropped(owner, table.generation) {
            return false;
        }
        let Some(known) = self.owners.get(&owner) else { return true };
        match table.generation.cmp(&known.generation()) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            // It accounts for more, or it has writes that may be missing above our prefix.
            std::cmp::Ordering::Equal => {
                table.complete_to > known.complete_to()
                    || (table.digest != known.digest() && table.newest > known.complete_to())
            }
        }
    }

    /// Whether that run of `owner` was forgotten here.
    pub(crate) fn was_dropped(&self, owner: NodeKey, generation: Generation) -> bool {
        self.dropped.get(&owner).is_some_and(|g| generation <= *g)
    }

    // ---- what the owner itself does

    /// Writes an entry of this node, or deletes it; the record is what to tell others.
    pub(crate) fn write_own(
        &mut self,
        own: NodeKey,
        generation: Generation,
        key: EntryKey,
        body: Option<Bytes>,
    ) -> Record {
        let owner = Arc::make_mut(self.owners.entry(own).or_default());
        if owner.generation() != generation {
            owner.begin(generation);
        }
        let before = owner.bytes();
        let version = Version(owner.newest().0 + 1);
        let (kind, id) = record::key_parts(&key);
        let entry = match &body {
            Some(body) => record::pack(&key, body).expect("what this node writes it can read"),
            None => PackedEntry::deleted(kind, id),
        };
        owner.write(own, version, entry, body.as_deref().map_or(0, owner::body_hash));
        owner.complete(version);
        self.bytes = self.bytes + owner.bytes() - before;
        Record {
            head: Head { owner: own, generation, version, digest: owner.digest() },
            item: Item { version, kind, id: id.to_owned(), body: body.map_or(Body::Deleted, Body::Bytes) },
        }
    }

    /// Carries this node's table over into a later generation.
    pub(crate) fn adopt_own(&mut self, own: NodeKey, generation: Generation) {
        self.with_owner(own, |o| o.adopt(own, generation));
    }

    // ---- beginning in a settled cluster

    /// Adds the table of `own` to those of a settled cluster.
    pub(crate) fn tell(&self, own: NodeKey, owners: &mut OrdMap<NodeKey, Arc<Owner>>, bytes: &mut usize) {
        if let Some(owner) = self.owners.get(&own) {
            *bytes += owner.bytes();
            owners.insert(own, Arc::clone(owner));
        }
    }

    /// Takes over the tables of a settled cluster, that of `own` among them.
    pub(crate) fn adopt_all(&mut self, own: NodeKey, owners: OrdMap<NodeKey, Arc<Owner>>, bytes: usize) {
        debug_assert!(
            self.owners.keys().all(|k| *k == own) && owners.contains_key(&own),
            "this node is one of the settled cluster, and has met nobody before"
        );
        self.owners = owners;
        self.bytes = bytes;
    }

    // ---- what others say

    /// Takes in one write.
    pub(crate) fn apply_record(&mut self, r: &Record) -> Result<Outcome, Refused> {
        let head = &r.head;
        if r.item.version > head.version {
            return self.refuse(Refused::Malformed);
        }
        let entry = self.check_item(head.owner, &r.item)?;
        if self.adopt_same(head) {
            return Ok(Outcome { news: true, ..Outcome::default() });
        }
        if !self.prepare(head.owner, head.generation)? {
            return Ok(Outcome::default());
        }
        let Some(entry) = entry else { return Ok(self.claim(head)) };
        self.check_room(head.owner, &entry)?;
        let (owner, version, claim) = (head.owner, r.item.version, (head.version, head.digest));
        let left = is_left_record(&entry);
        let body = hash_of(&r.item);
        let outcome = self.with_owner(owner, |o| {
            let mut outcome = o.write(owner, version, entry, body);
            if left && outcome.news {
                outcome.changed.extend(o.keep_only_node(owner));
            }
            o.claim(claim.0, claim.1);
            outcome.changed.extend(o.settle());
            outcome.behind = o.is_behind();
            outcome
        });
        Ok(outcome.unwrap_or_default())
    }

    /// Takes in where an owner's table stands.
    pub(crate) fn apply_head(&mut self, head: &Head) -> Result<Outcome, Refused> {
        if self.adopt_same(head) {
            return Ok(Outcome { news: true, ..Outcome::default() });
        }
        if !self.prepare(head.owner, head.generation)? {
            return Ok(Outcome::default());
        }
        Ok(self.claim(head))
    }

    /// Takes what is known of an owner's earlier run for its present one where that is the same.
    fn adopt_same(&mut self, head: &Head) -> bool {
        let same = self.owners.get(&head.owner).is_some_and(|owner| {
            head.generation > owner.generation()
                && head.generation <= Generation::MAX
                && owner.would_adopt(head.owner, head.version, head.digest)
        });
        if same {
            self.with_owner(head.owner, |o| o.adopt(head.owner, head.generation));
        }
        same
    }

    fn claim(&mut self, head: &Head) -> Outcome {
        self.with_owner(head.owner, |o| {
            let news = o.claim(head.version, head.digest);
            let changed = o.settle();
            Outcome { news, behind: o.is_behind(), changed }
        })
        .unwrap_or_default()
    }

    /// Takes in a page that was asked for. Large bodies are left out; the caller fetches them and
    /// comes back with [`Self::apply_item`].
    pub(crate) fn apply_page(&mut self, page: &Page) -> Result<Outcome, Refused> {
        let mut outcome = Outcome::default();
        if !self.prepare(page.owner, page.generation)? {
            return Ok(outcome);
        }
        for item in &page.items {
            let one = self.apply_item(page.owner, page.generation, item)?;
            outcome.news |= one.news;
            outcome.changed.extend(one.changed);
        }
        Ok(outcome)
    }

    /// Takes in one entry of a page.
    pub(crate) fn apply_item(
        &mut self,
        owner: NodeKey,
        generation: Generation,
        item: &Item,
    ) -> Result<Outcome, Refused> {
        let entry = self.check_item(owner, item)?;
        if !self.prepare(owner, generation)? {
            return Ok(Outcome::default());
        }
        let Some(entry) = entry else { return Ok(Outcome::default()) };
        self.check_room(owner, &entry)?;
        let left = is_left_record(&entry);
        let (version, body) = (item.version, hash_of(item));
        let outcome = self.with_owner(owner, |o| {
            let mut outcome = o.write(owner, version, entry, body);
            if left && outcome.news {
                outcome.changed.extend(o.keep_only_node(owner));
            }
            outcome
        });
        Ok(outcome.unwrap_or_default())
    }

    /// Pages of a pull were taken in: what the peer accounts for and does not list is gone.
    pub(crate) fn complete(&mut self, pulled: &Pulled) -> Outcome {
        let owner = pulled.owner;
        if self.owners.get(&owner).is_none_or(|o| o.generation() != pulled.generation) {
            return Outcome::default();
        }
        self.with_owner(owner, |o| {
            if !pulled.whole {
                // What was replaced comes with a later page: until then the old one is shown, and
                // the prefix has to wait.
                let joins = pulled.from <= o.complete_to();
                if joins && o.has_only(pulled.from, pulled.complete_to, &pulled.standing) {
                    o.complete_partly(pulled.complete_to);
                }
                return Outcome { news: false, behind: o.is_behind(), changed: Vec::new() };
            }
            let mut changed = o.keep_only(owner, pulled.from, pulled.complete_to, &pulled.standing);
            let news = !changed.is_empty();
            changed.extend(o.complete(pulled.complete_to));
            changed.extend(o.settle());
            Outcome { news, behind: o.is_behind(), changed }
        })
        .unwrap_or_default()
    }

    /// Forgets an owner and keeps what it said from coming back. Returns its entries.
    pub(crate) fn forget(&mut self, owner: NodeKey) -> Vec<EntryKey> {
        let Some(old) = self.owners.remove(&owner) else { return Vec::new() };
        self.bytes -= old.bytes();
        if self.dropped.len() >= self.config.max_members {
            self.dropped.pop_first();
        }
        self.dropped.insert(owner, old.generation());
        old.keys().collect()
    }

    /// A forgotten owner is live again, in the same run: what it says counts again.
    pub(crate) fn readmit(&mut self, owner: NodeKey) {
        self.dropped.remove(&owner);
    }

    /// Drops the services and checks of an owner that is gone on purpose.
    pub(crate) fn keep_only_node(&mut self, owner: NodeKey) -> Vec<EntryKey> {
        self.with_owner(owner, |o| o.keep_only_node(owner)).unwrap_or_default()
    }

    // ---- inside

    fn with_owner<R>(&mut self, key: NodeKey, f: impl FnOnce(&mut Owner) -> R) -> Option<R> {
        let owner = Arc::make_mut(self.owners.get_mut(&key)?);
        let before = owner.bytes();
        let result = f(owner);
        self.bytes = self.bytes + owner.bytes() - before;
        Some(result)
    }

    /// Makes sure that the owner's table is of `generation`; `false` when that run is over.
    fn prepare(&mut self, key: NodeKey, generation: Generation) -> Result<bool, Refused> {
        if generation > Generation::MAX || generation.0 == 0 {
            return self.refuse(Refused::Malformed);
        }
        if self.was_dropped(key, generation) {
            return Ok(false);
        }
        if !self.owners.contains_key(&key) && self.owners.len() >= self.config.max_members {
            return self.refuse(Refused::Full);
        }
        let known = self.owners.get(&key).map(|o| o.generation());
        if known.is_none_or(|g| generation > g) {
            self.owners.entry(key).or_default();
            self.dropped.remove(&key);
            self.with_owner(key, |o| o.begin(generation));
            return Ok(true);
        }
        Ok(known == Some(generation))
    }

    /// What a record may be, whoever relays it: bounded, and readable if its kind is known. `None`
    /// when its body does not come along.
    fn check_item(&mut self, owner: NodeKey, item: &Item) -> Result<Option<PackedEntry>, Refused> {
        let Ok(key) = item.key() else { return self.refuse(Refused::Malformed) };
        let bytes = match &item.body {
            Body::Large(_) => return Ok(None),
            Body::Deleted => return Ok(Some(PackedEntry::deleted(item.kind, &item.id))),
            Body::Bytes(bytes) => bytes,
        };
        if bytes.len() > self.config.max_record_bytes {
            return self.refuse(Refused::Oversize);
        }
        let Ok(entry) = record::pack(&key, bytes) else { return self.refuse(Refused::Malformed) };
        match record::unpack_node(&entry) {
            Some(node) if node.name.key() != owner => self.refuse(Refused::Malformed),
            _ => Ok(Some(entry)),
        }
    }

    fn check_room(&mut self, owner: NodeKey, entry: &PackedEntry) -> Result<(), Refused> {
        if entry.is_deleted() {
            return Ok(());
        }
        let slots = self.owners.get(&owner).map_or(0, |o| o.slot_count());
        // Remembered deletions and the node's own record come on top of what may be registered.
        let room = self.config.max_entries_per_node + 128;
        if slots >= room || self.bytes + entry.size() > self.bytes_max {
            return self.refuse(Refused::Full);
        }
        Ok(())
    }

    fn refuse<T>(&mut self, why: Refused) -> Result<T, Refused> {
        self.refused += 1;
        Err(why)
    }
}

fn hash_of(item: &Item) -> u64 {
    match &item.body {
        Body::Bytes(bytes) => owner::body_hash(bytes),
        Body::Deleted | Body::Large(_) => 0,
    }
}

fn is_left_record(entry: &PackedEntry) -> bool {
    record::unpack_node(entry).is_some_and(|node| node.left)
}
