//! Foca's view of the outside: what it wants to send, to be told later, and to have known.

use super::health::Health;
use super::identity::{Life, get_header};
use super::timers::Timers;
use crate::model::Instant;
use foca::{Header, Notification, Runtime, Timer};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct World {
    pub(super) timers: Timers,
    pub(super) now: Instant,
    pub(super) health: Health,
    /// Who hears nobody has no use for probing slower.
    pub(super) deaf: bool,
    /// Foca is to probe in every second interval only.
    pub(super) skips_intervals: bool,
    /// Helpers of the probe under way that have sent no nack.
    pub(super) nacks_missing: u32,
    pub(super) sends: Vec<Header<Life>>,
    pub(super) renewed: Option<Life>,
    /// Whose probe has just ended without an answer.
    pub(super) unanswered: Option<Life>,
    /// What that cost in health.
    pub(super) last_cost: u32,
    pub(super) failed_probes: u64,
    pub(super) nacks_missed: u64,
}

impl World {
    pub(super) fn new(health: Health, now: Instant) -> Self {
        Self {
            timers: Timers::default(),
            now,
            health,
            deaf: false,
            skips_intervals: false,
            nacks_missing: 0,
            sends: Vec::new(),
            renewed: None,
            unanswered: None,
            last_cost: 0,
            failed_probes: 0,
            nacks_missed: 0,
        }
    }
}

impl Runtime<Life> for World {
    fn notify(&mut self, notification: Notification<'_, Life>) {
        match notification {
            Notification::Rejoin(life) => self.renewed = Some(*life),
            // Before foca asks for the next probe's timers, which are stretched by it.
            Notification::ProbeFailed(_, life) => {
                self.unanswered = Some(*life);
                self.failed_probes += 1;
                self.nacks_missed += u64::from(self.nacks_missing);
                self.last_cost = 1 + self.nacks_missing;
                self.health.worse(self.last_cost);
            }
            // Ups and downs are read off the updates, and what is sent off `send_to`.
            Notification::MemberUp(_)
            | Notification::MemberDown(_)
            | Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct
            | Notification::DataReceived(_)
            | Notification::DataSent(_) => {}
        }
    }

    fn send_to(&mut self, _to: Life, mut data: &[u8]) {
        if let Ok(header) = get_header(&mut data) {
            self.sends.push(header);
        }
    }

    fn submit_after(&mut self, timer: Timer<Life>, after: Duration) {
        let after = match timer {
            Timer::ProbeRandomMember(_) if self.skips_intervals => after * 2,
            Timer::ProbeRandomMember(_)
            | Timer::SendIndirectProbe { .. }
            | Timer::ChangeSuspectToDown { .. }
            | Timer::PeriodicAnnounce(_)
            | Timer::PeriodicAnnounceDown(_)
            | Timer::PeriodicGossip(_)
            | Timer::RemoveDown(_) => after,
        };
        let after = match timer {
            // Whoever hears of a suspicion times it: see `suspicion`.
            Timer::ChangeSuspectToDown { .. } => return,
            Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } if self.deaf => after,
            Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } => self.health.stretch(after),
            Timer::PeriodicAnnounce(_)
            | Timer::PeriodicAnnounceDown(_)
            | Timer::PeriodicGossip(_)
            | Timer::RemoveDown(_) => after,
        };
        self.timers.submit(timer, self.now, after);
    }
}
