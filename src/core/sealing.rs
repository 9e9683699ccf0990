//! Keys in use: what this agent seals with, what it opens, and what it has seen before.
//!
//! Sealing is done here and not at the socket, so that simulations run it too, datagrams are built
//! to their size with the seal, and what is dropped is counted in one place. Randomness of nonces
//! comes from outside, as a seed: 32 bytes of the system's for an agent that ships.

use crate::core::keyring::Keyring;
use crate::core::seen::Seen;
use crate::model::{Instant, KeyId};
use crate::wire::Dropped;
use crate::wire::datagram::Header;
use crate::wire::seal::{NONCE_BYTES, SealKey};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// Peers that are remembered for not sealing with our primary key.
const OTHERS_MAX: usize = 1_024;
/// What was sealed with a key before it was removed is on its way for this long.
const RETIRED_FOR: Duration = Duration::from_secs(5);
/// Keys that this agent lacks of which it says so.
const STRANGE_MAX: usize = 16;
/// Between two times that it says so of one key.
const STRANGE_AGAIN: Duration = Duration::from_secs(60);

/// A datagram could not be opened for want of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangeKey {
    /// The key.
    pub id: KeyId,
    /// It was in the cluster's keyring once.
    pub removed: bool,
    /// Who sealed with it.
    pub from: SocketAddr,
    /// When it was last met.
    pub at: Instant,
}

pub(crate) struct Sealing {
    ring: Keyring,
    cluster: String,
    keys: BTreeMap<KeyId, SealKey>,
    primary: KeyId,
    retired: BTreeMap<KeyId, (SealKey, Instant)>,
    nonces: StdRng,
    seen: Seen,
    /// Peers that were last heard with another key than our primary one, which they may lack: they
    /// are answered in theirs.
    others: BTreeMap<SocketAddr, KeyId>,
    strange: BTreeMap<KeyId, Instant>,
    /// The last of them.
    pub(crate) last_strange: Option<StrangeKey>,
}

impl Sealing {
    pub(crate) fn new(ring: Keyring, cluster: &str, nonces: [u8; 32]) -> Self {
        let mut nonces = StdRng::from_seed(nonces);
        let seen = Seen::new(nonces.random());
        let mut sealing = Self {
            primary: ring.primary().id(),
            ring,
            cluster: cluster.to_owned(),
            keys: BTreeMap::new(),
            retired: BTreeMap::new(),
            nonces,
            seen,
            others: BTreeMap::new(),
            strange: BTreeMap::new(),
            last_strange: None,
        };
        sealing.keys = sealing.schedule();
        sealing
    }

    fn schedule(&self) -> BTreeMap<KeyId, SealKey> {
        let accepted = self.ring.accepted();
        accepted.into_iter().map(|(id, key)| (id, SealKey::new(&key, &self.cluster))).collect()
    }

    pub(crate) const fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// Goes by this keyring from now on.
    pub(crate) fn set_ring(&mut self, ring: Keyring, now: Instant) {
        self.ring = ring;
        self.primary = self.ring.primary().id();
        let keys = self.schedule();
        for (id, key) in std::mem::replace(&mut self.keys, keys) {
            if !self.keys.contains_key(&id) {
                self.retired.insert(id, (key, now + RETIRED_FOR));
            }
        }
        self.retired.retain(|id, (_, until)| *until > now && !self.keys.contains_key(id));
        let (keys, primary) = (&self.keys, self.primary);
        self.others.retain(|_, id| *id != primary && keys.contains_key(id));
        self.strange.retain(|id, _| !keys.contains_key(id));
        if self.last_strange.is_some_and(|s| keys.contains_key(&s.id)) {
            self.last_strange = None;
        }
    }

    /// The key that a peer at this address was last heard with, if it is not the primary one.
    pub(crate) fn other_key_of(&self, addr: SocketAddr) -> Option<KeyId> {
        self.others.get(&addr).copied()
    }

    /// The peer there has our primary key.
    pub(crate) fn forget_other(&mut self, addr: SocketAddr) {
        self.others.remove(&addr);
    }

    /// The peer there may have any one of our keys in common with us: seals with the next one in turn from
    /// now on, until it is heard.
    pub(crate) fn try_next(&mut self, addr: SocketAddr) {
        let last = self.others.get(&addr).copied().unwrap_or(self.primary);
        let after = self.keys.range((Excluded(last), Unbounded)).next();
        if let Some(id) = after.or_else(|| self.keys.first_key_value()).map(|(id, _)| *id) {
            self.note_key_of(addr, id);
        }
    }

    fn note_key_of(&mut self, addr: SocketAddr, id: KeyId) {
        if id == self.primary {
            self.others.remove(&addr);
        } else if self.keys.contains_key(&id) {
            if self.others.len() >= OTHERS_MAX && !self.others.contains_key(&addr) {
                self.others.pop_first();
            }
            self.others.insert(addr, id);
        }
    }

    pub(crate) fn seal(&mut self, to: SocketAddr, datagram: &mut Vec<u8>) {
        let other = self.others.get(&to).and_then(|id| self.keys.get(id));
        let key = other.or_else(|| self.keys.get(&self.primary)).expect("the primary key is scheduled");
        let mut nonce = [0; NONCE_BYTES];
        self.nonces.fill_bytes(&mut nonce);
        key.seal(nonce, datagram);
    }

    /// Puts what follows the header into `body`, if the datagram has a good seal and is no copy. A key that
    /// was removed a moment ago is good for what a member (`is_member`) sent before it knew.
    pub(crate) fn open(
        &mut self,
        (from, is_member): (SocketAddr, bool),
        header: Header,
        datagram: &[u8],
        body: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), Dropped> {
        let id = header.key.ok_or(Dropped::Unsealed)?;
        let retired =
            || self.retired.get(&id).filter(|(_, until)| is_member && *until > now).map(|(key, _)| key);
        let Some(key) = self.keys.get(&id).or_else(retired) else {
            self.meet_strange(id, from, now);
            return Err(Dropped::UnknownKey);
        };
        key.open(datagram, body).map_err(|_| Dropped::Forged)?;
        if !self.seen.insert(header.nonce) {
            return Err(Dropped::Replayed);
        }
        self.note_key_of(from, id);
        Ok(())
    }

    fn meet_strange(&mut self, id: KeyId, from: SocketAddr, now: Instant) {
        self.last_strange = Some(StrangeKey { id, removed: self.ring.was_removed(id), from, at: now });
    }

    /// A key that is to be told of: not one that was told of a moment ago.
    pub(crate) fn strange_to_tell(&mut self, now: Instant) -> Option<StrangeKey> {
        let strange = self.last_strange.filter(|s| s.at == now)?;
        let lately = self.strange.get(&strange.id).is_some_and(|at| now.since(*at) < STRANGE_AGAIN);
        // Whoever makes ids up fills this; then it is silent for a while and not for ever.
        self.strange.retain(|_, at| now.since(*at) < STRANGE_AGAIN);
        if lately || self.strange.len() >= STRANGE_MAX {
            return None;
        }
        self.strange.insert(strange.id, now);
        Some(strange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::seen::SEEN_MAX;
    use crate::model::KeyMaterial;
    use crate::wire::{ClusterHash, DatagramBuilder, Frame, datagram};

    fn key(n: u8) -> KeyMaterial {
        KeyMaterial::from_bytes([n; 32])
    }

    fn sealing(keys: &[u8]) -> Sealing {
        let keys: Vec<KeyMaterial> = keys.iter().map(|n| key(*n)).collect();
        Sealing::new(Keyring::new(&keys).expect("has keys"), "test", [keys.len() as u8; 32])
    }

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    fn plain() -> Vec<u8> {
        let mut datagram = DatagramBuilder::new(ClusterHash::of("test"), 1_400);
        datagram.push(&Frame::Root(crate::wire::frame::Digest(5)));
        datagram.finish()
    }

    fn open(s: &mut Sealing, bytes: &[u8], now: Instant) -> Result<(), Dropped> {
        let (header, _) = datagram::read(bytes, ClusterHash::of("test"), 1_400)?;
        s.open((addr(1), true), header, bytes, &mut Vec::new(), now)
    }

    #[test]
    fn copies_are_dropped_until_so_many_others_came() {
        let (mut a, mut b) = (sealing(&[1]), sealing(&[1]));
        let mut said = Vec::new();
        for _ in 0..SEEN_MAX + 1 {
            let mut bytes = plain();
            a.seal(addr(2), &mut bytes);
            assert_eq!(open(&mut b, &bytes, Instant::START), Ok(()));
            said.push(bytes);
        }
        assert_eq!(open(&mut b, &said[1], Instant::START), Err(Dropped::Replayed));
        // The window is bounded: what is older than it is known by its content only.
        assert_eq!(open(&mut b, &said[0], Instant::START), Ok(()));
        assert_eq!(b.seen.len(), SEEN_MAX);
    }

    #[test]
    fn who_seals_with_another_key_is_answered_in_it() {
        let (mut old, mut new) = (sealing(&[1]), sealing(&[2, 1]));
        let mut bytes = plain();
        old.seal(addr(2), &mut bytes);
        assert_eq!(open(&mut new, &bytes, Instant::START), Ok(()));
        let mut answer = plain();
        new.seal(addr(1), &mut answer);
        assert_eq!(open(&mut old, &answer, Instant::START), Ok(()));
        let mut to_another = plain();
        new.seal(addr(3), &mut to_another);
        assert_eq!(open(&mut old, &to_another, Instant::START), Err(Dropped::UnknownKey));
        assert_eq!(old.strange_to_tell(Instant::START).map(|s| s.id), Some(key(2).id()));
        assert_eq!(old.strange_to_tell(Instant::START), None);
    }

    /// A host with several keys that was away gets in with the one that is left, after as many tries as it has
    /// keys at most.
    #[test]
    fn whoever_does_not_answer_is_tried_with_each_key_in_turn() {
        let mut many = sealing(&[1, 2, 3]);
        for common in [1, 2, 3] {
            let mut peer = sealing(&[common]);
            let heard = (0..3).filter(|_| {
                let mut bytes = plain();
                many.seal(addr(2), &mut bytes);
                many.try_next(addr(2));
                open(&mut peer, &bytes, Instant::START).is_ok()
            });
            assert_eq!(heard.count(), 1, "key {common}");
        }
    }

    #[test]
    fn what_was_on_its_way_when_its_key_was_removed_is_heard() {
        let (mut a, mut b) = (sealing(&[1, 2]), sealing(&[2, 1]));
        let mut bytes = plain();
        a.seal(addr(2), &mut bytes);
        let mut late = plain();
        a.seal(addr(2), &mut late);
        let mut ring = b.ring().clone();
        ring.remove(key(1).id(), crate::model::NodeKey(1)).expect("is not the primary one");
        b.set_ring(ring, Instant::START);
        assert_eq!(open(&mut b, &bytes, Instant::START + Duration::from_secs(1)), Ok(()));
        let after = Instant::START + RETIRED_FOR;
        assert_eq!(open(&mut b, &late, after), Err(Dropped::UnknownKey));
        assert!(b.strange_to_tell(after).is_some_and(|s| s.removed));
    }

    #[test]
    fn plain_forged_and_foreign_datagrams_are_told_apart() {
        let (mut a, mut b) = (sealing(&[1]), sealing(&[1]));
        assert_eq!(open(&mut b, &plain(), Instant::START), Err(Dropped::Unsealed));
        let mut bytes = plain();
        a.seal(addr(2), &mut bytes);
        for at in [3, 8, 20, 30, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let want = match at {
                3 => Dropped::UnknownKey,
                20 => Dropped::OtherCluster,
                _ => Dropped::Forged,
            };
            assert_eq!(open(&mut b, &bytes, Instant::START), Err(want), "byte {at}");
        }
        let mut elsewhere = Sealing::new(a.ring().clone(), "another", [0; 32]);
        let mut lie = plain();
        elsewhere.seal(addr(2), &mut lie);
        assert_eq!(open(&mut b, &lie, Instant::START), Err(Dropped::Forged));
        assert_eq!(open(&mut b, &bytes, Instant::START), Ok(()));
    }
}
