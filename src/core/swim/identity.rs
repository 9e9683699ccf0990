//! What foca sees of us: a lean identity, and a codec that is not the wire format.
//!
//! Foca compares identities over all members at every datagram, so an identity here is sixteen
//! bytes and its address eight. What travels is [`crate::wire::frame`]; this codec only moves
//! values between foca and its adapter in the same process.

use crate::model::{Incarnation, NodeKey};
use crate::wire::frame::Epoch;
use bytes::{Buf, BufMut};
use foca::{Header, Member, Message};
use std::sync::mpsc::Sender;

/// A life of a node, as foca compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) key: NodeKey,
    pub(super) epoch: Epoch,
}

impl foca::Identity for Life {
    type Addr = u64;

    fn renew(&self) -> Option<Self> {
        let next = self.epoch.next();
        (next.is_plausible() && next != self.epoch).then_some(Self { epoch: next, ..*self })
    }

    fn addr(&self) -> u64 {
        self.key.0
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.epoch > adversary.epoch
    }
}

/// Moves foca's values through byte buffers.
///
/// `encode_member` is how foca hands an update to its own broadcast queue; here it hands it to
/// ours and writes nothing, so that foca's queue, which is unbounded and costs a pass over all of
/// it per datagram, stays without weight.
pub(super) struct Adapter {
    pub(super) updates: Sender<Member<Life>>,
}

/// Never made: encoding into memory cannot fail, and what is decoded was encoded here.
#[derive(Debug, thiserror::Error)]
#[error("internal SWIM message does not decode")]
pub(super) struct Broken;

const LIFE_BYTES: usize = 16;

fn put_life(life: Life, buf: &mut impl BufMut) {
    buf.put_u64_le(life.key.0);
    buf.put_u64_le(life.epoch.0);
}

fn get_life(buf: &mut impl Buf) -> Result<Life, Broken> {
    if buf.remaining() < LIFE_BYTES {
        return Err(Broken);
    }
    Ok(Life { key: NodeKey(buf.get_u64_le()), epoch: Epoch(buf.get_u64_le()) })
}

fn get_u8(buf: &mut impl Buf) -> Result<u8, Broken> {
    if buf.has_remaining() { Ok(buf.get_u8()) } else { Err(Broken) }
}

impl foca::Codec<Life> for Adapter {
    type Error = Broken;

    fn encode_header(&mut self, header: &Header<Life>, mut buf: impl BufMut) -> Result<(), Broken> {
        put_header(header, &mut buf);
        Ok(())
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Life>, Broken> {
        get_header(&mut buf)
    }

    fn encode_member(&mut self, member: &Member<Life>, _buf: impl BufMut) -> Result<(), Broken> {
        // The receiving end lives as long as this one; a send cannot fail.
        let _ = self.updates.send(member.clone());
        Ok(())
    }

    /// Never asked for: updates reach foca one by one, not inside messages.
    fn decode_member(&mut self, _buf: impl Buf) -> Result<Member<Life>, Broken> {
        Err(Broken)
    }
}

pub(super) fn put_header(header: &Header<Life>, buf: &mut impl BufMut) {
    put_life(header.src, buf);
    buf.put_u16_le(header.src_incarnation);
    put_life(header.dst, buf);
    let (tag, number, third) = match &header.message {
        Message::Ping(n) => (0, *n, None),
        Message::Ack(n) => (1, *n, None),
        Message::PingReq { target, probe_number } => (2, *probe_number, Some(*target)),
        Message::IndirectPing { origin, probe_number } => (3, *probe_number, Some(*origin)),
        Message::IndirectAck { target, probe_number } => (4, *probe_number, Some(*target)),
        Message::ForwardedAck { origin, probe_number } => (5, *probe_number, Some(*origin)),
        Message::Announce => (6, 0, None),
        Message::Feed => (7, 0, None),
        Message::Gossip => (8, 0, None),
        Message::Broadcast => (9, 0, None),
        Message::TurnUndead => (10, 0, None),
    };
    buf.put_u8(tag);
    buf.put_u8(number);
    if let Some(life) = third {
        put_life(life, buf);
    }
}

pub(super) fn get_header(buf: &mut impl Buf) -> Result<Header<Life>, Broken> {
    let src = get_life(buf)?;
    if buf.remaining() < 2 {
        return Err(Broken);
    }
    let src_incarnation: Incarnation = buf.get_u16_le();
    let dst = get_life(buf)?;
    let tag = get_u8(buf)?;
    let n = get_u8(buf)?;
    let message = match tag {
        0 => Message::Ping(n),
        1 => Message::Ack(n),
        2 => Message::PingReq { target: get_life(buf)?, probe_number: n },
        3 => Message::IndirectPing { origin: get_life(buf)?, probe_number: n },
        4 => Message::IndirectAck { target: get_life(buf)?, probe_number: n },
        5 => Message::ForwardedAck { origin: get_life(buf)?, probe_number: n },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        _ => return Err(Broken),
    };
    Ok(Header { src, src_incarnation, dst, message })
}
