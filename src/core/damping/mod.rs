//! Flap damping: what keeps going and coming back is shown as gone until it stays. After route-flap
//! damping (RFC 2439).
//!
//! [`members`] damps what readers of this agent are shown of others; [`checks`] damps what this agent
//! tells others of its own checks. Only what is told is damped, not what is known: both decide nothing
//! about membership or health.

mod checks;
mod members;

pub(crate) use checks::CheckDamping;
pub(crate) use members::Damping;

use std::time::Duration;

/// What did not fall for this many times the longest hold is as good as new.
const FORGIVEN_AFTER_HOLDS: u32 = 10;

/// How long what fell so often has to stay up, if so many returns are shown at once: `min` after the
/// first that is not, twice as long after each further one, up to `max`.
fn hold(falls: u32, free: u32, min: Duration, max: Duration) -> Option<Duration> {
    let further = falls.checked_sub(free + 1)?;
    let times = 1_u32.checked_shl(further).unwrap_or(u32::MAX);
    Some(min.saturating_mul(times).min(max)).filter(|hold| !hold.is_zero())
}
