//! What each agent shows in sum: how many members in which state, and how often that changed.
//!
//! Kept up with every change, so that taking a sample costs nothing per member.

use crate::model::MemberStatus;
use crate::sim::HostId;
use serde::{Deserialize, Serialize};

/// Numbers of members by what an agent shows of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Shown as alive, the agent itself included.
    pub alive: usize,
    /// Shown as suspect.
    pub suspect: usize,
    /// Shown as failed.
    pub failed: usize,
    /// Shown as left.
    pub left: usize,
}

impl Tally {
    /// Alive and suspect ones.
    pub const fn live(&self) -> usize {
        self.alive + self.suspect
    }

    const fn count(&mut self, status: MemberStatus) -> &mut usize {
        match status {
            MemberStatus::Alive => &mut self.alive,
            MemberStatus::Suspect => &mut self.suspect,
            MemberStatus::Failed => &mut self.failed,
            MemberStatus::Left => &mut self.left,
        }
    }
}

/// One observer's sums.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    tally: Tally,
    /// Who is live changed since readers were last shown anything.
    changed: bool,
    live_shown: usize,
}

/// All observers' sums.
pub(super) struct Watch {
    watched: Vec<Watched>,
    touched: Option<HostId>,
}

/// What readers of an agent see after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) host: HostId,
    /// Who is live changed.
    pub(super) changed: bool,
    /// The number of live members, if it is another than before.
    pub(super) live: Option<usize>,
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self { watched: Vec::new(), touched: None }
    }

    pub(super) fn add_observer(&mut self) {
        self.watched.push(Watched::default());
    }

    /// The observer starts without memory.
    pub(super) fn forget(&mut self, host: HostId) {
        self.watched[host.index()] = Watched::default();
    }

    /// The observer shows this many members, all alive, and has for long.
    pub(super) fn settled(&mut self, host: HostId, members: usize) {
        let tally = Tally { alive: members, ..Tally::default() };
        self.watched[host.index()] = Watched { tally, changed: false, live_shown: members };
        self.touched = None;
    }

    pub(super) fn tally(&self, host: HostId) -> Tally {
        self.watched[host.index()].tally
    }

    /// The observer shows a member in another state.
    pub(super) fn moved(&mut self, host: HostId, before: Option<MemberStatus>, after: Option<MemberStatus>) {
        let w = &mut self.watched[host.index()];
        if let Some(status) = before {
            *w.tally.count(status) -= 1;
        }
        if let Some(status) = after {
            *w.tally.count(status) += 1;
        }
        let live = |status: Option<MemberStatus>| status.is_some_and(MemberStatus::is_live);
        w.changed |= live(before) != live(after);
        self.touched = Some(host);
    }

    /// The input is over, and what it changed is what readers see; `None` if nothing changed.
    pub(super) fn input_over(&mut self) -> Option<Shown> {
        let host = self.touched.take()?;
        let w = &mut self.watched[host.index()];
        let live = w.tally.live();
        let shown = Shown { host, changed: w.changed, live: (live != w.live_shown).then_some(live) };
        w.changed = false;
        w.live_shown = live;
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_input_brings_is_one_batch() {
        use MemberStatus::{Alive, Failed, Suspect};
        let host = HostId(0);
        let mut w = Watch::new();
        w.add_observer();
        assert_eq!(w.input_over(), None);
        for _ in 0..3 {
            w.moved(host, None, Some(Alive));
        }
        assert_eq!(w.input_over(), Some(Shown { host, changed: true, live: Some(3) }));
        w.moved(host, Some(Alive), Some(Suspect));
        assert_eq!(w.input_over(), Some(Shown { host, changed: false, live: None }));
        w.moved(host, Some(Suspect), Some(Failed));
        w.moved(host, None, Some(Alive));
        assert_eq!(w.input_over(), Some(Shown { host, changed: true, live: None }));
        assert_eq!(w.tally(host), Tally { alive: 3, suspect: 0, failed: 1, left: 0 });
        w.forget(host);
        assert_eq!(w.tally(host), Tally::default());
    }
}
