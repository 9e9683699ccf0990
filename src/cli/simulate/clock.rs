//! The one place of this command that reads a clock: how long runs take is told to people and
//! never to a run.

use std::time::{Duration, Instant};

/// A moment of real time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "progress and speed are real time; runs never see it")]
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        Self::now().0.saturating_duration_since(self.0)
    }
}
