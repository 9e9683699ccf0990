//! A tree of digests over everything that agents must agree on: one row a node, rows in parts, parts
//! in buckets, buckets in a root. Two agents with equal roots know the same; a difference leads down
//! to the rows that differ. Digests of parts are added up when they are asked for: with them, one row
//! that differs is found among ten thousand for a kilobyte and a half instead of ten.
//!
//! Sums rather than hashes of hashes, so that a change costs one subtraction and one addition.

use crate::model::NodeKey;
use crate::wire::frame::{Digest, Liveness, Row};
use imbl::OrdMap;

/// Buckets in the tree: their digests fit into one datagram.
pub(crate) const BUCKETS: usize = 64;

/// Parts of a bucket.
pub(crate) const PARTS: usize = 64;

/// The bucket a node's row is in: the upper six bits of its key, so that a bucket is a range.
pub(crate) const fn bucket_of(key: NodeKey) -> u8 {
    (key.0 >> 58) as u8
}

/// The part of its bucket: the next six bits.
const fn part_of(key: NodeKey) -> u8 {
    ((key.0 >> 52) & 63) as u8
}

/// The first key of a part of a bucket.
pub(crate) const fn first_key(bucket: u8, part: u8) -> NodeKey {
    NodeKey(((bucket as u64) << 58) | ((part as u64) << 52))
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

    /// The digests of a bucket's parts.
    pub(crate) fn parts(&self, bucket: u8) -> [Digest; PARTS] {
        let mut parts = [Digest(0); PARTS];
        for (key, digest) in self.range(bucket, None, None) {
            let part = &mut parts[usize::from(part_of(key))];
            part.0 = part.0.wrapping_add(digest);
        }
        parts
    }

    /// Keys of the rows of a bucket, or of one part of it, after `after`.
    pub(crate) fn keys(
        &self,
        bucket: u8,
        part: Option<u8>,
        after: Option<NodeKey>,
    ) -> impl Iterator<Item = NodeKey> {
        self.range(bucket, part, after).map(|(key, _)| key)
    }

    /// Keys of all rows after `after`, up to `until`.
    pub(crate) fn keys_between(
        &self,
        after: Option<NodeKey>,
        until: NodeKey,
    ) -> impl Iterator<Item = NodeKey> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.rows.range((start, Unbounded)).map(|(key, _)| *key).take_while(move |key| *key <= until)
    }

    /// Whether there are no rows but that of `own`.
    pub(crate) fn has_only(&self, own: NodeKey) -> bool {
        self.rows.keys().all(|key| *key == own)
    }

    fn range(
        &self,
        bucket: u8,
        part: Option<u8>,
        after: Option<NodeKey>,
    ) -> impl Iterator<Item = (NodeKey, u64)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let first = first_key(bucket, part.unwrap_or(0));
        let start = after.filter(|after| *after >= first).map_or(Included(first), Excluded);
        let inside = move |key: NodeKey| bucket_of(key) == bucket && part.is_none_or(|p| part_of(key) == p);
        self.rows.range((start, Unbounded)).map(|(k, d)| (*k, *d)).take_while(move |(k, _)| inside(*k))
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
        t.set(first_key(6, 0), Some(9));
        let keys: Vec<u64> = t.keys(5, None, Some(NodeKey((5 << 58) + 1))).map(|k| k.0 - (5 << 58)).collect();
        assert_eq!(keys, [2, 3]);
    }

    #[test]
    fn all_keys_are_between_none_and_the_last() {
        let mut t = Tree::default();
        assert!(t.has_only(NodeKey(5)));
        for n in [5u64, 1 << 40, u64::MAX] {
            t.set(NodeKey(n), Some(n));
        }
        let between = |after, until| t.keys_between(after, NodeKey(until)).map(|k| k.0).collect::<Vec<_>>();
        assert_eq!(between(None, u64::MAX), [5, 1 << 40, u64::MAX]);
        assert_eq!(between(Some(NodeKey(5)), 1 << 40), [1 << 40]);
        assert_eq!(between(Some(NodeKey(u64::MAX)), 3), [0; 0], "an empty range is no mistake");
        assert!(!t.has_only(NodeKey(5)));
    }

    #[test]
    fn parts_add_up_to_their_bucket_and_hold_its_keys() {
        let mut t = Tree::default();
        for n in 0..4_096_u64 {
            t.set(NodeKey((n << 52) + n), Some(n * n + 1));
        }
        for bucket in [0, 17, 63] {
            let sum = t.parts(bucket).iter().fold(0_u64, |sum, part| sum.wrapping_add(part.0));
            assert_eq!(Digest(sum), t.buckets()[usize::from(bucket)]);
            for part in [0, 5, 63] {
                let keys: Vec<NodeKey> = t.keys(bucket, Some(part), None).collect();
                let n = u64::from(bucket) * 64 + u64::from(part);
                assert_eq!(keys, [NodeKey((n << 52) + n)]);
                assert_eq!(t.keys(bucket, Some(part), Some(keys[0])).count(), 0);
            }
        }
    }
}
