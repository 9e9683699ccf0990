//! What keeps a process from its work: stopped, blocked at its socket, short of processor time.
//!
//! Owns what waits meanwhile, in buffers of the size that a kernel gives. Decides nothing about
//! when things happen; that is the engine's. A host without any of this carries none of it.
//!
//! Blocked is the anomaly of the Lifeguard paper (Dadgar, Phillips, Currey 2018, section V-B): the
//! process is held immediately before sending and immediately after receiving. It stands where it
//! first wants to send; only what a program of many threads does beside its loops goes on. Clogged
//! is harsher: what it sends and what reaches it waits, and the process notices nothing.

use super::Datagram;
use crate::core::Outgoing;
use crate::sim::queue::Key;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::VecDeque;
use std::time::Duration;

/// Receive or send buffer of a socket, as Linux sizes it by default.
pub(super) const SOCKET_BUFFER_BYTES: usize = 212_992;
/// What the kernel adds to each waiting datagram in that account.
pub(super) const SOCKET_OVERHEAD_BYTES: usize = 768;
/// Datagrams that a slow process takes before it looks at its timers, as the shipped loop does.
pub(super) const PER_TURN_MAX: u32 = 64;
/// The longest slice, in mean slices.
const SLICE_MAX: f64 = 10.0;

/// Things that wait, up to a number of bytes.
pub(super) struct Buffer<T> {
    items: VecDeque<T>,
    bytes: usize,
}

impl<T> Buffer<T> {
    const fn new() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }

    /// Keeps `item` of `length` bytes if there is room; says whether there was.
    pub(super) fn push(&mut self, item: T, length: usize) -> bool {
        let cost = length + SOCKET_OVERHEAD_BYTES;
        if self.bytes + cost > SOCKET_BUFFER_BYTES {
            return false;
        }
        self.bytes += cost;
        self.items.push_back(item);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn take_all(&mut self) -> VecDeque<T> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}

impl Buffer<Datagram> {
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let datagram = self.items.pop_front()?;
        self.bytes -= datagram.bytes.len() + SOCKET_OVERHEAD_BYTES;
        Some(datagram)
    }
}

/// Processor time in random slices.
pub(super) struct Starvation {
    share: f64,
    slice: Duration,
    rng: SmallRng,
    /// Between two slices.
    waits: bool,
    /// Tells the slices of this starvation from those of an earlier one.
    pub(super) number: u64,
}

impl Starvation {
    pub(super) fn new(share: f64, slice: Duration, rng: SmallRng, number: u64) -> Self {
        Self { share: share.clamp(1e-6, 1.0), slice, rng, waits: false, number }
    }

    /// Goes over to the next slice or the next wait; says how long it lasts. Both are exponential,
    /// with means in the ratio that gives the share.
    pub(super) fn turn(&mut self) -> Duration {
        self.waits = !self.waits;
        let mean = if self.waits { (1.0 - self.share) / self.share } else { 1.0 };
        let deviate = (-(1.0 - self.rng.random::<f64>()).ln()).min(SLICE_MAX);
        self.slice.mul_f64(mean * deviate).max(Duration::from_micros(1))
    }
}

/// Everything that hinders one host's process.
pub(super) struct Hindrance {
    pub(super) paused: bool,
    pub(super) blocked: bool,
    pub(super) clogged: bool,
    pub(super) starved: Option<Starvation>,
    /// What handling a datagram takes; zero for no time at all.
    pub(super) cost: Duration,
    /// When the process is done with the datagram that it handles.
    pub(super) ready: Option<Key>,
    /// Datagrams handled since it last looked at its timers.
    pub(super) handled: u32,
    pub(super) inbox: Buffer<Datagram>,
    pub(super) outbox: Buffer<Outgoing>,
}

impl Hindrance {
    pub(super) const fn new() -> Self {
        Self {
            paused: false,
            blocked: false,
            clogged: false,
            starved: None,
            cost: Duration::ZERO,
            ready: None,
            handled: 0,
            inbox: Buffer::new(),
            outbox: Buffer::new(),
        }
    }

    /// Nothing of the process runs.
    pub(super) fn is_frozen(&self) -> bool {
        self.paused || self.starved.as_ref().is_some_and(|s| s.waits)
    }

    /// Its socket lets nothing through.
    pub(super) fn is_held(&self) -> bool {
        self.blocked || self.clogged
    }

    /// Its loops stand, each before something that it wants to send.
    pub(super) fn stands(&self) -> bool {
        self.blocked && !self.outbox.is_empty()
    }

    /// What arrives has to wait.
    pub(super) fn keeps_input(&self) -> bool {
        self.is_frozen() || self.is_held() || self.ready.is_some()
    }

    /// Timers fire when they are due.
    pub(super) fn timers_run(&self) -> bool {
        !self.is_frozen() && self.ready.is_none()
    }

    /// It hinders nothing and nothing waits.
    pub(super) fn is_over(&self) -> bool {
        !self.paused
            && !self.is_held()
            && self.starved.is_none()
            && self.cost.is_zero()
            && self.ready.is_none()
            && self.inbox.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::seed;

    #[test]
    fn slices_add_up_to_the_share_of_the_processor() {
        let slice = Duration::from_millis(10);
        let mut s = Starvation::new(0.1, slice, seed::stream(1, "starve", 0), 1);
        let (mut ran, mut waited) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..5_000 {
            waited += s.turn();
            assert!(s.waits);
            ran += s.turn();
            assert!(!s.waits);
        }
        let share = ran.as_secs_f64() / (ran + waited).as_secs_f64();
        assert!((0.09..0.11).contains(&share), "{share}");
        let mean = ran.as_secs_f64() / 5_000.0;
        assert!((0.009..0.011).contains(&mean), "{mean}");
    }

    #[test]
    fn a_buffer_counts_what_the_kernel_counts() {
        let mut b = Buffer::new();
        let kept = (0..1_000).filter(|_| b.push((), 1_000)).count();
        assert_eq!(kept, SOCKET_BUFFER_BYTES / (1_000 + SOCKET_OVERHEAD_BYTES));
        assert_eq!(b.take_all().len(), kept);
        assert!(b.is_empty() && b.push((), 1_000));
    }
}
