//! Datagrams: what goes into one, up to its size.

use super::{Agent, Outgoing};
use crate::model::Instant;
use crate::wire::frame::{Liveness, SwimFrame, SwimMessage};
use crate::wire::{DatagramBuilder, Frame};
use std::net::SocketAddr;

impl Agent {
    pub(super) fn new_datagram(&mut self) -> DatagramBuilder {
        let buffer = self.buffers.take(self.config.max_datagram_bytes);
        DatagramBuilder::reusing(buffer, self.cluster, self.config.plain_bytes_max())
    }

    pub(super) fn send_frames(&mut self, to: SocketAddr, frames: &[Frame]) {
        let mut datagram = self.new_datagram();
        for frame in frames {
            let fits = datagram.push(frame);
            debug_assert!(fits, "a {} frame is made to fit", frame.kind());
        }
        let is_empty = datagram.is_empty();
        let bytes = datagram.finish();
        if is_empty {
            self.recycle(bytes);
        } else {
            self.outgoing.push_back(Outgoing { to, bytes });
        }
    }

    /// A probe or an answer, with the root digest, what the receiver must know of itself, and as
    /// many rumours as fit.
    pub(super) fn send_swim(&mut self, to: SocketAddr, frame: SwimFrame, now: Instant) {
        let mut datagram = self.new_datagram();
        let receiver = frame.to;
        let probes = matches!(frame.message, SwimMessage::Ping(_) | SwimMessage::Ack(_));
        let location = self.location_beside(&frame, now);
        datagram.push(&Frame::Swim(frame));
        if let Some(update) = self.swim.peers().as_update(receiver)
            && update.state == Liveness::Suspect
            && self.config.tells_suspects()
        {
            datagram.push(&Frame::Members(vec![update]));
        }
        if probes {
            datagram.push(&Frame::Root(self.tree.root()));
            if let Some(digest) = self.keyring_digest() {
                datagram.push(&digest);
            }
        }
        if let Some(location) = location {
            datagram.push(&Frame::Coordinate(location));
        }
        let need = self.need();
        self.spread.fill(&mut datagram, receiver, need, now);
        self.outgoing.push_back(Outgoing { to, bytes: datagram.finish() });
    }
}
