//! What a run does when its agents seal: who has a key and who has none, keys that change, restarts, and
//! datagrams that were heard and come again.

use super::super::input::Input;
use super::super::{addr, identity, small};
use super::lies::{any_addr, lie};
use super::past::{Past, Shown};
use super::{OURS, PEER, World};
use crate::core::{Agent, Keyring};
use crate::fuzzing::CLUSTER;
use crate::model::{
    Generation, Instant, KeyId, KeyMaterial, KeyringCommand, LocalState, MemberStatus, NodeName,
};
use crate::wire::seal::{NONCE_BYTES, SealKey};
use crate::wire::{ClusterHash, DatagramBuilder};
use std::net::SocketAddr;
use std::time::Duration;

/// Keys that may be in a keyring; what is beyond never is.
pub(super) const KEYS: u8 = 6;
/// A key that was removed is good for what members sent before they knew.
const RETIRED_FOR: Duration = Duration::from_secs(5);
/// Where nonce and key stand in a header.
const NONCE_AT: usize = 7;
const KEY_AT: usize = 3;

/// Who is there beside the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    /// Nobody has keys: a stranger is as good as a member.
    Plain,
    /// Strangers hear everything and have no key that is in use.
    Outside,
    /// Some have.
    Inside,
}

impl Strangers {
    pub(super) const fn seal(self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Nobody who has a key lies.
    pub(super) const fn are_honest(self) -> bool {
        matches!(self, Self::Outside)
    }
}

fn key(n: u8) -> KeyMaterial {
    KeyMaterial::from_bytes([n; 32])
}

/// The nonces of two agents are the same when all of these are.
fn agent(who: (&str, u16), generation: Generation, local: LocalState, ring: Keyring, now: Instant) -> Agent {
    let (name, n) = who;
    let low = u8::try_from(generation.0 % 251).expect("is small");
    let nonces = [low ^ u8::try_from(n).expect("is small"); 32];
    let identity = identity(name, n, generation);
    Agent::sealed(identity, small(), local, Vec::new(), (ring, nonces), u64::from(n) + generation.0, now)
}

/// Where no run begins without a key in common.
pub(super) fn first(who: (&str, u16)) -> Agent {
    let ring = Keyring::new(&[key(0), key(1)]).expect("has keys");
    agent(who, Generation(1_000), LocalState::default(), ring, Instant::START)
}

pub(super) fn nonce(bytes: &[u8]) -> Option<[u8; NONCE_BYTES]> {
    bytes.get(NONCE_AT..NONCE_AT + NONCE_BYTES)?.try_into().ok()
}

/// Drops that say that a datagram was not opened.
fn unopened(agent: &Agent) -> u64 {
    let dropped = agent.stats().dropped;
    let of = |why: &str| dropped.get(why).copied().unwrap_or(0);
    let never = ["oversize", "version", "unknown_key", "other_cluster", "unsealed", "forged", "replayed"];
    never.into_iter().map(of).sum()
}

fn all_dropped(agent: &Agent) -> u64 {
    agent.stats().dropped.values().sum()
}

impl World {
    pub(super) fn sealed_step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 | 1 => self.change_keys(input),
            2 | 3 => self.replay(input),
            4 => self.seal_wrongly(input),
            5 => self.seal_with_any(input),
            6 => self.restart(),
            _ => self.go(),
        }
    }

    /// What no key of ours has sealed: it is dropped, counted, and nothing else.
    pub(super) fn outside(&mut self, from: SocketAddr, bytes: &[u8]) {
        let (before, dropped) = (Shown::by(&self.ours), all_dropped(&self.ours));
        let (said, told) = (self.said, self.told);
        self.hear(from, bytes);
        assert_eq!(Shown::by(&self.ours), before, "a datagram without a good seal changed something");
        assert_eq!((self.said, self.told), (said, told), "it was answered, or told of");
        let counted = all_dropped(&self.ours) - dropped;
        assert!(counted == 1 || self.stopped, "it was counted {counted} times");
    }

    /// A datagram as somebody made it. A copy of what was opened is worth nothing.
    pub(super) fn arrive(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Some(nonce) = nonce(bytes).filter(|_| self.strangers.seal()) else {
            return self.hear(from, bytes);
        };
        if self.opened.contains(&nonce) {
            return self.outside(from, bytes);
        }
        let before = unopened(&self.ours);
        self.hear(from, bytes);
        if unopened(&self.ours) == before {
            self.opened.insert(nonce);
        }
    }

    fn change_keys(&mut self, input: &mut Input<'_>) {
        let (key, force) = (key(input.byte() % KEYS), input.flip());
        let id = key.id();
        let command = match input.byte() % 3 {
            0 => KeyringCommand::Install(key),
            1 => KeyringCommand::Use { id, force },
            _ => KeyringCommand::Remove { id, force },
        };
        if input.flip() {
            let _ = self.both(|agent, now| agent.change_keyring(&command, now));
        } else {
            let _ = self.peer.change_keyring(&command, self.now);
            self.drain();
        }
    }

    /// What was said once, to either of the two, from anywhere.
    fn replay(&mut self, input: &mut Input<'_>) {
        let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()]));
        let known = self.recorded.len() + self.heard.len();
        let Some(at) = at.checked_rem(known) else { return };
        let said = self.recorded.get(at).or_else(|| self.heard.get(at - self.recorded.len()));
        let Some(bytes) = said.cloned() else { return };
        let from = if input.flip() { any_addr(input) } else { addr(PEER.1) };
        if input.flip() {
            self.arrive(from, &bytes);
        } else {
            let from = if from == addr(PEER.1) { addr(OURS.1) } else { from };
            self.peer.handle_datagram(from, &bytes, self.now);
            self.drain();
        }
    }

    fn a_lie(input: &mut Input<'_>) -> Vec<u8> {
        let mut datagram = DatagramBuilder::new(ClusterHash::of(CLUSTER), 1_380);
        for _ in 0..=input.below(3) {
            datagram.push(&lie(input));
        }
        datagram.finish()
    }

    fn any_nonce(&mut self) -> [u8; NONCE_BYTES] {
        self.lies += 1;
        let mut nonce = [0xff; NONCE_BYTES];
        nonce[..8].copy_from_slice(&self.lies.to_le_bytes());
        nonce
    }

    /// With a key that nobody has, under its own name or that of one in use.
    fn seal_wrongly(&mut self, input: &mut Input<'_>) {
        let from = any_addr(input);
        let material = key(KEYS + input.byte() % 3);
        let named = input.flip();
        let mut bytes = Self::a_lie(input);
        SealKey::new(&material, CLUSTER).seal(self.any_nonce(), &mut bytes);
        if named {
            let primary = self.ours.keyring().map_or(KeyId(1), |ring| ring.primary().id());
            bytes[KEY_AT..NONCE_AT].copy_from_slice(&primary.0.to_le_bytes());
        }
        self.outside(from, &bytes);
    }

    /// With a key that is or was in use, as who got hold of it can.
    fn seal_with_any(&mut self, input: &mut Input<'_>) {
        let from = any_addr(input);
        let material = key(input.byte() % KEYS);
        let id = material.id();
        let mut bytes = Self::a_lie(input);
        SealKey::new(&material, CLUSTER).seal(self.any_nonce(), &mut bytes);
        let accepted = self.ours.keyring().is_some_and(|ring| ring.accepted().contains_key(&id));
        let lately = self.retired.get(&id).is_some_and(|at| self.now.since(*at) < RETIRED_FOR);
        if accepted || lately {
            if self.strangers == Strangers::Inside {
                self.hear(from, &bytes);
            }
        } else {
            self.outside(from, &bytes);
        }
    }

    /// Our agent is killed and started again, with what it had on disk.
    fn restart(&mut self) {
        let Some(ring) = self.ours.keyring().cloned() else { return };
        if self.lives_left == 0 {
            return;
        }
        self.lives_left -= 1;
        let generation = Generation(self.ours.identity().generation.0 + 1);
        if generation > Generation::MAX {
            return;
        }
        let local = self.ours.local().clone();
        let [ours, twin] = [(); 2].map(|()| agent(OURS, generation, local.clone(), ring.clone(), self.now));
        (self.ours, self.twin) = (ours, twin);
        self.past_of_ours = Past::default();
        self.opened.clear();
        self.runs.clear();
        self.stopped = false;
        self.gone = false;
        self.to_ours.clear();
        self.drain();
        self.both(|agent, now| agent.join(&[addr(PEER.1)], now));
    }

    fn go(&mut self) {
        self.both(|agent, now| agent.leave(now));
        self.left.insert(self.ours.identity().generation);
        self.gone = true;
    }

    /// What holds of keys, and where strangers have none.
    pub(super) fn check_sealed(&mut self) {
        let ring = self.ours.keyring().expect("seals");
        let accepted = ring.accepted();
        for id in std::mem::take(&mut self.accepted) {
            if !accepted.contains_key(&id) {
                self.retired.insert(id, self.now);
            }
        }
        self.accepted = accepted.into_keys().collect();
        // Whoever is pruned by hand is forgotten, and what he was.
        let honest = self.strangers.are_honest() && !self.forced;
        self.past_of_ours.look(&self.ours, honest);
        self.past_of_peer.look(&self.peer, honest);
        if !honest {
            return;
        }
        assert!(!self.stopped, "a name was given up to nobody");
        assert!(self.ours.members().count() <= 2 && self.peer.members().count() <= 2, "a member is made up");
        let [us, them] = [OURS, PEER].map(|(name, _)| NodeName::new(name).expect("is a name").key());
        if let Some(us) = self.peer.member(us).filter(|m| m.status == MemberStatus::Left) {
            assert!(self.left.contains(&us.generation), "left without having said so: {us:?}");
        }
        let them = self.ours.member(them);
        assert!(
            them.as_ref().is_none_or(|m| m.status != MemberStatus::Left),
            "left without having said so: {them:?}"
        );
    }
}
