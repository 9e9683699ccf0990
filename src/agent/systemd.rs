//! What the service manager is told.
//!
//! Owns the watchdog: its sign of life is a part of the loop's turn, so one that hangs gives none, whatever
//! other threads still answer. Without a service manager nothing here does anything.

use crate::model::Instant;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::runtime::Handle;

/// Tells the service manager, if one started this process.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told the agent's state");
    }
}

/// When the next sign of life is due.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Duration,
    next: Instant,
    /// Where it is sent from: the loop does not wait for the one who reads it.
    runtime: Handle,
}

impl Watchdog {
    /// What the service manager wants, if it does: twice in the time after which it would end the process.
    pub(super) fn wanted(now: Instant, runtime: &Handle) -> Option<Self> {
        let within = sd_notify::watchdog_enabled().filter(|within| !within.is_zero())?;
        tracing::info!(?within, "the service manager watches this agent's loop");
        Some(Self { every: within / 2, next: now, runtime: runtime.clone() })
    }

    /// When the loop is to turn at the latest.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// The loop has come round.
    pub(super) fn turned(&mut self, now: Instant) {
        if self.next <= now {
            self.next = now + self.every;
            self.runtime.spawn_blocking(|| tell(&[NotifyState::Watchdog]));
        }
    }
}
