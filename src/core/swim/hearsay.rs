//! A `Down` that others report: held against the member itself before it stands here.
//!
//! Where it is not, one that follows from a suspicion which the member has refuted says nothing, as
//! in memberlist.

use super::Swim;
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, MemberUpdate};

/// A second-hand `Down` that waits for the member's own word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verification {
    epoch: Epoch,
    incarnation: Incarnation,
    pub(super) due: Instant,
}

impl Swim {
    /// A `Down` from others about a member that is live here in that very life.
    pub(super) fn is_second_hand_down(&self, u: &MemberUpdate) -> bool {
        u.state == Liveness::Down
            && self.config.verifies_downs()
            && self.peers.get(u.key).is_some_and(|p| p.epoch == u.epoch && p.state.is_live())
    }

    /// A `Down` about an incarnation that the member has left behind.
    pub(super) fn is_refuted_down(&self, u: &MemberUpdate) -> bool {
        let later =
            |p: &super::peers::Peer| p.epoch == u.epoch && p.state.is_live() && p.incarnation > u.incarnation;
        u.state == Liveness::Down && !self.config.verifies_downs() && self.peers.get(u.key).is_some_and(later)
    }

    /// Foca's `Down` is final, so one that others report is first held against the member itself:
    /// it is suspected (if it is not yet), told, and given one probe timeout to take a new life.
    pub(super) fn verify(&mut self, u: &MemberUpdate, now: Instant) {
        let Some(peer) = self.peers.get(u.key) else { return };
        let patience = self.config.probe_timeout;
        let (incarnation, addr, since) = (peer.incarnation, peer.addr, peer.since);
        if peer.state == Liveness::Suspect && now.since(since) >= patience {
            self.apply(u, true, now);
            return;
        }
        let fresh = peer.state == Liveness::Alive;
        if fresh {
            let suspect = MemberUpdate { state: Liveness::Suspect, incarnation, addr, ..*u };
            self.apply(&suspect, false, now);
        }
        let due = if fresh { now } else { since } + patience;
        self.verifications.entry(u.key).or_insert(Verification { epoch: u.epoch, incarnation, due });
        self.notice(u.key, addr, u.epoch, now);
    }

    fn conclude(&mut self, key: NodeKey, v: Verification, now: Instant) {
        let Some(mut u) = self.peers.as_update(key) else { return };
        if u.epoch == v.epoch && u.incarnation == v.incarnation && u.state == Liveness::Suspect {
            u.state = Liveness::Down;
            self.apply(&u, true, now);
        }
    }

    /// Lets those stand to which the member did not answer in time.
    pub(super) fn run_verifications(&mut self, now: Instant) {
        let due: Vec<(NodeKey, Verification)> =
            self.verifications.iter().filter(|(_, v)| v.due <= now).map(|(k, v)| (*k, *v)).collect();
        for (key, v) in due {
            self.verifications.remove(&key);
            self.conclude(key, v, now);
        }
    }
}
