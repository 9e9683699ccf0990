//! The last datagrams that were sent, for those who forge and replay.

use crate::core::Outgoing;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// How many are kept.
const RECENT_MAX: usize = 256;

/// A ring of datagrams with their senders.
pub(crate) struct Recent {
    ring: VecDeque<(SocketAddr, Outgoing)>,
}

impl Recent {
    pub(crate) const fn new() -> Self {
        Self { ring: VecDeque::new() }
    }

    pub(super) fn note(&mut self, from: SocketAddr, out: &Outgoing) {
        if self.ring.len() == RECENT_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back((from, out.clone()));
    }

    /// One of them, chosen by `draw`: who sent it, to whom, and its bytes.
    pub(crate) fn pick(&self, draw: u64) -> Option<(SocketAddr, &Outgoing)> {
        let count = u64::try_from(self.ring.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(draw % count).ok()?;
        self.ring.get(index).map(|(from, out)| (*from, out))
    }
}
