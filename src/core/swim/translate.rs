//! Foca's messages in the words of the wire, and back. Decides nothing.

use super::Swim;
use super::identity::Life;
use crate::wire::frame::{SwimFrame, SwimMessage, Third};
use foca::{Header, Message};

impl Swim {
    fn third(&self, life: Life) -> Option<Third> {
        let addr = self.heard_at.get(life.key).or_else(|| self.peers.get(life.key).map(|p| p.addr))?;
        Some(Third { key: life.key, epoch: life.epoch, addr })
    }

    pub(super) fn to_message(&self, message: &Message<Life>) -> Option<SwimMessage> {
        Some(match message {
            Message::Ping(n) => SwimMessage::Ping(*n),
            Message::Ack(n) => SwimMessage::Ack(*n),
            Message::PingReq { target, probe_number } => {
                SwimMessage::PingRequest(self.third(*target)?, *probe_number)
            }
            Message::IndirectPing { origin, probe_number } => {
                SwimMessage::IndirectPing(self.third(*origin)?, *probe_number)
            }
            Message::IndirectAck { target, probe_number } => {
                SwimMessage::IndirectAck(self.third(*target)?, *probe_number)
            }
            Message::ForwardedAck { origin, probe_number } => {
                SwimMessage::ForwardedAck(self.third(*origin)?, *probe_number)
            }
            Message::Gossip => SwimMessage::Gossip,
            Message::TurnUndead => SwimMessage::TurnUndead,
            // Joining is ours: foca's announcements, feeds and broadcasts are not used.
            Message::Announce | Message::Feed | Message::Broadcast => return None,
        })
    }

    pub(super) fn header_of(&mut self, frame: &SwimFrame) -> Header<Life> {
        let mut life = |third: &Third| {
            self.heard_at.insert(third.key, third.addr);
            Life { key: third.key, epoch: third.epoch }
        };
        let message = match &frame.message {
            SwimMessage::Ping(n) => Message::Ping(*n),
            SwimMessage::Ack(n) => Message::Ack(*n),
            SwimMessage::PingRequest(t, n) => Message::PingReq { target: life(t), probe_number: *n },
            SwimMessage::IndirectPing(t, n) => Message::IndirectPing { origin: life(t), probe_number: *n },
            SwimMessage::IndirectAck(t, n) => Message::IndirectAck { target: life(t), probe_number: *n },
            SwimMessage::ForwardedAck(t, n) => Message::ForwardedAck { origin: life(t), probe_number: *n },
            SwimMessage::Gossip => Message::Gossip,
            SwimMessage::TurnUndead => Message::TurnUndead,
        };
        Header {
            src: Life { key: frame.from, epoch: frame.from_epoch },
            src_incarnation: frame.from_incarnation,
            dst: Life { key: frame.to, epoch: frame.to_epoch },
            message,
        }
    }
}
