//! How far the runs have come, on standard error: one line that rewrites itself on a terminal, a
//! line now and then elsewhere.

use super::clock::Moment;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nowhere,
    Terminal,
    Lines,
}

/// Counts runs and says how it goes.
pub(super) struct Progress {
    shown: Shown,
    began: Moment,
    /// Real time since the beginning at which something was last shown.
    last: Duration,
    total: usize,
    done: usize,
    failed: usize,
    virtual_done: Duration,
    /// Of each run under way: its virtual time, and how long it lasts.
    under_way: BTreeMap<usize, (Duration, Duration)>,
}

impl Progress {
    pub(super) fn new(shown: Shown, total: usize) -> Self {
        Self {
            shown,
            began: Moment::now(),
            last: Duration::ZERO,
            total,
            done: 0,
            failed: 0,
            virtual_done: Duration::ZERO,
            under_way: BTreeMap::new(),
        }
    }

    pub(super) fn at(&mut self, run: usize, at: Duration, lasts: Duration) {
        self.under_way.insert(run, (at, lasts));
    }

    pub(super) fn done(&mut self, run: usize, lasted: Duration, failed: bool) {
        self.under_way.remove(&run);
        self.done += 1;
        self.failed += usize::from(failed);
        self.virtual_done += lasted;
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn virtual_time(&self) -> Duration {
        self.virtual_done + self.under_way.values().map(|(at, _)| *at).sum::<Duration>()
    }

    /// What to print now, if it is time to.
    pub(super) fn poll(&mut self) -> Option<String> {
        let elapsed = self.elapsed();
        let every = match self.shown {
            Shown::Nowhere => return None,
            Shown::Terminal => ON_TERMINAL,
            Shown::Lines => ELSEWHERE,
        };
        if elapsed < self.last + every {
            return None;
        }
        self.last = elapsed;
        let line = self.line(elapsed);
        Some(if self.shown == Shown::Terminal { format!("\r{line}\x1b[K") } else { format!("{line}\n") })
    }

    /// What clears the line.
    pub(super) const fn end(&self) -> Option<&'static str> {
        match self.shown {
            Shown::Terminal if !self.last.is_zero() => Some("\r\x1b[K"),
            Shown::Terminal | Shown::Nowhere | Shown::Lines => None,
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let mut line = format!("{}/{} runs", self.done, self.total);
        if self.failed > 0 {
            write!(line, ", {} failed", self.failed).expect("writing to a string");
        }
        // Of a few long runs each is worth a word.
        if let Some((at, lasts)) = self.under_way.values().next()
            && self.total <= 8
        {
            write!(line, ", {} of {} virtual", coarse(*at), coarse(*lasts)).expect("writing to a string");
        } else {
            write!(line, ", {} virtual", coarse(self.virtual_time())).expect("writing to a string");
        }
        write!(line, ", {} real", coarse(elapsed)).expect("writing to a string");
        let share = self.share();
        if share > 0.01 && share < 1.0 {
            let left = elapsed.mul_f64((1.0 - share) / share);
            write!(line, ", about {} left", coarse(left)).expect("writing to a string");
        }
        line
    }

    fn share(&self) -> f64 {
        let begun = self.under_way.values();
        let begun: f64 =
            begun.map(|(at, all)| at.as_secs_f64() / all.as_secs_f64().max(1e-9)).map(|s| s.min(1.0)).sum();
        (self.done as f64 + begun) / self.total.max(1) as f64
    }
}

/// A duration to two parts: `1h 2m`, `3m 4s`, `12s`, `0.4s`.
pub(super) fn coarse(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let mut progress = Progress::new(Shown::Lines, 4);
        progress.done(0, Duration::from_secs(120), false);
        progress.done(1, Duration::from_secs(120), true);
        progress.at(2, Duration::from_secs(60), Duration::from_secs(120));
        let line = progress.line(Duration::from_secs(25));
        assert_eq!(line, "2/4 runs, 1 failed, 1m 0s of 2m 0s virtual, 25s real, about 15s left");
    }

    #[test]
    fn times_are_told_in_two_parts() {
        let told = [400, 12_000, 184_000, 3_725_000, 90_000_000].map(|ms| coarse(Duration::from_millis(ms)));
        assert_eq!(told, ["0.4s", "12s", "3m 4s", "1h 2m", "1d 1h"]);
    }
}
