//! The cluster's keyring in this agent: changing it, telling others, and hearing of it.

use super::{Agent, Phase};
use crate::core::event::Event;
use crate::core::gossip::spread::Age;
use crate::core::keyring::Keyring;
use crate::core::sealing::Sealing;
use crate::model::{
    EntryKey, Instant, KeyId, KeyMaterial, KeyringCommand, KeyringError, NodeKey, NodeRecord,
};
use crate::wire::frame::Digest;
use crate::wire::keyring::SharedKeyring;
use crate::wire::{Frame, record};
use std::net::SocketAddr;
use std::time::Duration;

/// Waits between the rounds in which a changed keyring is told to a few members at random, the first
/// of which is at once. Whom they miss hears of it by the digests in probes.
const ROUNDS_MS: [u64; 5] = [5, 20, 80, 320, 1_000];
/// Between two keyrings that are sent because of a digest.
const TELL_INTERVAL: Duration = Duration::from_millis(20);
/// Names in an error.
const NAMES_MAX: usize = 5;

/// The rounds that are left.
#[derive(Debug, Default)]
pub(super) struct Telling {
    round: usize,
    due: Option<Instant>,
    told_at: Option<Instant>,
}

impl Telling {
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Agent {
    // ---- getters

    /// The keyring, if datagrams are sealed.
    pub fn keyring(&self) -> Option<&Keyring> {
        self.sealing.as_ref().map(Sealing::ring)
    }

    pub(super) fn key_ids(&self) -> Vec<KeyId> {
        self.keyring().map(Keyring::ids).unwrap_or_default()
    }

    // ---- commands

    /// Changes the cluster's keyring. What would cut live members off is refused, unless forced.
    pub fn change_keyring(&mut self, command: &KeyringCommand, now: Instant) -> Result<(), KeyringError> {
        if self.phase != Phase::Running {
            return Err(KeyringError::Leaving);
        }
        let mut ring = self.keyring().ok_or(KeyringError::Plaintext)?.clone();
        let own = self.own;
        match command {
            KeyringCommand::Install(key) => {
                ring.install(key, own)?;
            }
            KeyringCommand::Use { id, force } => {
                ring.choose(*id, own)?;
                let (count, names) = self.members_where(|keys| !keys.contains(id));
                if count > 0 && !force {
                    return Err(KeyringError::Missing { id: *id, count, names });
                }
            }
            KeyringCommand::Remove { id, force } => {
                ring.remove(*id, own)?;
                let (count, names) = self.members_where(|keys| keys.first().is_none_or(|first| first == id));
                if count > 0 && !force {
                    return Err(KeyringError::InUse { id: *id, count, names });
                }
            }
        }
        self.adopt_keyring(ring, now);
        Ok(())
    }

    /// Accepts the keys of a file that was read again. Answers those that were not accepted, each
    /// with the reason; `None`: it was removed from the cluster's keyring.
    pub fn add_file_keys(
        &mut self,
        keys: &[KeyMaterial],
        now: Instant,
    ) -> Vec<(KeyId, Option<KeyringError>)> {
        let Some(mut ring) = self.keyring().cloned() else { return Vec::new() };
        let left_out = ring.install_from_file(keys);
        self.adopt_keyring(ring, now);
        left_out
    }

    // ---- inside

    /// Live members whose own records say of their keys (the primary one first) what `wrong` looks
    /// for: how many, and the names of some. One that says nothing has no keys.
    fn members_where(&self, wrong: impl Fn(&[KeyId]) -> bool) -> (usize, String) {
        let mut names = Vec::new();
        let mut count = 0;
        for key in self.swim.peers().live() {
            let node = self.node_record(*key);
            let keys = node.as_ref().and_then(NodeRecord::keys).unwrap_or_default();
            if wrong(&keys) {
                count += 1;
                if names.len() < NAMES_MAX {
                    names.push(node.map_or_else(|| format!("{:016x}", key.0), |n| n.name.to_string()));
                }
            }
        }
        if count > names.len() {
            names.push("...".to_owned());
        }
        (count, names.join(", "))
    }

    fn node_record(&self, key: NodeKey) -> Option<NodeRecord> {
        self.catalog.packed(key, &EntryKey::Node).and_then(|(_, _, entry)| record::unpack_node(entry))
    }

    /// Goes by this keyring if it is another one, has it kept, and tells others.
    fn adopt_keyring(&mut self, ring: Keyring, now: Instant) {
        let Some(sealing) = &mut self.sealing else { return };
        if *sealing.ring() == ring {
            return;
        }
        let before = sealing.ring().ids();
        sealing.set_ring(ring, now);
        self.events.push_back(Event::KeyringChanged);
        if before != self.key_ids() && self.phase == Phase::Running {
            let record = self.write_own_node(false);
            self.spread.record(record, EntryKey::Node, Age::none(now), None, now);
        }
        self.telling.round = 0;
        self.telling.due = Some(now);
        self.run_telling(now);
        self.settle(None, now);
    }

    /// Tells a few members of the keyring, if that is due.
    pub(super) fn run_telling(&mut self, now: Instant) {
        if self.telling.due.is_none_or(|at| at > now) {
            return;
        }
        let wait = ROUNDS_MS.get(self.telling.round);
        self.telling.due = wait.map(|ms| now + Duration::from_millis(*ms));
        self.telling.round += 1;
        let Some(frame) = self.keyring_frame() else { return };
        let live = self.swim.peers().live();
        let count = self.config.gossip_fanout.min(live.len());
        let picks = rand::seq::index::sample(&mut self.rng, live.len(), count);
        let chosen: Vec<SocketAddr> = picks
            .into_iter()
            .filter_map(|at| live.get(at))
            .filter_map(|key| self.swim.peers().get(*key).map(|p| p.addr))
            .collect();
        for to in chosen {
            self.send_frames(to, std::slice::from_ref(&frame));
        }
    }

    fn keyring_frame(&self) -> Option<Frame> {
        self.keyring().map(|ring| Frame::Keyring(ring.to_shared()))
    }

    /// What goes along with probes and their answers.
    pub(super) fn keyring_digest(&self) -> Option<Frame> {
        self.keyring().map(|ring| Frame::KeyringDigest(Digest(ring.digest())))
    }

    pub(super) fn handle_keyring_digest(&mut self, from: SocketAddr, theirs: Digest, now: Instant) {
        let differs = self.keyring().is_some_and(|ring| ring.digest() != theirs.0);
        let lately = self.telling.told_at.is_some_and(|at| now.since(at) < TELL_INTERVAL);
        if differs && !lately && self.is_vouched_for(from, now) {
            self.tell_keyring(from, now);
        }
    }

    pub(super) fn tell_keyring(&mut self, to: SocketAddr, now: Instant) {
        self.telling.told_at = Some(now);
        if let Some(frame) = self.keyring_frame() {
            self.send_frames(to, &[frame]);
        }
    }

    pub(super) fn handle_keyring(&mut self, from: SocketAddr, shared: &SharedKeyring, now: Instant) {
        let Some(ours) = self.keyring() else { return self.drop_counted("keyring_unasked") };
        let Some(theirs) = Keyring::from_shared(shared) else { return self.drop_counted("keyring_refused") };
        let mut merged = ours.clone();
        if merged.merge(&theirs) {
            tracing::info!(%from, keys = ?merged.ids(), "the cluster's keyring changed");
            self.adopt_keyring(merged, now);
        }
        // They lack something that we have; once they have it, both have the same.
        if self.keyring().is_some_and(|ring| *ring != theirs) && self.is_vouched_for(from, now) {
            self.tell_keyring(from, now);
        }
    }

    /// Seals with a key that the receiver has, as far as is known.
    pub(super) fn seal(&mut self, to: SocketAddr, bytes: &mut Vec<u8>) {
        let Some(sealing) = &self.sealing else { return };
        if sealing.other_key_of(to).is_some() {
            let primary = sealing.ring().primary().id();
            let peer = self.swim.peers().live_at(to).and_then(|key| self.node_record(key));
            let has_ours = peer.and_then(|node| node.keys()).is_some_and(|keys| keys.contains(&primary));
            if has_ours && let Some(sealing) = &mut self.sealing {
                sealing.forget_other(to);
            }
        }
        if let Some(sealing) = &mut self.sealing {
            sealing.seal(to, bytes);
        }
    }

    /// Nothing was heard from `to` yet: of several keys any one may be the one in common.
    pub(super) fn vary_key(&mut self, to: SocketAddr, attempts: u32) {
        let unheard = attempts != 1 && !self.swim.peers().is_live_at(to);
        if let Some(sealing) = &mut self.sealing
            && unheard
        {
            sealing.try_next(to);
        }
    }
}
