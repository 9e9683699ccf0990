//! Where nodes are in the network: coordinates that travel beside probes, and the times between
//! nodes that follow from them.

use super::{Agent, Event};
use crate::model::{Coordinate, Instant, NodeKey, Rtt};
use crate::wire::frame::{CoordinateMessage, SwimFrame, SwimMessage};
use std::time::Duration;

impl Agent {
    /// This node's network coordinate; `None` until it has measured a round trip.
    pub fn coordinate(&self) -> Option<Coordinate> {
        self.coordinates.own()
    }

    /// The network coordinate of a node, this one included; `None` until it has told one.
    pub fn coordinate_of(&self, key: NodeKey) -> Option<Coordinate> {
        if key == self.own { self.coordinates.own() } else { self.coordinates.of(key) }
    }

    /// The round-trip time between two nodes: as measured by this one where it is one of them and
    /// has probed the other, else as estimated from their coordinates.
    pub fn rtt_between(&self, a: NodeKey, b: NodeKey) -> Option<Rtt> {
        Rtt::between(self.own, &self.member(a)?, &self.member(b)?)
    }

    /// What a SWIM frame is accompanied by.
    pub(super) fn location_beside(&mut self, frame: &SwimFrame, now: Instant) -> Option<CoordinateMessage> {
        match frame.message {
            SwimMessage::Ping(_) => {
                let asks = self.config.is_complete() && self.coordinates.asks(frame.to, now);
                asks.then_some(CoordinateMessage::Wanted)
            }
            SwimMessage::Ack(_) => self.coordinates.answers(frame.to).map(CoordinateMessage::Told),
            SwimMessage::PingRequest(..)
            | SwimMessage::IndirectPing(..)
            | SwimMessage::IndirectAck(..)
            | SwimMessage::ForwardedAck(..)
            | SwimMessage::Gossip
            | SwimMessage::TurnUndead => None,
        }
    }

    /// What a member said about coordinates beside a SWIM frame that membership has judged already.
    pub(super) fn handle_location(&mut self, beside: &SwimFrame, message: &CoordinateMessage, now: Instant) {
        let from = beside.from;
        let member = self.swim.peers().get(from);
        let Some(peer) = member.filter(|p| p.state.is_live() && p.epoch == beside.from_epoch) else { return };
        if beside.to != self.own || beside.to_epoch != self.swim.epoch() {
            return;
        }
        match message {
            CoordinateMessage::Wanted => self.coordinates.handle_wanted(from),
            CoordinateMessage::Told(packed) => {
                let addr = peer.addr;
                if self.coordinates.handle_told(from, addr, packed, now) {
                    self.events.push_back(Event::MemberChanged(from));
                }
            }
        }
    }

    /// A probe of ours was answered.
    pub(super) fn measured(&mut self, key: NodeKey, rtt: Duration) {
        if let Some(peer) = self.swim.peers().get(key) {
            self.coordinates.handle_measured(key, peer.addr, rtt);
        }
    }
}
