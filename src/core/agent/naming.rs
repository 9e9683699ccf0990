//! This node's name and life: outliving what others remember, and contests for the name.
//!
//! Of two live nodes with one name the one that takes part in a cluster keeps it, then the one
//! whose run began first. Both reach the same verdict, since both compare the same claims.

use super::{Agent, Phase};
use crate::core::event::Event;
use crate::model::{Generation, Instant};
use crate::wire::Frame;
use crate::wire::frame::{Epoch, JoinRequest, NameClaim};
use std::net::SocketAddr;
use std::time::Duration;

/// Claims are sent at most this often.
const CLAIM_INTERVAL: Duration = Duration::from_millis(300);
/// So long after a claim it is repeated to who wants a proof first.
pub(super) const CLAIM_FRESH: Duration = Duration::from_secs(2);

impl Agent {
    pub(super) fn send_join_request(&mut self, to: SocketAddr) {
        self.join.note_asked(to);
        let frames = self.join_frames();
        self.send_frames(to, &frames);
    }

    /// The wish, and which keyring this node has: it may need the present one first of all.
    pub(super) fn join_frames(&self) -> Vec<Frame> {
        [Frame::Join(self.join_request())].into_iter().chain(self.keyring_digest()).collect()
    }

    fn join_request(&self) -> JoinRequest {
        let own = self.swim.own_update();
        JoinRequest {
            name: self.identity.name.clone(),
            id: self.identity.id,
            epoch: own.epoch,
            incarnation: own.incarnation,
            addr: own.addr,
            name_checked: self.join.name_checked,
        }
    }

    /// Others remember a life of this node that is not before its present one: take a later one.
    pub(super) fn outlive(&mut self, epoch: Epoch, now: Instant) {
        if epoch < self.swim.epoch() || !epoch.is_plausible() || self.phase != Phase::Running {
            return;
        }
        if epoch.generation() <= self.identity.generation {
            self.swim.take_life(epoch.next(), now);
        } else {
            let generation = Generation((epoch.generation().0 + 1).min(Generation::MAX.0));
            self.identity.generation = generation;
            self.catalog.adopt_own(self.own, generation);
            self.swim.take_life(Epoch::first_of(generation), now);
            self.events.push_back(Event::GenerationRaised(generation));
            self.announce_own_head(now);
        }
        self.settle(None, now);
    }

    pub(super) fn handle_down_notice(&mut self, epoch: Epoch, now: Instant) {
        if epoch == self.swim.epoch() {
            self.swim.handle_notice(epoch, now);
        } else {
            self.outlive(epoch, now);
        }
    }

    pub(super) fn claim_name_at(&mut self, addr: SocketAddr, now: Instant) {
        let recently = self.claimed_at.is_some_and(|at| now.since(at) < CLAIM_INTERVAL);
        if !recently && addr != self.identity.addr {
            self.claimed_at = Some(now);
            self.send_name_claim(addr);
        }
    }

    pub(super) fn send_name_claim(&mut self, to: SocketAddr) {
        let claim = self.own_claim();
        self.send_frames(to, &[Frame::NameClaim(claim)]);
    }

    pub(super) fn own_claim(&self) -> NameClaim {
        NameClaim {
            name: self.identity.name.clone(),
            epoch: self.swim.epoch(),
            started: self.started,
            addr: self.identity.addr,
            joined: self.join.is_joined() || !self.swim.peers().live().is_empty(),
        }
    }

    pub(super) fn handle_name_claim(&mut self, theirs: &NameClaim, now: Instant) {
        if theirs.name.key() != self.own || theirs.addr == self.identity.addr {
            return;
        }
        self.strangers.note(theirs.addr, "name_taken", Some(&theirs.name), now);
        let ours = self.own_claim();
        let rank = |c: &NameClaim| (!c.joined, c.started, c.addr);
        if rank(theirs) < rank(&ours) {
            // A claim that somebody recorded ends no life: whoever makes it has to be there now.
            if !self.proofs.is_proven(theirs.addr, now) {
                return self.challenge(theirs.addr, now);
            }
            tracing::error!(name = %self.identity.name, holder = %theirs.addr, "another live node has this name");
            self.phase = Phase::Stopped;
            self.events.push_back(Event::NameTaken { name: self.identity.name.clone(), holder: theirs.addr });
            return;
        }
        self.join.name_settled();
        self.claim_name_at(theirs.addr, now);
        // The cluster may have taken the other for us; a later life of ours settles that.
        if theirs.epoch > self.swim.epoch() {
            self.outlive(theirs.epoch, now);
        }
    }
}
