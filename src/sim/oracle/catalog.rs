//! The catalog under watch: everything each owner ever wrote, and what each agent shows of it.
//!
//! An owner's own agent is the witness of its writes: what it shows of itself was written, in that
//! order. Everybody else may only show what was written, never an older version after a newer one,
//! and never a record again whose deletion it has taken in.

use super::grid::{Grid, Want};
use super::{Fate, OwnerIx};
use crate::model::{EntryKey, Generation, Instant, Version};
use std::collections::BTreeMap;

/// One thing an owner did with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Op {
    at: Instant,
    /// The host whose agent did it; two hosts may claim one name.
    writer: usize,
    generation: Generation,
    version: Version,
    /// The content's hash; `None` for a deletion.
    content: Option<u64>,
}

impl Op {
    fn stamp(&self) -> (Generation, Version) {
        (self.generation, self.version)
    }
}

/// What an agent shows of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    /// The last operation it took in, counted from 1; 0 for none.
    op: u32,
    shown: bool,
}

/// What every agent should show.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Anything,
    Nothing,
    /// One of these operations (counted from 1), the newest last. Writes of earlier generations
    /// with the same content are as good as the newest.
    OneOf(Vec<u32>),
}

impl Want<Cell> for Wanted {
    fn met_by(&self, cell: &Cell) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => !cell.shown,
            Self::OneOf(ops) => cell.shown && ops.contains(&cell.op),
        }
    }
}

struct Slot {
    owner: OwnerIx,
    key: EntryKey,
    ops: Vec<Op>,
}

/// A newer operation reached an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When its owner did it.
    pub(crate) written: Instant,
}

/// All owners' entries.
pub(crate) struct Catalog {
    grid: Grid<Wanted, Cell>,
    slots: Vec<Slot>,
    by_owner: Vec<BTreeMap<EntryKey, usize>>,
}

impl Catalog {
    pub(crate) const fn new() -> Self {
        Self { grid: Grid::new(), slots: Vec::new(), by_owner: Vec::new() }
    }

    pub(crate) fn add_owner(&mut self) {
        self.by_owner.push(BTreeMap::new());
    }

    pub(crate) fn add_observer(&mut self) {
        self.grid.add_column();
    }

    pub(crate) const fn wrong(&self) -> usize {
        self.grid.wrong()
    }

    /// Counts the observer in or out.
    pub(crate) fn count(&mut self, observer: usize, counted: bool) {
        self.grid.count(observer, counted);
    }

    /// The observer starts without memory.
    pub(crate) fn forget(&mut self, observer: usize) {
        self.grid.clear_column(observer);
    }

    /// Owner, key, observer and what is wrong, of the first wrong cell.
    pub(crate) fn first_wrong(&self) -> Option<(OwnerIx, &EntryKey, usize, String)> {
        let (row, observer) = self.grid.first_wrong()?;
        let slot = &self.slots[row];
        let name = |op: u32| match slot.ops.get((op as usize).wrapping_sub(1)) {
            Some(Op { generation, version, content: Some(_), .. }) => {
                format!("{}.{}", generation.0, version.0)
            }
            Some(Op { content: None, .. }) => "deleted".to_owned(),
            None => "nothing".to_owned(),
        };
        let cell = self.grid.cell(row, observer);
        let seen = if cell.shown { name(cell.op) } else { "nothing".to_owned() };
        let wanted = match self.grid.want(row) {
            Wanted::Anything => "anything".to_owned(),
            Wanted::Nothing => "nothing".to_owned(),
            Wanted::OneOf(ops) => ops.last().map_or_else(|| "nothing".to_owned(), |op| name(*op)),
        };
        Some((slot.owner, &slot.key, observer, format!("shows {seen}: want {wanted}")))
    }

    /// What `observer` should now hold of `owner`, if the oracle was told of everything: the keys
    /// it shows, with generation, version and content.
    pub(crate) fn shown_of(
        &self,
        owner: OwnerIx,
        observer: usize,
    ) -> impl Iterator<Item = (&EntryKey, Generation, Version, u64)> {
        self.by_owner[owner.0].iter().filter_map(move |(key, &row)| {
            let cell = self.grid.cell(row, observer);
            let op = self.slots[row].ops.get((cell.op as usize).checked_sub(1)?)?;
            Some((key, op.generation, op.version, op.content.filter(|_| cell.shown)?))
        })
    }

    /// Did the owner ever give the entry this content with this stamp?
    pub(crate) fn was_written(
        &self,
        owner: OwnerIx,
        key: &EntryKey,
        stamp: (Generation, Version),
        content: u64,
    ) -> bool {
        let ops = self.by_owner[owner.0].get(key).map_or(&[][..], |&row| &self.slots[row].ops);
        ops.iter().any(|op| op.stamp() == stamp && op.content == Some(content))
    }

    fn row(&mut self, owner: OwnerIx, key: &EntryKey) -> usize {
        if let Some(&row) = self.by_owner[owner.0].get(key) {
            return row;
        }
        let row = self.grid.add_row(Wanted::Nothing);
        self.slots.push(Slot { owner, key: key.clone(), ops: Vec::new() });
        self.by_owner[owner.0].insert(key.clone(), row);
        row
    }

    /// The owner's own agent shows this: it was written.
    pub(crate) fn written(
        &mut self,
        owner: OwnerIx,
        key: &EntryKey,
        writer: usize,
        stamp: (Generation, Version),
        content: u64,
        now: Instant,
    ) -> Result<(), String> {
        let row = self.row(owner, key);
        let ops = &mut self.slots[row].ops;
        match ops.iter().rev().find(|op| op.stamp() == stamp && op.content.is_some()) {
            Some(known) if known.content == Some(content) => return Ok(()),
            Some(_) => {
                return Err(format!(
                    "wrote {key:?} twice as {}.{} with different contents",
                    stamp.0.0, stamp.1.0
                ));
            }
            None => {}
        }
        ops.push(Op { at: now, writer, generation: stamp.0, version: stamp.1, content: Some(content) });
        Ok(())
    }

    /// The owner's own agent no longer shows this: it was deleted.
    pub(crate) fn deleted(&mut self, owner: OwnerIx, key: &EntryKey, writer: usize, now: Instant) {
        let row = self.row(owner, key);
        let ops = &mut self.slots[row].ops;
        if let Some(&last) = ops.last()
            && last.content.is_some()
        {
            ops.push(Op { at: now, writer, content: None, ..last });
        }
    }

    /// The owner is done with everything but its own record: it left.
    pub(crate) fn deleted_all(&mut self, owner: OwnerIx, writer: usize, now: Instant) {
        let keys: Vec<EntryKey> =
            self.by_owner[owner.0].keys().filter(|k| **k != EntryKey::Node).cloned().collect();
        for key in keys {
            self.deleted(owner, &key, writer, now);
        }
    }

    /// The keys that the owner wrote and did not delete.
    pub(crate) fn standing(&self, owner: OwnerIx) -> Vec<EntryKey> {
        let rows = self.by_owner[owner.0].iter();
        rows.filter(|(_, row)| self.slots[**row].ops.last().is_some_and(|op| op.content.is_some()))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// An agent shows this. `strict` is off for owners whose name two live nodes claim: their
    /// records may replace each other in any order.
    pub(crate) fn shown(
        &mut self,
        owner: OwnerIx,
        key: &EntryKey,
        observer: usize,
        stamp: (Generation, Version),
        content: u64,
        strict: bool,
    ) -> Result<Option<Arrival>, String> {
        let row = self.row(owner, key);
        let ops = &self.slots[row].ops;
        let label = || format!("{}.{}", stamp.0.0, stamp.1.0);
        let Some(index) = ops.iter().rposition(|op| op.stamp() == stamp && op.content.is_some()) else {
            return Err(format!("shows version {}, which its owner never wrote", label()));
        };
        if ops[index].content != Some(content) {
            return Err(format!("shows version {} with a content its owner never gave it", label()));
        }
        let op = u32::try_from(index + 1).expect("fewer than 2^32 writes fit in memory");
        let before = self.grid.cell(row, observer);
        if let Some(last) = before.op.checked_sub(1).and_then(|i| ops.get(i as usize))
            && strict
        {
            if last.stamp() > stamp {
                return Err(format!(
                    "went back to version {} from {}.{}",
                    label(),
                    last.generation.0,
                    last.version.0
                ));
            }
            if last.content.is_none() && op < before.op {
                return Err(format!("shows version {} again after it had taken in its deletion", label()));
            }
        }
        self.move_to(row, observer, Cell { op, shown: true });
        Ok((op > before.op).then(|| Arrival { written: self.slots[row].ops[index].at }))
    }

    /// An agent shows nothing here any more.
    pub(crate) fn absent(&mut self, owner: OwnerIx, key: &EntryKey, observer: usize) -> Option<Arrival> {
        let row = self.row(owner, key);
        let before = self.grid.cell(row, observer);
        let ops = &self.slots[row].ops;
        // The first deletion after what it showed is the least it must have taken in. Without one
        // it forgot a failed owner's entry.
        let taken = ops.iter().skip(before.op as usize).position(|op| op.content.is_none());
        let op = match taken {
            Some(offset) => {
                before.op + 1 + u32::try_from(offset).expect("fewer than 2^32 writes fit in memory")
            }
            None => before.op,
        };
        self.move_to(row, observer, Cell { op, shown: false });
        taken.filter(|_| before.shown).map(|_| Arrival { written: self.slots[row].ops[op as usize - 1].at })
    }

    fn move_to(&mut self, row: usize, observer: usize, cell: Cell) {
        self.grid.set_cell(row, observer, cell);
    }

    /// Every observer shows the last that `owner` wrote of everything.
    pub(crate) fn all_see(&mut self, owner: OwnerIx) {
        for &row in self.by_owner[owner.0].values() {
            let ops = &self.slots[row].ops;
            let op = u32::try_from(ops.len()).expect("fewer than 2^32 writes fit in memory");
            let shown = ops.last().is_some_and(|op| op.content.is_some());
            self.grid.set_row(row, Cell { op, shown });
        }
    }

    /// Does the cell differ from what is wanted of it?
    pub(crate) fn is_wrong(&self, owner: OwnerIx, key: &EntryKey, observer: usize) -> bool {
        self.by_owner[owner.0]
            .get(key)
            .is_some_and(|&row| !self.grid.want(row).met_by(&self.grid.cell(row, observer)))
    }

    /// Settles what is wanted of everything of `owner`.
    pub(crate) fn set_fate(&mut self, owner: OwnerIx, fate: Fate) {
        let rows: Vec<usize> = self.by_owner[owner.0].values().copied().collect();
        for row in rows {
            self.want(row, fate);
        }
    }

    /// Settles what is wanted of one entry.
    pub(crate) fn set_fate_of(&mut self, owner: OwnerIx, key: &EntryKey, fate: Fate) {
        let row = self.row(owner, key);
        self.want(row, fate);
    }

    fn want(&mut self, row: usize, fate: Fate) {
        let slot = &self.slots[row];
        let wanted = match fate {
            Fate::Live(holder) => {
                let last = slot.ops.iter().rposition(|op| op.writer == holder.index());
                Self::newest(&slot.ops, last.map_or(0, |index| index + 1))
            }
            Fate::Suspended | Fate::Uncertain => Wanted::Anything,
            Fate::Left if slot.key == EntryKey::Node => Wanted::Anything,
            Fate::Left => Wanted::Nothing,
            // The dead cannot repeat what they said last: the newest that reached anybody counts.
            Fate::Crashed => {
                let known = self.grid.counted_cells(row).map(|(_, cell)| cell.op as usize);
                Self::newest(&slot.ops, known.max().unwrap_or(0))
            }
        };
        if *self.grid.want(row) != wanted {
            self.grid.set_want(row, wanted);
        }
    }

    /// What is wanted when the first `count` operations are known.
    fn newest(ops: &[Op], count: usize) -> Wanted {
        let Some(&last) = ops[..count].last() else { return Wanted::Nothing };
        let Some(content) = last.content else { return Wanted::Nothing };
        let same = ops[..count].iter().zip(1_u32..).filter(|(op, number)| {
            *number as usize == count || (op.content == Some(content) && op.generation != last.generation)
        });
        Wanted::OneOf(same.map(|(_, number)| number).collect())
    }
}

#[cfg(test)]
mod tests;
