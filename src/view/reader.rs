//! The readers' end of the view: load it, or wait for the next one.

use super::View;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch;

/// Loads the present view. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct ViewReader {
    pub(super) shared: Arc<ArcSwap<View>>,
    pub(super) wake: watch::Receiver<u64>,
}

impl ViewReader {
    /// The present view.
    pub fn load(&self) -> Arc<View> {
        self.shared.load_full()
    }

    /// A way to wait for the views after the present one.
    pub fn waiter(&self) -> ViewWaiter {
        ViewWaiter { shared: Arc::clone(&self.shared), wake: self.wake.clone() }
    }
}

/// The agent's loop is gone; no view will ever follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent has stopped")]
pub struct Closed;

/// Waits for views. Load first, then wait: a view published in between is not missed.
#[derive(Debug)]
pub struct ViewWaiter {
    shared: Arc<ArcSwap<View>>,
    wake: watch::Receiver<u64>,
}

impl ViewWaiter {
    /// The present view; [`ViewWaiter::changed`] waits for later ones only.
    pub fn load(&mut self) -> Arc<View> {
        // Marking before loading: a view published between the two is loaded now and announced
        // once more, while the other order would lose its announcement.
        self.wake.borrow_and_update();
        self.shared.load_full()
    }

    /// Returns when something visible, or what is registered on this host, changed after the last
    /// [`ViewWaiter::load`].
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.wake.changed().await.map_err(|_| Closed)
    }
}
