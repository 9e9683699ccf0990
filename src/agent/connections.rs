//! How many connections the API has at one time.
//!
//! Owns the bound, and what happens at it: a further connection is closed at once and counted, so that
//! callers can take neither the memory nor the file descriptors with which registrations are saved.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections where the system has enough file descriptors: as many as may wait for a change, and
/// some more.
const CONNECTIONS_MAX: usize = 16_384 + 1_024;
/// Where it has next to none.
const CONNECTIONS_MIN: usize = 16;

/// Takes as many file descriptors as it could use, if this process may, and says how many connections of the API
/// leave half of them to everything else.
pub(super) fn allowed() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let wanted = hard.min(2 * CONNECTIONS_MAX as u64);
        let raised = soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        if raised { wanted } else { soft }
    });
    let limit = limit.unwrap_or_else(|error| {
        tracing::debug!(%error, "the system does not say how many files may be open");
        0
    });
    usize::try_from(limit / 2).unwrap_or(usize::MAX).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Places for connections, shared by all listeners.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), refused: Arc::default() }
    }

    /// A place for one more connection, which is free again when this is dropped. `None`: there is none.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok();
        if place.is_none() {
            let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            if refused.is_power_of_two() {
                tracing::warn!(refused, "the API has as many connections as it may; further ones are closed");
            }
        }
        place
    }

    /// Connections that found no place.
    #[cfg(test)]
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_left_to_others() {
        let allowed = allowed();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("is told");
        assert!((CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(&allowed));
        assert!(allowed == CONNECTIONS_MIN || allowed as u64 <= soft / 2, "{allowed} of {soft}");
    }
}
