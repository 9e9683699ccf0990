//! Senders that do not belong to the cluster, or lie about who they are.
//!
//! Nothing here knows the inside of an agent; what is sent is bytes. What may be expected of an
//! agent under this: no panic, no eviction of a member, no record that its owner did not write, and
//! bounded memory.
//!
//! Where hosts have no keys, whoever can send from a member's address can forge anything.
//! [`HostileKind::Mutated`] therefore damages datagrams as a bad path or a careless forger does,
//! where a receiver can tell: anything in the header, the kind and length of the first frame, cut
//! short, lengthened, with a tail that belongs to nothing. It leaves the bits inside a frame's body
//! alone: changed there, a datagram without a seal is a well-formed lie (a member under a key that
//! is one bit off), and believing it is no fault of the receiver.

use super::{Plan, World};
use crate::core::{Agent, Config, Identity};
use crate::model::{Generation, Instant, LocalState, NodeId, NodeName};
use crate::sim::{HostId, seed};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of a datagram before its first frame; the layout is no business of a simulator's, except
/// of a forger's.
const HEADER_BYTES: usize = 27;
/// Longest datagram that a hostile sender makes.
const HOSTILE_BYTES_MAX: usize = 1_500;
/// Kinds of frames from here up are not used by any agent.
const UNKNOWN_KIND_MIN: u8 = 0xE0;

/// What a hostile sender sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostileKind {
    /// Random bytes, from any address; some begin like a real datagram.
    Random,
    /// Damaged copies of datagrams that were sent a moment ago, often from the real sender's
    /// address.
    Mutated,
    /// Datagrams that were sent a moment ago, verbatim, to any host.
    Replayed,
    /// What the agent of another cluster sends that was told to join the target.
    OtherCluster,
}

pub(super) struct RunningHostile {
    target: HostId,
    kind: HostileKind,
    every: Duration,
    ends: Instant,
    rng: SmallRng,
    stranger: Option<Box<Agent>>,
    started: Instant,
}

impl World {
    /// A hostile sender is at work against `target` for a while, `every` so often on average.
    pub fn hostile(&mut self, target: HostId, kind: HostileKind, every: Duration, lasts: Duration) {
        let number = self.hostile.len();
        let now = self.now();
        let mut rng = seed::stream(self.seed, "hostile", number as u64);
        let stranger = (kind == HostileKind::OtherCluster)
            .then(|| Box::new(stranger(number, self.addr(target), rng.random())));
        self.watch_datagrams(kind);
        self.hostile.push(RunningHostile {
            target,
            kind,
            every,
            ends: now + lasts,
            rng,
            stranger,
            started: now,
        });
        self.plan(now, Plan::Hostile(number));
    }

    /// Senders of this kind draw from what was sent before: begins to keep that.
    pub(super) fn watch_datagrams(&mut self, kind: HostileKind) {
        if matches!(kind, HostileKind::Mutated | HostileKind::Replayed) {
            self.engine.recent.get_or_insert(crate::sim::engine::Recent::new());
        }
    }

    /// One hostile datagram (or what a stranger has to say); plans the next.
    pub(super) fn attack(&mut self, number: usize) {
        let now = self.now();
        let count = self.nodes.len();
        let target_addr = self.addr(self.hostile[number].target);
        let h = &mut self.hostile[number];
        if now >= h.ends {
            return;
        }
        let gap = h.every.mul_f64(0.5 + h.rng.random::<f64>()).max(Duration::from_micros(1));
        let any_host = HostId(h.rng.random_range(0..count));
        let from_anywhere = SocketAddr::from(([203, 0, 113, h.rng.random()], h.rng.random()));
        let recent = self.engine.recent.as_ref().and_then(|r| r.pick(h.rng.random()));
        let mut sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)> = Vec::new();
        match h.kind {
            HostileKind::Random => sent.push((from_anywhere, target_addr, random_bytes(&mut h.rng))),
            HostileKind::Mutated => {
                if let Some((from, genuine)) = recent {
                    let from = if h.rng.random_bool(0.7) { from } else { from_anywhere };
                    sent.push((from, target_addr, damaged(&genuine.bytes, &mut h.rng)));
                }
            }
            HostileKind::Replayed => {
                if let Some((from, genuine)) = recent {
                    let from = if h.rng.random_bool(0.7) { from } else { from_anywhere };
                    let at_target = h.rng.random_bool(0.5);
                    let to = if at_target { target_addr } else { self.engine.host(any_host).addr };
                    sent.push((from, to, genuine.bytes.clone()));
                }
            }
            HostileKind::OtherCluster => {
                if let Some(agent) = &mut h.stranger {
                    let local = Instant::from_nanos(now.since(h.started).as_nanos() as u64);
                    sent.extend(speak(agent, local));
                }
            }
        }
        for (from, to, bytes) in sent {
            self.engine.inject(from, to, bytes);
        }
        self.plan(now + gap, Plan::Hostile(number));
    }
}

/// The agent of another cluster that takes `target` for one of its own.
fn stranger(number: usize, target: SocketAddr, seed: u64) -> Agent {
    let identity = Identity {
        cluster: "another".to_owned(),
        name: NodeName::new(format!("stranger{number}")).expect("a word and a number are a node name"),
        id: NodeId::from_random(u128::from(seed)),
        addr: ([198, 51, 100, u8::try_from(number % 250).unwrap_or(0) + 1], 7946).into(),
        generation: Generation(1),
        tags: BTreeMap::new(),
    };
    let mut agent =
        Agent::new(identity, Config::default(), LocalState::default(), Vec::new(), seed, Instant::START);
    agent.join(&[target], Instant::START);
    agent
}

/// Lets the stranger's time pass and takes what it sends.
fn speak(agent: &mut Agent, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let from = agent.identity().addr;
    let mut sent = Vec::new();
    // Its timers are looked at only now and then; it may be due more than once.
    for _ in 0..64 {
        while let Some(out) = agent.poll_datagram() {
            sent.push((from, out.to, out.bytes));
        }
        while agent.poll_event().is_some() {}
        if agent.poll_timeout().is_none_or(|(at, _)| at > now) {
            break;
        }
        agent.handle_timeout(now);
    }
    sent
}

fn random_bytes(rng: &mut SmallRng) -> Vec<u8> {
    let length = rng.random_range(0..HOSTILE_BYTES_MAX);
    let mut bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
    // A quarter of them pass the first checks of a reader.
    for (byte, real) in
        bytes.iter_mut().zip(*b"Sh\x01\0\0\0\0").take(if rng.random_bool(0.25) { 7 } else { 0 })
    {
        *byte = real;
    }
    bytes
}

/// A copy that a reader can see to be damaged; see the module's documentation.
fn damaged(genuine: &[u8], rng: &mut SmallRng) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    match rng.random_range(0..5) {
        0 => {
            for _ in 0..rng.random_range(1..8) {
                let at = rng.random_range(0..HEADER_BYTES.min(bytes.len()).max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
        1 => bytes.truncate(rng.random_range(0..bytes.len().max(1))),
        2 => {
            // Frames of no known kind, then a few bytes that are not a frame.
            for _ in 0..rng.random_range(0..4) {
                let length: u8 = rng.random_range(0..60);
                bytes.extend([rng.random_range(UNKNOWN_KIND_MIN..=u8::MAX), length, 0]);
                bytes.extend((0..length).map(|_| rng.random::<u8>()));
            }
            bytes.extend((0..rng.random_range(0..3)).map(|_| rng.random::<u8>()));
        }
        3 => {
            if let Some(kind) = bytes.get_mut(HEADER_BYTES) {
                *kind = rng.random_range(UNKNOWN_KIND_MIN..=u8::MAX);
            }
        }
        _ => {
            // The first frame claims to be longer than all that follows.
            if let Some([low, high]) = bytes.get_mut(HEADER_BYTES + 1..HEADER_BYTES + 3) {
                (*low, *high) = (rng.random(), rng.random_range(0x10..=u8::MAX));
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_long_as_forgers_believe() {
        assert_eq!(HEADER_BYTES, crate::wire::datagram::HEADER_BYTES);
    }

    #[test]
    fn damage_leaves_the_bodies_of_frames_alone() {
        let genuine: Vec<u8> = (0..200).collect();
        let mut rng = seed::stream(1, "damage", 0);
        let (mut shorter, mut longer, mut changed) = (0, 0, 0);
        for _ in 0..1_000 {
            let copy = damaged(&genuine, &mut rng);
            let kept = copy.len().min(genuine.len());
            let from = (HEADER_BYTES + 3).min(kept);
            assert_eq!(copy[from..kept], genuine[from..kept]);
            shorter += usize::from(copy.len() < genuine.len());
            longer += usize::from(copy.len() > genuine.len());
            changed += usize::from(copy[..from] != genuine[..from]);
        }
        assert!(shorter > 100 && longer > 100 && changed > 300, "{shorter} {longer} {changed}");
        assert!(damaged(&[], &mut rng).len() < 300);
        assert!((0..1_000).map(|_| random_bytes(&mut rng).len()).max() < Some(HOSTILE_BYTES_MAX));
    }

    #[test]
    fn a_stranger_knocks_and_goes_on_knocking() {
        let target = SocketAddr::from(([10, 0, 0, 1], 7946));
        let mut agent = stranger(0, target, 1);
        let first = speak(&mut agent, Instant::START);
        assert!(first.iter().any(|(from, to, _)| *to == target && *from == agent.identity().addr));
        let later = Instant::START + Duration::from_secs(30);
        assert!(!speak(&mut agent, later).is_empty());
    }
}
