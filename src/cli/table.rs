use comfy_table::{Cell, ContentArrangement, presets};
use std::fmt;

/// Columns a table may take; the last column is cut to fit.
const WIDTH: usize = 80;
/// The last column is never cut below this.
const LAST_COLUMN_MIN: usize = 24;
/// Spaces between columns.
const GAP: usize = 2;

/// A plain table: a header in capitals, columns two spaces apart, nothing drawn, one line per
/// row so that line tools work on it.
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row. What other hosts wrote may hold anything, so control characters become
    /// spaces: a check's output must not move the cursor of whoever looks at it.
    pub(super) fn row(&mut self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.header.len(), "a cell for every column");
        self.rows.push(cells.iter().map(|cell| on_one_line(cell)).collect());
    }

    fn last_column_max(&self) -> usize {
        let others = self.header.len().saturating_sub(1);
        let widest = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let taken: usize = (0..others).map(|column| widest(column) + GAP).sum();
        WIDTH.saturating_sub(taken).max(LAST_COLUMN_MIN)
    }
}

/// `text` with runs of white space and control characters as single spaces.
pub(super) fn on_one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last_max = self.last_column_max();
        let last = self.header.len().saturating_sub(1);
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.header.iter().map(Cell::new));
        for row in &self.rows {
            let cells = row.iter().enumerate();
            table.add_row(cells.map(|(column, cell)| {
                let cell = if column == last { cut(cell, last_max) } else { cell.clone() };
                // An empty cell would shift the fields of the row for awk and the like.
                Cell::new(if cell.is_empty() { "-".to_owned() } else { cell })
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, u16::try_from(GAP).expect("a small constant")));
        }
        for (n, line) in table.lines().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_is_drawn() {
        let mut table = Table::new(&["NAME", "STATUS", "TAGS"]);
        table.row(&["web".into(), "passing".into(), "a,b".into()]);
        table.row(&["a-longer-name".into(), "critical".into(), String::new()]);
        let want = "NAME           STATUS    TAGS\nweb            passing   a,b\na-longer-name  critical  -";
        assert_eq!(table.to_string(), want);
    }

    #[test]
    fn the_last_column_gives_way_to_fit_80_columns() {
        let mut table = Table::new(&["NODE", "OUTPUT"]);
        table.row(&["n".repeat(20), "x".repeat(500)]);
        for line in table.to_string().lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(table.to_string().ends_with('…'));
    }

    #[test]
    fn what_others_wrote_stays_on_its_line_and_moves_no_cursor() {
        let mut table = Table::new(&["OUTPUT"]);
        table.row(&["first\nsecond\r\n\x1b[2Jthird\t\u{9b}x".into()]);
        assert_eq!(table.to_string(), "OUTPUT\nfirst second [2Jthird x");
    }
}
