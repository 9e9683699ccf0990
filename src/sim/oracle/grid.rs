//! What everybody sees against what everybody should see, counted as it changes.
//!
//! A row is a thing (a member, a catalog entry), a column an observer. The number of wrong cells
//! is kept up with every change of a cell, so asking whether all is well costs nothing. Changing
//! what is wanted of a row walks over that row; counting an observer in or out walks over its
//! column. Both are rare beside changes of cells.

/// What is wanted of every counted cell of a row.
pub(crate) trait Want<C> {
    fn met_by(&self, cell: &C) -> bool;
}

struct Row<W, C> {
    want: W,
    cells: Vec<C>,
    wrong: usize,
}

/// The table.
pub(crate) struct Grid<W, C> {
    rows: Vec<Row<W, C>>,
    counted: Vec<bool>,
    wrong: usize,
}

impl<W: Want<C>, C: Copy + Default> Grid<W, C> {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new(), counted: Vec::new(), wrong: 0 }
    }

    /// A new observer, not counted yet, who sees nothing.
    pub(crate) fn add_column(&mut self) {
        self.counted.push(false);
        for row in &mut self.rows {
            row.cells.push(C::default());
        }
    }

    /// A new row that nobody sees; its number.
    pub(crate) fn add_row(&mut self, want: W) -> usize {
        let cells = vec![C::default(); self.counted.len()];
        self.rows.push(Row { want, cells, wrong: 0 });
        let row = self.rows.len() - 1;
        self.recount(row);
        row
    }

    /// Wrong cells of counted observers.
    pub(crate) const fn wrong(&self) -> usize {
        self.wrong
    }

    pub(crate) fn cell(&self, row: usize, column: usize) -> C {
        self.rows[row].cells[column]
    }

    pub(crate) fn want(&self, row: usize) -> &W {
        &self.rows[row].want
    }

    /// The cells of counted observers in a row.
    pub(crate) fn counted_cells(&self, row: usize) -> impl Iterator<Item = (usize, C)> + '_ {
        let cells = self.rows[row].cells.iter().zip(&self.counted).enumerate();
        cells.filter(|(_, (_, counted))| **counted).map(|(column, (cell, _))| (column, *cell))
    }

    pub(crate) fn set_cell(&mut self, row: usize, column: usize, cell: C) {
        let r = &mut self.rows[row];
        let before = !r.want.met_by(&r.cells[column]);
        let after = !r.want.met_by(&cell);
        r.cells[column] = cell;
        if self.counted[column] && before != after {
            if after {
                r.wrong += 1;
                self.wrong += 1;
            } else {
                r.wrong -= 1;
                self.wrong -= 1;
            }
        }
    }

    pub(crate) fn set_want(&mut self, row: usize, want: W) {
        self.rows[row].want = want;
        self.recount(row);
    }

    /// Counts an observer in or out.
    pub(crate) fn count(&mut self, column: usize, counted: bool) {
        if self.counted[column] == counted {
            return;
        }
        self.counted[column] = counted;
        for row in &mut self.rows {
            if !row.want.met_by(&row.cells[column]) {
                if counted {
                    row.wrong += 1;
                    self.wrong += 1;
                } else {
                    row.wrong -= 1;
                    self.wrong -= 1;
                }
            }
        }
    }

    pub(crate) fn is_counted(&self, column: usize) -> bool {
        self.counted[column]
    }

    /// The observer lost its memory.
    pub(crate) fn clear_column(&mut self, column: usize) {
        for row in 0..self.rows.len() {
            self.set_cell(row, column, C::default());
        }
    }

    /// The first wrong cell: its row and its observer.
    pub(crate) fn first_wrong(&self) -> Option<(usize, usize)> {
        let row = self.rows.iter().position(|r| r.wrong > 0)?;
        let want = &self.rows[row].want;
        let column = self.counted_cells(row).find(|(_, cell)| !want.met_by(cell)).map(|(c, _)| c)?;
        Some((row, column))
    }

    fn recount(&mut self, row: usize) {
        let r = &mut self.rows[row];
        let cells = r.cells.iter().zip(&self.counted);
        let wrong = cells.filter(|(cell, counted)| **counted && !r.want.met_by(cell)).count();
        self.wrong = self.wrong - r.wrong + wrong;
        r.wrong = wrong;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct AtLeast(u32);
    impl Want<u32> for AtLeast {
        fn met_by(&self, cell: &u32) -> bool {
            *cell >= self.0
        }
    }

    #[test]
    fn the_count_of_wrong_cells_follows_every_change() {
        let mut g = Grid::new();
        g.add_column();
        g.add_column();
        let row = g.add_row(AtLeast(1));
        assert_eq!(g.wrong(), 0, "nobody is counted");
        g.count(0, true);
        g.count(1, true);
        assert_eq!((g.wrong(), g.first_wrong()), (2, Some((row, 0))));
        g.set_cell(row, 0, 1);
        assert_eq!((g.wrong(), g.first_wrong()), (1, Some((row, 1))));
        g.set_want(row, AtLeast(2));
        assert_eq!(g.wrong(), 2);
        g.set_want(row, AtLeast(0));
        assert_eq!((g.wrong(), g.first_wrong()), (0, None));
        g.set_want(row, AtLeast(1));
        g.count(1, false);
        assert_eq!(g.wrong(), 0);
        g.clear_column(0);
        assert_eq!(g.wrong(), 1);
        g.add_column();
        assert_eq!(g.wrong(), 1);
    }
}
