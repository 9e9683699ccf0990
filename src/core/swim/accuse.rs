//! Accusations: suspicions that name who raised them.
//!
//! Decides what an accusation makes of a member here: a suspicion, a confirmation of one, or
//! nothing. Where accusers are named, suspicions travel in no other way, so that whoever hears of
//! one can tell a repetition from a second opinion (Dadgar et al. 2018, "LHA Suspicion").

use super::identity::Life;
use super::{Output, Swim};
use crate::model::{Incarnation, Instant};
use crate::wire::frame::{Accusation, Liveness, MemberUpdate};

impl Swim {
    /// What others say that they, or others, suspect themselves.
    pub(crate) fn handle_accusations(&mut self, accusations: &[Accusation], now: Instant) {
        if !self.config.names_accusers() {
            return;
        }
        for a in accusations {
            self.handle_accusation(a, now);
        }
    }

    fn handle_accusation(&mut self, a: &Accusation, now: Instant) {
        let known = |key| key == self.life.key || self.peers.get(key).is_some();
        if !a.epoch.is_plausible() || !known(a.subject) || !known(a.accuser) || a.subject == a.accuser {
            self.counters.accusations_refused += 1;
            return;
        }
        let as_update = MemberUpdate {
            key: a.subject,
            epoch: a.epoch,
            incarnation: a.incarnation,
            state: Liveness::Suspect,
            addr: self.addr,
        };
        if a.subject == self.life.key {
            self.handle_own(&as_update, now);
            return;
        }
        let Some(peer) = self.peers.get(a.subject) else { return };
        // Only who told of a life can tell its address; this does not.
        if peer.epoch != a.epoch {
            return;
        }
        self.handle_update(&MemberUpdate { addr: peer.addr, ..as_update }, false, now);
        self.confirm(*a, now);
    }

    /// This node suspects the member itself.
    pub(super) fn accuse(&mut self, life: Life, incarnation: Incarnation, now: Instant) {
        let accuser = self.life.key;
        self.confirm(Accusation { subject: life.key, epoch: life.epoch, incarnation, accuser }, now);
    }

    /// A suspicion that foca raised: from an own probe, since it hears of no others.
    pub(super) fn spread_suspicion(&mut self, u: MemberUpdate, now: Instant) {
        if self.config.names_accusers() {
            self.accuse(Life { key: u.key, epoch: u.epoch }, u.incarnation, now);
        } else {
            self.output.push_back(Output::News(u));
        }
    }
}
