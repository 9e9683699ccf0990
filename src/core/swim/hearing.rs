//! Whether this agent hears anybody at all.
//!
//! Owns one moment: when anything was last heard. An agent that hears nobody cannot tell whether the
//! others are gone or it is cut off, so time in which it was deaf is held against nobody, like time
//! in which it did not run. Decides nothing about others.

use super::Swim;
use crate::model::Instant;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) struct Hearing {
    pub(super) last: Instant,
    /// When a time of deafness, or of not running, was last forgiven.
    forgiven_at: Instant,
}

impl Hearing {
    pub(super) const fn new(now: Instant) -> Self {
        Self { last: now, forgiven_at: now }
    }
}

impl Swim {
    /// Something well-formed arrived from a member of the cluster.
    pub(crate) fn note_heard(&mut self, now: Instant) {
        let silence = now.since(self.hearing.last);
        self.hearing.last = now;
        let deaf_after = self.config.deaf_after();
        if self.config.is_complete() && silence >= deaf_after {
            self.forgive(silence - deaf_after, now);
        }
    }

    /// Was nothing heard for so long that this agent must think it cannot hear?
    pub(super) fn is_deaf(&self, now: Instant) -> bool {
        self.config.is_complete() && now.since(self.hearing.last) >= self.config.deaf_after()
    }

    /// Time that is held against no suspect. What was said meanwhile may wait to be read, so none has
    /// less than half of the shortest time left. A stall is found out twice, by deadlines that are late
    /// and by a silence; once is enough.
    pub(super) fn forgive(&mut self, time: Duration, now: Instant) {
        if now.since(self.hearing.forgiven_at) >= time {
            self.suspicions.postpone(time, self.config.suspicion_min / 2, now);
        }
        self.hearing.forgiven_at = now;
    }
}
