//! What each agent of a cluster believes of each other, and the events by which it came to.

use std::time::Instant;

/// What an agent tells about a member. Suspicions are not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Alive,
    Failed,
    Left,
    /// It is what it was, with something new that it tells about itself.
    Changed,
}

/// One line of one agent's log, or of what it streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// When the line was read.
    pub(crate) at: Instant,
    pub(crate) observer: usize,
    pub(crate) subject: usize,
    pub(crate) status: Status,
}

/// All agents' views, as their logs tell them.
#[derive(Debug)]
pub(crate) struct Beliefs {
    /// By observer, then subject.
    views: Vec<Vec<Option<Status>>>,
    /// Who is meant by *all*: seats that wait for their agents are not.
    present: Vec<bool>,
    /// Since the last mark.
    events: Vec<Event>,
    /// Since the last mark, of an agent about itself too: that is where a change begins.
    changes: Vec<Event>,
}

impl Beliefs {
    /// Of a cluster with so many seats.
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            views: vec![vec![None; seats]; seats],
            present: vec![false; seats],
            events: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// From now on `number` is one of all, or is not any more.
    pub(crate) fn set_present(&mut self, number: usize, present: bool) {
        self.present[number] = present;
    }

    pub(crate) fn take_in(&mut self, event: Event) {
        if event.status == Status::Changed {
            self.changes.push(event);
        } else if event.observer != event.subject {
            self.views[event.observer][event.subject] = Some(event.status);
            self.events.push(event);
        }
    }

    /// Forgets the events so far, not what they led to.
    pub(crate) fn mark(&mut self) {
        self.events.clear();
        self.changes.clear();
    }

    /// `observer` starts anew and knows nothing.
    pub(crate) fn forget_view(&mut self, observer: usize) {
        self.views[observer].fill(None);
    }

    /// Every pair of an observer and a subject, with what the one believes of the other.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, Option<Status>)> {
        let rows = self.views.iter().enumerate();
        rows.flat_map(|(o, row)| row.iter().enumerate().map(move |(s, status)| (o, s, *status)))
            .filter(|(observer, subject, _)| observer != subject && self.present[*observer])
    }

    pub(crate) fn all_see_all(&self) -> bool {
        self.pairs().all(|(_, subject, status)| !self.present[subject] || status == Some(Status::Alive))
    }

    /// Whether all others have `subject` for alive.
    pub(crate) fn all_see_alive(&self, subject: usize) -> bool {
        self.pairs().all(|(_, other, status)| other != subject || status == Some(Status::Alive))
    }

    /// Whether all have `subject` for one that left.
    pub(crate) fn all_see_left(&self, subject: usize) -> bool {
        self.pairs().all(|(_, other, status)| other != subject || status == Some(Status::Left))
    }

    /// Whether all others have `victim` for failed.
    pub(crate) fn all_see_failed(&self, victim: usize) -> bool {
        self.pairs().all(|(_, subject, status)| subject != victim || status == Some(Status::Failed))
    }

    /// Some of what keeps [`Self::all_see_all`] from holding, for a message.
    pub(crate) fn not_alive(&self) -> Vec<(usize, usize, Option<Status>)> {
        let missing =
            self.pairs().filter(|(_, s, status)| self.present[*s] && *status != Some(Status::Alive));
        missing.take(5).collect()
    }

    /// Verdicts since the mark.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|e| e.status == Status::Failed)
    }

    /// Whether all agents, `subject` itself too, showed a change of it since the mark.
    pub(crate) fn all_show_change(&self, subject: usize) -> bool {
        let mut shown: Vec<bool> = self.present.iter().map(|present| !present).collect();
        self.changes_of(subject).for_each(|e| shown[e.observer] = true);
        shown.into_iter().all(|s| s)
    }

    /// What was told since the mark of changes of `subject`.
    pub(crate) fn changes_of(&self, subject: usize) -> impl Iterator<Item = &Event> {
        self.changes.iter().filter(move |e| e.subject == subject)
    }
}
