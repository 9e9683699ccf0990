//! The only place of the agent that reads clocks.
//!
//! Owns the two clocks: the monotonic one that the protocol lives by, as nanoseconds since the
//! start, and the wall clock, which only makes generations and dates what is written to disk.

use crate::model::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The monotonic clock of one agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: std::time::Instant,
}

/// One moment on both clocks, so that a deadline can be dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) unix_ms: u64,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is where the agent's time comes from")]
    pub(super) fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::START + self.origin.elapsed()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.now(), unix_ms: unix_millis() }
    }

    /// When `instant` is, for the runtime's timer.
    pub(super) fn deadline(&self, instant: Instant) -> tokio::time::Instant {
        // Beyond a day the loop just wakes up and looks again; an addition could overflow.
        let wait = instant.since(self.now()).min(Duration::from_secs(24 * 3_600));
        tokio::time::Instant::now() + wait
    }
}

impl Moment {
    /// What the wall clock shows at `instant`, as far as can be known now; a part of a millisecond that is
    /// to come is a whole one, so that nothing expires by being kept.
    pub(super) fn unix_ms_at(self, instant: Instant) -> u64 {
        let millis = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        let ahead = millis(instant.since(self.now).as_nanos().div_ceil(1_000_000));
        self.unix_ms.saturating_add(ahead).saturating_sub(millis(self.now.since(instant).as_millis()))
    }

    /// How far the wall clock went from this process's own until `later`.
    pub(super) fn drift(self, later: Self) -> Duration {
        let offset = |at: Self| i128::from(at.unix_ms) - i128::from(at.now.as_nanos() / 1_000_000);
        let apart = offset(later).abs_diff(offset(self));
        Duration::from_millis(u64::try_from(apart).unwrap_or(u64::MAX))
    }

    /// The instant at which the wall clock shows `unix_ms`; the start for all that lies before it.
    pub(super) fn instant_at(self, unix_ms: u64) -> Instant {
        let ahead = Duration::from_millis(unix_ms.saturating_sub(self.unix_ms));
        self.now + ahead - Duration::from_millis(self.unix_ms.saturating_sub(unix_ms))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the agent's wall clock comes from")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since 1970; 0 when the clock stands before.
pub(super) fn unix_millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970; 0 when the clock stands before.
pub(super) fn unix_micros() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_dated_and_read_back() {
        let now = Instant::START + Duration::from_secs(100);
        let moment = Moment { now, unix_ms: 1_000_000 };
        for seconds in [0, 40, 160] {
            let at = Instant::START + Duration::from_secs(seconds);
            assert_eq!(moment.instant_at(moment.unix_ms_at(at)), at);
        }
        assert_eq!(moment.instant_at(0), Instant::START);
    }
}
