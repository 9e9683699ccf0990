//! Acting on what keeps changing: not at every change, and not for ever later.

use std::future::pending;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longer waits are meant to be for ever, and this is enough for that.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When what keeps changing has been quiet for long enough to act on it.
#[derive(Debug)]
pub(crate) struct Debounce {
    quiet: Duration,
    wait_max: Duration,
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    until: Instant,
    /// However busy it is, nobody waits longer than this.
    at_the_latest: Instant,
}

impl Debounce {
    /// Ripe when nothing changed for `quiet`, and at the latest `wait_max` after the first change.
    pub(crate) fn new(quiet: Duration, wait_max: Duration) -> Self {
        Self { quiet: quiet.min(WAIT_MAX), wait_max: wait_max.min(WAIT_MAX), waiting: None }
    }

    /// Something changed.
    pub(crate) fn touch(&mut self) {
        let now = Instant::now();
        let at_the_latest = self.waiting.map_or(now + self.wait_max, |waiting| waiting.at_the_latest);
        self.waiting = Some(Waiting { until: at_the_latest.min(now + self.quiet), at_the_latest });
    }

    /// What changed so far is acted on now.
    pub(crate) fn clear(&mut self) {
        self.waiting = None;
    }

    /// Ends when it is time to act; never while nothing changed. Dropping the future loses
    /// nothing.
    pub(crate) async fn ripe(&self) {
        match self.waiting {
            Some(waiting) => sleep_until(waiting.until).await,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_quiet_but_not_for_ever() {
        let mut debounce = Debounce::new(200 * MS, 2_000 * MS);
        assert!(timeout(10_000 * MS, debounce.ripe()).await.is_err(), "nothing changed");
        debounce.touch();
        assert!(timeout(199 * MS, debounce.ripe()).await.is_err(), "one more may come");
        assert!(timeout(10 * MS, debounce.ripe()).await.is_ok(), "it is quiet");
        debounce.clear();
        let began = Instant::now();
        while began.elapsed() < 5_000 * MS {
            debounce.touch();
            if timeout(100 * MS, debounce.ripe()).await.is_ok() {
                break;
            }
        }
        let waited = began.elapsed();
        assert!(waited >= 1_900 * MS && waited <= 2_010 * MS, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_durations_are_no_overflow() {
        let mut debounce = Debounce::new(Duration::MAX, Duration::MAX);
        debounce.touch();
        assert!(timeout(10_000 * MS, debounce.ripe()).await.is_err(), "it waits");
    }
}
