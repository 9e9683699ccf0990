//! What everybody sees against what everybody should see, counted as it changes.
//!
//! A row is a thing (a member, a catalog entry), a column an observer. The number of wrong cells
//! is kept up with every change of a cell, so asking whether all is well costs nothing. Changing
//! what is wanted of a row walks over that row; counting an observer in or out walks over its
//! column. Both are rare beside changes of cells.
//!
//! In a settled cluster everybody sees the same, so a row is one cell and its exceptions until
//! there are many of them: ten thousand nodes watched by ten thousand would not fit otherwise.

/// What is wanted of every counted cell of a row.
pub(crate) trait Want<C> {
    fn met_by(&self, cell: &C) -> bool;
}

/// Exceptions in a row beyond which it is kept cell by cell.
const EXCEPTIONS_MAX: usize = 24;

enum Cells<C> {
    /// Every column has the first, except those listed (sorted by column).
    Alike(C, Vec<(u32, C)>),
    Each(Vec<C>),
}

impl<C: Copy + PartialEq> Cells<C> {
    fn get(&self, column: usize) -> C {
        match self {
            Self::Alike(usual, exceptions) => {
                match exceptions.binary_search_by_key(&column, |(c, _)| *c as usize) {
                    Ok(at) => exceptions[at].1,
                    Err(_) => *usual,
                }
            }
            Self::Each(cells) => cells[column],
        }
    }

    /// `columns` is how many there are.
    fn set(&mut self, column: usize, cell: C, columns: usize) {
        match self {
            Self::Alike(usual, exceptions) => {
                match exceptions.binary_search_by_key(&column, |(c, _)| *c as usize) {
                    Ok(at) if cell == *usual => {
                        exceptions.remove(at);
                    }
                    Ok(at) => exceptions[at].1 = cell,
                    Err(_) if cell == *usual => {}
                    Err(at) if exceptions.len() < EXCEPTIONS_MAX => {
                        let column = u32::try_from(column).expect("a world has fewer than 2^32 hosts");
                        exceptions.insert(at, (column, cell));
                    }
                    Err(_) => {
                        let mut each = vec![*usual; columns];
                        for (column, cell) in exceptions.iter() {
                            each[*column as usize] = *cell;
                        }
                        each[column] = cell;
                        *self = Self::Each(each);
                    }
                }
            }
            Self::Each(cells) => cells[column] = cell,
        }
    }
}

struct Row<W, C> {
    want: W,
    cells: Cells<C>,
    wrong: usize,
}

/// The table.
pub(crate) struct Grid<W, C> {
    rows: Vec<Row<W, C>>,
    counted: Vec<bool>,
    counted_in_all: usize,
    wrong: usize,
}

impl<W: Want<C>, C: Copy + Default + PartialEq> Grid<W, C> {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new(), counted: Vec::new(), counted_in_all: 0, wrong: 0 }
    }

    /// A new observer, not counted yet, who sees nothing.
    pub(crate) fn add_column(&mut self) {
        let column = self.counted.len();
        self.counted.push(false);
        for row in &mut self.rows {
            match &mut row.cells {
                Cells::Each(cells) => cells.push(C::default()),
                Cells::Alike(..) => row.cells.set(column, C::default(), column + 1),
            }
        }
    }

    /// A new row that nobody sees; its number.
    pub(crate) fn add_row(&mut self, want: W) -> usize {
        self.rows.push(Row { want, cells: Cells::Alike(C::default(), Vec::new()), wrong: 0 });
        let row = self.rows.len() - 1;
        self.recount(row);
        row
    }

    /// Wrong cells of counted observers.
    pub(crate) const fn wrong(&self) -> usize {
        self.wrong
    }

    pub(crate) fn cell(&self, row: usize, column: usize) -> C {
        self.rows[row].cells.get(column)
    }

    pub(crate) fn want(&self, row: usize) -> &W {
        &self.rows[row].want
    }

    /// The cells of counted observers in a row.
    pub(crate) fn counted_cells(&self, row: usize) -> impl Iterator<Item = (usize, C)> + '_ {
        let cells = &self.rows[row].cells;
        let counted = self.counted.iter().enumerate().filter(|(_, counted)| **counted);
        counted.map(|(column, _)| (column, cells.get(column)))
    }

    pub(crate) fn set_cell(&mut self, row: usize, column: usize, cell: C) {
        let columns = self.counted.len();
        let r = &mut self.rows[row];
        let before = !r.want.met_by(&r.cells.get(column));
        let after = !r.want.met_by(&cell);
        r.cells.set(column, cell, columns);
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

    /// Every observer sees the same there.
    pub(crate) fn set_row(&mut self, row: usize, cell: C) {
        self.rows[row].cells = Cells::Alike(cell, Vec::new());
        self.recount(row);
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
        if counted {
            self.counted_in_all += 1;
        } else {
            self.counted_in_all -= 1;
        }
        for row in &mut self.rows {
            if !row.want.met_by(&row.cells.get(column)) {
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
        let r = &self.rows[row];
        let wrong = match &r.cells {
            Cells::Alike(usual, exceptions) => {
                let counted = || exceptions.iter().filter(|(column, _)| self.counted[*column as usize]);
                let alike = self.counted_in_all - counted().count();
                let wrong = counted().filter(|(_, cell)| !r.want.met_by(cell)).count();
                wrong + if r.want.met_by(usual) { 0 } else { alike }
            }
            Cells::Each(cells) => {
                let cells = cells.iter().zip(&self.counted);
                cells.filter(|(cell, counted)| **counted && !r.want.met_by(cell)).count()
            }
        };
        self.wrong = self.wrong - r.wrong + wrong;
        self.rows[row].wrong = wrong;
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

    #[test]
    fn a_row_kept_as_exceptions_counts_like_one_kept_cell_by_cell() {
        let columns = 2 * EXCEPTIONS_MAX + 10;
        let mut g = Grid::new();
        for column in 0..columns {
            g.add_column();
            g.count(column, column % 3 != 0);
        }
        let row = g.add_row(AtLeast(1));
        g.set_row(row, 1);
        assert_eq!(g.wrong(), 0);
        let mut plain = vec![1_u32; columns];
        for step in 0..columns * 4 {
            let (column, cell) = ((step * 7) % columns, (step / 3) as u32 % 3);
            g.set_cell(row, column, cell);
            plain[column] = cell;
            let wrong = (0..columns).filter(|c| g.is_counted(*c) && plain[*c] < 1).count();
            assert_eq!(g.wrong(), wrong, "after step {step}");
            assert!((0..columns).all(|c| g.cell(row, c) == plain[c]));
        }
    }
}
