//! The log of a run for people: what was done to whom, and which member was shown as what by whom.
//!
//! Bounded: beyond a hundred thousand changes of status only their number is kept. Keeping it changes
//! nothing about the run.

use crate::model::{Instant, MemberStatus, NodeName};

/// Changes of status that are kept.
const STATUSES_MAX: usize = 100_000;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// When.
    pub at: Instant,
    /// What.
    pub what: Happening,
}

/// What a log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The scenario did something.
    Action(String),
    /// An agent showed a member as something else.
    Status {
        /// Whose agent.
        observer: NodeName,
        /// The member.
        subject: NodeName,
        /// As what it was shown; `None` if not at all.
        from: Option<MemberStatus>,
        /// As what it is shown.
        to: Option<MemberStatus>,
    },
}

/// The log of one run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    lines: Vec<Logged>,
    statuses: usize,
}

impl Journal {
    /// What is kept, in order.
    pub fn lines(&self) -> &[Logged] {
        &self.lines
    }

    /// Changes of status that were too many to keep.
    pub const fn left_out(&self) -> usize {
        self.statuses.saturating_sub(STATUSES_MAX)
    }

    pub(super) fn action(&mut self, at: Instant, what: String) {
        self.lines.push(Logged { at, what: Happening::Action(what) });
    }

    pub(super) fn status(
        &mut self,
        at: Instant,
        observer: &NodeName,
        subject: &NodeName,
        from: Option<MemberStatus>,
        to: Option<MemberStatus>,
    ) {
        self.statuses += 1;
        if self.statuses <= STATUSES_MAX {
            let what = Happening::Status { observer: observer.clone(), subject: subject.clone(), from, to };
            self.lines.push(Logged { at, what });
        }
    }
}
