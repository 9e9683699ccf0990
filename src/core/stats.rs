//! What an agent counts, for metrics and status.

use crate::model::Instant;
use crate::wire::kind::KINDS;
use std::collections::BTreeMap;
use std::time::Duration;

/// Ages, in microseconds, that [`Ages`] tells apart: up to each of these, and beyond.
pub const AGE_BOUNDS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 60_000_000,
];

/// How old changes of others were when they arrived here as rumours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages {
    /// How many were at most as old as each of [`AGE_BOUNDS_US`], and older than the one before it.
    pub counts: [u64; AGE_BOUNDS_US.len()],
    /// All of them, those beyond the last bound included.
    pub count: u64,
    /// The sum of all ages, in microseconds.
    pub sum_us: u64,
}

impl Ages {
    pub(crate) fn add(&mut self, age: Duration) {
        let us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(AGE_BOUNDS_US.partition_point(|bound| *bound < us)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Each bound in microseconds with the number of ages up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        AGE_BOUNDS_US.into_iter().zip(sums.collect::<Vec<u64>>())
    }
}

/// Frames and their bytes, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounts {
    known: [(u64, u64); KINDS.len()],
    unknown: (u64, u64),
}

impl FrameCounts {
    pub(crate) fn add(&mut self, frames: impl Iterator<Item = (u8, usize)>) {
        for (kind, bytes) in frames {
            let at = KINDS.iter().position(|(known, _)| *known == kind);
            let count = at.and_then(|at| self.known.get_mut(at)).unwrap_or(&mut self.unknown);
            count.0 += 1;
            count.1 += bytes as u64;
        }
    }

    /// The word of each kind with the number of frames and their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let words = KINDS.iter().map(|(_, word)| *word).chain(["unknown"]);
        words
            .zip(self.known.iter().chain([&self.unknown]))
            .map(|(word, (frames, bytes))| (word, *frames, *bytes))
    }
}

/// Counters since the start, and a few present values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams received, dropped ones included.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// What they were made of.
    pub frames_sent: FrameCounts,
    /// What those received were made of that could be opened.
    pub frames_received: FrameCounts,
    /// Datagrams and frames that were dropped, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Probes started.
    pub probes_sent: u64,
    /// Probes that nobody answered, directly or through others.
    pub probes_failed: u64,
    /// Times that a member became suspect here.
    pub suspicions_raised: u64,
    /// Times that a suspect was then held for failed.
    pub suspicions_confirmed: u64,
    /// Times that a suspect was heard to be alive.
    pub suspicions_refuted: u64,
    /// Times that this node took a new life because others held the old one for ended.
    pub rejoins: u64,
    /// How old changes of others were when they arrived as rumours.
    pub propagation: Ages,
    /// Rumours that were queued.
    pub rumours_queued: u64,
    /// Times that a rumour was sent.
    pub rumours_sent: u64,
    /// Rumours that did not fit into the queue.
    pub rumours_shed: u64,
    /// Rumours that wait now.
    pub rumours_waiting: usize,
    /// Repairs that were started.
    pub sync_rounds: u64,
    /// Entries that a repair brought.
    pub sync_records: u64,
    /// When a peer's digest last differed from ours.
    pub last_difference: Option<Instant>,
    /// When anything was last heard from a peer.
    pub last_heard: Option<Instant>,
    /// How much this node doubts itself, from 0 (not at all) to `health_max`; always 0 where members are not
    /// watched with local health.
    pub local_health: u32,
    /// Members that were asked to help with a probe and said nothing at all.
    pub nacks_missed: u64,
    /// Steps that this node's network coordinate made.
    pub coordinate_updates: u64,
    /// Times that it ran away and began anew.
    pub coordinate_resets: u64,
    /// Members whose network coordinate is known.
    pub coordinates_known: usize,
    /// Members that were pinged out of turn: suspects by their witnesses, and those at whose address
    /// nobody was said to listen.
    pub checks: u64,
    /// Members that are shown as failed, though reachable, since they kept coming and going.
    pub members_held: usize,
    /// Checks of this host that its agent carries out.
    pub probes_scheduled: usize,
    /// Runs of them that were begun.
    pub probe_runs: u64,
    /// Checks of this host that others are told are worse than they are, since they keep changing.
    pub checks_held: usize,
    /// Cookies sent to addresses that had not shown that they receive.
    pub challenges: u64,
    /// Keys that datagrams may be sealed with; 0 without encryption.
    pub keys: usize,
    /// Times that probing had to be started anew; anything but 0 is a bug.
    pub watchdog: u64,
}
