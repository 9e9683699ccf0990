//! A window over the nonces of what was opened: copies of the last [`SEEN_MAX`] datagrams are known for such.
//!
//! A ring of nonces, and a table with open addressing that finds them. Only what carries a good seal gets into it,
//! so nobody without a key can push anything out; where in the table a nonce goes depends on a secret, so that
//! nobody can choose nonces that make it slow.

use crate::wire::seal::NONCE_BYTES;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Datagrams whose copies are known for such.
pub(super) const SEEN_MAX: usize = 16_384;
/// Slots of the table at first; it doubles until the window is full.
const SLOTS_MIN: usize = 64;
/// A slot without a nonce. Others hold its place in the ring.
const EMPTY: u32 = u32::MAX;

const _: () = assert!(SLOTS_MIN.is_power_of_two() && SEEN_MAX.is_power_of_two());

type Nonce = [u8; NONCE_BYTES];

#[derive(Debug)]
pub(super) struct Seen {
    secret: u64,
    ring: Vec<Nonce>,
    /// Of the ring: where the next one goes when it is full, over the oldest.
    oldest: usize,
    /// At least twice as many as nonces; a power of two.
    slots: Vec<u32>,
}

impl Seen {
    pub(super) fn new(secret: u64) -> Self {
        Self { secret, ring: Vec::new(), oldest: 0, slots: vec![EMPTY; SLOTS_MIN] }
    }

    /// Says whether it is seen for the first time, as far as is known.
    pub(super) fn insert(&mut self, nonce: Nonce) -> bool {
        if self.find(&nonce).is_ok() {
            return false;
        }
        let place = if self.ring.len() < SEEN_MAX {
            self.ring.push(nonce);
            self.grow();
            self.ring.len() - 1
        } else {
            let place = self.oldest;
            self.forget(place);
            self.ring[place] = nonce;
            self.oldest = (place + 1) % SEEN_MAX;
            place
        };
        let slot = self.find(&nonce).expect_err("it is not there yet");
        self.slots[slot] = u32::try_from(place).expect("the window is small");
        true
    }

    /// The slot of a nonce, or the one where it would go.
    fn find(&self, nonce: &Nonce) -> Result<usize, usize> {
        let mut slot = self.home(nonce);
        loop {
            match self.slots[slot] {
                EMPTY => return Err(slot),
                place if self.ring[place as usize] == *nonce => return Ok(slot),
                _ => slot = self.next(slot),
            }
        }
    }

    /// Where the search for a nonce begins.
    fn home(&self, nonce: &Nonce) -> usize {
        xxh3_64_with_seed(nonce, self.secret) as usize & (self.slots.len() - 1)
    }

    const fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// Doubles the table when it is half full.
    fn grow(&mut self) {
        if self.ring.len() * 2 <= self.slots.len() {
            return;
        }
        self.slots = vec![EMPTY; self.slots.len() * 2];
        // The last one is not in the table yet.
        for place in 0..self.ring.len() - 1 {
            let slot = self.find(&self.ring[place]).expect_err("nonces are there once");
            self.slots[slot] = u32::try_from(place).expect("the window is small");
        }
    }

    /// Takes the nonce at a place of the ring out of the table, and closes the gap: whoever searches stops at an
    /// empty slot (Knuth, TAOCP 6.4, algorithm R).
    fn forget(&mut self, place: usize) {
        let Ok(mut gap) = self.find(&self.ring[place]) else { return };
        let mut slot = gap;
        loop {
            self.slots[gap] = EMPTY;
            loop {
                slot = self.next(slot);
                if self.slots[slot] == EMPTY {
                    return;
                }
                let home = self.home(&self.ring[self.slots[slot] as usize]);
                // One whose home lies after the gap, up to where it is, stays.
                let mask = self.slots.len() - 1;
                if (slot.wrapping_sub(home) & mask) >= (slot.wrapping_sub(gap) & mask) {
                    break;
                }
            }
            self.slots[gap] = self.slots[slot];
            gap = slot;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    fn nonce(n: u64) -> Nonce {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&n.to_le_bytes());
        nonce
    }

    /// A set and a queue beside it, which say the same at every step.
    #[test]
    fn it_knows_the_last_ones_and_no_others() {
        let mut seen = Seen::new(7);
        let (mut set, mut order) = (BTreeSet::new(), VecDeque::new());
        let mut state = 1_u64;
        for step in 0..120_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // New ones, copies of late ones, and some that fell out long ago.
            let n = nonce(if state >> 62 == 0 { (state >> 20) % (step + 1) } else { step });
            let is_new = set.insert(n);
            if is_new {
                order.push_back(n);
                if order.len() > SEEN_MAX {
                    set.remove(&order.pop_front().expect("it is full"));
                }
            }
            assert_eq!(seen.insert(n), is_new, "step {step}");
        }
        assert_eq!(seen.len(), SEEN_MAX);
        let used = seen.slots.iter().filter(|slot| **slot != EMPTY).count();
        assert_eq!((used, seen.slots.len()), (SEEN_MAX, 2 * SEEN_MAX));
    }
}
