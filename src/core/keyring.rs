//! The cluster's keyring: which keys are accepted and which one is sealed with.
//!
//! A small replicated document. Each key's entry (installed or removed) and the choice of the
//! primary key are registers of which the last writer wins, by (counter, node); so merging is
//! commutative, associative and idempotent, and a removal is not undone by who was away. The
//! primary key travels inside its own register and is accepted for as long as it stands there: of
//! one who removes a key and one who begins to use it at the same moment, the second wins.
//!
//! Never seals anything, and never shows a key.

use crate::model::{KEYS_MAX, KeyId, KeyMaterial, KeyringError, NodeKey, Stamp};
use crate::wire::keyring::{SharedKey, SharedKeyring, SharedStamp};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// Keys that changes made in different places at once may lead to.
const INSTALLED_MAX: usize = KEYS_MAX + 4;
/// Removals that are remembered one by one; earlier ones are below the floor.
const REMOVED_MAX: usize = 12;
/// Who stamps what comes from a file: nobody, so that equal files make equal keyrings.
const FILE: NodeKey = NodeKey(0);

/// See the module's documentation. Always has a primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<KeyId, (Stamp, Option<KeyMaterial>)>,
    primary: (Stamp, KeyMaterial),
    floor: u64,
}

impl Keyring {
    /// A new keyring of these keys, the first of which is the primary one; `None` without keys.
    /// Those beyond the first [`KEYS_MAX`] are left out.
    pub fn new(keys: &[KeyMaterial]) -> Option<Self> {
        let stamp = Stamp { counter: 1, node: FILE };
        let primary = keys.first()?.clone();
        let keys = keys.iter().take(KEYS_MAX).map(|k| (k.id(), (stamp, Some(k.clone())))).collect();
        Some(Self { keys, primary: (stamp, primary), floor: 0 })
    }

    // ---- getters

    /// The key that is sealed with.
    pub fn primary(&self) -> &KeyMaterial {
        &self.primary.1
    }

    /// The keys that are accepted, in the order of their ids.
    pub fn accepted(&self) -> BTreeMap<KeyId, KeyMaterial> {
        let installed = self.keys.iter().filter_map(|(id, (_, key))| Some((*id, key.clone()?)));
        installed.chain([(self.primary.1.id(), self.primary.1.clone())]).collect()
    }

    /// The ids of the keys that are accepted, the primary one first.
    pub fn ids(&self) -> Vec<KeyId> {
        let primary = self.primary.1.id();
        let others = self.accepted().into_keys().filter(|id| *id != primary);
        [primary].into_iter().chain(others).collect()
    }

    /// Whether the key was here once and was removed, as far as is remembered.
    pub fn was_removed(&self, id: KeyId) -> bool {
        self.keys.get(&id).is_some_and(|(_, key)| key.is_none()) && id != self.primary.1.id()
    }

    /// Equal for equal keyrings. Made of ids and stamps, not of keys.
    pub fn digest(&self) -> u64 {
        let mut hash = Xxh3::new();
        let mut stamp = |id: KeyId, s: Stamp, there: bool| {
            hash.update(&id.0.to_le_bytes());
            hash.update(&s.counter.to_le_bytes());
            hash.update(&s.node.0.to_le_bytes());
            hash.update(&[u8::from(there)]);
        };
        stamp(self.primary.1.id(), self.primary.0, true);
        for (id, (s, key)) in &self.keys {
            stamp(*id, *s, key.is_some());
        }
        hash.update(&self.floor.to_le_bytes());
        hash.digest()
    }

    // ---- changes

    fn next(&self, node: NodeKey) -> Stamp {
        let counters = self.keys.values().map(|(s, _)| s.counter);
        let highest = counters.chain([self.primary.0.counter, self.floor]).max().unwrap_or(0);
        Stamp { counter: highest.saturating_add(1), node }
    }

    /// Accepts `key` from now on; says whether that is new.
    pub fn install(&mut self, key: &KeyMaterial, node: NodeKey) -> Result<bool, KeyringError> {
        let accepted = self.accepted();
        match accepted.get(&key.id()) {
            Some(known) if known == key => {
                // It may be there for no other reason than being the primary one.
                let listed = self.keys.get(&key.id()).is_some_and(|(_, k)| k.is_some());
                if listed {
                    return Ok(false);
                }
            }
            Some(_) => return Err(KeyringError::SameId(key.id())),
            None if accepted.len() >= KEYS_MAX => return Err(KeyringError::Full),
            None => {}
        }
        let stamp = self.next(node);
        self.keys.insert(key.id(), (stamp, Some(key.clone())));
        Ok(true)
    }

    /// Accepts the keys of a file that are not known, and were not removed. Answers what became of
    /// those that were not accepted.
    pub fn install_from_file(&mut self, keys: &[KeyMaterial]) -> Vec<(KeyId, Option<KeyringError>)> {
        let mut left_out = Vec::new();
        for key in keys {
            if self.was_removed(key.id()) {
                left_out.push((key.id(), None));
            } else if let Err(error) = self.install(key, FILE) {
                left_out.push((key.id(), Some(error)));
            }
        }
        left_out
    }

    /// Seals with that key from now on; says whether that is new.
    pub fn choose(&mut self, id: KeyId, node: NodeKey) -> Result<bool, KeyringError> {
        if id == self.primary.1.id() {
            return Ok(false);
        }
        let key = self.accepted().remove(&id).ok_or(KeyringError::Unknown(id))?;
        self.primary = (self.next(node), key);
        Ok(true)
    }

    /// Accepts that key no more.
    pub fn remove(&mut self, id: KeyId, node: NodeKey) -> Result<(), KeyringError> {
        if id == self.primary.1.id() {
            return Err(KeyringError::IsPrimary(id));
        }
        if !self.accepted().contains_key(&id) {
            return Err(KeyringError::Unknown(id));
        }
        self.keys.insert(id, (self.next(node), None));
        self.forget_old_removals();
        Ok(())
    }

    /// Takes over what `other` knows better; says whether that was anything. A keyring that would
    /// grow past all bounds changes nothing.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut keys = BTreeMap::new();
        let of_both = self.keys.keys().chain(other.keys.keys());
        for id in of_both.copied() {
            let entry = match (self.keys.get(&id), other.keys.get(&id)) {
                (Some(a), Some(b)) => Some(if rank(b) > rank(a) { b } else { a }),
                (Some(a), None) => Some(a).filter(|(stamp, _)| stamp.counter > other.floor),
                (None, Some(b)) => Some(b).filter(|(stamp, _)| stamp.counter > self.floor),
                (None, None) => None,
            };
            if let Some(entry) = entry {
                keys.insert(id, entry.clone());
            }
        }
        let choice = |k: &Self| (k.primary.0, *k.primary.1.bytes());
        let newer = choice(other) > choice(self);
        let primary = if newer { other.primary.clone() } else { self.primary.clone() };
        let mut merged = Self { keys, primary, floor: self.floor.max(other.floor) };
        merged.forget_old_removals();
        if merged.keys.values().filter(|(_, key)| key.is_some()).count() > INSTALLED_MAX || merged == *self {
            return false;
        }
        *self = merged;
        true
    }

    fn forget_old_removals(&mut self) {
        loop {
            let removed = self.keys.iter().filter(|(_, (_, key))| key.is_none());
            if removed.clone().count() <= REMOVED_MAX {
                return;
            }
            let Some((id, stamp)) = removed.map(|(id, (stamp, _))| (*id, *stamp)).min_by_key(|(_, s)| *s)
            else {
                return;
            };
            self.keys.remove(&id);
            self.floor = self.floor.max(stamp.counter);
        }
    }

    // ---- as a value that travels and is kept

    /// Everything, to be sent or kept.
    pub fn to_shared(&self) -> SharedKeyring {
        let keys = self.keys.iter().map(|(id, (stamp, material))| SharedKey {
            id: id.0,
            stamp: shared(*stamp),
            material: material.clone(),
        });
        SharedKeyring {
            keys: keys.collect(),
            primary: self.primary.1.clone(),
            primary_stamp: shared(self.primary.0),
            floor: self.floor,
        }
    }

    /// Checked; `None` when it is more than any keyring, or contradicts itself.
    pub fn from_shared(value: &SharedKeyring) -> Option<Self> {
        let installed = value.keys.iter().filter(|k| k.material.is_some()).count();
        if installed > INSTALLED_MAX || value.keys.len() - installed > REMOVED_MAX {
            return None;
        }
        let mut keys = BTreeMap::new();
        for k in &value.keys {
            let id = KeyId(k.id);
            if k.material.as_ref().is_some_and(|m| m.id() != id) {
                return None;
            }
            keys.insert(id, (stamp(k.stamp), k.material.clone()));
        }
        (keys.len() == value.keys.len()).then(|| Self {
            keys,
            primary: (stamp(value.primary_stamp), value.primary.clone()),
            floor: value.floor,
        })
    }
}

/// Of equal stamps the removal wins, then the greater key: any rule will do that is everybody's.
fn rank(entry: &(Stamp, Option<KeyMaterial>)) -> (Stamp, bool, Option<&[u8; 32]>) {
    (entry.0, entry.1.is_none(), entry.1.as_ref().map(KeyMaterial::bytes))
}

const fn shared(stamp: Stamp) -> SharedStamp {
    SharedStamp { counter: stamp.counter, node: stamp.node }
}

const fn stamp(shared: SharedStamp) -> Stamp {
    Stamp { counter: shared.counter, node: shared.node }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> KeyMaterial {
        KeyMaterial::from_bytes([n; 32])
    }

    fn ring(keys: &[u8]) -> Keyring {
        let keys: Vec<KeyMaterial> = keys.iter().map(|n| key(*n)).collect();
        Keyring::new(&keys).expect("has keys")
    }

    const ME: NodeKey = NodeKey(7);
    const YOU: NodeKey = NodeKey(8);

    #[test]
    fn a_rotation_is_install_use_remove() {
        let mut ring = ring(&[1]);
        assert_eq!(ring.install(&key(2), ME), Ok(true));
        assert_eq!(ring.install(&key(2), ME), Ok(false));
        assert_eq!(ring.primary(), &key(1));
        assert_eq!(ring.remove(key(1).id(), ME), Err(KeyringError::IsPrimary(key(1).id())));
        assert_eq!(ring.choose(key(2).id(), ME), Ok(true));
        assert_eq!(ring.ids()[0], key(2).id());
        assert_eq!(ring.remove(key(1).id(), ME), Ok(()));
        assert_eq!(ring.ids(), [key(2).id()]);
        assert!(ring.was_removed(key(1).id()));
        assert_eq!(ring.choose(key(1).id(), ME), Err(KeyringError::Unknown(key(1).id())));
        assert_eq!(ring.remove(key(3).id(), ME), Err(KeyringError::Unknown(key(3).id())));
    }

    #[test]
    fn who_was_away_brings_no_removed_key_back_however_long_ago_that_was() {
        let away = ring(&[1]);
        let mut here = away.clone();
        for n in 2..40 {
            here.install(&key(n), ME).expect("has room");
            here.choose(key(n).id(), ME).expect("is installed");
            here.remove(key(n - 1).id(), ME).expect("is not the primary one");
            let mut back = away.clone();
            back.merge(&here);
            here.merge(&away);
            assert_eq!(here.ids(), [key(n).id()]);
            assert_eq!(back, here);
        }
        assert!(here.keys.len() <= REMOVED_MAX + 1);
    }

    #[test]
    fn a_file_adds_keys_and_brings_no_removed_one_back() {
        let mut ring = ring(&[1, 2]);
        ring.remove(key(2).id(), ME).expect("is not the primary one");
        let left_out = ring.install_from_file(&[key(1), key(2), key(3)]);
        assert_eq!(left_out, [(key(2).id(), None)]);
        let mut ids = [key(1).id(), key(3).id()];
        ids[1..].sort_unstable();
        assert_eq!(ring.ids(), ids);
    }

    #[test]
    fn a_key_that_somebody_begins_to_use_while_another_removes_it_stays() {
        let before = ring(&[1, 2]);
        let (mut user, mut remover) = (before.clone(), before);
        user.choose(key(2).id(), ME).expect("is installed");
        remover.remove(key(2).id(), YOU).expect("is not the primary one there");
        user.merge(&remover);
        remover.merge(&user);
        assert_eq!(user, remover);
        assert_eq!(user.primary(), &key(2));
        assert!(user.accepted().contains_key(&key(2).id()));
    }

    #[test]
    fn there_are_never_more_keys_than_fit_into_a_datagram() {
        let mut ring = ring(&[1]);
        for n in 2..=8 {
            ring.install(&key(n), ME).expect("has room");
        }
        assert_eq!(ring.install(&key(9), ME), Err(KeyringError::Full));
        let mut bytes = Vec::new();
        let mut other = ring.clone();
        for n in 20..40 {
            other.remove(other.ids()[1], YOU).expect("is there");
            other.install(&key(n), YOU).expect("has room");
        }
        ring.merge(&other);
        crate::wire::Frame::Keyring(ring.to_shared()).encode_into(&mut bytes);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
        assert_eq!(Keyring::from_shared(&ring.to_shared()), Some(ring));
    }

    #[test]
    fn what_no_keyring_can_be_is_refused() {
        let good = ring(&[1, 2]).to_shared();
        let mut twice = good.clone();
        twice.keys.push(twice.keys[0].clone());
        assert_eq!(Keyring::from_shared(&twice), None);
        let mut misnamed = good.clone();
        misnamed.keys[0].id += 1;
        assert_eq!(Keyring::from_shared(&misnamed), None);
        let mut many = good;
        many.keys = (0..100).map(|n| SharedKey { id: n, material: None, ..many.keys[0].clone() }).collect();
        assert_eq!(Keyring::from_shared(&many), None);
    }

    /// What may be done, by whom, with which key.
    fn changed(mut ring: Keyring, steps: &[(u8, u8)], node: NodeKey) -> Keyring {
        for (what, n) in steps {
            // Refusals are as good as any other step.
            let _ = match what % 3 {
                0 => ring.install(&key(n % 6), node).map(drop),
                1 => ring.choose(key(n % 6).id(), node).map(drop),
                _ => ring.remove(key(n % 6).id(), node),
            };
        }
        ring
    }

    proptest! {
        #[test]
        fn merging_is_commutative_associative_and_idempotent(
            a in prop::collection::vec((any::<u8>(), any::<u8>()), 0..12),
            b in prop::collection::vec((any::<u8>(), any::<u8>()), 0..12),
            c in prop::collection::vec((any::<u8>(), any::<u8>()), 0..12),
        ) {
            let start = ring(&[0, 1]);
            let a = changed(start.clone(), &a, NodeKey(1));
            let b = changed(start.clone(), &b, NodeKey(2));
            let c = changed(start, &c, NodeKey(3));
            let join = |x: &Keyring, y: &Keyring| { let mut z = x.clone(); z.merge(y); z };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a.clone());
            let all = join(&join(&a, &b), &c);
            prop_assert_eq!(all.digest(), join(&c, &join(&b, &a)).digest());
            prop_assert!(all.accepted().contains_key(&all.primary().id()));
        }
    }
}
