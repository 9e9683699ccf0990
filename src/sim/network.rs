//! The network between hosts: how long a datagram takes, whether it arrives, and how often.
//!
//! Owns the conditions (latency, loss, duplication, reordering, impairments of single links) and
//! their random streams; loss, delay and duplication draw from streams of their own. Knows hosts
//! only by number and datagrams only by length; never looks inside one.

use super::seed;
use crate::model::Instant;
use crate::sim::HostId;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::time::Duration;

/// What waits at most before a host's outgoing line, in bytes.
pub(crate) const LINE_QUEUE_BYTES_MAX: u64 = 256 * 1_024;

/// One-way travel time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Every value between the bounds is equally likely.
    Uniform {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// Log-normal around `median` (most a little below it, few far above), cut at the bounds:
    /// the shape of real paths.
    Skewed {
        /// Shortest.
        min: Duration,
        /// Half of all datagrams take less.
        median: Duration,
        /// Longest.
        max: Duration,
    },
}

impl Latency {
    /// Hosts within one building: 0.5 to 2 ms.
    pub const LAN: Self = Self::Uniform { min: Duration::from_micros(500), max: Duration::from_millis(2) };
    /// Hosts on different continents.
    pub const WAN: Self = Self::Skewed {
        min: Duration::from_millis(20),
        median: Duration::from_millis(60),
        max: Duration::from_millis(250),
    };

    /// Half-way between the bounds, or a little above the median of a skewed one.
    pub fn mean(self) -> Duration {
        match self {
            Self::Uniform { min, max } => (min + max) / 2,
            // The mean of a log-normal is its median times e^(variance / 2); six uniforms times 0.7
            // have a variance of 0.245.
            Self::Skewed { min, median, max } => median.mul_f64(1.13).clamp(min, max),
        }
    }

    fn draw(self, rng: &mut SmallRng) -> Duration {
        match self {
            Self::Uniform { min, max } => min + max.saturating_sub(min).mul_f64(rng.random::<f64>()),
            Self::Skewed { min, median, max } => {
                // Sum of uniforms is near enough to a normal deviate and the same everywhere.
                let deviate: f64 = (0..6).map(|_| rng.random::<f64>()).sum::<f64>() - 3.0;
                median.mul_f64((deviate * 0.7).exp()).clamp(min, max)
            }
        }
    }
}

/// What holds for the whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// One-way travel time.
    pub latency: Latency,
    /// Share of datagrams that vanish, 0 to 1.
    pub loss: f64,
    /// Share of datagrams that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of datagrams that are held up, 0 to 1.
    pub reorder: f64,
    /// Longest time for which such a datagram is held up.
    pub reorder_delay: Duration,
    /// Longer datagrams vanish.
    pub mtu: usize,
    /// A datagram to a closed port of a running host is answered by a report to its sender.
    pub unreachable_reports: bool,
    /// Bytes per second that each host can send; `None` for no limit. What is sent faster waits
    /// before the line, 256 KiB of it at most; the rest is dropped and counted.
    pub bandwidth: Option<u64>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            latency: Latency::LAN,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(20),
            mtu: 1_472,
            unreachable_reports: false,
            bandwidth: None,
        }
    }
}

impl Conditions {
    /// A calm local network with this share of lost datagrams.
    pub fn with_loss(loss: f64) -> Self {
        Self { loss, ..Self::default() }
    }
}

/// Which links an impairment is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// Every link between hosts of different groups, both ways. Hosts that no group names form a
    /// group of their own.
    Between(Vec<Vec<HostId>>),
    /// From any of the first to any of the second, one way only.
    OneWay(Vec<HostId>, Vec<HostId>),
    /// Everything into these hosts.
    Into(Vec<HostId>),
    /// Everything out of these hosts.
    OutOf(Vec<HostId>),
}

/// What befalls datagrams on such links.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Share that vanishes; 1 cuts the links.
    pub loss: f64,
    /// Added to the travel time.
    pub delay: Duration,
}

impl Impairment {
    /// Nothing passes.
    pub const CUT: Self = Self { loss: 1.0, delay: Duration::ZERO };

    /// This share is lost.
    pub const fn loss(loss: f64) -> Self {
        Self { loss, delay: Duration::ZERO }
    }
}

/// Names an impairment, so that it can be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImpairmentId(u64);

struct Active {
    id: ImpairmentId,
    links: Compiled,
    impairment: Impairment,
}

/// [`Links`] as tables by host number; a host beyond the end of a table is in no set.
enum Compiled {
    Groups(Vec<u16>),
    Sets { from: Option<Vec<bool>>, to: Option<Vec<bool>> },
}

impl Compiled {
    fn new(links: &Links) -> Self {
        let set = |hosts: &[HostId]| {
            let mut table = Vec::new();
            for &host in hosts {
                put(&mut table, host, true);
            }
            Some(table)
        };
        match links {
            Links::Between(groups) => {
                let mut table = Vec::new();
                for (number, group) in (1..).zip(groups) {
                    for &host in group {
                        put(&mut table, host, number);
                    }
                }
                Self::Groups(table)
            }
            Links::OneWay(from, to) => Self::Sets { from: set(from), to: set(to) },
            Links::Into(to) => Self::Sets { from: None, to: set(to) },
            Links::OutOf(from) => Self::Sets { from: set(from), to: None },
        }
    }

    fn covers(&self, from: HostId, to: HostId) -> bool {
        match self {
            Self::Groups(table) => at(table, from) != at(table, to),
            Self::Sets { from: f, to: t } => {
                f.as_ref().is_none_or(|t| at(t, from)) && t.as_ref().is_none_or(|t| at(t, to))
            }
        }
    }
}

fn put<T: Clone + Default>(table: &mut Vec<T>, host: HostId, value: T) {
    if table.len() <= host.index() {
        table.resize(host.index() + 1, T::default());
    }
    table[host.index()] = value;
}

fn at<T: Copy + Default>(table: &[T], host: HostId) -> T {
    table.get(host.index()).copied().unwrap_or_default()
}

/// The fate of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    /// When the first copy arrives; `None` if it is lost.
    pub(crate) first: Option<Duration>,
    /// When a second copy arrives, if there is one.
    pub(crate) second: Option<Duration>,
}

/// The network of one world.
pub(crate) struct Network {
    conditions: Conditions,
    /// When each host's outgoing line is free again.
    lines: Vec<Instant>,
    active: Vec<Active>,
    issued: u64,
    loss: SmallRng,
    delay: SmallRng,
    copies: SmallRng,
}

impl Network {
    pub(crate) fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            conditions,
            lines: Vec::new(),
            active: Vec::new(),
            issued: 0,
            loss: seed::stream(seed, "network loss", 0),
            delay: seed::stream(seed, "network delay", 0),
            copies: seed::stream(seed, "network copies", 0),
        }
    }

    pub(crate) const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    pub(crate) fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    pub(crate) fn impair(&mut self, links: &Links, impairment: Impairment) -> ImpairmentId {
        self.issued += 1;
        let id = ImpairmentId(self.issued);
        self.active.push(Active { id, links: Compiled::new(links), impairment });
        id
    }

    pub(crate) fn lift(&mut self, id: ImpairmentId) {
        self.active.retain(|a| a.id != id);
    }

    pub(crate) fn lift_all(&mut self) {
        self.active.clear();
    }

    /// Is no impairment of any link active?
    pub(crate) fn is_whole(&self) -> bool {
        self.active.is_empty()
    }

    /// Does nothing at all get from `from` to `to`?
    pub(crate) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.active.iter().any(|a| a.impairment.loss >= 1.0 && a.links.covers(from, to))
    }

    /// Puts a datagram of `bytes` bytes on the host's outgoing line: how long it takes until all of
    /// it has left. `None` if too much waits already.
    pub(crate) fn queue(&mut self, from: HostId, now: Instant, bytes: usize) -> Option<Duration> {
        let Some(per_second) = self.conditions.bandwidth else { return Some(Duration::ZERO) };
        let per_second = per_second.max(1);
        let busy = at(&self.lines, from).since(now);
        let waiting = busy.as_nanos().saturating_mul(u128::from(per_second)) / 1_000_000_000;
        let bytes = bytes as u64;
        if waiting.saturating_add(u128::from(bytes)) > u128::from(LINE_QUEUE_BYTES_MAX) {
            return None;
        }
        // Rounded up, so that the line never carries more than it can.
        let takes = busy + Duration::from_nanos(bytes.saturating_mul(1_000_000_000).div_ceil(per_second));
        put(&mut self.lines, from, now + takes);
        Some(takes)
    }

    /// Decides what happens to a datagram of `bytes` bytes. The number of draws from each stream
    /// does not depend on the outcome.
    pub(crate) fn send(&mut self, from: HostId, to: HostId, bytes: usize) -> Passage {
        let c = &self.conditions;
        let mut pass = 1.0 - c.loss;
        let mut extra = Duration::ZERO;
        for a in &self.active {
            if a.links.covers(from, to) {
                pass *= 1.0 - a.impairment.loss;
                extra += a.impairment.delay;
            }
        }
        let lost = self.loss.random::<f64>() >= pass || bytes > c.mtu;
        let mut first = c.latency.draw(&mut self.delay) + extra;
        let held_up = self.delay.random::<f64>() < c.reorder;
        let hold = c.reorder_delay.mul_f64(self.delay.random::<f64>());
        if held_up {
            first += hold;
        }
        let doubled = self.copies.random::<f64>() < c.duplicate;
        let second = c.latency.draw(&mut self.copies) + extra;
        Passage { first: (!lost).then_some(first), second: (doubled && !lost).then_some(second) }
    }
}

#[cfg(test)]
mod tests;
