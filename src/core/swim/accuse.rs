//! Accusations: suspicions that name who raised them.
//!
//! Decides what an accusation makes of a member here: a suspicion, a confirmation of one, or
//! nothing. Where accusers are named, suspicions travel in no other way, so that whoever hears of
//! one can tell a repetition from a second opinion (Dadgar et al. 2018, "LHA Suspicion").

use super::{Output, Swim};
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Accusation, Charge, Epoch, Liveness, MemberUpdate};

impl Swim {
    /// What others say that they, or others, suspect themselves.
    pub(crate) fn handle_charge(&mut self, charge: &Charge, now: Instant) {
        if !self.config.names_accusers() {
            return;
        }
        for a in charge.each() {
            self.handle_accusation(&a, now);
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
        let addr = peer.addr;
        self.handle_update(&MemberUpdate { addr, ..as_update }, false, None, now);
        let begins = self.suspicions.get(a.subject).is_some_and(|s| s.is_unheard_of(a.incarnation));
        self.confirm(*a, now);
        if begins && self.config.is_complete() && self.is_witness(a.subject, a.accuser, a.incarnation) {
            self.begin_check(a.subject, false, now);
        }
    }

    /// This node suspects the member itself.
    pub(super) fn accuse(
        &mut self,
        subject: NodeKey,
        epoch: Epoch,
        incarnation: Incarnation,
        refused: bool,
        now: Instant,
    ) {
        let accuser = self.life.key;
        self.confirm(Accusation { subject, epoch, incarnation, accuser, refused }, now);
    }

    /// A probe of ours that nobody answered.
    pub(super) fn accuse_after_probe(
        &mut self,
        subject: NodeKey,
        epoch: Epoch,
        incarnation: Incarnation,
        now: Instant,
    ) {
        if self.config.is_complete()
            && self.asked.as_ref().is_some_and(|asked| asked.since > self.hearing.last)
        {
            // Nobody was heard meanwhile: that says nothing about this member.
            return;
        }
        self.accuse(subject, epoch, incarnation, false, now);
        let cost = std::mem::take(&mut self.world.last_cost);
        self.bear_cost(subject, cost);
    }

    /// What an accusation of ours cost in health is given back when others confirm it.
    pub(super) fn bear_cost(&mut self, subject: NodeKey, cost: u32) {
        let Some(s) = self.suspicions.get_mut(subject) else { return };
        if s.is_accused_by_others(self.life.key) && self.config.is_complete() {
            self.refund(cost);
        } else {
            s.cost += cost;
        }
    }

    /// A suspicion that foca raised: from an own probe, since it hears of no others.
    pub(super) fn spread_suspicion(&mut self, u: MemberUpdate, now: Instant) {
        if self.config.names_accusers() {
            self.accuse_after_probe(u.key, u.epoch, u.incarnation, now);
        } else {
            self.output.push_back(Output::News(u));
        }
    }
}
