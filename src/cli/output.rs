use super::failure::Failure;
use super::table::Table;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people: columns of text.
    Table,
    /// For programs: JSON.
    Json,
}

/// Where a command's answers and remarks go.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    format: Format,
    quiet: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err, format: Format::Table, quiet: false }
    }

    pub(super) fn set(&mut self, format: Format, quiet: bool) {
        self.format = format;
        self.quiet = quiet;
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One line of the answer.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    /// Bytes of the answer, as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        Ok(())
    }

    /// Makes what was printed visible now, for answers that come bit by bit.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        Ok(())
    }

    /// The whole answer as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).expect("answers have text keys and plain values");
        self.line(text)
    }

    /// A list as a table, or as JSON when that is wanted. An empty table is said to be empty on
    /// standard error, so that what reads the answer finds nothing.
    pub(super) fn list<T: Serialize>(
        &mut self,
        rows: &[T],
        header: &[&str],
        cells: impl Fn(&T) -> Vec<String>,
        empty: &str,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(&rows);
        }
        if rows.is_empty() {
            self.note(empty);
            return Ok(());
        }
        let mut table = Table::new(header);
        for row in rows {
            table.row(&cells(row));
        }
        self.line(table)
    }

    /// A confirmation of something done: for people only.
    pub(super) fn done(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.quiet || self.is_json() { Ok(()) } else { self.line(text) }
    }

    /// A remark.
    pub(super) fn note(&mut self, text: impl Display) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Text for whoever waits, as it is; it may rewrite its line.
    pub(super) fn progress(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()).ok();
    }

    /// Something that went wrong.
    pub(super) fn error(&mut self, text: impl Display) {
        // Remarks never decide how a command ends, so neither does a closed standard error.
        writeln!(self.err, "shoal: {text}").ok();
    }
}
