//! A `Down` that others report: evidence, not a verdict.
//!
//! Foca's `Down` is final, so one that others report of a member that is live here makes it a
//! suspect, told by one accuser more; this agent looks for itself, and what follows is the business of
//! [`super::suspicion`]. Where that is not done, one that follows from a suspicion which the member
//! has refuted says nothing, as in memberlist.

use super::Swim;
use crate::model::{Instant, NodeKey};
use crate::wire::frame::{Accusation, Liveness, MemberUpdate};

impl Swim {
    /// A `Down` from others about a member that is live here in that very life.
    pub(super) fn is_second_hand_down(&self, u: &MemberUpdate) -> bool {
        u.state == Liveness::Down
            && self.config.verifies_downs()
            && self.peers.get(u.key).is_some_and(|p| p.epoch == u.epoch && p.state.is_live())
    }

    /// A `Down` about an incarnation that the member has left behind.
    pub(super) fn is_refuted_down(&self, u: &MemberUpdate) -> bool {
        // A suspect of a later incarnation is doubted here as well, and its failure may be the end of the
        // matter: what others doubted before counts.
        let complete = self.config.is_complete();
        let stands = |p: &super::peers::Peer| {
            if complete { p.state == Liveness::Alive } else { p.state.is_live() }
        };
        let later = |p: &super::peers::Peer| p.epoch == u.epoch && stands(p) && p.incarnation > u.incarnation;
        u.state == Liveness::Down && self.peers.get(u.key).is_some_and(later)
    }

    /// Tells whoever believes such a thing what is known here, so that it can tell the member.
    pub(super) fn contradict(&mut self, key: NodeKey, by: Option<NodeKey>) {
        let teller = by.filter(|_| self.config.is_complete()).and_then(|by| self.peers.get(by));
        if let (Some(teller), Some(known)) = (teller, self.peers.as_update(key)) {
            self.output.push_back(super::Output::Tell(teller.addr, known));
        }
    }

    /// Takes in a second-hand `Down`, told by `by`.
    pub(super) fn hear_of_down(&mut self, u: &MemberUpdate, by: Option<NodeKey>, now: Instant) {
        let Some(known) = self.peers.as_update(u.key) else { return };
        if known.state == Liveness::Alive {
            self.apply(&MemberUpdate { state: Liveness::Suspect, ..known }, false, now);
            self.begin_check(u.key, false, now);
        }
        if let Some(accuser) = by.filter(|by| *by != u.key) {
            let MemberUpdate { key: subject, epoch, incarnation, .. } = known;
            self.count_accuser(&Accusation { subject, epoch, incarnation, accuser, refused: false }, now);
        }
        self.believe_others(u.key, now);
    }
}
