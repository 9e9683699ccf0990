//! The fingerprint of a run: a hash over everything that happened, in order.
//!
//! Two runs of one seed must end with the same value; a difference means that something other
//! than the seed had a say (hash-map order, a clock, global randomness).

use crate::core::Event;
use crate::model::Instant;
use std::fmt::Write as _;
use std::hash::Hash as _;
use xxhash_rust::xxh3::Xxh3;

/// A running hash of the events of one world.
pub(crate) struct Trace {
    hash: Xxh3,
    steps: u64,
}

/// What is being recorded; keeps a datagram from reading like an event of the same bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Sent,
    Delivered,
    Unreachable,
    Woken,
    Told,
    Acted,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hash: Xxh3::new(), steps: 0 }
    }

    /// Records that something happened at `host`, with the bytes that went with it.
    pub(crate) fn record(&mut self, at: Instant, mark: Mark, host: usize, bytes: &[u8]) {
        self.steps += 1;
        let mut head = [0; 17];
        head[..8].copy_from_slice(&at.as_nanos().to_le_bytes());
        head[8] = mark as u8;
        head[9..].copy_from_slice(&(host as u64).to_le_bytes());
        self.hash.update(&head);
        self.hash.update(bytes);
    }

    /// Records what an agent told. The frequent kinds are hashed field by field, because
    /// formatting them costs more than handling them.
    pub(crate) fn record_event(&mut self, at: Instant, host: usize, event: &Event) {
        self.record(at, Mark::Told, host, &[]);
        match event {
            Event::MemberChanged(key) => (1_u8, key).hash(&mut self.hash),
            Event::MemberRemoved(key) => (2_u8, key).hash(&mut self.hash),
            Event::EntryChanged(owner, key) => (3_u8, owner, key).hash(&mut self.hash),
            Event::UserEventHeard(event) => (5_u8, event.id.0).hash(&mut self.hash),
            Event::LocalChanged
            | Event::ProbeDue { .. }
            | Event::ProbeEnded(_)
            | Event::GenerationRaised(_)
            | Event::KeyringChanged
            | Event::KeyMissing(_)
            | Event::Examined(_)
            | Event::Joined { .. }
            | Event::JoinRetried { .. }
            | Event::NameTaken { .. }
            | Event::Left { .. } => {
                write!(Sink(&mut self.hash), "{event:?}").expect("hashing takes any text");
            }
        }
    }

    /// Records a fault or a command of the scenario.
    pub(crate) fn record_act(&mut self, at: Instant, act: &dyn std::fmt::Debug) {
        self.record(at, Mark::Acted, 0, &[]);
        write!(Sink(&mut self.hash), "{act:?}").expect("hashing takes any text");
    }

    /// The hash of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.hash.digest()
    }

    /// Things recorded so far.
    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }
}

struct Sink<'a>(&'a mut Xxh3);

impl std::fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
