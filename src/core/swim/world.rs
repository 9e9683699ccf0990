//! Foca's view of the outside: what it wants to send, to be told later, and to have known.

use super::identity::{Life, get_header};
use super::timers::Timers;
use crate::model::Instant;
use foca::{Header, Notification, Runtime, Timer};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct World {
    pub(super) timers: Timers,
    pub(super) now: Instant,
    /// How long a suspect has to refute, at the present size of the cluster.
    pub(super) suspicion_timeout: Duration,
    pub(super) sends: Vec<Header<Life>>,
    pub(super) renewed: Option<Life>,
    pub(super) failed_probes: u64,
}

impl World {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            timers: Timers::default(),
            now,
            suspicion_timeout: Duration::ZERO,
            sends: Vec::new(),
            renewed: None,
            failed_probes: 0,
        }
    }
}

impl Runtime<Life> for World {
    fn notify(&mut self, notification: Notification<'_, Life>) {
        match notification {
            Notification::Rejoin(life) => self.renewed = Some(*life),
            Notification::ProbeFailed(..) => self.failed_probes += 1,
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
            Timer::ChangeSuspectToDown { .. } => self.suspicion_timeout,
            Timer::ProbeRandomMember(_)
            | Timer::SendIndirectProbe { .. }
            | Timer::PeriodicAnnounce(_)
            | Timer::PeriodicAnnounceDown(_)
            | Timer::PeriodicGossip(_)
            | Timer::RemoveDown(_) => after,
        };
        self.timers.submit(timer, self.now + after);
    }
}
