//! A tree of digests over everything that agents must agree on: one row a node, rows in buckets,
//! buckets in a root. Two agents with equal roots know the same; a difference leads down to the
//! rows that differ.
//!
//! Sums rather than hashes of hashes, so that a change costs one subtraction and one addition.

use crate::model::NodeKey;
use crate::wire::frame::{Digest, Liveness, Row};
use imbl::OrdMap;

/// Buckets in the tree: their digests fit into one datagram.
pub(crate) const BUCKETS: usize = 64;

/// The bucket a node's row is in: the upper six bits of its key, so that a bucket is a range.
pub(crate) const fn bucket_of(key: NodeKey) -> u8 {
    (key.0 >> 58) as u8
}

/// The first key of a bucket.
pub(crate) const fn first_key(bucket: u8) -> NodeKey {
    NodeKey((bucket as u64) << 58)
}

/// A row's digest. What agents may differ in without being wrong is left out: suspicions,
/// incarnations, and how much of a table is known to be complete.
///
/// A node that left counts for nothing: whether somebody still remembers it is no difference.
pub(crate) fn row_digest(row: &Row) -> u64 {
    if row.member.is_some_and(|m| m.state == Liveness::Left) {
        return 0;
    }
    let mut bytes = [0u8; 41];
    bytes[..8].copy_from_slice(&row.key.0.to_le_bytes());
    if let Some(m) = &row.member {
        bytes[8..16].copy_from_slice(&m.epoch.0.to_le_bytes());
        bytes[16] = if m.state.is_live() { 1 } else { 2 };
    }
    if let Some(t) = &row.table {
        bytes[17..25].copy_from_slice(&t.generation.0.to_le_bytes());
        bytes[25..33].copy_from_slice(&t.digest.to_le_bytes());
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

#[derive(Debug, Clone)]
pub(crate) struct Tree {
    rows: OrdMap<NodeKey, u64>,
    buckets: [u64; BUCKETS],
    root: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self { rows: OrdMap::new(), buckets: [0; BUCKETS], root: 0 }
    }
}

impl Tree {
    pub(crate) fn root(&self) -> Digest {
        Digest(self.root)
    }

    /// The digest of a node's row.
    pub(crate) fn digest_of(&self, key: NodeKey) -> Option<u64> {
        self.rows.get(&key).copied()
    }

    pub(crate) fn buckets(&self) -> Vec<Digest> {
        self.buckets.iter().map(|d| Digest(*d)).collect()
    }

    /// Puts the digest of a node's row, or takes it away.
    pub(crate) fn set(&mut self, key: NodeKey, digest: Option<u64>) {
        let old = match digest {
            Some(d) => self.rows.insert(key, d),
            None => self.rows.remove(&key),
        };
        let change = digest.unwrap_or(0).wrapping_sub(old.unwrap_or(0));
        let bucket = &mut self.buckets[usize::from(bucket_of(key))];
        *bucket = bucket.wrapping_add(change);
        self.root = self.root.wrapping_add(change);
    }

    /// Keys of a bucket's rows after `after`.
    pub(crate) fn keys(&self, bucket: u8, after: Option<NodeKey>) -> impl Iterator<Item = NodeKey> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = after.map_or(Included(first_key(bucket)), Excluded);
        self.rows.range((start, Unbounded)).map(|(k, _)| *k).take_while(move |k| bucket_of(*k) == bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_depends_on_the_rows_and_not_on_their_history() {
        let mut a = Tree::default();
        let mut b = Tree::default();
        for n in 0..100u64 {
            a.set(NodeKey(n << 57), Some(n * 7));
        }
        for n in (0..100u64).rev() {
            b.set(NodeKey(n << 57), Some(1));
            b.set(NodeKey(n << 57), Some(n * 7));
        }
        b.set(NodeKey(12345), Some(5));
        assert_ne!(a.root(), b.root());
        b.set(NodeKey(12345), None);
        assert_eq!(a.root(), b.root());
        assert_eq!(a.buckets(), b.buckets());
    }

    #[test]
    fn a_buckets_keys_are_a_range() {
        let mut t = Tree::default();
        for n in [1u64, 2, 3] {
            t.set(NodeKey((5 << 58) + n), Some(n));
        }
        t.set(first_key(6), Some(9));
        let keys: Vec<u64> = t.keys(5, Some(NodeKey((5 << 58) + 1))).map(|k| k.0 - (5 << 58)).collect();
        assert_eq!(keys, [2, 3]);
    }
}
