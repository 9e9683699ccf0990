//! A token bucket: so much at once, so much more a second. It fills by itself, so that whoever keeps one owns no timer.

use crate::model::Instant;

/// How much a [`Bucket`] gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) at_once: f64,
    pub(super) per_s: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) const fn new(rate: Rate, now: Instant) -> Self {
        Self { left: rate.at_once, at: now }
    }

    /// Takes one token; `false`: none is left.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let gained = now.since(self.at).as_secs_f64() * rate.per_s;
        self.left = (self.left + gained).min(rate.at_once);
        self.at = now;
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }
}
