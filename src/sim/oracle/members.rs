//! Membership under watch: who shows whom as what, against who really runs.

use super::grid::{Grid, Want};
use super::{Fate, OwnerIx};
use crate::model::{Generation, Member, MemberStatus};

/// What an agent shows of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// `None`: unknown or forgotten.
    pub(crate) status: Option<MemberStatus>,
    pub(crate) generation: Generation,
    /// It is known to be there, and shown as failed for a while since it kept coming and going.
    pub(crate) held: bool,
}

impl From<Option<&Member>> for Seen {
    fn from(member: Option<&Member>) -> Self {
        member.map_or_else(Self::default, |m| Self {
            status: Some(m.status),
            generation: m.generation,
            held: m.held,
        })
    }
}

/// What every agent should show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Anything,
    /// Alive or suspect in this run, or known to be and held down.
    Live(Generation),
    Failed,
    LeftOrForgotten,
    NotLive,
}

impl Want<Seen> for Wanted {
    fn met_by(&self, cell: &Seen) -> bool {
        let live = cell.status.is_some_and(MemberStatus::is_live);
        match self {
            Self::Anything => true,
            Self::Live(generation) => (live || cell.held) && cell.generation == *generation,
            Self::Failed => cell.status == Some(MemberStatus::Failed) && !cell.held,
            Self::LeftOrForgotten => matches!(cell.status, None | Some(MemberStatus::Left)),
            Self::NotLive => !live && !cell.held,
        }
    }
}

/// All members as all agents see them; rows are owners.
pub(crate) struct Members {
    grid: Grid<Wanted, Seen>,
}

impl Members {
    pub(crate) const fn new() -> Self {
        Self { grid: Grid::new() }
    }

    pub(crate) fn add_owner(&mut self) {
        self.grid.add_row(Wanted::NotLive);
    }

    pub(crate) fn add_observer(&mut self) {
        self.grid.add_column();
    }

    pub(crate) const fn wrong(&self) -> usize {
        self.grid.wrong()
    }

    pub(crate) fn count(&mut self, observer: usize, counted: bool) {
        self.grid.count(observer, counted);
    }

    pub(crate) fn is_counted(&self, observer: usize) -> bool {
        self.grid.is_counted(observer)
    }

    pub(crate) fn forget(&mut self, observer: usize) {
        self.grid.clear_column(observer);
    }

    pub(crate) fn seen(&self, owner: OwnerIx, observer: usize) -> Seen {
        self.grid.cell(owner.0, observer)
    }

    pub(crate) fn set_seen(&mut self, owner: OwnerIx, observer: usize, seen: Seen) {
        self.grid.set_cell(owner.0, observer, seen);
    }

    /// Every observer sees this of `owner`.
    pub(crate) fn all_see(&mut self, owner: OwnerIx, seen: Seen) {
        self.grid.set_row(owner.0, seen);
    }

    /// Counted observers.
    pub(crate) fn observers(&self, owner: OwnerIx) -> impl Iterator<Item = (usize, Seen)> + '_ {
        self.grid.counted_cells(owner.0)
    }

    /// Settles what is wanted of `owner`, whose last run was `generation`.
    pub(crate) fn set_fate(&mut self, owner: OwnerIx, fate: Fate, generation: Generation) {
        let wanted = match fate {
            Fate::Live(_) => Wanted::Live(generation),
            Fate::Suspended => Wanted::Anything,
            Fate::Left => Wanted::LeftOrForgotten,
            Fate::Uncertain => Wanted::NotLive,
            // A run that no survivor ever heard of cannot be mourned.
            Fate::Crashed => {
                let known = self
                    .grid
                    .counted_cells(owner.0)
                    .any(|(_, seen)| seen.status.is_some() && seen.generation == generation);
                if known { Wanted::Failed } else { Wanted::NotLive }
            }
        };
        if *self.grid.want(owner.0) != wanted {
            self.grid.set_want(owner.0, wanted);
        }
    }

    /// Owner, observer and what is wrong, of the first wrong cell.
    pub(crate) fn first_wrong(&self) -> Option<(OwnerIx, usize, String)> {
        let (row, observer) = self.grid.first_wrong()?;
        let Seen { status, generation, .. } = self.grid.cell(row, observer);
        let status = status.map_or("unknown", MemberStatus::as_str);
        let what = format!("shows it as {status} in run {}: want {:?}", generation.0, self.grid.want(row));
        Some((OwnerIx(row), observer, what))
    }
}
