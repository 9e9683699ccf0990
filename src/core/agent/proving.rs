//! Strangers have to show that they receive where they say, before they cost others anything.

use super::Agent;
use crate::model::{Instant, NodeKey};
use crate::wire::Frame;
use crate::wire::frame::{Digest, SwimFrame};
use std::net::SocketAddr;

impl Agent {
    /// A live member is known at `addr` (which it proved to whoever let it in), or it was proved to
    /// this agent.
    pub(super) fn is_vouched_for(&self, addr: SocketAddr, now: Instant) -> bool {
        self.swim.peers().is_live_at(addr) || self.proofs.is_proven(addr, now)
    }

    /// Whether `addr` has shown that it receives; if not, it is given the chance to.
    pub(super) fn proves(&mut self, addr: SocketAddr, now: Instant) -> bool {
        if self.is_vouched_for(addr, now) {
            return true;
        }
        self.challenge(addr, now);
        false
    }

    /// Whether the sender of a SWIM frame is known at the address that it gives. Otherwise foca would
    /// take any name at any address for a member.
    pub(super) fn knows_sender(&mut self, from: SocketAddr, swim: &SwimFrame, now: Instant) -> bool {
        let addr = swim.from_addr.unwrap_or(from);
        let known = self.swim.peers().get(swim.from).is_some_and(|p| p.addr == addr);
        // One that uses this node's own name is dealt with by its claim.
        known || swim.from == self.own || self.proves(addr, now)
    }

    pub(super) fn challenge(&mut self, addr: SocketAddr, now: Instant) {
        self.drop_counted("unproved");
        let cookie = self.proofs.cookie(addr, now);
        self.send_frames(addr, &[Frame::Challenge(Digest(cookie))]);
    }

    /// Somebody wants to know whether we receive here: repeats the cookie, with what was refused.
    pub(super) fn handle_challenge(&mut self, from: SocketAddr, cookie: Digest, now: Instant) {
        if !self.proofs.is_contact(from) {
            return self.drop_counted("challenge_unasked");
        }
        let mut frames = vec![Frame::Echo(cookie, self.identity.addr)];
        if self.join.has_asked(from) {
            frames.extend(self.join_frames());
        } else if self.claimed_at.is_some_and(|at| now.since(at) < super::naming::CLAIM_FRESH) {
            frames.push(Frame::NameClaim(self.own_claim()));
        }
        self.send_frames(from, &frames);
        self.swim.handle_refusal(from, now);
        self.settle(None, now);
        for exchange in self.repair.exchanges().filter(|x| x.peer == from) {
            exchange.ask_again(now);
        }
    }

    /// A cookie that was sent to `from`, or to the address that the sender says is its own.
    pub(super) fn handle_echo(&mut self, from: SocketAddr, cookie: Digest, own: SocketAddr, now: Instant) {
        let shown = self.proofs.show(from, cookie.0, now);
        if !shown && (own == from || !self.proofs.show(own, cookie.0, now)) {
            self.drop_counted("cookie_refused");
        }
    }

    /// Whether a question is answered: whole pages are sent for a few bytes. Where datagrams are
    /// sealed one that says whom it asks is enough for a member; a recorded one may have been meant
    /// for somebody else.
    pub(super) fn may_ask(&mut self, from: SocketAddr, meant_for: Option<NodeKey>, now: Instant) -> bool {
        let member = self.swim.peers().is_live_at(from);
        if member && (self.sealing.is_none() || meant_for == Some(self.own)) {
            return true;
        }
        if !self.proofs.admits(from, now) {
            self.drop_counted("over_rate");
            return false;
        }
        let proven = self.proofs.is_proven(from, now);
        if !proven {
            self.challenge(from, now);
        }
        proven
    }

    /// Whether a wish to join is looked at.
    pub(super) fn may_join(&mut self, from: SocketAddr, addr: SocketAddr, now: Instant) -> bool {
        if !self.proofs.admits(from, now) {
            self.drop_counted("over_rate");
            return false;
        }
        self.proves(addr, now)
    }
}
